FROM debian
COPY https://example.com/a.tgz /
