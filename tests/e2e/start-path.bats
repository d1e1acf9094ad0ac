#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The way from Create to a running container waits for events, never for time to pass.

# shellcheck disable=SC2154 # boxes.bash sets some variables

bats_require_minimum_version 1.5.0
load boxes

# The system calls of our own programs that name a time, as "program: call". The trace has a file a
# thread, and a program of ours has one thread; other programs, such as QEMU and the CNI plugins, are
# left out.
calls_of_ours() {
	awk '
		FNR == 1 { program = "" }
		/^execve\(.* = 0$/ { split($0, q, "\""); program = q[2]; sub(".*/", "", program) }
		program ~ /^(qbx-|containerd-shim)/ { print program ": " $0 }
	' trace.*
}

@test "no sleep, no wait that ends by itself, no timer shorter than a deadline" {
	mkfifo attached
	strace -ff -o trace -e trace=execve,nanosleep,clock_nanosleep,poll,ppoll,select,pselect6,epoll_wait,epoll_pwait,epoll_pwait2,timerfd_settime \
		-p "$containerd_pid" 2> attached 3>&- &
	tracer=$!
	exec 5< attached
	read -r -u 5 _ # it is
	box traced true
	kill -INT $tracer
	cat <&5 > /dev/null
	exec 5<&-
	wait $tracer || :
	calls_of_ours > ours
	for program in containerd-shim-qemubox-v1 qbx-net qbx-fs qbx-vm; do
		grep -q "^$program: execve" ours # the trace saw it at all
	done
	run ! grep -E 'nanosleep' ours
	# What was waited for came; a timeout of 0 only asks.
	run ! grep -E ', [1-9][0-9]*\) += 0 \(Timeout\)|, [1-9][0-9]*\) += 0$' ours
	# A deadline, not a rhythm.
	run ! grep -E 'it_value=\{tv_sec=0, tv_nsec=([1-9][0-9]{1,7})\}' ours
}
