FROM debian
services:
  web:
