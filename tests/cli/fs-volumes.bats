#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# qbx-fs on this machine: what the mounts of a specification become. That boxes get it is tested in
# tests/e2e/volumes.bats.

bats_require_minimum_version 1.5.0
load erofs

setup() {
	T=$BATS_TEST_TMPDIR
	export QEMUBOX_STATE_DIR=$T/state QEMUBOX_RUN_DIR=$T/run
	erofs_image "$T/root.erofs"
	mkdir "$T/dir"
	echo text > "$T/file"
	truncate -s $(((1 << 20) + 1)) "$T/large"
}

# doc JQ: a document with that specification; $t is $T
doc() {
	jq -cn --arg t "$T" "{qbx: 1, id: \"demo\", rootfs: [{type: \"erofs\", source: \"\(\$t)/root.erofs\"}], spec: ($1)}"
}

# mount SOURCE DESTINATION OPTION... — an element of mounts, for `doc`
mount() {
	local IFS=,
	echo "{destination: \"$2\", type: \"bind\", source: \"$1\", options: (\"${*:3}\" / \",\")}"
}

# volumes JQ: what prepare writes of it, by jq; the whole is as its schema says
volumes() {
	doc "$1" | "$QBX_BIN/qbx-fs" prepare > "$T/out"
	python3 - "$BATS_TEST_DIRNAME/../schema/fs.json" "$T/out" <<- 'END'
		import json, sys, jsonschema
		jsonschema.validate(json.load(open(sys.argv[2]))["fs"], json.load(open(sys.argv[1])))
	END
}

# refused JQ TEXT — one line with that, and no document
refused() {
	run -65 --separate-stderr "$QBX_BIN/qbx-fs" prepare < <(doc "$1")
	[ -z "$output" ]
	# shellcheck disable=SC2154 # bats sets it
	[[ $stderr == *"$2"* ]] || { echo "says: $stderr"; false; }
	[ "$(wc -l <<< "$stderr")" -eq 1 ]
}

@test "directories are shared, small read-only files are sent, others are shared, too" {
	volumes "{mounts: [{destination: \"/proc\", type: \"proc\", source: \"proc\"}, $(mount "$T/dir" /d rbind rw),
		$(mount "$T/file" /f bind ro), $(mount "$T/file" /g bind), $(mount "$T/large" /l bind ro),
		$(mount "$T/file" /etc/hosts rbind rw), $(mount "$T/large" /etc/resolv.conf rbind rw)]}"
	jq -r '.fs.volumes[] | [.mount, .destination, .kind, .readonly, .recursive] | join(" ")' "$T/out" | diff - <(
		cat <<- END
			1 /d share false true
			2 /f file true false
			3 /g share false false
			4 /l share true false
			5 /etc/hosts file false true
			6 /etc/resolv.conf share false true
		END
	)
	[ "$(jq -c '.fs.mounts[0]' "$T/out")" = '{"type":"virtiofs","source":"volumes","target":"volumes","options":[]}' ]
	[ "$(jq '[.fs.mounts[] | select(.type == "virtiofs")] | length' "$T/out")" -eq 1 ]
	[ "$(jq .fs.volumes[0].ino "$T/out")" = "$(stat -c %i "$T/dir")" ]
	run ! grep text "$T/out"
}

@test "without mounts of the host's there is no such key" {
	volumes '{mounts: [{destination: "/proc", type: "proc", source: "proc"}]}'
	[ "$(jq '.fs | has("volumes")' "$T/out")" = false ]
	run ! grep virtiofs "$T/out"
}

@test "the last word on what a mount may be counts, and its type alone makes a bind" {
	volumes "{mounts: [$(mount "$T/file" /a ro rw bind), $(mount "$T/file" /b rw rro bind),
		{destination: \"/c\", type: \"bind\", source: \"$T/dir\"}, {destination: \"/e\", type: \"none\",
		source: \"$T/dir\", options: [\"rbind\"]}]}"
	[ "$(jq -c '[.fs.volumes[] | [.kind, .readonly, .recursive]]' "$T/out")" = \
		'[["share",false,false],["file",true,false],["share",false,false],["share",false,true]]' ]
}

@test "a source may be relative to the bundle, or a symlink, but not one of /proc" {
	ln -s "$T/dir" "$T/link"
	jq -n --arg t "$T" "{mounts: [$(mount dir /d bind), $(mount link /l bind)]}" > "$T/config.json"
	jq -cn --arg t "$T" '{qbx: 1, id: "demo", bundle: $t, rootfs: [{type: "erofs", source: "\($t)/root.erofs"}]}' |
		"$QBX_BIN/qbx-fs" prepare > "$T/out"
	[ "$(jq -c '[.fs.volumes[] | [.source, .ino]]' "$T/out")" = \
		"[[\"$T/dir\",$(stat -c %i "$T/dir")],[\"$T/link\",$(stat -c %i "$T/dir")]]" ]
	refused "{mounts: [$(mount /proc/self/root/etc /d bind)]}" 'mount on /d: /proc/self/root/etc: Too many levels'
	refused "{mounts: [$(mount dir /d bind)]}" 'source "dir" is no path'
}

@test "an image with a type is a disk that the guest mounts, with what options are the file system's" {
	volumes "{mounts: [{destination: \"/d\", type: \"ext4\", source: \"$T/large\",
		options: [\"ro\", \"noload\", \"nosuid\", \"data=journal\", \"rprivate\"]}]}"
	[ "$(jq -c '.fs.volumes[0] | [.kind, .fstype, .readonly]' "$T/out")" = '["disk","ext4",true]' ]
	inode=$(stat -c %D "$T/large"):$(printf %x "$(stat -c %i "$T/large")")
	[ "$(jq -c '.fs.disks[-1]' "$T/out")" = "{\"serial\":\"vol0\",\"path\":\"$T/large\",\"format\":\"raw\",\"readonly\":true,\"inodes\":[\"$inode\"]}" ]
	[ "$(jq -c '.fs.mounts[0]' "$T/out")" = \
		'{"type":"ext4","source":"disk:vol0","target":"disks/0","options":["ro","noload","data=journal"]}' ]
	refused "{mounts: [{destination: \"/d\", type: \"ext4\", source: \"$T/dir\"}]}" 'is a directory'
}

@test "block devices in linux.devices are disks, unless every device is meant" {
	block=$(find /dev -maxdepth 1 -type b | head -n 1)
	[ "$block" ] || skip 'there is none'
	device="{path: \"$block\", type: \"b\", major: $((0x$(stat -c %t "$block"))), minor: $((0x$(stat -c %T "$block")))}"
	rule="$device + {allow: true, access: \"rwm\"}"
	null='{path: "/dev/null", type: "c", major: 1, minor: 3}'
	volumes "{linux: {devices: [$null, $device], resources: {devices: [{allow: false, access: \"rwm\"}, $rule]}}}"
	[ "$(jq -c '.fs.volumes | map([.kind, .device, .destination, .readonly])' "$T/out")" = "[[\"block\",1,\"$block\",false]]" ]
	[ "$(jq -r '.fs.disks[-1] | .path' "$T/out")" = "$block" ]
	volumes "{linux: {devices: [$device], resources: {devices: [$rule + {access: \"rm\"}]}}}"
	[ "$(jq -c '.fs.volumes[0].readonly' "$T/out")" = true ]
	volumes "{linux: {devices: [$device], resources: {devices: [{allow: true, access: \"rwm\"}]}}}"
	[ "$(jq -c '.fs.volumes' "$T/out")" = null ]
	refused '{linux: {devices: [{path: "/dev/x", type: "b", major: 4000, minor: 7}]}}' 'device /dev/x: the host has no node'
}

@test "what a box cannot have is refused by name" {
	mkfifo "$T/pipe"
	refused "{mounts: [$(mount "$T/pipe" /x bind)]}" "mount on /x: $T/pipe is a FIFO"
	refused "{mounts: [$(mount /dev/null /x bind)]}" '/dev/null is a character device'
	refused "{mounts: [$(mount /proc /x rbind)]}" "/proc is of the host's kernel"
	refused "{mounts: [$(mount "$T/absent" /x bind)]}" "mount on /x: $T/absent: No such file"
	refused "{mounts: [$(mount "$T/dir" x bind)]}" 'not an absolute path'
	refused "{mounts: [range(65) | $(mount "$T/dir" /x bind)]}" "more than 64 mounts of the host's"
	volumes "{mounts: [range(64) | $(mount "$T/dir" /x bind)]}"
}
