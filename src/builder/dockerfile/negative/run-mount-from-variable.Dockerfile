FROM debian
RUN --mount=from=$STAGE,target=/x true
