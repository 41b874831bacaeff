FROM debian
COPY --form=build /a /b
