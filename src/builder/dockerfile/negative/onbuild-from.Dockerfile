FROM debian
ONBUILD from scratch
