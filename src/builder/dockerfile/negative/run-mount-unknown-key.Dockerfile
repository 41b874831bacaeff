FROM debian
RUN --mount=type=cache,targt=/c true
