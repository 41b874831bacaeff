FROM debian
COPY --from=3 /a /b
