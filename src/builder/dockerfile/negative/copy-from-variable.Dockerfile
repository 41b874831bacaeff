FROM debian
ARG STAGE=x
COPY --from=$STAGE a b
