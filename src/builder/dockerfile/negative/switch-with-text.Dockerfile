FROM debian
COPY --link=maybe /a /b
