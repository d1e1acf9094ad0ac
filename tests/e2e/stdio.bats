#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What a client may name as a container's input and output, and what becomes of every byte.
# What is in single quotes is for the shell in the container, or in a logger.
# shellcheck disable=SC2016

# shellcheck disable=SC2154 # boxes.bash sets some variables

bats_require_minimum_version 1.5.0

load boxes

# logger SCRIPT: a program $logger that runs it. Its name tells, should one be left over.
logger() {
	logger=$PWD/qbx-logger
	printf '#!/bin/sh\ncd "%s"\n%s\n' "$PWD" "$1" > "$logger"
	chmod 755 "$logger"
}

# detached [OPTION]... ID CMD...: with the standard input that we have
detached() {
	local options=()
	while [[ $1 == -* ]]; do
		options+=("$1")
		shift
	done
	timeout 120 ctr run -d --snapshotter "$containerd_snapshotter" --runtime "$runtime" "${options[@]}" \
		"$image" "$@" 3>&-
}

# A box that ran detached, and has ended.
remove() {
	ctr task rm "$1" || :
	ctr container rm "$1"
	rm -rf /run/containerd/fifo/*
}

@test "a logger gets both outputs to their ends, its arguments and its environment" {
	logger 'exec 5>&-
		printf "%s\n" "$@" > args
		env | sort > env
		cat <&3 > out & cat <&4 > err
		wait
		ls -l /proc/$$/fd | wc -l > fds
		echo over > end'
	box "--log-uri=binary://$logger?--tag=a%20b+c&z=%2F&a=1&a=2&flag" logged \
		sh -c 'seq 100000; seq 1000 >&2'
	# It had ended when the task was told to have.
	[ "$(cat end)" = over ]
	seq 100000 | cmp - out
	seq 1000 | cmp - err
	[ "$(cat args)" = $'--tag\na b c\nz\n/\na\n1\nflag' ]
	grep -v '^PWD=\|^OLDPWD=\|^_=\|^SHLVL=' env > ours
	[ "$(grep -v ^PATH= ours)" = $'CONTAINER_ID=logged\nCONTAINER_NAMESPACE=default' ]
	grep -q ^PATH=/ ours
}

@test "a logger that is missing: one clear line" {
	run box "--log-uri=binary:///no/such/logger" unlogged true
	[ "$status" -ne 0 ]
	[ "${#lines[@]}" -eq 1 ]
	[[ $output == *'logger of stdout'*'/no/such/logger'*'No such file'* ]]
}

@test "a logger that never is ready fails Create, in time" {
	logger 'cat <&3 > out'
	SECONDS=0
	run box "--log-uri=binary://$logger" never true
	[ "$status" -ne 0 ]
	[[ $output == *"logger $logger: not ready"* ]]
	[ "$SECONDS" -ge 10 ]
}

@test "a logger that dies early takes nothing along" {
	logger 'exec 5>&-; head -c 1000 <&3 > out; exit 9'
	run box "--log-uri=binary://$logger" bereft sh -c 'seq 1000000; echo err >&2; exit 3'
	[ "$status" -eq 3 ]
	[ "$(stat -c %s out)" -eq 1000 ]
	logged "logger $logger: ended with status 9"
}

@test "a file is made, appended to, and shared" {
	box "--log-uri=file://$PWD/new/a%20log" filed sh -c 'echo out; echo err >&2; echo out'
	[ "$(sort 'new/a log')" = $'err\nout\nout' ]
	box "--log-uri=file://$PWD/new/a%20log" filed echo again
	[ "$(tail -n 1 'new/a log')" = again ]
	[ "$(wc -l < 'new/a log')" -eq 4 ]
}

@test "a file that is full is no matter to the process" {
	run box --log-uri=file:///dev/full full sh -c 'seq 1000000; exit 5'
	[ "$status" -eq 5 ]
	logged 'stdout: file:///dev/full took no more'
}

@test "no input and no output" {
	run box --null-io nothing sh -c 'read line; seq 1000000; exit 4'
	[ "$status" -eq 4 ]
	[ "$output" = '' ]
}

@test "what cannot be had is refused with a clear line" {
	run box --log-uri=http://localhost/log refused true
	[ "$status" -ne 0 ]
	[ "${#lines[@]}" -eq 1 ]
	[[ $output == *'http://localhost/log'*'neither a path nor fifo://, file:// or binary://'* ]]
}

@test "20 MiB through cat and back" {
	head -c $((20 << 20)) /dev/urandom > in
	box back cat < in > out
	[ "$(sha256sum < out)" = "$(sha256sum < in)" ]
}

@test "a client that detaches and attaches again loses nothing, and ends no input" {
	watch
	mkfifo in first second
	exec 6<> in
	detached again sh -c 'while read -r line; do echo "got $line"; done; echo end' < in > /dev/null 6>&-
	# The first client: it attaches, sees a line of its own and goes away for good.
	ctr task attach again < in > first 3>&- 6>&- &
	client=$!
	exec 7< first
	echo one >&6
	read -r -t 60 -u 7 line
	[ "$line" = 'got one' ]
	kill -KILL "$client"
	wait "$client" || :
	exec 7<&-
	# What is said and heard meanwhile is there for the next one.
	fifo=$(find /run/containerd/fifo -name 'again-stdin')
	echo two > "$fifo"
	ctr task attach again < in > second 3>&- 6>&- &
	client=$!
	exec 7< second
	read -r -t 60 -u 7 line
	[ "$line" = 'got two' ]
	echo three >&6
	read -r -t 60 -u 7 line
	[ "$line" = 'got three' ]
	[ "$(ctr task ls | awk '$1 == "again" { print $3 }')" = RUNNING ]
	# CloseIO ends it, once the client has gone, too.
	shimctl call again CloseIO id=again stdin=true
	[ "$(ctr task ls | awk '$1 == "again" { print $3 }')" = RUNNING ]
	exec 6>&-
	read -r -t 60 -u 7 line
	[ "$line" = end ]
	await /tasks/exit again
	wait "$client"
	exec 7<&-
	remove again
	unwatch
}

@test "a reader that is stuck stalls neither Kill nor the exit" {
	watch
	mkfifo ready
	box stuck sh -c 'echo up; exec yes' > ready &
	pid=$!
	exec 6< ready
	head -c 100000 <&6 > /dev/null # it writes as fast as it can
	ctr=$(pgrep -f '(^|/)ctr run .* stuck ')
	kill -STOP "$ctr"
	fifo=$(echo /run/containerd/fifo/*/stuck-stdout)
	while dd if=/dev/zero of="$fifo" bs=4096 count=1 oflag=nonblock 2> /dev/null; do :; done
	SECONDS=0
	timeout 60 ctr task kill --signal SIGKILL stuck
	[ "$SECONDS" -lt 10 ]
	await /tasks/exit stuck
	cat <&6 > /dev/null &
	kill -CONT "$ctr"
	status=0
	wait "$pid" || status=$?
	[ "$status" -eq 137 ]
	exec 6<&-
	unwatch
	logged 'stdout: nothing was taken for'
}
