FROM debian
RUN --mount=type=bind,target=/x,uid=5 true
