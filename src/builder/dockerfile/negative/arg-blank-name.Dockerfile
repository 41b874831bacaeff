FROM debian
ARG =1
