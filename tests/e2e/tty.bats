#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Terminals: of a task and of an exec, driven from a terminal that socat has made.
# What is in single quotes is for the shell in the container.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154,SC2094

bats_require_minimum_version 1.5.0

load boxes
load tasks

# terminal CMD...: run it on a terminal of its own, of 24 rows and 80 columns; type and see speak to it.
# Sets pid, which ends as CMD does; its terminal is in the file pts by the time that something is shown.
terminal() {
	mkfifo typed shown
	printf '#!/bin/sh\nstty rows 24 cols 80\ntty > pts\ntimeout --foreground 240 %s\necho $? > ended\n' "$*" > script
	chmod +x script
	socat - EXEC:./script,pty,setsid,ctty,stderr,sane < typed > shown 3>&- &
	pid=$!
	exec 6> typed 7< shown
}

type_() {
	printf '%b' "$1" >&6
}

# see PATTERN: read what is shown until it has been
see() {
	local seen='' byte
	while [[ $seen != *$1* ]]; do
		IFS= read -r -d '' -n 1 -t 60 -u 7 byte || { printf 'no %s in: %q\n' "$1" "$seen"; return 1; }
		seen+=$byte
	done
}

let_go() {
	exec 6>&- 7<&-
}

# ends STATUS: what terminal() has run
ends() {
	wait "$pid" || :
	let_go
	[ "$(cat ended)" -eq "$1" ]
}

@test "a shell on a terminal: its size, its jobs, its end" {
	terminal "ctr run --rm -t --snapshotter $containerd_snapshotter --runtime $runtime $image shell sh"
	see '# '
	type_ 'tty; stty size; echo "t$((1 + 1))"\r'
	see /dev/
	see '24 80'
	see t2
	# the program in the foreground is told of another size
	type_ "sh -c 'trap \"stty size; exit\" WINCH; echo r\$((1 + 1)); while :; do sleep 0.1; done'\\r"
	see r2
	stty -F "$(cat pts)" rows 33 cols 99
	see '33 99'
	see '# '
	# the foreground job has the keyboard's signals, the shell has not
	job="sh -c 'echo j\$((1 + 1)); exec sleep 1000'\\r"
	type_ "$job"
	see j2
	type_ '\003'
	see '# '
	type_ 'echo "status $?"\r'
	see 'status 130'
	type_ "$job"
	see j2
	type_ '\032'
	see Stopped
	see '# '
	type_ 'fg\r'
	see sleep
	type_ '\003'
	see '# '
	type_ 'exit 7\r'
	ends 7
}

@test "an exec on a terminal" {
	up holds
	holder=$pid
	terminal 'ctr task exec -t --exec-id shell holds sh'
	see '# '
	type_ 'stty size; cat\r'
	see '24 80'
	type_ 'typed\r'
	see typed
	see typed
	type_ '\004'
	type_ 'exit 5\r'
	ends 5
	pid=$holder
	down holds
}

@test "who detaches may come back" {
	terminal "ctr run --rm -t --snapshotter $containerd_snapshotter --runtime $runtime $image stays sh"
	see '# '
	type_ 'x=kept\r'
	see '# '
	pkill -KILL -f 'ctr run .* stays'
	wait "$pid" || :
	let_go
	rm typed shown
	terminal 'ctr task attach stays'
	type_ '\r'
	see '# '
	type_ 'echo "x is $x"\r'
	see 'x is kept'
	type_ 'exit 3\r'
	ends 3
	ctr task rm stays || :
	ctr container rm stays
	rm -rf /run/containerd/fifo/*
}

@test "the end of its input hangs a terminal up" {
	terminal "ctr run --rm -t --snapshotter $containerd_snapshotter --runtime $runtime $image hangs sh"
	see '# '
	# the shell is a process 1, which no signal ends that it does not handle
	type_ 'trap "exit 4" HUP; echo "r$((1 + 1))"; while :; do sleep 0.1; done\r'
	see r2
	pkill -KILL -f 'ctr run .* hangs'
	wait "$pid" || :
	let_go
	watch
	shimctl call hangs CloseIO id=hangs stdin=true
	await /tasks/exit '"hangs"'
	unwatch
	ctr task rm hangs || :
	ctr container rm hangs
	rm -rf /run/containerd/fifo/*
}
