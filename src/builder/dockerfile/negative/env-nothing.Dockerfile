FROM debian
ENV
