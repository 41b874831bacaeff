FROM debian
RUN --privileged true
