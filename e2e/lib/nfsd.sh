# Makes the kernel serve /export, for version 4, at 127.0.0.1:2049, with a file "there"; without the programs of its package. $1: a folder for it.
set -e
mkdir -p "$1" /var/lib/nfs/v4recovery
mount -t tmpfs exports "$1"
mkdir "$1/export"
echo hello >"$1/export/there"
mount -t nfsd nfsd /proc/fs/nfsd
echo "-2 -3 +4" >/proc/fs/nfsd/versions
echo "tcp 2049" >/proc/fs/nfsd/portlist
echo 2 >/proc/fs/nfsd/threads
echo Y >/proc/fs/nfsd/v4_end_grace
# What mountd would answer: who the client is, what the root is, and that it may write there (flags of linux/nfsd/export.h: insecure port,
# no subtree check, fsid).
until=$(($(date +%s) + 36000))
echo "nfsd 127.0.0.1 $until any" >/proc/net/rpc/auth.unix.ip/channel
echo "any 1 \\x00000000 $until $1" >/proc/net/rpc/nfsd.fh/channel
echo "any $1 $until $((0x2 + 0x400 + 0x2000)) 65534 65534 0" >/proc/net/rpc/nfsd.export/channel
