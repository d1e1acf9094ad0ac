#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What a paused container has written: the host sees it, from one moment, as often as it is paused.
# shellcheck disable=SC2016,SC2154 # for the shell in the container; boxes.bash and tasks.bash set them

bats_require_minimum_version 1.5.0

load boxes
load tasks

# upper ID: the upper directory of its snapshot
upper() {
	ctr snapshot --snapshotter "$containerd_snapshotter" mounts /x "$1" |
		sed -n 's/.*upperdir=\([^,]*\/fs\),.*/\1/p'
}

# Does the file system need its journal? The host sees what the guest's kernel has written.
journal_needed() {
	dumpe2fs -h "$1" 2> /dev/null | grep -q needs_recovery
}

# bats test_tags=kvm
@test "pause and commit: each pause shows what is there then, and containerd compares that" {
	up --annotation=io.qemubox.fs.commit=true paused sh -c '
		rm /etc/motd; mkdir /new; echo one > /new/first; ln /new/first /new/hard; chmod 4750 /new/first
		exec 3> /open; rm /open; echo text >&3
		echo up; while :; do echo tick >> /log; echo tick >&3; done'
	fs=$(upper paused)
	[ -z "$(ls -A "$fs")" ]
	ctr task pause paused
	[ "$(cat "$fs/new/first")" = one ]
	[ "$(stat -c '%a %h' "$fs/new/hard")" = '4750 2' ]
	[ "$(stat -c '%F %t:%T' "$fs/etc/motd")" = 'character special file 0:0' ]
	[ "$(sort -u "$fs/log")" = tick ]
	[ ! -e "$fs/open" ]
	run ! journal_needed "$fs.ext4"
	ctr snapshot --snapshotter "$containerd_snapshotter" diff paused > diff.tar
	tar -tf diff.tar | sed 's|^\./||' | sort > names
	for name in etc/.wh.motd new/first new/hard log; do
		grep -qx "$name" names || { echo "no $name in:"; cat names; false; }
	done
	size=$(stat -c %s "$fs/log")
	# It goes on, and what went meanwhile goes there as well.
	ctr task resume paused
	journal_needed "$fs.ext4"
	ex paused change sh -c 'rm /new/first; rm -r /srv; echo two > /second'
	[ -e "$fs/new/first" ]
	ctr task pause paused
	[ "$(cat "$fs/second")" = two ]
	[ "$(ls "$fs/new")" = hard ]
	[ "$(stat -c %F "$fs/srv")" = 'character special file' ]
	[ "$(stat -c %s "$fs/log")" -gt "$size" ]
	cp "$fs/log" log
	ls "$(dirname "$fs")" > names
	[ "$(cat names)" = $'fs\nfs.ext4\nwork' ]
	# Nothing of it waits for what stands still.
	began=${EPOCHREALTIME/./}
	down paused
	echo "# killed while paused, and deleted: $(((${EPOCHREALTIME/./} - began) / 1000)) ms" >&3
}

# bats test_tags=kvm
@test "export beside a paused container: not while it runs, nor of two moments" {
	up hand sh -c 'echo written > /file; dd if=/dev/zero of=/large bs=1M count=48 2> /dev/null; echo up
		while :; do date > /changing; done'
	fs=$(upper hand)
	document=/run/qemubox/default--hand/box.json
	run -75 --separate-stderr qbx-fs export --box $document
	[[ $stderr == *"$fs.ext4: the file system is in use (stop the container, or pause it)" ]]
	# A VM that somebody else has stopped has its journal in use.
	qbx-vm pause --box $document > /dev/null
	run -75 qbx-fs export --box $document
	qbx-vm resume --box $document > /dev/null
	ex hand other sh -c 'echo; exec sleep 1000' > other.said 3>&- &
	other=$!
	until [ -s other.said ]; do kill -0 $other; sleep 0.1; done
	ctr task pause hand
	[ -z "$(ls -A "$fs")" ]
	qbx-fs export --box $document > /dev/null
	[ "$(cat "$fs/file")" = written ]
	cmp -n $((48 << 20)) /dev/zero "$fs/large"
	# Another box's document does not speak for this one's disk.
	jq 'del(.vm, .net, .shim) | .id = "other"' $document > box.json
	run -75 --separate-stderr qbx-fs export --box box.json
	[[ $stderr == *'in use'* ]]
	# It goes on while it is read.
	before=$(stat -c %i "$fs")
	strace -o trace -e trace=mkdirat -e inject=mkdirat:signal=SIGSTOP:when=2 qbx-fs export --box $document > /dev/null 2> said 3>&- &
	export=$!
	until [ -e "$fs.new/tree" ]; do kill -0 $export; sleep 0.1; done
	ctr task resume hand
	ctr task pause hand
	kill -CONT "$(pgrep -P $export)"
	status=0
	wait $export || status=$?
	[ "$status" -eq 75 ]
	grep -q 'the container went on (pause it again)' said
	[ "$(stat -c %i "$fs")" = "$before" ]
	[ ! -e "$fs.new" ]
	# Of a process that is killed meanwhile the end may be to be written.
	qbx-fs export --box $document > /dev/null
	[ -e "${document%/*}/still" ]
	ctr task kill --exec-id other --signal SIGKILL hand
	[ ! -e "${document%/*}/still" ]
	wait $other || :
	[ "$(ctr task ls | awk '$1 == "hand" { print $3 }')" = PAUSED ]
	run -75 qbx-fs export --box $document
	# A VM that is stopped with its container paused ends in order.
	ctr task resume hand
	ctr task pause hand
	exec 7< "$fs.ext4"
	qbx-vm stop --box $document > /dev/null
	wait "$pid" || :
	run ! journal_needed /proc/self/fd/7
}

@test "a commit that fails is a line in the log; one that goes on holds up no SIGKILL" {
	up --annotation=io.qemubox.fs.commit=true slow sh -c 'echo written > /file; echo up; while :; do date > /changing; done'
	fs=$(upper slow)
	exec 7< "$fs.ext4"
	flock 7
	ctr task pause slow
	logged 'slow: not committed: .*fs.ext4: Device or resource busy'
	[ -z "$(ls -A "$fs")" ]
	exec 7<&-
	ctr task resume slow
	# An export that waits to be let go on
	mkfifo begun go
	program=$(command -v qbx-fs)
	cp "$program" real
	printf '#!/bin/sh\n[ "$2" != export ] || { echo > %s/begun; read -r _ < %s/go; }\nexec %s/real "$@"\n' \
		"$PWD" "$PWD" "$PWD" > wrapper
	chmod 755 wrapper
	mount --bind wrapper "$program"
	ctr task pause slow 2> said 3>&- &
	pause=$!
	read -r _ < begun
	run ! timeout 60 ctr task resume slow
	[[ $output == *'is not paused'* ]]
	timeout 60 ctr task kill --signal SIGKILL slow
	# Its end is told meanwhile; to be deleted it waits for this export, and then for its own.
	until ctr task ls | grep -q '^slow .*STOPPED'; do kill -0 "$pid"; sleep 0.1; done
	echo > go
	run ! wait $pause
	grep -q 'it was killed meanwhile\|it was deleted meanwhile' said
	logged 'slow: not committed: .*the file system is in use'
	read -r _ < begun
	umount --lazy "$program" # it runs
	echo > go
	wait "$pid" || :
}
