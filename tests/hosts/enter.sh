#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The inner half of direct.sh: PID 1 of fresh namespaces makes the host's file systems and network,
# moves into them for good and becomes an init that runs the command.
#
#   usage:   enter.sh ROOT CHECKOUT INSTALL CMD [ARG...]   (by direct.sh only)
#   inputs:  ROOT is the read-only root; CHECKOUT, and the one these scripts are in, appear under
#            their own paths; INSTALL is the checkout to install the toolkit from, or empty.
#   output:  CMD's own.
set -eu

here=$(dirname "$(realpath "$0")")
# shellcheck source=guest/functions.sh
. "$here/../../guest/functions.sh"

root=$1 checkout=$2 install=$3
shift 3
cwd=$(pwd)

# Nothing that is mounted from here on is seen outside, and all of it goes with this process.
mount --make-rprivate /

# The root: ROOT below, memory above. containerd's data has a place of its own, because the upper
# directory of a container's overlay cannot be on an overlay.
space=$cache/mnt
mkdir -p "$space"
mount -t tmpfs -o mode=755 qemubox "$space"
mkdir "$space/upper" "$space/work" "$space/host"
host=$space/host
mount -t overlay -o "lowerdir=$root,upperdir=$space/upper,workdir=$space/work" qemubox "$host"
for dir in run tmp var/lib/containerd; do
	mkdir -p "$host/$dir"
	mount -t tmpfs -o nosuid,nodev,mode=755 qemubox "$host/$dir"
done
chmod 1777 "$host/tmp"

mount -t proc -o nosuid,nodev,noexec proc "$host/proc"
mount -t sysfs -o nosuid,nodev,noexec sysfs "$host/sys"

# cgroups the way the machine has them: v2 alone, or v1 hierarchies with or without a v2 beside.
cgroup=$host/sys/fs/cgroup
if [ -e /sys/fs/cgroup/cgroup.procs ]; then
	mount -t cgroup2 cgroup2 "$cgroup"
else
	mount -t tmpfs -o nosuid,nodev,noexec,mode=755 cgroup "$cgroup"
	# shellcheck disable=SC2013 # words: no name has a blank
	for controllers in $(cut -d: -f2 /proc/self/cgroup | grep .); do
		mkdir "$cgroup/${controllers#name=}"
		mount -t cgroup -o "$(echo "$controllers" | sed 's/^name=/none,&/')" \
			cgroup "$cgroup/${controllers#name=}"
	done
	if [ -d /sys/fs/cgroup/unified ]; then
		mkdir "$cgroup/unified"
		mount -t cgroup2 cgroup2 "$cgroup/unified"
	fi
fi

# Devices: those every container has, and those a container host works with.
mount -t tmpfs -o nosuid,noexec,mode=755 qemubox "$host/dev"
mkdir "$host/dev/pts" "$host/dev/shm" "$host/dev/mqueue" "$host/dev/net"
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts "$host/dev/pts"
mount -t tmpfs -o nosuid,nodev,mode=1777 qemubox "$host/dev/shm"
mount -t mqueue -o nosuid,nodev,noexec mqueue "$host/dev/mqueue"
ln -s pts/ptmx /proc/self/fd "$host/dev"
for n in 0:stdin 1:stdout 2:stderr; do
	ln -s "/proc/self/fd/${n%:*}" "$host/dev/${n#*:}"
done
for device in null zero full random urandom tty fuse kmsg kvm vhost-net vhost-vsock net/tun \
	loop-control; do
	[ ! -e "/dev/$device" ] || cp -R --preserve=mode "/dev/$device" "$host/dev/$device"
done
# mknod(2) by its number here: as many processes would take a second.
# shellcheck disable=SC2016 # for perl
perl -e 'for (0..255) { syscall(133, "$ARGV[0]/dev/loop$_", 060600, 7 << 8 | $_) == 0 or die "loop$_: $!\n" }' "$host"

# The toolkit, by a make that is not part of the one that may have called us.
if [ -n "$install" ] && grep -q '^install:' "$install/Makefile" 2>/dev/null; then
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL \
		make -s --no-print-directory -C "$install" install DESTDIR="$host" PREFIX=/usr >&2
fi
for dir in "$checkout" "$(realpath "$here/../..")"; do
	mkdir -p "$host$dir"
	mount --bind -o ro "$dir" "$host$dir"
done
# What other suites have, where it has been unpacked.
for name in $("$here/other.sh" --names); do
	tree=$("$here/other.sh" --if-there "$name")
	[ -n "$tree" ] || continue
	mkdir -p "$host/opt/$name"
	mount --bind -o ro "$tree" "$host/opt/$name"
done
case $cwd/ in "$checkout"/*) ;; *) cwd=$checkout ;; esac

# The network: a router with nothing but containers on it.
hostname qemubox-host
ip link set lo up
echo 1 > /proc/sys/net/ipv4/ip_forward
echo 1 > /proc/sys/net/ipv6/conf/all/forwarding

# shellcheck disable=SC2013 # words, again
for name in $(awk 'BEGIN { for (name in ENVIRON) print name }'); do
	case $name in CI | QBX_* | TERM) ;; *) unset "$name" ;; esac
done
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" QEMUBOX_ACCEL=tcg

mkdir "$host/.machine"
cd "$host"
pivot_root . .machine
# shellcheck disable=SC2016 # the shell in the new root expands these
exec chroot . /bin/sh -euc '
	umount -l /.machine
	rmdir /.machine
	cd "$1"
	shift
	command -v "$1" > /dev/null || { echo "direct.sh: no command $1" >&2; exit 127; }
	exec dumb-init --single-child -- "$@"
' sh "$cwd" "$@"
