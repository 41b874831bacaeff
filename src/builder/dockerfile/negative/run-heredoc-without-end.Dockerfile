FROM debian
RUN <<EOF
apt-get update
  EOF
