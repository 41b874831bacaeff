FROM debian

FROM debian AS 2nd
