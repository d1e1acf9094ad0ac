#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What the processes of a live VM may do on the host, as /proc has it.

bats_require_minimum_version 1.5.0
load processes

setup_file() {
	# A network namespace with a TAP device, and disks that only root can read.
	export D=$BATS_FILE_TMPDIR
	ip netns add confine
	ip netns exec confine ip tuntap add tap0 mode tap
	(
		umask 077
		mkdir "$D/private"
		for file in raw meta layer; do head -c 65536 /dev/zero > "$D/private/$file"; done
		printf 'RW 128 FLAT "%s" 0\n' "$D/private/meta" "$D/private/layer" > "$D/private/vmdk"
	)
	jq -n --arg d "$D/private" '{qbx: 1, id: "one",
		fs: {disks: [{serial: "raw", path: "\($d)/raw"}, {serial: "vmdk", path: "\($d)/vmdk", format: "vmdk"}]},
		net: {netns: "/run/netns/confine", links: [{name: "eth0", tap: "tap0", mac: "02:00:00:00:00:01"}]}}' \
		> "$D/one.json"
	echo '{"qbx":1,"id":"two","namespace":"other"}' > "$D/two.json"
}

teardown_file() {
	ip netns del confine
}

setup() {
	T=$BATS_TEST_TMPDIR
}

# No process, file, claim or cgroup of a box may be left.
teardown() {
	left=$(vm_processes; ls -A /run/qemubox 2> /dev/null || :
		ls -d /sys/fs/cgroup/qemubox 2> /dev/null || :)
	for box in one two; do qbx-vm stop --box "$D/$box.json" > /dev/null; done
	[ -z "$left" ] || { echo "left behind: $left"; false; }
}

stop() {
	local box
	for box; do qbx-vm stop --box "$D/$box.json" > /dev/null; done
}

# A word or more of a line of /proc/PID/status.
status_of() {
	sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status" | xargs
}

# confined PID UID — what holds for every process of a VM
confined() {
	local pid=$1 uid=$2 set
	[ "$(status_of "$pid" Uid)" = "$uid $uid $uid $uid" ]
	[ "$(status_of "$pid" Gid)" = "$uid $uid $uid $uid" ]
	[ "$(status_of "$pid" Groups)" = '' ]
	for set in CapInh CapPrm CapEff CapBnd CapAmb; do
		[ "$(status_of "$pid" $set)" = 0000000000000000 ] || { echo "$set of $pid"; return 1; }
	done
	[ "$(status_of "$pid" NoNewPrivs)" = 1 ]
	[ "$(tr '\0' '\n' < "/proc/$pid/environ" | cut -d= -f1)" = PATH ]
	[ "$(status_of "$pid" Seccomp)" = 2 ]
	grep -q '^Max core file size  *0  *0 ' "/proc/$pid/limits"
	[ "$(stat -Lc %i "/proc/$pid/ns/mnt")" != "$(stat -Lc %i /proc/self/ns/mnt)" ]
}

# sees PID NAME... — its root has these, the host's directories of libraries, and nothing else
sees() {
	local root=/proc/$1/root dir
	shift
	for dir in bin lib lib32 lib64 libx32 sbin; do
		[ ! -e "/$dir" ] || set -- "$@" "$dir"
	done
	diff <(ls -A "$root") <(printf '%s\n' "$@" | sort)
	[ "$(ls -A "$root/etc")" = ld.so.cache ]
	[ "$(stat -c %t:%T:%a "$root/dev/null")" = 1:3:666 ]
	[ "$(stat -c %t:%T:%a "$root/dev/urandom")" = 1:9:444 ]
}

# Mounts that anything could be written to, run from as another user, or opened as a device.
loose_mounts() {
	awk -v writable="$2" '
		$5 == writable { if ($6 !~ /noexec/) print; next }
		$6 !~ /^ro,/ || $6 !~ /nosuid/ || ($5 != "/dev" && $6 !~ /nodev/) { print }
		($5 == "/" || $5 ~ "^/(dev|etc)") && $6 !~ /noexec/ { print }' "/proc/$1/mountinfo"
}

