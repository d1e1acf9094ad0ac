#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Root file systems of many layers, of any kind: what a box shows is what an overlay of them shows.

bats_require_minimum_version 1.5.0

load root

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	busybox_root base
	mkdir base/deep base/gone base/mnt
	touch base/etc/hosts base/etc/hostname base/etc/resolv.conf # a box has its own
	echo base > base/deep/file
	tree_script base/tree
}

setup() {
	T=$BATS_TEST_TMPDIR
	cd "$BATS_FILE_TMPDIR" || return
}

# A box, or its test, leaves neither processes nor mounts.
teardown() {
	findmnt -Jlo TARGET | jq -r '.filesystems[].target' | tac | while IFS= read -r mount; do
		[[ $mount != "$T"/* ]] || umount "$mount"
	done
	[ -z "$(pgrep 'qemu|vhost-device' || :)" ]
}

# layers N: directories $T/0 to $T/N-1, the base first; each changes what others have
layers() {
	local i
	cp -a base "$T/0"
	for i in $(seq $(($1 - 1))); do
		mkdir -p "$T/$i/deep/$((i % 7))"
		echo "$i" | tee "$T/$i/deep/file" "$T/$i/deep/$((i % 7))/of-$i" > "$T/$i/top-$((i % 10))"
		[ $((i % 11)) -ne 5 ] || setfattr -n trusted.overlay.opaque -v y "$T/$i/deep/$((i % 7))"
		[ $((i % 13)) -ne 6 ] || { rm "$T/$i/top-$((i % 10))"; mknod "$T/$i/top-$((i % 10))" c 0 0; }
	done
}

# mounts FIRST LAST: a lowerdir list of the directories, top first
mounts() {
	seq -f "$T/%g" "$2" -1 "$1" | paste -sd:
}

# want LOWERDIR: what an overlay of these shows, in $T/want
want() {
	mkdir "$T/all"
	mount -t overlay -o "lowerdir=$1" overlay "$T/all"
	mount --bind /dev "$T/all/dev"
	chroot "$T/all" sh /tree > "$T/want"
	umount "$T/all/dev" "$T/all"
}

# shown: what a box of the document on standard input shows, is $T/want
shown() {
	qbx-vm run -- sh /tree > "$T/got"
	diff "$T/want" "$T/got"
	[ "$(wc -l < "$T/got")" -gt 300 ]
}

document() {
	jq -cn '{qbx: 1, id: "layers", network: "none", rootfs: $ARGS.positional | map(fromjson)}' --args "$@"
}

@test "compressed layers are parts of a disk in the guest" {
	layers 6
	for i in 0 1 2 3 4 5; do
		mkfs.erofs --quiet -zlz4 "$T/$i.erofs" "$T/$i"
		mount -t erofs -o ro,loop "$T/$i.erofs" "$T/$i"
	done
	want "$(mounts 0 5)"
	document "$(jq -cn --arg o "lowerdir=$(mounts 0 5)" '{type: "overlay", source: "overlay", options: [$o]}')" |
		qbx-fs prepare > "$T/doc"
	[ "$(jq '[.fs.mounts[] | select(.type == "erofs")] | length' "$T/doc")" -eq 6 ]
	shown < "$T/doc"
}
