FROM debian
COPY --chmod=u+q a b
