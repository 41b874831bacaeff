FROM debian
RUN true
ADDD . .
CMD x
