# check=strict=true
FROM debian
