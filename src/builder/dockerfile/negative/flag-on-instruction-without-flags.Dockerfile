FROM debian
ENV --x=1 A=2
