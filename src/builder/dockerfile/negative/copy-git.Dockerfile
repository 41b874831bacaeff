FROM debian
COPY git@example.com:a/b.git /
