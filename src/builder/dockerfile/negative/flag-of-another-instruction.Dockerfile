FROM debian
ADD --from=build /a /b
