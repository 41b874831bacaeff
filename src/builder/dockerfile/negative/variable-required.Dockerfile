FROM debian
ARG VERSION
ENV W="${VERSION:?give it with --build-arg}"
