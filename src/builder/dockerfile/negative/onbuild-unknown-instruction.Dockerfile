FROM debian
ONBUILD COPPY . /app
