#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2016 # what is in single quotes is for another shell
# What a container writes to, as qbx-fs prepares and releases it: with the real mke2fs, or a script in its
# place where it has to misbehave. What guests do with it is tested in tests/e2e/writable.bats.

bats_require_minimum_version 1.5.0
load erofs

setup() {
	T=$BATS_TEST_TMPDIR
	export QEMUBOX_STATE_DIR=$T/state QEMUBOX_RUN_DIR=$T/run QEMUBOX_WRITABLE_MIB=64
	own=$T/state/writable/default--demo.ext4
	mkdir -p "$T/bin" "$T/layer" "$T/snapshots/7/fs" "$T/snapshots/7/work"
	# What a layer is made of is not what is tested here.
	printf '#!/bin/sh\ncat "%s" >&3\n' "$T/a.erofs" > "$T/bin/mkfs.erofs"
	chmod 755 "$T/bin/mkfs.erofs"
	PATH=$T/bin:$PATH
	erofs_image "$T/a.erofs"
}

# box [MORE]: a document with an EROFS file as its root, and more keys, as JSON
box() {
	printf '{"qbx":1,"id":"demo","rootfs":[{"type":"erofs","source":"%s"}]%s}\n' "$T/a.erofs" "${1:+,$1}"
}

# snapshot: a document with what containerd makes of a snapshot
snapshot() {
	printf '{"qbx":1,"id":"demo","rootfs":[{"type":"overlay","source":"overlay","options":["lowerdir=%s","upperdir=%s","workdir=%s"]}]}\n' \
		"$T/layer" "$T/snapshots/7/fs" "$T/snapshots/7/work"
}

fs() {
	"$QBX_BIN/qbx-fs" "$@"
}

# of FILTER: that, of the document that prepare writes for the one on standard input
of() {
	fs prepare > "$T/doc"
	jq -c "$1" "$T/doc"
}

# refused STATUS WORDS: one line that says this, and no file that is half made
refused() {
	# shellcheck disable=SC2154 # bats sets stderr
	[ "$status" -eq "$1" ] || { echo "status $status: $stderr"; false; }
	[ -z "$output" ]
	[ "$(wc -l <<< "$stderr")" -eq 1 ]
	[[ $stderr == *"$2"* ]] || { echo "says: $stderr"; false; }
	[ -z "$(find "$T/state" "$T/snapshots" -name 'ext4-*' -o -name '*.ext4' 2> /dev/null)" ]
}

# stand_in SCRIPT: what mke2fs does
stand_in() {
	printf '#!/bin/sh\n%s\n' "$1" > "$T/bin/mke2fs"
	chmod 755 "$T/bin/mke2fs"
}

@test "a box has a disk of its own, sparse and with an ext4 on it, and release removes it" {
	box > "$T/box"
	[ "$(of '.fs.disks[1]' < "$T/box")" = \
		'{"serial":"rw","path":"'"$own"'","format":"raw","readonly":false}' ]
	[ "$(jq -c '.fs.mounts[1]' "$T/doc")" = \
		'{"type":"ext4","source":"disk:rw","target":"rw","options":["discard"]}' ]
	[ "$(stat -c '%s %a' "$own")" = "$((64 << 20)) 600" ]
	[ "$(stat -c %b "$own")" -lt 1000 ] # of 512 bytes
	[ "$(stat -c %a "$T/state/writable")" = 700 ]
	e2fsck -fn "$own"
	dumpe2fs -h "$own" > "$T/super"
	grep -q '^Filesystem features: .*has_journal.*metadata_csum' "$T/super"
	grep -q '^Reserved block count: *0$' "$T/super"
	grep -q '^Errors behavior: *Remount read-only' "$T/super"
	# nothing has been left to the guest's kernel to write
	dumpe2fs "$own" 2> /dev/null | grep '^Group' > "$T/groups"
	[ "$(grep -c '^Group 0.*ITABLE_ZEROED' "$T/groups")" -eq 1 ]
	fs release < "$T/doc" > "$T/released"
	diff "$T/box" "$T/released"
	[ ! -e "$own" ]
	fs release < "$T/released" > "$T/again"
	diff "$T/box" "$T/again"
}

@test "a snapshot has one beside its upper directory, which stays as it is" {
	snapshot > "$T/box"
	file=$T/snapshots/7/fs.ext4
	[ "$(of '.fs.disks[-1] | [.serial, .path, .readonly]' < "$T/box")" = '["rw","'"$file"'",false]' ]
	[ "$(stat -c '%s %a' "$file")" = "$((64 << 20)) 600" ]
	e2fsck -fn "$file"
	echo written | dd of="$file" conv=notrunc status=none
	stat -c %i "$file" > "$T/before"
	QEMUBOX_WRITABLE_MIB=128 fs prepare < "$T/box" > "$T/doc"
	fs release < "$T/doc" > "$T/released"
	diff "$T/box" "$T/released"
	stat -c %i "$file" | diff "$T/before" -
	grep -q written "$file"
	[ -z "$(find "$T/snapshots/7/fs" "$T/snapshots/7/work" -mindepth 1)" ]
	[ ! -e "$T/state/writable" ]
	run -0 fs prepare --dry-run --box "$T/box"
	[[ $output == *"use $file"* ]]
}

@test "the root directory is what the upper directory is" {
	[ "$(snapshot | of '.fs.mounts[-1].options | map(select(test("^X-")))')" = '[]' ]
	chmod 1750 "$T/snapshots/7/fs"
	chown 5:6 "$T/snapshots/7/fs"
	[ "$(snapshot | of '.fs.mounts[-1].options[1:3]')" = \
		'["X-qemubox.root=1750:5:6","upperdir=rw/upper"]' ]
	chmod 711 "$T/layer"
	printf '{"qbx":1,"id":"demo","rootfs":[{"type":"bind","source":"%s"}]}\n' "$T/layer" > "$T/box"
	[ "$(of '.fs.mounts[-1].options[1]' < "$T/box")" = '"X-qemubox.root=711:0:0"' ]
}

@test "a snapshot that has gone: the box has a file of its own" {
	rm -r "$T/snapshots/7"
	run --separate-stderr fs prepare < <(snapshot)
	[ "$status" -eq 0 ]
	[[ $stderr == *"warning: $T/snapshots/7/fs is not there: what box default--demo writes goes with the box" ]]
	[ "$(jq -r '.fs.disks[-1].path' <<< "$output")" = "$own" ]
}

@test "starters of one snapshot at the same time" {
	for i in 1 2 3 4 5 6 7 8; do snapshot | fs prepare > "$T/doc$i" & done
	wait
	for i in 2 3 4 5 6 7 8; do
		[ "$(jq -c .fs.disks "$T/doc$i")" = "$(jq -c .fs.disks "$T/doc1")" ]
	done
	[ "$(ls "$T/snapshots/7")" = $'fs\nfs.ext4\nwork' ]
	e2fsck -fn "$T/snapshots/7/fs.ext4"
}

@test "upper directories that are none, and files that are no files" {
	ln -s /etc/passwd "$T/snapshots/7/fs.ext4"
	run --separate-stderr fs prepare < <(snapshot)
	rm "$T/snapshots/7/fs.ext4"
	refused 65 'fs.ext4: not a regular file'
	mkdir "$T/snapshots/7/fs.ext4"
	run --separate-stderr fs prepare < <(snapshot)
	rmdir "$T/snapshots/7/fs.ext4"
	refused 65 'fs.ext4: not a regular file'
	run --separate-stderr fs prepare < <(snapshot | sed "s|upperdir=$T/|upperdir=|")
	refused 65 'is not an absolute path'
	touch "$T/snapshots/7/file"
	run --separate-stderr fs prepare < <(snapshot | sed 's|/7/fs|/7/file|')
	refused 65 'file: not a directory'
	# overlayfs's escapes, and slashes at the end
	mkdir "$T/snapshots/a:b"
	[ "$(snapshot | sed 's|/7/fs|/a\\\\:b//|' | of '.fs.disks[-1].path')" = "\"$T/snapshots/a:b.ext4\"" ]
}

@test "what an earlier box of that name has left is not the next one's" {
	box | fs prepare > /dev/null
	echo secret | dd of="$own" conv=notrunc status=none
	stat -c %i "$own" > "$T/before"
	box | fs prepare > /dev/null
	run ! grep -q secret "$own"
	e2fsck -fn "$own"
	run ! diff <(stat -c %i "$own") "$T/before"
}

@test "the empty file system is made once for a size" {
	stand_in "echo >> '$T/calls'; exec $(command -v mke2fs) \"\$@\""
	box | fs prepare > /dev/null
	box | fs prepare > /dev/null
	[ "$(wc -l < "$T/calls")" -eq 1 ]
	cmp "$own" "$T/state/layers/ext4-1-64.img"
	box '"writable_mib":80' | fs prepare > /dev/null
	[ "$(wc -l < "$T/calls")" -eq 2 ]
	[ "$(stat -c %s "$own")" = $((80 << 20)) ]
	for i in 1 2 3 4 5 6 7 8; do
		box '"writable_mib":96,"namespace":"n'$i'"' | fs prepare > /dev/null &
	done
	wait
	[ "$(wc -l < "$T/calls")" -eq 3 ]
	for i in 1 2 3 4 5 6 7 8; do cmp "$T/state/layers/ext4-1-96.img" "$T/state/writable/n$i--demo.ext4"; done
}

@test "gc removes the empty file systems of sizes that nobody has, and of other options" {
	cache=$T/state/layers
	for mib in 64 80 96; do
		box "\"writable_mib\":$mib,\"namespace\":\"n$mib\"" | fs prepare > "$T/doc$mib"
		fs release < "$T/doc$mib" > /dev/null
	done
	cp "$cache/ext4-1-64.img" "$cache/ext4-0-64.img"
	touch "$cache/other.img"
	mkdir -p "$T/run/n80--demo" "$T/run/begins"
	cp "$T/doc80" "$T/run/n80--demo/box.json"
	[ "$(fs gc --dry-run | sort | xargs)" = 'ext4-0-64.img ext4-1-96.img' ]
	[ -e "$cache/ext4-1-96.img" ]
	[ "$(fs gc | sort | xargs)" = 'ext4-0-64.img ext4-1-96.img' ]
	[ "$(ls "$cache")" = $'ext4-1-64.img\next4-1-80.img\nleases\nlock\nother.img' ]
	# the box has gone, and the configuration is another
	rm -r "$T/run/n80--demo"
	[ "$(QEMUBOX_WRITABLE_MIB=128 fs gc | sort | xargs)" = 'ext4-1-64.img ext4-1-80.img' ]
	box | fs prepare > /dev/null
	e2fsck -fn "$own"
}

@test "it can be in the guest's memory, by configuration or document" {
	[ "$(box '"writable":"tmpfs"' | of '[.fs.disks[].serial, .fs.mounts[1]]')" = \
		'["root",{"type":"tmpfs","source":"tmpfs","target":"rw","options":["mode=0755"]}]' ]
	[ "$(box '"writable":"tmpfs","writable_mib":100' | of '.fs.mounts[1].options')" = \
		'["mode=0755","size=100m"]' ]
	export QEMUBOX_WRITABLE=tmpfs
	[ "$(box | of '.fs.disks | length')" = 1 ]
	[ "$(box '"writable":"disk"' | of '.fs.disks | length')" = 2 ]
}

