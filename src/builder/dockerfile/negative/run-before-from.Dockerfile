# syntax=docker/dockerfile:1
ARG A
RUN true
FROM debian
