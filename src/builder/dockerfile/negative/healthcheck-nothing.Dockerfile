FROM debian
HEALTHCHECK --interval=5s
