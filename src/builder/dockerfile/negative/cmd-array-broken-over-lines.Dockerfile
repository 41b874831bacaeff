FROM debian
CMD [
  "python",
  "app.py"
]
