FROM --platform=$BUILDPLATFROM debian