# What its descriptors lead to, one of each.
descriptors() {
	find "/proc/$1/fd" -type l -printf '%l\n' | sed 's/:\[.*//; s/ (deleted)//' | LC_ALL=C sort -u
}

# bats test_tags=kvm
@test "QEMU is another user without any privilege, in a root of its own" {
	qbx-vm start --box "$D/one.json" > "$T/one"
	pid=$(jq .vm.pid "$T/one") uid=$(jq .vm.uid "$T/one")
	[ "$uid" -ge 1879048192 ]
	[ "$uid" -lt $((1879048192 + 65536)) ]
	confined "$pid" "$uid"
	sees "$pid" dev etc usr
	if [ "$(jq -r .vm.accel "$T/one")" = kvm ]; then
		[ "$(ls -A "/proc/$pid/root/dev")" = $'kvm\nnull\nurandom' ]
		[ "$(stat -c %u:%g:%a:%t:%T "/proc/$pid/root/dev/kvm")" = "$uid:$uid:600:a:e8" ]
	else
		[ "$(ls -A "/proc/$pid/root/dev")" = $'null\nurandom' ]
	fi
	[ -z "$(loose_mounts "$pid" none)" ] || { loose_mounts "$pid" none; false; }
	[ "$(stat -Lc %i "/proc/$pid/ns/net")" = "$(stat -Lc %i /run/netns/confine)" ]
	# Nobody's file or device came in another way.
	diff <(descriptors "$pid" | grep -v '^anon_inode\|^/memfd:memory\|^/dev/kvm$\|^/dev/vhost-\(net\|vsock\)$') - <<- END
		/dev/net/tun
		/dev/null
		/memfd:vmdk
		/run/qemubox/default--one/console.log
		/run/qemubox/default--one/qemu.log
		$D/private/layer
		$D/private/meta
		$D/private/raw
		socket
	END
	stop one
}

@test "vhost-device-vsock is as confined, with one directory to write to" {
	QEMUBOX_VSOCK=vhost-user qbx-vm start --box "$D/one.json" > "$T/one"
	pid=$(jq .vm.helper.pid "$T/one") uid=$(jq .vm.uid "$T/one")
	confined "$pid" "$uid"
	sees "$pid" dev etc usr vsock
	[ -z "$(loose_mounts "$pid" /vsock)" ] || { loose_mounts "$pid" /vsock; false; }
	[ "$(stat -c %u:%a /run/qemubox/default--one/vsock)" = "$uid:700" ]
	# Its own eyes: what is not refused by name is refused by the file system.
	run nsenter --target "$pid" --mount --root --setuid "$uid" --setgid "$uid" \
		sh -c 'ls /run /root /proc; touch /x /usr/x /etc/x /dev/x; touch /vsock/x && rm /vsock/x && echo yes'
	[ "${lines[-1]}" = yes ]
	[ "$(grep -c 'No such file\|cannot access\|Read-only' <<< "$output")" -eq 7 ] || { echo "$output"; false; }
	diff <(descriptors "$pid" | grep -v '^anon_inode') - <<- END
		/dev/null
		/memfd:memory-backend-memfd
		/run/qemubox/default--one/vsock.log
		socket
	END
	stop one
}

