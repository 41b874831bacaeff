FROM debian
USER
