#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The inner half of kvm.sh: a service of the host that installs the toolkit, runs the command and
# tells its status. The host powers off when it ends.
#
#   usage:   kvm-enter.sh   (by qemubox-command.service only)
#   inputs:  /host, the disk that kvm.sh made: the trees to show, install/ and the job; the
#            streams in /dev/virtio-ports
#   output:  the command's own
set -eu

# port NAME — its device; udev makes links for them, later.
port() {
	grep -lx "$1" /sys/class/virtio-ports/*/name | sed 's,.*/\(vport[^/]*\)/name,/dev/\1,'
}

cp -R --preserve=mode,links /host/install/. /
while read -r dir; do
	mkdir -p "$dir"
	mount --bind "/host/seen$dir" "$dir"
done < /host/trees

# KVM for the CPU that there is; udev says who may use it.
modprobe -q kvm_amd || modprobe kvm_intel
udevadm settle

# A processor of a VM that never runs. KVM changes its own code when the first one comes whose APIC is
# off, as each is at first, and when the last of these goes: so at every start and end of a VM. Where
# this machine is emulated that is now and then a kernel panic (text_poke), unless one is always there.
# Numbers: KVM_CREATE_VM, KVM_CREATE_IRQCHIP and KVM_CREATE_VCPU of linux/kvm.h.
perl -e '
	open(my $kvm, "+<", "/dev/kvm") or die "/dev/kvm: $!\n";
	open(my $vm, "+<&=", ioctl($kvm, 0xae01, 0)) or die "make a VM: $!\n";
	ioctl($vm, 0xae60, 0) or die "make its interrupt controller: $!\n";
	ioctl($vm, 0xae41, 0) or die "make its processor: $!\n";
	sleep' &

# A port has one reader or writer, and the command's children want to open /dev/stdout too.
mkdir /run/host
cd /run/host
mkfifo in out err
cat "$(port stdin)" > in &
cat out > "$(port stdout)" &
out=$!
cat err > "$(port stderr)" &
err=$!

# In a cgroup of its own: all that it started ends with it, and lets go of the streams.
cgroup=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)/command
mkdir "$cgroup"
status=0
# shellcheck disable=SC2016 # the inner shell expands these
(
	echo 0 > "$cgroup/cgroup.procs"
	exec env -i HOME=/root LANG=C.UTF-8 TERM=dumb \
		PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin /bin/sh -euc '
			. /host/job
			command -v "$1" > /dev/null || { echo "kvm.sh: no command $1" >&2; exit 127; }
			exec "$@"'
) < in > out 2> err || status=$?
echo 1 > "$cgroup/cgroup.kill"
wait "$out" "$err"
echo "$status" > "$(port status)"