# bats test_tags=kvm
@test "virtiofsd has the volumes as its root and what it takes to act for files' owners, and no more" {
	mkdir -p "$T/rw" "$T/ro"
	jq --arg t "$T" --argjson dev "$(stat -c %d "$T")" '.fs.volumes = [["rw", false], ["ro", true] | {kind: "share", mount: 0, destination: "/x",
		source: "\($t)/\(.[0])", readonly: .[1], recursive: true,
		dev: $dev, ino: 0}]' "$D/one.json" > "$T/stale.json"
	run -69 qbx-vm start --box "$T/stale.json"
	[[ $output == *"$T/rw is not what it was"* ]]
	jq --argjson rw "$(stat -c %i "$T/rw")" --argjson ro "$(stat -c %i "$T/ro")" \
		'.fs.volumes[0].ino = $rw | .fs.volumes[1].ino = $ro' "$T/stale.json" > "$T/box.json"
	qbx-vm start --box "$T/box.json" > "$T/one"
	first=$(jq .vm.virtiofsd.pid "$T/one")
	pid=$(pgrep -P "$first")
	for each in $first $pid; do
		[ "$(ls -A "/proc/$each/root")" = $'0\n1' ]
		diff <(cut -d' ' -f5,6 "/proc/$each/mountinfo" | sed 's/,[a-z]*atime//g') - <<- END
			/ ro,nosuid,nodev,noexec
			/0 rw,nosuid,nodev,noexec
			/1 ro,nosuid,nodev,noexec
		END
		[ "$(tr '\0' '\n' < "/proc/$each/environ" | cut -d= -f1)" = PATH ]
		[ "$(status_of "$each" NoNewPrivs)" = 1 ]
		[ "$(status_of "$each" Groups)" = '' ]
		for set in CapInh CapBnd CapAmb; do [ "$(status_of "$each" $set)" = 0000000000000000 ]; done
		[ "$(stat -Lc %i "/proc/$each/ns/net")" != "$(stat -Lc %i /proc/self/ns/net)" ]
		[ -z "$(nsenter -t "$each" --net ip -o link show up)" ]
		grep -q '^Max core file size  *0  *0 ' "/proc/$each/limits"
	done
	# The first waits for the other, which the guest speaks to: chown, dac_override, fowner, fsetid, set[ug]id.
	[ "$(status_of "$first" CapPrm)" = 0000000000000000 ]
	[ "$(status_of "$pid" CapPrm) $(status_of "$pid" CapEff)" = '00000000000000db 00000000000000db' ]
	[ "$(status_of "$pid" Seccomp)" = 2 ]
	[ "$(status_of "$pid" NSpid | wc -w)" -eq $(($(status_of "$first" NSpid | wc -w) + 1)) ]
	diff <(descriptors "$pid" | grep -v '^anon_inode') - <<- END
		/
		/$pid/mountinfo
		/dev/null
		/memfd:memory-backend-memfd
		/run/qemubox/default--one/virtiofsd.log
		socket
	END
	# It is not the guest that waits for an answer for ever: whoever ends it, ends the VM's use of it.
	kill -KILL "$first"
	timeout 10 tail --pid="$pid" -f /dev/null
	stop one
}

@test "two boxes are two users, and no more boxes start than there are users" {
	qbx-vm start --box "$D/one.json" > "$T/one"
	qbx-vm start --box "$D/two.json" > "$T/two"
	[ "$(jq .vm.uid "$T/one")" != "$(jq .vm.uid "$T/two")" ]
	[ "$(readlink "/run/qemubox/.claims/uid/$(jq .vm.uid "$T/two")")" = other--two ]
	stop two
	QEMUBOX_UID_COUNT=1 run -75 qbx-vm start --box "$D/two.json"
	[[ $output == *'none of the 1 uids from 1879048192 on is free'* ]]
	stop one
	QEMUBOX_UID_FIRST=70000 QEMUBOX_UID_COUNT=1 qbx-vm start --box "$D/two.json" > "$T/two"
	[ "$(jq .vm.uid "$T/two")" = 70000 ]
	[ "$(status_of "$(jq .vm.pid "$T/two")" Uid)" = '70000 70000 70000 70000' ]
	stop two
}

