FROM debian
VOLUME ["/data", " "]
