FROM debian
HEALTHCHECK --retries=many CMD true
