FROM debian AS build
FROM debian AS final
