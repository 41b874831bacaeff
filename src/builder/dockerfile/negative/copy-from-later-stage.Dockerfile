FROM debian AS one
COPY --from=two /a /b
FROM debian AS two
