#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Run a command on the *kvm* test host: a virtual machine with the distribution's kernel, systemd
# and the root that root.sh builds, where KVM, vhost-vsock and vhost-net are the kernel's own and
# cgroups are version 2. On a machine whose KVM nests it runs on that, elsewhere QEMU emulates it.
# What the command writes is gone afterwards, and so is every process, whether the command ends by
# itself or this script is ended by a signal.
#
#   usage:   tests/hosts/kvm.sh [--install-from DIR | --no-install] [--] CMD [ARG...]
#   inputs:  the checkout DIR (default: the one this script is in); its `make install` puts the
#            toolkit in the host, and it is visible there, read-only and without its object files
#            and .git, under the same path.
#            CI and QBX_* pass into the host, and no other variable does.
#            QBX_KVM_SECONDS: after so long the host is ended (default 3600).
#   output:  CMD's own stdin, stdout, stderr and exit status; 128+n after signal n; 125 when the
#            host itself failed, with its last words.
set -eu

here=$(dirname "$(realpath "$0")")
# shellcheck source=guest/functions.sh
. "$here/../../guest/functions.sh"
# shellcheck source=tests/hosts/options.sh
. "$here/options.sh"
image=$("$here/kvm-image.sh")
seconds=${QBX_KVM_SECONDS:-3600}
cwd=$(pwd)
case $cwd/ in "$checkout"/*) ;; *) cwd=$checkout ;; esac

# quote WORD... — as words for a shell, a line each, to follow a command.
quote() {
	for word; do
		printf '%s\n' "$word" | sed "s/'/'\\\\''/g; 1s/^/'/; \$s/\$/' \\\\/"
	done
	echo
}

# job CMD... — what kvm-enter.sh is to do there.
job() {
	# shellcheck disable=SC2013 # words: no name has a blank
	for name in $(awk 'BEGIN { for (name in ENVIRON) print name }'); do
		case $name in
		CI | QBX_*) printf 'export %s=' "$name"; eval "quote \"\$$name\"" ;;
		esac
	done
	printf 'cd '
	quote "$cwd"
	printf 'set -- '
	quote "$@"
}

# show FROM AS — a tree of this machine that is to be seen there.
show() {
	[ ! -d "$work/disk/seen$2" ] || return 0
	mkdir -p "$work/disk/seen$2"
	echo "$1" >> "$work/from"
	echo "$2" >> "$work/disk/trees"
}

# The disk that goes in beside the root: the checkout, the toolkit and the job. Nothing is copied
# to make it: the trees are bound into place in a mount namespace that ends with mkfs.
make_disk() {
	mkdir "$work/disk" "$work/disk/install"
	cp "$here/kvm-enter.sh" "$work/disk/enter"
	job "$@" > "$work/disk/job"
	# By a make that is not part of the one that may have called us.
	if [ -n "$install" ] && grep -q '^install:' "$install/Makefile" 2>/dev/null; then
		env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s --no-print-directory -C "$install" \
			install DESTDIR="$work/disk/install" PREFIX=/usr >&2
	fi
	for dir in "$checkout" "$(realpath "$here/../..")"; do
		show "$dir" "$dir"
	done
	[ -z "$other" ] || show "$("$here/other.sh" "$other")" "/opt/$other"
	# shellcheck disable=SC2016 # the inner shell expands these
	unshare --mount sh -euc '
		while read -r from <&3 && read -r as <&4; do
			mount --bind "$from" "$1/disk/seen$as"
		done 3< "$1/from" 4< "$1/disk/trees"
		mkfs.erofs --quiet -E^inline_data --exclude-regex="/[.]git(/|$)|[.]([oad])$|/fuzz_[a-z_]*$" \
			"$1/disk.erofs" "$1/disk" >&2' sh "$work"
}

# Can this machine run a machine that has KVM itself?
kvm_nests() {
	[ -w /dev/kvm ] && grep -qE '^flags.* (vmx|svm)( |$)' /proc/cpuinfo &&
		cat /sys/module/kvm_*/parameters/nested 2> /dev/null | grep -q '[1Y]'
}

