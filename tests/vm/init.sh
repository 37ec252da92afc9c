#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# The first process of the test machine. It runs twice. From the initramfs it loads the modules and
# copies all files to a tmpfs, because pivot_root cannot leave the initramfs. From the tmpfs it
# makes the usual mounts, with pure cgroup v2, and runs the given script.

if [ "$1" != second ]; then
  /bin/busybox mkdir -p /usr/bin /usr/sbin /sbin /bin
  /bin/busybox --install
  mkdir -p /proc /new
  mount -t proc proc /proc
  mount -t devtmpfs dev /dev
  while read -r module; do
    insmod "/modules/$module" || echo "vm: insmod $module failed"
  done </modules/order
  mount -t tmpfs -o mode=755,size=80% root /new
  for entry in /*; do
    case $entry in
      /new | /proc | /dev | /modules) ;;
      *) cp -a "$entry" /new/ ;;
    esac
  done
  mkdir -p /new/proc /new/dev /new/sys /new/run /new/tmp /new/root /new/var/lib
  umount /proc
  umount /dev
  exec switch_root /new /init second
fi

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t mqueue mqueue /dev/mqueue
mount -t tmpfs -o mode=755 run /run
mount -t tmpfs -o mode=1777 tmp /tmp
ln -sf /proc/self/fd /dev/fd
mount -t cgroup2 cgroup2 /sys/fs/cgroup
read -r controllers </sys/fs/cgroup/cgroup.controllers
for controller in $controllers; do
  echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control
done
mount -t bpf bpf /sys/fs/bpf 2>/dev/null
mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
hostname vm
ip link set lo up
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=linux

stty -F /dev/ttyS0 -onlcr 2>/dev/null
cd /root || exit
/script </dev/null >/dev/ttyS0 2>&1
echo "exit $?" >/dev/ttyS2
sync
# A reset ends the emulator, which is started with -no-reboot.
reboot -f
