# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# For tests of qbx-vm by hand: $BOX is the document of a box with a root file system, a file's tests use
# it one after another, and none may leave anything of it. To be loaded.

load root
load processes

setup_file() {
	busybox_root "$BATS_FILE_TMPDIR/root"
	echo data > "$BATS_FILE_TMPDIR/root/bin/noexec"
	export BOX=$BATS_FILE_TMPDIR/box.json
	jq -cn --arg s "$BATS_FILE_TMPDIR/root" '{qbx: 1, id: "demo", rootfs: [{type: "bind", source: $s}]}' |
		qbx-fs prepare > "$BOX"
}

teardown_file() {
	qbx-fs release --box "$BOX" > /dev/null
}

setup() {
	# shellcheck disable=SC2034 # for the tests
	T=$BATS_TEST_TMPDIR
}

# No process and no file of a box may be left.
teardown() {
	left=$(vm_processes; ls -A /run/qemubox 2> /dev/null || :)
	qbx-vm stop < "$BOX" > /dev/null # so that the next test can say something
	[ -z "$left" ] || { echo "left behind: $left"; false; }
}
