#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# qbx-fs export: what a guest has written, into an upper directory of the host's. The file systems are made
# by mke2fs and damaged by debugfs; what guests write is tested in tests/e2e/writable.bats.

bats_require_minimum_version 1.5.0

features=none,has_journal,ext_attr,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum

setup() {
	T=$BATS_TEST_TMPDIR
	export QEMUBOX_STATE_DIR=$T/state QEMUBOX_RUN_DIR=$T/run QEMUBOX_WRITABLE_MIB=64
	mkdir -p "$T/disk/upper" "$T/disk/work" "$T/snapshots/7/fs" "$T/snapshots/7/work" "$T/layer"
	up=$T/disk/upper to=$T/snapshots/7/fs
	printf '{"qbx":1,"id":"demo","rootfs":[{"type":"overlay","source":"overlay","options":["lowerdir=%s","upperdir=%s"]}]}\n' \
		"$T/layer" "$to" > "$T/box"
}

# What a test that failed has left standing
teardown() {
	local left
	for left in $(jobs -p); do
		kill -KILL "$left" 2> /dev/null || :
	done
}

# The disk of that snapshot, with what is in $T/disk
disk() {
	rm -f "$to.ext4"
	truncate -s 64M "$to.ext4"
	MKE2FS_CONFIG=/dev/null mke2fs -q -F -b 4096 -I 256 -O "${1:-$features}" -d "$T/disk" "$to.ext4" 2> "$T/mke2fs"
}

export_box() {
	"$QBX_BIN/qbx-fs" export "$@"
}

# begin_export: returns when one stands still in the middle of it, at a step that it says itself: lib/step.h
begin_export() {
	rm -f "$T/steps"
	QEMUBOX_STEPS=$T/steps QEMUBOX_STOP_AT=20 "$QBX_BIN/../tests/fs-steps/qbx-fs" export --box "$T/box" \
		> "$T/out" 2> "$T/said" 3>&- &
	pid=$!
	until grep -q '^State:.*T (stopped)' "/proc/$pid/status"; do sleep 0.1; done
	[ -s "$to.new/tree/large" ]
}

# Everything there is to see of a tree; of files with several names, which ones are the same.
tree() {
	(
		cd "$1" || exit
		find . -printf '%p %y %m %U %G %T@ %l\n'
		find . ! -type d -printf '%p %s %n\n'
		find . -type f -print0 | xargs -0r sha256sum
		find . \( -type c -o -type b \) -exec stat -c '%n %t:%T' {} +
		find . -type f -links +1 -printf '%i %p\n' | sort | awk '$1 != last { print "" } { print $2; last = $1 }'
	) | sort
}

# of_disk DIR: its tree without what was there before
of_disk() {
	tree "$1" | grep -av 'what was there$\|what was there [fy0-9]'
}

# refused STATUS WORDS: one line says this, and the upper directory is as it was
refused() {
	# shellcheck disable=SC2154 # bats sets stderr
	[ "$status" -eq "$1" ] || { echo "status $status: $stderr"; false; }
	[ -z "$output" ]
	[ "$(wc -l <<< "$stderr")" -eq 1 ]
	[[ $stderr == *"$2"* ]] || { echo "says: $stderr"; false; }
	[ "$(ls -A "$to")" = "${before:-}" ]
	[ ! -e "$to.new" ]
}

@test "a tree with all that a file system can hold arrives as it is" {
	mkdir -p "$up/a/b/c" "$up/many" "$up/empty"
	echo hi > "$up/a/b/c/file"
	ln "$up/a/b/c/file" "$up/a/hard"
	ln "$up/a/b/c/file" "$up/hard"
	ln -s ../../../../../../etc/passwd "$up/a/out"
	ln -s "$(printf 'y%.0s' {1..200})" "$up/long"
	mknod "$up/whiteout" c 0 0
	mknod "$up/large" b 300 70000
	mkfifo "$up/fifo"
	for i in {1..1500}; do echo "$i" > "$up/many/a name that is long enough for several blocks $i"; done
	head -c 3000001 /dev/urandom > "$up/random"
	truncate -s 30M "$up/sparse"
	printf end >> "$up/sparse"
	printf 'x' > "$up/name"$'\n'"with ü and "
	chmod 4751 "$up/random"
	chown 12345:100000 "$up/fifo" "$up/a"
	chmod 1750 "$up"
	chown 5:6 "$up"
	touch -d '1999-12-31 23:59:59' "$up/a/b/c/file" "$up/many"
	disk
	echo old > "$to/what was there"
	# Times of less than a second are lost by mke2fs -d.
	find "$up" -exec touch -h -d '2001-02-03 04:05:06' {} +
	disk
	export_box < "$T/box" > "$T/out"
	diff "$T/box" "$T/out"
	tree "$up" > "$T/want"
	# What others had put there stays: it is below what the container has written.
	echo old | diff - "$to/what was there"
	of_disk "$to" > "$T/got"
	[ "$(wc -l < "$T/want")" -gt 4500 ]
	diff "$T/want" "$T/got"
	[ "$(stat -c %b "$to/sparse")" -lt 100 ]
	[ ! -e "$to.new" ]
	# once more, and elsewhere
	export_box < "$T/box" > /dev/null
	of_disk "$to" | diff "$T/want" -
	export_box --to "$T/elsewhere/" < "$T/box" > /dev/null
	of_disk "$T/elsewhere" | diff "$T/want" -
	run -0 export_box --dry-run --box "$T/box"
	[ "$output" = "copy what is in $to.ext4 to $to" ]
}

