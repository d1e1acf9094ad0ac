#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The porcelain itself, in front of commands that only write down what they were asked. With the real
# ones: e2e/qbx.bats.

bats_require_minimum_version 1.5.0

setup() {
	T=$BATS_TEST_TMPDIR
	export LOG=$T/log TMPDIR=$T/tmp PATH=$T/bin:$PATH
	qbx=$BATS_TEST_DIRNAME/../../bin/qbx
	mkdir "$T/bin" "$T/tmp" "$T/root"
	# Each adds its name to what it was given; FAIL names the one that fails.
	for name in net fs vm; do
		cat > "$T/bin/qbx-$name" <<- 'END'
			#!/bin/bash
			me=${0##*/} verb=$1
			echo "$me $verb" >> "$LOG"
			[ "$2" = --box ] || exit 99
			[ "${FAIL:-}" != "$me $verb" ] || { echo "$me: no" >&2; exit 69; }
			case $verb in
			add | prepare) jq -c --arg k "$me" '.steps += [$k]' "$3" ;;
			run)
				cp "$3" "$LOG.box"
				shift 3
				[ "$1" != -- ] || shift
				exec "$@"
				;;
			*) jq -c .id "$3" >> "$LOG" ;;
			esac
		END
		chmod +x "$T/bin/qbx-$name"
	done
}

# Whatever happens, the document's directory goes.
teardown() {
	[ -z "$(ls -A "$T/tmp")" ] || { echo "left behind: $(ls -A "$T/tmp")"; false; }
}

verbs() {
	grep -v '^"' "$LOG" | xargs
}

all='qbx-net add qbx-fs prepare qbx-vm run qbx-vm stop qbx-fs release qbx-net del'

# shellcheck disable=SC2016 # the command's own shell expands it
@test "run passes one document through the pipeline, and undoes it in reverse" {
	run -7 --separate-stderr "$qbx" run "$T/root" -- sh -c 'echo "$1"; echo err >&2; exit 7' sh 'a  b'
	[ "$output" = 'a  b' ]
	# shellcheck disable=SC2154 # bats sets stderr
	[ "$stderr" = err ]
	[ "$(verbs)" = "$all" ]
	[ "$(jq -c .steps "$LOG.box")" = '["qbx-net","qbx-fs"]' ]
	[ "$(jq -c .rootfs "$LOG.box")" = "[{\"type\":\"bind\",\"source\":\"$T/root\"}]" ]
	# one box, and each undo knew which
	[ "$(grep -c "^\"$(jq -r .id "$LOG.box")\"$" "$LOG")" -eq 3 ]
}

@test "two runs are two boxes" {
	"$qbx" run "$T/root" true
	first=$(jq -r .id "$LOG.box")
	"$qbx" run "$T/root" true
	[ "$(jq -r .id "$LOG.box")" != "$first" ]
}

@test "a path may hold what JSON has to escape" {
	mkdir "$T/it's \"a\" \\dir"
	"$qbx" run "$T/it's \"a\" \\dir" true
	[ "$(jq -r '.rootfs[0].source' "$LOG.box")" = "$T/it's \"a\" \\dir" ]
	mkdir "$T/new"$'\n'line
	run -125 "$qbx" run "$T/new"$'\n'line true
}

@test "a file is an OCI archive" {
	touch "$T/image.tar"
	"$qbx" run "$T/image.tar" -- true
	[ "$(jq -r '.rootfs[0].type' "$LOG.box")" = oci-archive ]
}

@test "bytes pass both ways as they are" {
	head -c 1000000 /dev/urandom > "$T/bytes"
	"$qbx" run "$T/root" -- cat < "$T/bytes" > "$T/back"
	cmp "$T/bytes" "$T/back"
	"$qbx" run "$T/root" -- true < /dev/null
}

@test "a step that fails is 125, says so once, and everything is undone" {
	FAIL='qbx-net add' run -125 --separate-stderr "$qbx" run "$T/root" true
	[ "$stderr" = 'qbx-net: no' ]
	[ "$(verbs)" = 'qbx-net add qbx-vm stop qbx-fs release qbx-net del' ]
	rm "$LOG"
	FAIL='qbx-fs prepare' run -125 "$qbx" run "$T/root" true
	[ "$(verbs)" = 'qbx-net add qbx-fs prepare qbx-vm stop qbx-fs release qbx-net del' ]
	rm "$LOG"
	FAIL='qbx-fs release' run -125 "$qbx" run "$T/root" true
	[ "$(verbs)" = "$all" ]
}

@test "a signal for the script reaches the command, and everything is undone" {
	for sig in TERM HUP; do
		rm -f "$LOG" "$T/ready"
		# also where the whole run ignores SIGHUP, as nohup(1) has it: a shell could not trap it then
		env --default-signal=HUP "$qbx" run "$T/root" -- sh -c "trap 'exit 5' $sig; : > '$T/ready'; while :; do sleep 0.1; done" &
		pid=$!
		until [ -e "$T/ready" ]; do sleep 0.05; done
		kill -"$sig" "$pid"
		wait "$pid" || :
		[ "$(verbs)" = "$all" ]
	done
}

@test "wrong usage is told" {
	run -64 --separate-stderr "$qbx"
	[[ $stderr == *'qbx run ROOTFS-DIR'* ]]
	run -64 "$qbx" fly
	run -125 "$qbx" run
	run -125 --separate-stderr "$qbx" run "$T/absent" true
	[[ $stderr == *absent* ]]
	run -0 "$qbx" help
	[ ! -e "$LOG" ]
}

@test "check is qbx-vm's" {
	printf '#!/bin/sh\necho "$*"; exit 77\n' > "$T/bin/qbx-vm"
	run -77 "$qbx" check -j
	[ "$output" = 'check -j' ]
}
