FROM debian
RUN --mount=type=secret true