@test "a disk that is in use, or that nobody has used" {
	disk
	debugfs -w -R 'feature needs_recovery' "$to.ext4" > /dev/null 2>&1
	run --separate-stderr export_box --box "$T/box"
	refused 75 'the file system is in use, or was when its guest ended (stop the container'
	rm -r "$T/disk/upper"
	disk
	run --separate-stderr export_box --box "$T/box"
	refused 65 'no guest has used the file system yet'
	rm "$to.ext4"
	run --separate-stderr export_box --box "$T/box"
	refused 69 "open $to.ext4: No such file"
	ln -s /etc/passwd "$to.ext4"
	run --separate-stderr export_box --box "$T/box"
	refused 69 'Too many levels of symbolic links'
}

@test "no disk, no upper directory, another kind of file system" {
	run --separate-stderr export_box < <(jq -c '.writable = "tmpfs"' "$T/box")
	refused 65 'what the container writes is on no disk'
	run --separate-stderr export_box <<< '{"qbx":1,"id":"demo"}'
	refused 64 'no upper directory (name a directory with --to)'
	disk "$features,inline_data"
	run --separate-stderr export_box --box "$T/box"
	refused 65 'features 0x8000 that are not ours'
	head -c 1M /dev/urandom > "$to.ext4"
	run --separate-stderr export_box --box "$T/box"
	refused 65 'no ext4 superblock'
	truncate -s 0 "$to.ext4"
	run --separate-stderr export_box --box "$T/box"
	refused 65 'read the file system at 1024: Input/output error'
}

@test "a tree that does not end, and files that claim too much" {
	mkdir "$up/dir"
	echo hello > "$up/file"
	disk
	before=kept
	touch "$to/kept"
	# a directory that holds the root of the tree again
	cp "$to.ext4" "$T/good"
	debugfs -w -R 'link /upper /upper/dir/again' "$to.ext4" > /dev/null 2>&1
	run --separate-stderr export_box --box "$T/box"
	refused 65 'directories more than 400 deep'
	cp "$T/good" "$to.ext4"
	debugfs -w -R 'set_inode_field /upper/file size 0x7fffffffffffffff' "$to.ext4" > /dev/null 2>&1
	run --separate-stderr export_box --box "$T/box"
	refused 65 'cannot be read'
	cp "$T/good" "$to.ext4"
	debugfs -w -R 'set_inode_field /upper/file block[5] 0xffffffff' "$to.ext4" > /dev/null 2>&1
	run --separate-stderr export_box --box "$T/box"
	refused 65 'damaged'
	cp "$T/good" "$to.ext4"
	debugfs -w -R 'set_inode_field /upper/dir mode 0xf000' "$to.ext4" > /dev/null 2>&1
	run --separate-stderr export_box --box "$T/box"
	refused 65 'damaged: a file of no type'
	cp "$T/good" "$to.ext4"
	debugfs -w -R 'set_inode_field /upper mode 0100644' "$to.ext4" > /dev/null 2>&1
	run --separate-stderr export_box --box "$T/box"
	refused 65 'damaged: what is to be the root is no directory'
}

@test "killed half-way, the upper directory is as it was, and the next one clears up" {
	head -c 40M /dev/urandom > "$up/large"
	disk
	touch "$to/kept"
	begin_export
	# while it runs nobody takes it for one that was killed
	[ -z "$("$QBX_BIN/qbx-fs" gc)" ]
	"$QBX_BIN/qbx-fs" release < "$T/box" > "$T/released"
	run --separate-stderr export_box --to "$to" < <(jq -c '.id = "other"' "$T/box")
	[ "$status" -eq 75 ]
	[ -s "$to.new/tree/large" ]
	run --separate-stderr export_box --box "$T/box"
	[ "$status" -eq 75 ]
	[[ $stderr == *'fs.ext4: Device or resource busy (another export of it runs)' ]]
	kill -KILL "$pid"
	wait "$pid" || :
	[ "$(ls -A "$to")" = kept ]
	run -0 "$QBX_BIN/qbx-fs" gc --dry-run
	[ "$output" = "$to.new" ]
	run -0 "$QBX_BIN/qbx-fs" release --dry-run --box "$T/box"
	[[ $output == *"rm -r $to.new"* ]]
	export_box --box "$T/box" > /dev/null
	cmp "$up/large" "$to/large"
	[ "$(ls -A "$T/snapshots/7")" = $'fs\nfs.base\nfs.ext4\nwork' ]
}

