#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A VM follows the load of its guest, by itself and by hand, within its limits.
# What is in single quotes is for the shell in the container.
# shellcheck disable=SC2016
# shellcheck disable=SC2154 # boxes.bash sets them

bats_require_minimum_version 1.5.0

export config='{"vcpus_max": 2, "memory_max_mib": 1536}' # not by the environment: containerd may be a service

load boxes

# vm ID KEY — what is recorded of a box's VM.
vm() {
	jq -r ".$2" "/run/qemubox/default--$1/vm.json"
}

# becomes ID KEY VALUE SECONDS — wait for a recorded value; says how long it took.
becomes() {
	SECONDS=0
	until [ "$(vm "$1" "$2")" = "$3" ]; do
		[ "$SECONDS" -lt "$4" ] || { echo "$2 is $(vm "$1" "$2"), not $3"; return 1; }
		sleep 0.2
	done
	echo "# $2 is $3 after $SECONDS s" >&3
}

# A container that does what it is told on its standard input.
obey='pids=; echo up; while read -r what; do case $what in
	load) for i in 1 2 3; do (while :; do :; done) & pids="$pids $!"; done ;;
	rest) kill $pids ;;
	*) sh -c "$what" ;;
esac; echo "done"; done'

# obeys ID [OPTION of ctr run]... — start it; tell and heard speak to it.
obeys() {
	local id=$1
	shift
	mkfifo told answers
	timeout 240 ctr run --rm --snapshotter erofs --runtime "$runtime" "$@" "$image" "$id" \
		sh -c "$obey" < told > answers 3>&- &
	client=$!
	exec 6> told 7< answers
	heard up
}

tell() {
	echo "$*" >&6
}

heard() {
	local line=nothing
	read -r -t 60 -u 7 line || :
	[ "$line" = "$1" ] || { echo "$line, not $1"; false; }
}

dismiss() {
	exec 6>&- 7<&-
	wait $client
}

@test "load brings a processor, rest takes it away, and never beyond the limit" {
	obeys load
	becomes load vcpus 1 40 # its start may have been busy
	[ "$(vm load vcpus_max)" = 2 ]
	tell nproc
	heard 1
	heard 'done'
	tell load
	heard 'done'
	becomes load vcpus 2 20
	tell nproc
	heard 2
	heard 'done'
	# loaded beyond what there is, and there it stays
	sleep 4
	[ "$(vm load vcpus)" = 2 ]
	tell rest
	heard 'done'
	becomes load vcpus 1 40
	tell nproc
	heard 1
	heard 'done'
	dismiss
}

# Its timer and the guest's answer, every three seconds, and whatever else the shim may want to know.
@test "an idle VM seldom wakes its shim" {
	obeys idle
	shim=$(pgrep -f 'containerd-shim-qemubox-v1 .*-id idle')
	sleep 6 # what the start has left to do
	woken() {
		awk '/^voluntary_ctxt_switches/ { print $2 }' "/proc/$shim/status"
	}
	before=$(woken)
	sleep 10
	after=$(woken)
	echo "# $((after - before)) wake-ups in 10 s" >&3
	[ $((after - before)) -lt 60 ]
	dismiss
}

@test "by hand: idempotent, within the limits, and told" {
	obeys hand
	document=/run/qemubox/default--hand/box.json
	qbx-vm resize --vcpus 2 --box "$document" > out
	[ "$(jq -c '[.vm.vcpus, .vm.vcpus_max]' out)" = '[2,2]' ]
	[ "$(vm hand vcpus)" = 2 ]
	qbx-vm resize --vcpus 2 --box "$document" > out
	[ "$(jq .vm.vcpus out)" = 2 ]
	tell nproc
	heard 2
	heard 'done'
	run -69 qbx-vm resize --vcpus 3 --box "$document"
	[[ $output == *"3 vCPUs are more than its most, 2"* ]]
	run -69 qbx-vm resize --memory-mib 4096 --box "$document"
	[[ $output == *"4096 MiB are more than its most, 512 MiB"* ]]
	run -64 qbx-vm resize --vcpus 0 --box "$document"
	# it is idle: the shim takes the processor back
	becomes hand vcpus 1 40
	dismiss
	run -69 qbx-vm resize --vcpus 1 <<< '{"qbx":1,"id":"hand"}'
	[[ $output == *'does not run'* ]]
}

# update ID RESOURCES — Task.Update, as containerd sends it.
update() {
	local address
	address=$(cat "/run/containerd/io.containerd.runtime.v2.task/default/$1/address")
	"$BATS_TEST_DIRNAME/../../${QBX_BUILD:-build}/tests/e2e/shimctl" update "${address#unix://}" "$1" <<< "$2"
}

@test "Update: limits in the guest, and the VM follows as far as it can" {
	obeys new --mount=type=cgroup,src=cgroup,dst=/sys/fs/cgroup,options=ro
	update new '{"memory":{"limit":201326592},"cpu":{"quota":150000,"period":100000,"cpus":"0-7"},"pids":{"limit":77}}'
	tell 'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max /sys/fs/cgroup/pids.max'
	heard 201326592
	heard '150000 100000'
	heard 77
	heard 'done'
	# a quota of one and a half is two processors, and they stay
	[ "$(vm new vcpus)" = 2 ]
	tell nproc
	heard 2
	heard 'done'
	run -99 update new '{"memory":{"limit":2147483648}}'
	[[ $output == *'code 9: '*' MiB are more than its most, 512 MiB'* ]]
	run -99 update new '{"memory":7}'
	run -99 update new 'nonsense'
	[[ $output == *'code 3: '* ]]
	tell 'cat /sys/fs/cgroup/memory.max'
	heard 201326592
	heard 'done'
	dismiss
}

# KiB of the VM's memory that the host has given: QEMU's share of what it maps.
resident() {
	awk '/^Pss:/ { print $2 }' "/proc/$(vm "$1" pid)/smaps_rollup"
}

# falls BELOW SECONDS ID — wait until the host has that much back.
falls() {
	SECONDS=0
	until [ "$(resident "$3")" -lt "$1" ]; do
		[ "$SECONDS" -lt "$2" ] || { echo "$(resident "$3") KiB, not below $1"; return 1; }
		sleep 0.5
	done
	echo "# $(resident "$3") KiB after $SECONDS s" >&3
}

@test "memory grows before a program has used it up, and the host has it back afterwards" {
	obeys grows --annotation=io.qemubox.machine=q35 --annotation=io.qemubox.vcpus-max=1 \
		--mount=type=cgroup,src=cgroup,dst=/sys/fs/cgroup,options=ro
	[ "$(vm grows machine)" = q35 ]
	[ "$(vm grows memory_mib)" = 512 ]
	before=$(resident grows)
	# more than the VM has, in one piece, as fast as it goes
	tell 'dd if=/dev/zero of=/dev/null bs=700M count=1 2> /dev/null && echo kept'
	heard kept
	heard 'done'
	echo "# $(vm grows memory_mib) MiB, $before KiB before, $(resident grows) KiB at the end" >&3
	[ "$(vm grows memory_mib)" -gt 800 ]
	[ "$(vm grows memory_mib)" -le 1536 ]
	# what holds a faster one back
	tell 'read -r high < /sys/fs/cgroup/memory.high; [ $high -gt 400000000 ] && echo held'
	heard held
	heard 'done'
	falls $((before + 150 * 1024)) 60 grows
	becomes grows memory_mib 512 150
	dismiss
}
