FROM debian
WORKDIR   
