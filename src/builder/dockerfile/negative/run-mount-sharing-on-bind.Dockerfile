FROM debian
RUN --mount=target=/c,sharing=locked true
