FROM debian
RUN --mount=type=chache,target=/c true
