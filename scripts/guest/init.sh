#!/bin/busybox sh
# The first process of the guest. Makes a machine of the host's files (read-only, changes go to a scratch disk) with control
# groups of version 2 alone, and goes on with finish.sh in it.
bb=/bin/busybox
fail() {
  $bb echo "guest: $*" >/dev/ttyS1
  $bb poweroff -f
}

$bb mount -t proc proc /proc
$bb mount -t devtmpfs dev /dev
for port in 1 2; do $bb stty -F /dev/ttyS$port raw -echo; done
while read -r module; do
  $bb insmod /modules/$module || $bb echo "guest: module $module was refused" >/dev/ttyS1
done </modules/order

$bb mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro host /host || fail "no root from the host"
$bb mount -t ext4 -o noatime /dev/vda /scratch || fail "no scratch disk"
$bb mkdir -p /scratch/upper /scratch/work /scratch/tmp
$bb chmod 1777 /scratch/tmp
$bb mount -t overlay -o lowerdir=/host,upperdir=/scratch/upper,workdir=/scratch/work,xino=off overlay /root || fail "no overlay"

at=/root
$bb mount -t proc proc $at/proc
$bb mount -t sysfs sys $at/sys
$bb mount -t securityfs securityfs $at/sys/kernel/security || fail "no AppArmor"
$bb mount -t devtmpfs dev $at/dev
$bb ln -sf /proc/self/fd $at/dev/fd
for stream in 0:stdin 1:stdout 2:stderr; do $bb ln -sf /proc/self/fd/${stream%:*} $at/dev/${stream#*:}; done
$bb mkdir -p $at/dev/pts $at/dev/shm $at/dev/mqueue
$bb mount -t devpts -o mode=620,ptmxmode=666 devpts $at/dev/pts
$bb mount -t tmpfs -o mode=1777 shm $at/dev/shm
$bb mount -t mqueue mqueue $at/dev/mqueue
$bb mount -t tmpfs -o mode=755 run $at/run
# Not at /tmp, where the project itself may be.
$bb mount --bind /scratch/tmp $at/mnt
$bb mount -t cgroup2 -o nsdelegate cgroup2 $at/sys/fs/cgroup || fail "no control groups of version 2"
$bb ifconfig lo up
$bb hostname guest
$bb cp $bb /command.sh /finish.sh $at/run/
exec $bb switch_root $at /bin/sh /run/finish.sh
