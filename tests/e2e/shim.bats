#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# containerd runs an image in VMs: what comes out, what is told, and what is left.
# What is in single quotes is for the shell in the container.
# shellcheck disable=SC2016,SC2154

bats_require_minimum_version 1.5.0

load boxes
load root

# bats test_tags=kvm
@test "echo" {
	run box echo echo 'hello,  world'
	[ "$status" -eq 0 ]
	[ "$output" = 'hello,  world' ]
}

@test "the exit status is the command's" {
	run box seven sh -c 'exit 7'
	[ "$status" -eq 7 ]
	[ "$output" = '' ]
}

@test "1,000 lines" {
	box lines seq 1000 > out
	seq 1000 | cmp - out
}

@test "8 MiB of output, deleted straight after Wait" {
	# An LCG in awk would take a minute: a short random block repeated, and numbered, does as well.
	box bytes sh -c 'i=0; while [ $i -lt 128 ]; do printf "%064d" $i; head -c 65472 /dev/zero | tr "\0" x; i=$((i+1)); done' > out
	for ((i = 0; i < 128; i++)); do
		printf '%064d' $i
		head -c 65472 /dev/zero | tr '\0' x
	done > want
	[ "$(stat -c %s want)" -eq $((8 << 20)) ]
	[ "$(sha256sum < out)" = "$(sha256sum < want)" ]
}

@test "stderr apart from stdout" {
	box apart sh -c 'echo out; echo err >&2' > out 2> err
	[ "$(cat out)" = out ]
	[ "$(cat err)" = err ]
}

# bats test_tags=kvm
@test "standard input, to its end" {
	head -c 300000 /dev/urandom > in
	box stdin sh -c 'sha256sum' < in > out
	[ "$(cat out)" = "$(sha256sum < in)" ]
}

@test "environment, working directory and user" {
	run box --env=WHO=me --cwd=/usr --user=65534:65534 who sh -c 'echo $WHO; pwd; id -u; id -g'
	[ "$status" -eq 0 ]
	[ "$output" = $'me\n/usr\n65534\n65534' ]
}

@test "its own kernel, not the host's" {
	run box kernel uname -r
	[ "$status" -eq 0 ]
	[ "$output" != "$(uname -r)" ]
}

@test "a signal ends it: 128 and its number, to every waiter" {
	mkfifo ready
	box waits sh -c 'echo up; exec sleep 1000' > ready &
	pid=$!
	read -r line < ready
	[ "$line" = up ]
	[ "$(ctr task ls | awk '$1 == "waits" { print $3 }')" = RUNNING ]
	run ! ctr task rm waits # it runs
	ctr task kill --signal SIGKILL waits
	status=0
	wait $pid || status=$?
	[ "$status" -eq 137 ]
}

# bats test_tags=kvm
@test "the task's process is the VM, in the network namespace of the box" {
	mkfifo ready
	box inside sh -c 'echo up; exec sleep 1000' > ready &
	pid=$!
	read -r _ < ready
	qemu=$(ctr task ls | awk '$1 == "inside" { print $2 }')
	[[ $(cat "/proc/$qemu/comm") == qemu-system* ]]
	[ "$(stat -Lc %i "/proc/$qemu/ns/net")" = "$(stat -Lc %i /run/netns/default--inside)" ]
	[ "$(ctr task ps inside | awk 'NR == 2 { print $1 }')" = "$qemu" ]
	ctr task kill --signal SIGKILL inside
	wait $pid || :
}

@test "a VM that dies ends the task, with 137" {
	mkfifo ready
	box dies sh -c 'echo up; exec sleep 1000' > ready &
	pid=$!
	read -r _ < ready
	kill -KILL "$(ctr task ls | awk '$1 == "dies" { print $2 }')"
	status=0
	wait $pid || status=$?
	[ "$status" -eq 137 ]
}

# bats test_tags=kvm
@test "a shim that dies leaves nothing" {
	mkfifo ready events
	box --mount=type=bind,src=/etc,dst=/volume,options=rbind:ro orphan sh -c 'echo up; exec sleep 1000' > ready &
	pid=$!
	read -r _ < ready
	# shellcheck disable=SC2094 # a FIFO
	ctr events > events 3>&- &
	watcher=$!
	exec 5< events
	kill -KILL "$(pgrep -f 'containerd-shim-qemubox-v1 .*-id orphan')"
	# containerd has "delete" clean up, in its own time, and tells when that is done.
	while read -r -u 5 line; do
		[[ $line != *' /tasks/delete '*orphan* ]] || break # and not that of a box before it
	done
	kill $watcher
	exec 5<&-
	status=0
	wait $pid || status=$?
	[ "$status" -ne 0 ]
	ctr container rm orphan 2> /dev/null || :
	rm -r /run/containerd/fifo/* # ctr's own: it has given up
}

@test "events come in order" {
	mkfifo events
	# shellcheck disable=SC2094 # a FIFO
	ctr events > events 3>&- &
	watcher=$!
	exec 5< events
	box told true
	while read -r -u 5 line; do
		for topic in create start exit delete; do
			[[ $line == *" /tasks/$topic "* ]] && echo $topic
		done
		[[ $line == *' /tasks/delete '* ]] && break
	done > topics
	kill $watcher
	exec 5<&-
	[ "$(cat topics)" = $'create\nstart\nexit\ndelete' ]
}

@test "without an image: the directory that the specification names is the root" {
	busybox_root "$PWD/root"
	echo here > root/mine
	run ctr run --rm --rootfs --env=PATH=/bin --runtime "$runtime" "$PWD/root" rootfs sh -c 'cat /mine; echo gone > /mine'
	[ "$status" -eq 0 ]
	[ "$output" = here ]
	[ "$(cat root/mine)" = here ]
}

@test "a command that the image lacks: one clear line" {
	run box lacks /no/such/command
	[ "$status" -ne 0 ]
	[ "${#lines[@]}" -eq 1 ]
	[[ $output == *'/no/such/command'* ]]
}

@test "the host's network is refused" {
	run box --net-host hostnet true
	[ "$status" -ne 0 ]
	[[ $output == *'no network namespace'* ]]
}

@test "ten at once, with ten addresses" {
	n=10
	# So many at once are too much for a KVM that QEMU emulates: the kernel there loses its own stacks.
	[ "$(systemd-detect-virt)" != qemu ] || n=4
	for i in $(seq "$n"); do
		box "ten-$i" sh -c "ip -4 -o address show dev eth0 | awk '{ print \$4 }'" > "address.$i" &
		pids[i]=$!
	done
	failed=0
	for i in $(seq "$n"); do
		wait "${pids[i]}" || failed=$((failed + 1))
	done
	[ "$failed" -eq 0 ]
	[ "$(cat address.* | sort -u | grep -c /)" -eq "$n" ]
}

@test "the last document is kept, and says where the time went as its schema has it" {
	box kept true
	jq -e --slurpfile schema "$BATS_TEST_DIRNAME/../schema/shim.json" '
		$schema[0].properties as $p | .shim
		| (keys - ($p | keys) == []) and (.t_us | length > 5)
		and (.t_us | to_entries | all(.value >= 0 and (.key | IN($p.t_us.propertyNames.enum[]))))
	' /var/log/qemubox/default--kept.json
	jq -e '.qbx == 1 and .id == "kept" and has("net") and has("fs") and has("vm")' \
		/var/log/qemubox/default--kept.json
}
