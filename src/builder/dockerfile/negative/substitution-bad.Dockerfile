FROM debian
WORKDIR /app/${}
