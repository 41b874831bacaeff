FROM debian
ADD --chmod=10000 a b
