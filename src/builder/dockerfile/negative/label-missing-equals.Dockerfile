FROM debian
LABEL version=1.0 description of it
