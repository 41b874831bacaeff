FROM debian
HEALTHCHECK --interval=5s curl -f http://localhost/
