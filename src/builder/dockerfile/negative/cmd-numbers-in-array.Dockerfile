FROM debian
CMD ["sleep", 60]
