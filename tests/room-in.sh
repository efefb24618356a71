#!/bin/sh
# A machine of its own for a test, in new mount and network namespaces (tests/room.sh starts
# it, by unshare): /etc, /var, /dev, /run and /usr/local/sbin may be written to, port 106 is free.
#
#	room-in.sh FOLDER	FOLDER/sbin becomes /usr/local/sbin; FOLDER/pid is written when all is ready
#
# 192.0.2.1 and 2001:db8::1 are where the servers are, and those who connect to them come from
# 192.0.2.7 and 2001:db8::7; 127.0.0.1 is itself as everywhere.
set -eu
dir=$1

# What is changed goes to memory: an overlay cannot be put on every file system.
mount --make-rprivate /
mkdir "$dir/over"
mount -t tmpfs -o mode=755 over "$dir/over"
for d in etc var usr; do
	mkdir "$dir/over/$d" "$dir/over/$d.work"
	mount -t overlay -o "lowerdir=/$d,upperdir=$dir/over/$d,workdir=$dir/over/$d.work" over "/$d"
done
mount -t tmpfs -o mode=755 run /run
mount --bind "$dir/sbin" /usr/local/sbin

mkdir "$dir/over/dev"
for d in null zero full random urandom tty; do cp -a "/dev/$d" "$dir/over/dev/"; done
ln -s /proc/self/fd "$dir/over/dev/fd"
ln -s /proc/self/fd/0 "$dir/over/dev/stdin"
ln -s /proc/self/fd/1 "$dir/over/dev/stdout"
ln -s /proc/self/fd/2 "$dir/over/dev/stderr"
mkdir "$dir/over/dev/shm" "$dir/over/dev/pts"
chmod 1777 "$dir/over/dev/shm"
mount -t devpts -o ptmxmode=666 devpts "$dir/over/dev/pts"
ln -s pts/ptmx "$dir/over/dev/ptmx"
mount --rbind "$dir/over/dev" /dev

busybox ip link set lo up
for a in 192.0.2.7/32 192.0.2.1/32 2001:db8::7/128 2001:db8::1/128; do
	busybox ip addr add $a dev lo
done
# The kernel takes its time for IPv6, and until then has neither a route of its own to replace
# nor takes the address as a source ("Invalid argument"). Tentative addresses have 40 among the flags.
tries=1000
while grep -q '^20010db8.* [4c]0 *lo$' /proc/net/if_inet6; do
	tries=$((tries - 1))
	[ $tries -gt 0 ]
	sleep 0.02
done
busybox ip route del local 192.0.2.1 dev lo table local
busybox ip route add local 192.0.2.1 dev lo table local src 192.0.2.7
busybox ip -6 route del local 2001:db8::1 dev lo table local
busybox ip -6 route add local 2001:db8::1 dev lo table local src 2001:db8::7
hostname mail.example.org

mkdir /etc/poppass
rm -rf /var/log/poppass
echo $$ >"$dir/pid.new"
mv "$dir/pid.new" "$dir/pid"
exec sleep 300
