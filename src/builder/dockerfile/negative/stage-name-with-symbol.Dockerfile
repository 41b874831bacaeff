FROM debian AS build/all
