ARG V=${A:-1
FROM debian:$V
