FROM debian
RUN --mount=type=cache,target=/c,sharing=lock true