# By the root's own QEMU and the root's own libraries, so it needs no chroot. Numbers of descriptors
# are those of start_machine. Should this script be killed outright, PDEATHSIG takes it along.
machine() {
	lib=$root/usr/lib/x86_64-linux-gnu
	export QEMU_MODULE_DIR="$lib/qemu"
	set -- "$root/lib64/ld-linux-x86-64.so.2" --library-path "$lib" "$root/usr/bin/qemu-system-x86_64" \
		-L "$root/usr/share/qemu" -L "$root/usr/share/seabios"
	if kvm_nests; then
		set -- "$@" -accel kvm -cpu host
	else
		set -- "$@" -accel tcg,thread=multi -cpu EPYC-v4,+svm,+npt
	fi
	set -- "$@" -M q35 -smp "$(nproc)" -m 4096 \
		-nodefaults -no-user-config -display none -no-reboot \
		-kernel "$image/kernel" -initrd "$image/initrd" \
		-append 'console=ttyS0 quiet panic=-1 tsc=reliable no_timer_check mitigations=off kvm.halt_poll_ns=0 TERM=dumb'
	for fd in 3 4 5 6 7 8; do
		set -- "$@" -add-fd "fd=$fd,set=$fd"
	done
	set -- "$@" -drive "if=none,id=root,file=$image/root.ext4,format=raw,snapshot=on,cache=unsafe" \
		-device virtio-blk-pci,drive=root \
		-drive if=none,id=disk,file=/dev/fdset/7,format=raw,readonly=on \
		-device virtio-blk-pci,drive=disk \
		-chardev file,id=console,path=/dev/fdset/8,append=on -serial chardev:console \
		-chardev file,id=stdin,path=/dev/null,input-path=/dev/fdset/3 \
		-chardev file,id=stdout,path=/dev/fdset/4,append=on -chardev file,id=stderr,path=/dev/fdset/5,append=on \
		-chardev file,id=status,path=/dev/fdset/6,append=on -device virtio-serial-pci
	for port in stdin stdout stderr status; do
		set -- "$@" -device "virtserialport,chardev=$port,name=$port"
	done
	exec setpriv --pdeathsig KILL timeout --signal KILL "$seconds" setpriv --pdeathsig KILL "$@" \
		< /dev/null > /proc/self/fd/8 2>&1
}

# QEMU makes what it reads and writes non-blocking, for all who share it: so it gets pipes of its
# own. All is open before it starts, so that no name is left if this script is killed.
start_machine() {
	mkfifo "$work/stdin" "$work/stdout" "$work/stderr"
	exec 9<&0
	setpriv --pdeathsig KILL cat <&9 > "$work/stdin" 9<&- &
	feeder=$!
	cat "$work/stdout" 9<&- &
	out=$!
	cat "$work/stderr" >&2 9<&- &
	err=$!
	exec 9<&- 3< "$work/stdin" 4> "$work/stdout" 5> "$work/stderr" 6> "$work/status" \
		7< "$work/disk.erofs" 8>> "$work/console"
	rm -r "$work"
	(machine) &
	child=$!
	exec 3<&- 4>&- 5>&- 7<&-
}

# shellcheck disable=SC2317 # traps call it
end() {
	trap '' HUP INT TERM
	kill -KILL "$child" "$feeder" 2> /dev/null || :
	wait
	exit "$1"
}

work=$(mktemp -d)
child='' feeder=''
trap 'rm -rf "$work"' EXIT
trap 'end 129' HUP
trap 'end 130' INT
trap 'end 143' TERM
make_disk "$@"
start_machine
ended=0
wait "$child" || ended=$?
wait "$out" "$err" || :
kill "$feeder" 2> /dev/null || :

status=$(cat "/proc/$$/fd/6")
case $status in
[0-9]*) exit "$status" ;;
esac
[ "$ended" -ne 137 ] || say "the host was ended, after $seconds seconds at most"
say "the host ended before the command did (status $ended); its last words:"
grep -av "TCG doesn.t support" "/proc/$$/fd/8" | tail -n 30 | tr -d '\r' >&2
exit 125