@test "sizes and kinds that are none" {
	run --separate-stderr fs prepare < <(box '"writable":"zfs"')
	refused 65 '"writable": "zfs" is none of disk, tmpfs'
	run --separate-stderr fs prepare < <(box '"commit":true')
	refused 65 '"commit": the root file system has no upper directory'
	run --separate-stderr fs prepare < <(snapshot | jq -c '.commit = true | .writable = "tmpfs"')
	refused 65 '"commit": what the container writes is on no disk'
	run --separate-stderr fs prepare < <(box '"writable_mib":63')
	refused 65 '63 is not between 64 and 1048576'
	run --separate-stderr fs prepare < <(box '"writable_mib":1048577')
	refused 65 'is not between'
	run --separate-stderr fs prepare < <(box '"writable_mib":"64"')
	refused 65 '"writable_mib" must be a whole number'
	QEMUBOX_WRITABLE=zfs run --separate-stderr fs prepare < <(box)
	refused 78 'none of disk, tmpfs'
}

@test "the largest has its file system, too" {
	box '"writable_mib":1048576' | fs prepare > /dev/null
	[ "$(stat -c %s "$own")" = $((1 << 40)) ]
	[ "$(stat -c %b "$own")" -lt 100000 ]
	dumpe2fs -h "$own" | grep -q '^Block count: *268435456$'
}

@test "a root that is mounted read-only has no disk" {
	printf '{"qbx":1,"id":"demo","rootfs":[{"type":"erofs","source":"%s","options":["ro"]}]}\n' "$T/a.erofs" > "$T/box"
	[ "$(of '[.fs.disks[].serial, .fs.mounts[1].type, .fs.mounts[2].options[-1]]' < "$T/box")" = \
		'["root","tmpfs","ro"]' ]
	[ ! -e "$own" ]
}

@test "mke2fs that is missing, fails or is killed" {
	run --separate-stderr env PATH="$T/bin" "$QBX_BIN/qbx-fs" prepare < <(box)
	refused 69 'start mke2fs: No such file or directory (install e2fsprogs'
	stand_in 'echo; echo "mke2fs: no luck today" >&2; exit 3'
	run --separate-stderr fs prepare < <(box)
	refused 69 'make a file system of 64 MiB: mke2fs: mke2fs: no luck today'
	stand_in 'exit 3'
	run --separate-stderr fs prepare < <(box)
	refused 69 'it says nothing'
	stand_in 'kill -KILL $$'
	run --separate-stderr fs prepare < <(box)
	refused 69 'mke2fs was killed by signal 9'
	rm "$T/bin/mke2fs"
	box | of .fs.disks
}

@test "qbx-fs killed while mke2fs runs leaves nothing, and the next one makes it" {
	mkfifo "$T/says"
	stand_in "echo up > '$T/says'; exec sleep 1000"
	"$QBX_BIN/qbx-fs" prepare < <(box) > "$T/out" & # itself: a function would be a shell's
	pid=$!
	read -r _ < "$T/says"
	kill -KILL $pid
	wait $pid || :
	[ ! -s "$T/out" ]
	[ "$(find "$T/state" -type f ! -name lock)" = '' ]
	rm "$T/bin/mke2fs"
	box | of .fs.disks
}

@test "a host without room" {
	box > "$T/box"
	fs prepare < "$T/box" > /dev/null # the empty one is there
	mkdir "$T/small"
	unshare --mount bash -euxc '
		mount -t tmpfs -o size=16k none "$1/small"
		mkdir "$1/small/layers"
		mount --bind "$1/state/layers" "$1/small/layers"
		! QEMUBOX_STATE_DIR=$1/small "$2/qbx-fs" prepare < "$1/box" > "$1/out" 2> "$1/err"
		cat "$1/err"
		[ ! -s "$1/out" ]
		[ "$(wc -l < "$1/err")" -eq 1 ]
		grep "No space left on device" "$1/err"
		[ -z "$(ls -A "$1/small/writable")" ]
	' bash "$T" "$QBX_BIN"
}
