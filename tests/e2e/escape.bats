#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A container with every privilege does what it can against its VM, the host and its neighbours. It may
# well ruin its own VM. What it must not do: hurt another box, a shim or the host, or leave anything.
# What is in single quotes is for the shell in the container.
# shellcheck disable=SC2016,SC2094

bats_require_minimum_version 1.5.0

load boxes

shim_kib=6144 # a shim's resident memory stays below this, whatever its guest does

# A neighbour that answers what it is asked: one line in, the same line out.
start_neighbour() {
	mkfifo ask answer
	box neighbour sh -c 'while read -r line; do echo "heard $line"; done' < ask > answer &
	neighbour=$!
	exec 5> ask 6< answer
	ask_neighbour 'first'
}

ask_neighbour() {
	echo "$1" >&5
	read -r -t 20 line <&6
	[ "$line" = "heard $1" ]
}

end_neighbour() {
	ask_neighbour 'last'
	exec 5>&- 6<&-
	wait $neighbour
}

# Whatever became of the attacker: its shim is small, its end comes when asked for.
shim_of() {
	pgrep -f "containerd-shim-qemubox-v1 .*-id $1"
}

rss() {
	awk '/^VmHWM/ { print $2 }' "/proc/$(shim_of "$1")/status"
}

# attack ID CMD [FILE] - run it, with FILE for standard input, until it says "done", look at the
# shim, end it
attack() {
	local id=$1
	start_neighbour
	mkfifo "$id"
	box --privileged "$id" sh -c "$2"'; echo done; exec sleep 1000' < "${3:-/dev/null}" > "$id" &
	attacker=$!
	exec 7< "$id"
	while read -r -u 7 -t 80 line && [ "$line" != "done" ]; do
		echo "$line"
	done > said
	exec 7<&-
	ask_neighbour "after $id"
	echo "# shim of $id: $(rss "$id") KiB"
	[ "$(rss "$id")" -lt $shim_kib ]
	du -ck "/run/qemubox/default--$id"/console.log* | awk 'END { print $1 }' > console.kib
	ctr task kill --signal SIGKILL "$id"
	status=0
	wait $attacker || status=$?
	[ "$status" -eq 137 ]
	end_neighbour
}

# Everything that boxes share on the host: the layers of the image.
layers() {
	find /var/lib/containerd/io.containerd.snapshotter.v1.erofs -name layer.erofs -exec sha256sum {} + | sort
}

@test "writes to every device that there is" {
	layers > layers.before
	attack devices '
		mkdir /d
		for kind in char block; do
			for dev in /sys/dev/$kind/*; do
				nr=${dev##*/}
				node=/d/$kind-$nr
				mknod $node $(echo $kind | cut -c1) ${nr%:*} ${nr#*:} || continue
				timeout 0.2 dd if=$node of=/dev/null bs=4096 count=16
				timeout 0.2 dd if=/dev/urandom of=$node bs=4096 count=16
			done
		done > /dev/null 2>&1
		echo $(ls /d | wc -l) devices'
	[ "$(sed -n 's/ devices$//p' said)" -gt 10 ]
	layers | cmp - layers.before
}

@test "floods the console and the kernel log" {
	attack flood '
		mknod /hvc0 c 229 0 && mknod /kmsg c 1 11 || exit
		timeout 10 sh -c "yes flood | head -c 20000000 > /hvc0" 2> /dev/null
		yes "<0>flood" | head -n 5000 | while read -r line; do echo "$line" > /kmsg; done'
	# What is kept of it is bounded.
	[ "$(cat console.kib)" -lt 2048 ]
}

@test "opens a thousand vsock connections, to ports of the host and of its own VM" {
	program=$BATS_TEST_DIRNAME/../../${QBX_BUILD%-san}/tests/e2e/vsockflood
	attack vsock "head -c $(stat -c %s "$program") > /flood; chmod 755 /flood; /flood" "$program"
	grep '^[0-9]* tried$' said
	[ "$(sed -n 's/ tried$//p' said)" -gt 500 ]
	# Nobody listens any more: a guest that is up has no business with the host.
	[ "$(sed -n 's/ stood$//p' said)" -eq 0 ]
}

@test "dials the ports of its own VM, to say that it is the host" {
	attack forger '
		for cid in 1 3 4294967295; do
			for port in 1024 1025; do
				head -c 4096 /dev/zero | timeout 5 socat -t 2 - VSOCK-CONNECT:$cid:$port && echo "in at $cid:$port"
			done
		done 2> /dev/null'
	run ! grep -a 'in at' said
}

# The kernel of the guest may end the attacker before we do: so nothing is asked of it here.
@test "uses up pids, memory and disk" {
	start_neighbour
	status=0
	box --privileged hog sh -c '
		for i in $(seq 400); do sleep 500 & done 2> /dev/null
		mkdir /m && mount -t tmpfs -o size=100% none /m
		dd if=/dev/zero of=/fill bs=1M 2> /dev/null
		dd if=/dev/zero of=/m/fill bs=1M 2> /dev/null
		kill -9 -1; kill -9 $$; exit 137' || status=$?
	[ "$status" -eq 137 ]
	end_neighbour
}
