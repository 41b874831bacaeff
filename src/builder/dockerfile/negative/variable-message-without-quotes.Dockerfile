FROM debian
ARG VERSION
ENV V=1 \
    W=${VERSION:?give it with --build-arg}
