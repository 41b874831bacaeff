FROM debian
ADD