@test "what is relaxed is relaxed, said in the log, and nothing else is" {
	QEMUBOX_RELAX=uid,seccomp qbx-vm start --box "$D/two.json" > "$T/two" 2> "$T/log" || { cat "$T/log"; false; }
	grep -q "box other--two: relax uid: the VM's processes are root's" "$T/log"
	grep -q 'box other--two: relax seccomp: ' "$T/log"
	[ "$(grep -c relax "$T/log")" -eq 2 ]
	pid=$(jq .vm.pid "$T/two")
	[ "$(jq .vm.uid "$T/two")" = 0 ]
	[ "$(status_of "$pid" Uid) $(status_of "$pid" Seccomp)" = '0 0 0 0 0' ]
	[ "$(status_of "$pid" CapEff) $(status_of "$pid" NoNewPrivs)" = '0000000000000000 1' ]
	[ ! -e "/proc/$pid/root/root" ]
	stop two
	QEMUBOX_RELAX=mounts,cgroup qbx-vm start --box "$D/two.json" > "$T/two" 2> "$T/log" || { cat "$T/log"; false; }
	grep -q 'box other--two: relax mounts: ' "$T/log"
	grep -q 'box other--two: relax cgroup: ' "$T/log"
	pid=$(jq .vm.pid "$T/two")
	[ -e "/proc/$pid/root/root" ]
	[ "$(jq .vm.cgroup "$T/two")" = null ]
	[ "$(status_of "$pid" Uid)" = "$(yes "$(jq .vm.uid "$T/two")" | head -n 4 | xargs)" ]
	stop two
	QEMUBOX_RELAX=uid,everything run -78 qbx-vm start --box "$D/two.json"
	[[ $output == *'"everything" is none of uid, mounts, cgroup, seccomp'* ]]
}

@test "a daemon that was taken over leads nobody astray" {
	QEMUBOX_VSOCK=vhost-user qbx-vm start --box "$D/two.json" > "$T/two"
	local dir=/run/qemubox/other--two/vsock line=''
	# root listens elsewhere, and would be given the token
	mkfifo "$T/said"
	socat -d -d "UNIX-LISTEN:$T/trap" "CREATE:$T/token" 2> "$T/said" 3>&- &
	trap=$!
	exec 4< "$T/said"
	until [[ $line == *listening* ]]; do read -r line; done <&4
	rm "$dir/vsock.sock"
	ln -s "$T/trap" "$dir/vsock.sock"
	qbx-vm stop --debug --box "$T/two" > /dev/null 2> "$T/log"
	grep -q 'symbolic links' "$T/log"
	kill $trap
	[ ! -e "$T/token" ]
}

# A host with cgroup v2, where this one has its tree but not on the usual place.
v2() {
	unshare --mount sh -ec '
		[ -e /sys/fs/cgroup/cgroup.procs ] || mount -t cgroup2 cgroup2 /sys/fs/cgroup
		"$@"' sh "$@"
}

cgroup_of() {
	sed -n 's/^0:://p' "/proc/$1/cgroup"
}

