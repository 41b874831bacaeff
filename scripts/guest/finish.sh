#!/bin/sh
# The guest's last act, in the host's files: runs the command and switches off. Serial ports: 1 has its output, 2 its exit code.
export TMPDIR=/mnt
sh /run/command.sh </dev/null >/dev/ttyS1 2>&1
echo "exit $?" >/dev/ttyS2
/run/busybox poweroff -f
