FROM debian AS
