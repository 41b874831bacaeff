FROM debian
RUN --mount=type=cache,target=a\"b true
