FROM debian
ONBUILD COPY --form=a b c
