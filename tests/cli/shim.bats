#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The shim's command line, as containerd uses it, with a /run of the test's own.
# shellcheck disable=SC2016,SC2154 # text for inner shells; stderr is set by run

bats_require_minimum_version 1.5.0

setup() {
	shim=$QBX_BIN/containerd-shim-qemubox-v1
	bundle=$BATS_TEST_TMPDIR/bundle
	id=cli-$$-$BATS_TEST_NUMBER
	mkdir "$bundle"
	echo '{}' > "$bundle/config.json"
	mkfifo "$bundle/log" "$BATS_TEST_TMPDIR/ready"
	unshare -m sh -ec '
		mount -t tmpfs none /run
		echo ready >"$1"
		exec sleep infinity' sh "$BATS_TEST_TMPDIR/ready" 3>&- &
	holder=$!
	read -r _ < "$BATS_TEST_TMPDIR/ready"
}

teardown() {
	for pid in $(serving); do
		kill -KILL "$pid"
	done
	kill "$holder"
}

# Shims of this test in the background.
serving() {
	pgrep -f "^$shim .*-id $id " || :
}

inside() {
	nsenter -t "$holder" -m --wd="$bundle" "$@"
}

# shim ACTION: the way containerd calls it
shim() {
	inside env QEMUBOX_STATE_DIR="$BATS_TEST_TMPDIR/state" QEMUBOX_CONFIG="$BATS_TEST_TMPDIR/config" \
		"$shim" -namespace cli -address /run/c.sock -publish-binary /bin/true -id "$id" "$@" 3>&-
}

@test "version" {
	for flag in -v --version; do
		run -0 "$shim" $flag
		[[ $output == "containerd-shim-qemubox-v1 "[0-9]* ]]
	done
}

@test "info names the runtime" {
	run -0 "$shim" -info < /dev/null
	[[ $output == *io.containerd.qemubox.v1* ]]
	[[ $output == *containerd.io/runtime-allow-mounts*'mkdir/*,format/*,erofs'* ]]
}

@test "wrong usage is one line and status 64" {
	for args in '' start '-nope start' '-id a/b -namespace x start' '-id a -namespace x dance' '-id'; do
		# shellcheck disable=SC2086 # words
		run -64 --separate-stderr "$shim" $args < /dev/null
		[ "$output" = '' ]
		[ "${#stderr_lines[@]}" -eq 1 ]
	done
}

@test "start prints the address alone, and leaves a shim that holds nothing of ours" {
	echo '{}' > "$BATS_TEST_TMPDIR/config"
	# Both in one pipe, read to its end: it would not come if the shim held it.
	text=$(shim start 2>&1 < /dev/null)
	[[ $text =~ ^unix:///run/containerd/s/[0-9a-f]{64}$ ]]
	[ "$(cat "$bundle/address")" = "$text" ]
	want=$(printf '/run/c.sock/cli/%s' "$id" | sha256sum | cut -d' ' -f1)
	[ "${text##*/}" = "$want" ]
	[ "$(inside stat -c %a "${text#unix://}")" = 600 ]
	pid=$(serving)
	[ "$(cut -d' ' -f6 "/proc/$pid/stat")" = "$pid" ] # a session of its own
	[ "$(readlink "/proc/$pid/fd/1" "/proc/$pid/fd/2" | sort -u)" = /dev/null ]

	# A second start finds it.
	[ "$(shim start < /dev/null)" = "$text" ]
	[ "$(serving)" = "$pid" ]

	# Its death leaves the socket, which neither delete nor another start minds.
	kill -KILL "$pid"
	while [ -e "/proc/$pid" ]; do read -rt 0.05 <> "$bundle/log" || :; done
	[ "$(shim start < /dev/null)" = "$text" ]
	[ "$(serving)" != "$pid" ]
}

@test "a shim is a better victim than its parent when memory is short" {
	echo '{}' > "$BATS_TEST_TMPDIR/config"
	echo 100 > "/proc/$BASHPID/oom_score_adj"
	shim start < /dev/null
	# nsenter and env exec: our shell is the parent that start sees, or a child with its score
	[ "$(cat "/proc/$(serving)/oom_score_adj")" = 101 ]
}

@test "start says what is wrong, and leaves nothing" {
	echo '{"nope":1}' > "$BATS_TEST_TMPDIR/config"
	run -78 --separate-stderr shim start < /dev/null
	[ "$output" = '' ]
	[[ $stderr == *nope* ]]
	echo '{}' > "$BATS_TEST_TMPDIR/config"
	run -65 --separate-stderr shim start <<< garbage
	[[ $stderr == *'standard input'* ]]
	[ "$(serving)" = '' ]
	[ ! -e "$bundle/address" ]
}

@test "delete of what is not there succeeds, and says 137" {
	echo '{}' > "$BATS_TEST_TMPDIR/config"
	for _ in 1 2; do
		shim -bundle "$bundle" delete > "$BATS_TEST_TMPDIR/response" < /dev/null
		# field 2, a varint: 137 is 0x89 0x01
		od -An -tx1 "$BATS_TEST_TMPDIR/response" | tr -d '\n' | grep -q '^ 10 89 01 1a'
	done
}

@test "delete runs the poststop hooks that are left, and keeps its time when one hangs" {
	echo '{}' > "$BATS_TEST_TMPDIR/config"
	jq -n --arg bundle "$bundle" 'def sh(script): {path: "/bin/sh", args: ["sh", "-c", script], env: ["PATH=/bin"]};
		{state: {ociVersion: "1.2.0", id: "x", bundle: $bundle}, next: 1,
		poststop: [sh("echo ended before >> ran"), sh("cat > state"), sh("echo $$ >> ran; exec sleep 1000"),
			sh("echo no time >> ran")]}' > "$bundle/hooks.json"
	SECONDS=0
	shim -bundle "$bundle" delete > "$BATS_TEST_TMPDIR/response" 2> "$BATS_TEST_TMPDIR/said" < /dev/null
	[ "$SECONDS" -le 5 ]
	[ "$(jq -r .status "$bundle/state")" = stopped ]
	[ ! -e "/proc/$(cat "$bundle/ran")" ]
	grep -q 'poststop\[2\] /bin/sh: killed when its time was up' "$BATS_TEST_TMPDIR/said"
	grep -q 'poststop\[3\] /bin/sh: there is no time left' "$BATS_TEST_TMPDIR/said"
	od -An -tx1 "$BATS_TEST_TMPDIR/response" | tr -d '\n' | grep -q '^ 10 89 01 1a'
	[ ! -e "$bundle/hooks.json" ]
	# Again: there is nothing left to do.
	rm "$bundle/state"
	shim -bundle "$bundle" delete > /dev/null 2>&1 < /dev/null
	[ ! -e "$bundle/state" ]
}