# bats test_tags=kvm
@test "a cgroup of its own, named by the specification or by the box" {
	v2 qbx-vm start --box "$D/two.json" > "$T/two" 2> "$T/log" || { cat "$T/log"; false; }
	[ "$(jq -r .vm.cgroup "$T/two")" = qemubox/other--two ]
	for pid in $(jq '.vm.pid, .vm.helper.pid // empty' "$T/two"); do
		[[ $(cgroup_of "$pid") == */qemubox/other--two ]]
	done
	# shellcheck disable=SC2016 # the inner shell expands these
	limits=$(v2 sh -c 'cd /sys/fs/cgroup/qemubox/other--two; for f in memory.max memory.oom.group pids.max cpu.max; do
		[ ! -e $f ] || echo $f $(cat $f); done')
	if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
		[ "$limits" = "memory.max $(((512 + 160 + 16 + $(accel_mib)) << 20))"$'\nmemory.oom.group 1\npids.max 512\ncpu.max max 100000' ]
	else
		# controllers that v1 has are said to be missing
		grep -q 'memory.max cannot be set' "$T/log"
	fi
	# The last resort: a process that no record names.
	sleep 1000 3>&- &
	sleeper=$!
	v2 sh -c "echo $sleeper > /sys/fs/cgroup/qemubox/other--two/cgroup.procs"
	v2 qbx-vm stop --box "$D/two.json" > /dev/null
	code=0
	wait $sleeper || code=$?
	[ "$code" -eq 137 ]
	run v2 ls /sys/fs/cgroup/qemubox
	[ "$status" -ne 0 ]

	jq '.spec = {process: {}, linux: {cgroupsPath: "a-b.slice:qbx:two"}}' "$D/two.json" > "$T/slice.json"
	v2 qbx-vm start --box "$T/slice.json" > "$T/two" 2> "$T/log" || { cat "$T/log"; false; }
	[ "$(jq -r .vm.cgroup "$T/two")" = a.slice/a-b.slice/qbx-two.scope ]
	[[ $(cgroup_of "$(jq .vm.pid "$T/two")") == */a.slice/a-b.slice/qbx-two.scope ]]
	v2 qbx-vm stop --box "$D/two.json" > /dev/null
	v2 rmdir /sys/fs/cgroup/a.slice/a-b.slice /sys/fs/cgroup/a.slice
	for bad in ../x /a/../b a//b 'x:y:z' a.slice:b; do
		jq --arg p "$bad" '.spec = {process: {}, linux: {cgroupsPath: $p}}' "$D/two.json" > "$T/bad.json"
		run -65 v2 qbx-vm start --box "$T/bad.json"
	done
}

accel_mib() {
	case $(jq -r .vm.accel "$T/two") in tcg) echo 1024 ;; *) echo 0 ;; esac
}

@test "where there is no cgroup v2, whoever asked for limits is told" {
	[ ! -e /sys/fs/cgroup/cgroup.controllers ] || skip 'this host has it'
	jq '.spec = {process: {}, linux: {cgroupsPath: "/a/b"}}' "$D/two.json" > "$T/asks.json"
	qbx-vm start --box "$T/asks.json" > "$T/two" 2> "$T/log" || { cat "$T/log"; false; }
	[ "$(wc -l < "$T/log")" -eq 1 ]
	grep -q '/sys/fs/cgroup is not cgroup v2: the host sets the VM no limit' "$T/log"
	[ "$(jq .vm.cgroup "$T/two")" = null ]
	stop two
}

@test "killed at any moment of a start, stop finds everything" {
	mkdir "$T/share"
	jq --arg s "$T/share" --argjson dev "$(stat -c %d "$T/share")" --argjson ino "$(stat -c %i "$T/share")" \
		'.fs.volumes = [{kind: "share", mount: 0, destination: "/x", source: $s, readonly: false, recursive: true,
		dev: $dev, ino: $ino}]' "$D/two.json" > "$T/two.json"
	for wait in 0 0.01 0.02 0.03 0.05 0.08 0.12 0.2 0.4; do
		set -m # a group of its own: what has only just been forked is killed, too
		v2 qbx-vm start --box "$T/two.json" > /dev/null 2>&1 3>&- &
		starter=$!
		set +m
		sleep $wait
		kill -KILL -- -$starter 2> /dev/null || :
		wait $starter || :
		v2 qbx-vm stop --box "$D/two.json" > /dev/null
		# shellcheck disable=SC2009 # those that are dead but not buried yet do not count
		! ps -o stat=,args= -u 1879048192 | grep -v ^Z || false
		# shellcheck disable=SC2009
		! ps -eo stat=,args= | grep '[v]irtiofsd --' | grep -v ^Z || false
		[ "$(ls -A /run/qemubox)" = '' ]
		run v2 ls /sys/fs/cgroup/qemubox
		[ "$status" -ne 0 ]
	done
}
