FROM debian bookworm
