# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# For tests that run boxes with containerd: one containerd a file, the one that QBX_CONTAINERD asks for
# as containerd.sh has it, the demo image in it, and a comparison of the host before and after each test.
# To be loaded.

load processes

image=docker.io/library/qemubox-demo:latest
runtime=io.containerd.qemubox.v1

setup_file() {
	# shellcheck source=tests/hosts/containerd.sh
	. "$BATS_TEST_DIRNAME/../hosts/containerd.sh"
	# An instrumented build has no image of its own.
	build=${QBX_BUILD:-build}
	export archive=${QBX_IMAGE:-$BATS_TEST_DIRNAME/../../${build%-san}/qemubox-demo.tar}
	if [ "${config:-}" ]; then # of qemubox, where a file needs one
		mkdir -p /etc/qemubox
		echo "$config" > /etc/qemubox/config.json
	fi
	containerd_start 3>&-
	export containerd_pid containerd_snapshotter PATH
	ctr image import --snapshotter "$containerd_snapshotter" "$archive" >&2
	# The first box makes the bridge, which stays, and the disks of the image, which are a cache.
	box warm-up true
}

teardown_file() {
	# shellcheck source=tests/hosts/containerd.sh
	. "$BATS_TEST_DIRNAME/../hosts/containerd.sh"
	containerd_stop
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	things > before
}

# Every test leaves the host as it was. What one that failed has left is not the next one's trouble.
teardown() {
	local id
	things > after
	if ! diff before after; then
		for id in $(ctr container ls -q); do
			ctr task rm --force "$id" || :
			ctr container rm "$id" || :
		done
		return 1
	fi
}

# All that a box might leave: processes, namespaces, links, mounts, sockets, addresses, state.
things() {
	vm_processes 'qemu|shim|vhost|virtiofsd|qbx|crun' | cut -d' ' -f2 | sort
	ip netns list
	ip -o link show | sed 's/^[0-9]*: \([^@:]*\).*/\1/' | sort
	cut -d' ' -f5 /proc/self/mountinfo | sort
	find /run/containerd/s /run/containerd/io.containerd.runtime.v2.task /run/qemubox /run/netns \
		/run/containerd/fifo /var/lib/qemubox/leases /var/lib/cni -mindepth 1 \
		! -name last_reserved_ip.0 ! -name lock | sort
	iptables-save 2> /dev/null | grep -v '^[#:]' || :
	ctr container ls -q
	ctr task ls -q
	ctr snapshot --snapshotter "$containerd_snapshotter" ls | cut -d' ' -f1 | sort
} 2> /dev/null

# box [OPTION of ctr run]... ID CMD...
box() {
	local options=()
	while [[ $1 == -* ]]; do
		options+=("$1")
		shift
	done
	timeout 300 ctr run --rm --snapshotter "$containerd_snapshotter" --runtime $runtime "${options[@]}" $image "$@" 3>&-
}

# What containerd and the shims have logged.
log() {
	# shellcheck source=tests/hosts/containerd.sh
	. "$BATS_TEST_DIRNAME/../hosts/containerd.sh"
	containerd_log
}

# logged TEXT: that is in the log, or comes: it takes a way of two pipes
logged() {
	SECONDS=0
	until log | grep -- "$1" > /dev/null; do # all of it is read: no SIGPIPE
		[ "$SECONDS" -lt 10 ] || { echo "not logged: $1"; return 1; }
		sleep 0.1
	done
}

# socket ID: where its shim listens
socket() {
	local address
	address=$(cat "/run/containerd/io.containerd.runtime.v2.task/default/$1/address")
	echo "${address#unix://}"
}

# shimctl VERB ID [ARG]...: with the socket of that box
shimctl() {
	"$BATS_TEST_DIRNAME/../../${QBX_BUILD:-build}/tests/e2e/shimctl" "$1" "$(socket "$2")" "${@:3}"
}

# watch: containerd's events from here on, for descriptor 5; `unwatch` ends it
watch() {
	mkfifo events
	# shellcheck disable=SC2094 # a FIFO
	ctr events > events 3>&- &
	watcher=$!
	exec 5< events
	# It does not say when it listens, so something is made to happen until it tells of it.
	until ctr namespaces label default watched="$RANDOM" && read -r -t 1 -u 5 _; do :; done
}

unwatch() {
	kill "$watcher"
	exec 5<&-
	rm events
}

# await TOPIC TEXT: read events up to the one of that topic which holds that
await() {
	while IFS= read -r -t 120 -u 5 event; do
		[[ $event != *" $1 "*"$2"* ]] || return 0
	done
	echo "no $1 of $2" >&2
	return 1
}