@test "a directory of somebody else's, where the new one would be, is nobody's to remove" {
	echo hello > "$up/file"
	disk
	mkdir -p "$to.new/tree" "$T/state/exports"
	echo mine > "$to.new/tree/file"
	run --separate-stderr export_box --box "$T/box"
	[ "$status" -eq 69 ]
	[[ $stderr == *"$to.new: File exists (no export has made it: move it away)" ]]
	[ -z "$(ls "$T/state/exports")" ]
	# and not when a note says that there may be one, or is none
	printf '%s\0' "$to.new" > "$T/state/exports/default--demo"
	printf '%s' "$to.new" > "$T/state/exports/default--half"
	printf '%s\0' "$T/gone/fs.new" > "$T/state/exports/default--gone"
	[ -z "$("$QBX_BIN/qbx-fs" gc)" ]
	[ -z "$(ls "$T/state/exports")" ]
	printf '%s\0' "$to.new" > "$T/state/exports/default--demo"
	"$QBX_BIN/qbx-fs" release < "$T/box" > /dev/null
	[ -z "$(ls "$T/state/exports")" ]
	[ "$(cat "$to.new/tree/file")" = mine ]
	rm -r "$to.new"
	ln -s "$to" "$to.new"
	run --separate-stderr export_box --box "$T/box"
	[ "$status" -eq 69 ]
	[[ $stderr == *"$to.new: File exists"* ]]
	[ -L "$to.new" ]
	rm "$to.new"
	mkdir "$to.new" # holds nothing, and goes
	export_box --box "$T/box" > /dev/null
	cmp "$up/file" "$to/file"
	[ ! -e "$to.new" ]
}

# lock CODE: lock the byte that qbx-vm locks for a VM, as it does, by an open file's own lock; then do that
lock() {
	exec perl -e 'use Fcntl; my $l = pack("s s x4 q q l x4", F_WRLCK, 0, 0, 1, 0); open(F, "+<", $ARGV[0]) or die;
		fcntl(F, 37, $l) or exit 1; # F_OFD_SETLK
		'"$1" "$to.ext4" "$T/held" "$T/release"
}

# It has it until something is written to "release".
# shellcheck disable=SC2016 # for perl
vm_has_disk() {
	mkfifo "$T/held" "$T/release"
	lock 'open(H, ">", $ARGV[1]); print H "held\n"; close H; open(R, "<", $ARGV[2]); <R>' 3>&- &
	vm=$!
	read -r _ < "$T/held"
}

vm_could() {
	(lock '')
}

@test "a disk that a VM has is read while it stands still, and no other" {
	head -c 40M /dev/urandom > "$up/large"
	disk
	box=$T/run/default--demo
	vm_could
	vm_has_disk
	run -1 vm_could
	run --separate-stderr export_box --box "$T/box"
	refused 75 'fs.ext4: the file system is in use (stop the container, or pause it)'
	mkdir -p "$box"
	jq --arg p "$to.ext4" '.fs = {disks: [{serial: "rw", path: $p, readonly: false}]}' "$T/box" > "$box/box.json"
	run --separate-stderr export_box --box "$T/box"
	refused 75 'in use'
	touch "$box/still"
	export_box --box "$T/box" > /dev/null
	cmp "$up/large" "$to/large"
	rm -r "${to:?}"/*
	# It went on meanwhile, and stood still again.
	begin_export
	rm "$box/still"
	touch "$box/still"
	kill -CONT "$pid"
	status=0
	wait "$pid" || status=$?
	output=$(cat "$T/out") stderr=$(cat "$T/said")
	refused 75 'the container went on (pause it again)'
	# What is said of one box is not said of another's disk.
	jq '.fs.disks[0].path += "x"' "$box/box.json" > "$T/another"
	cp "$T/another" "$box/box.json"
	run --separate-stderr export_box --box "$T/box"
	refused 75 'in use'
	rm -r "$box"
	echo > "$T/release"
	wait "$vm"
	# And the other way round: while it is read no VM gets it.
	begin_export
	run -1 vm_could
	kill -CONT "$pid"
	wait "$pid"
	vm_could
}
