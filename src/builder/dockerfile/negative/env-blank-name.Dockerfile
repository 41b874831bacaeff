FROM debian
ENV =value
