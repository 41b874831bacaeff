FROM debian
COPY requirements.txt
