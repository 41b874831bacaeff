FROM debian
RUN --mount=type=bind,required,target=/x true
