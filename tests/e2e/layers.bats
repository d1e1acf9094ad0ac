#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Root file systems of many layers, of any kind: what a box shows is what an overlay of them shows.

bats_require_minimum_version 1.5.0

load processes
load root
load images

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
	[ -z "$(vm_processes)" ]
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

# want N: what an overlay of the directories shows, in $T/want
want() {
	mkdir "$T/all"
	# the newer way to mount takes 255 bytes a string
	(cd "$T" && LIBMOUNT_FORCE_MOUNT2=always mount -t overlay \
		-o "lowerdir=$(seq -s: $(($1 - 1)) -1 0)" overlay all)
	mount --bind /dev "$T/all/dev"
	chroot "$T/all" sh /tree > "$T/want"
	umount "$T/all/dev" "$T/all"
	[ "$(wc -l < "$T/want")" -gt 300 ]
}

# shown: what a box of the document $T/doc shows, is $T/want
shown() {
	qbx-vm run --box "$T/doc" -- sh /tree > "$T/got"
	diff "$T/want" "$T/got"
}

# prepare N [OPTION]: the images of N layers, as containerd 2.2 hands them over, become disks
prepare() {
	jq -cn --arg t "$T" --argjson n "$1" '{qbx: 1, id: "layers", network: "none", rootfs: (
		[range($n - 1; -1; -1) | {type: "erofs", source: "\($t)/\(.).erofs", options: ["ro", "loop"]}] +
		[{type: "format/mkdir/overlay", source: "overlay", options: ["lowerdir={{ overlay 0 \($n - 1) }}"]}])}' |
		qbx-fs prepare > "$T/doc"
}

# stacked: how many layers a guest mounts
stacked() {
	jq '[.fs.mounts[] | select(.type == "erofs")] | length' "$T/doc"
}

@test "128 layers, merged" {
	layers 128
	want 128
	for i in $(seq 0 127); do mkfs.erofs --quiet -T0 --mkfs-time -Enoinline_data "$T/$i.erofs" "$T/$i"; done
	prepare 128
	[ "$(stacked)" -eq 1 ]
	shown
}

@test "300 layers that cannot be merged are parts of two disks" {
	layers 300
	want 300
	for i in $(seq 0 299); do mkfs.erofs --quiet -T0 --mkfs-time -zlz4 "$T/$i.erofs" "$T/$i"; done
	prepare 300
	[ "$(stacked)" -eq 300 ]
	[ "$(jq -c '[.fs.disks[].serial]' "$T/doc")" = '["layers0","layers1","rw"]' ]
	shown
}

@test "an image that is replaced after it was looked at" {
	for i in a b; do
		mkfs.erofs --quiet -zlz4 "$T/$i.erofs" base
	done
	jq -cn --arg t "$T" '{qbx: 1, id: "layers", network: "none", rootfs: [{type: "erofs", source: "\($t)/a.erofs"}]}' |
		qbx-fs prepare > "$T/doc"
	cp "$T/a.erofs" "$T/new"
	mv "$T/new" "$T/a.erofs"
	run -125 qbx-vm run --box "$T/doc" -- true
	[[ $output == *"disk $T/a.erofs: not the file that it was"* ]]
	# and of several
	jq -cn --arg t "$T" '{qbx: 1, id: "layers", network: "none", rootfs: [
		{type: "erofs", source: "\($t)/a.erofs"}, {type: "erofs", source: "\($t)/b.erofs"},
		{type: "format/overlay", source: "overlay", options: ["lowerdir={{ overlay 0 1 }}"]}]}' |
		qbx-fs prepare > "$T/doc"
	qbx-vm run --box "$T/doc" -- true
	cp "$T/b.erofs" "$T/new"
	mv "$T/new" "$T/b.erofs"
	run -125 qbx-vm run --box "$T/doc" -- true
	[[ $output == *"disk $T/b.erofs: not the file that it was"* ]]
}

# doc_of IMAGE...: a box of these, base first
doc_of() {
	jq -cn --args '{qbx: 1, id: "layers", network: "none", rootfs: (
		[$ARGS.positional | reverse[] | {type: "erofs", source: ., options: ["ro", "loop"]}] +
		[{type: "format/overlay", source: "overlay",
			options: ["lowerdir={{ overlay 0 \($ARGS.positional | length - 1) }}"]}])}' "$@" |
		qbx-fs prepare > "$T/doc"
}

@test "names of 200 bytes with commas and line ends, and paths that no disk description holds" {
	local name odd long
	name=$(printf 'n%.0s' {1..180}),readonly=off,
	odd=$T/$name$'\n'$(printf 'o%.0s' {1..40}).erofs
	[ "${#name}" -ge 190 ]
	# a directory: what its image is called is ours
	mkdir "$T/$name"$'\n'x
	cp -a base "$T/$name"$'\n'x/root
	jq -cn --arg s "$T/$name"$'\n'x/root '{qbx: 1, id: "layers", network: "none", rootfs: [{type: "bind", source: $s}]}' |
		qbx-fs prepare > "$T/doc"
	[ "$(qbx-vm run --box "$T/doc" -- cat /deep/file)" = base ]
	layers 2
	for i in 0 1; do mkfs.erofs --quiet -T0 --mkfs-time -Enoinline_data "$T/$i.erofs" "$T/$i"; done
	# one, of nearly the longest name there is, with a line end
	mv "$T/0.erofs" "$odd"
	jq -cn --arg s "$odd" \
		'{qbx: 1, id: "layers", network: "none", rootfs: [{type: "erofs", source: $s}]}' | qbx-fs prepare > "$T/doc"
	[ "$(qbx-vm run --box "$T/doc" -- cat /deep/file)" = base ]
	# two on one disk, whose description holds commas
	mv "$odd" "$T/$name.erofs"
	doc_of "$T/$name.erofs" "$T/1.erofs"
	[ "$(jq -r '.fs.disks[0].format' "$T/doc")" = vmdk ]
	[ "$(qbx-vm run --box "$T/doc" -- cat /deep/file)" = 1 ]
	# and on two, as a path has more than 511 bytes
	long=$T/$name/$name/$name
	mkdir -p "$long"
	[ "${#long}" -gt 511 ]
	mv "$T/$name.erofs" "$long/0.erofs"
	doc_of "$long/0.erofs" "$T/1.erofs"
	[ "$(jq -c '[.fs.disks[] | [.serial, .format]]' "$T/doc")" = '[["layer0","raw"],["layer1","raw"],["rw","raw"]]' ]
	[ "$(qbx-vm run --box "$T/doc" -- cat /deep/file)" = 1 ]
}

@test "a writable image of the snapshotter's, on layers and alone" {
	mkfs.erofs --quiet "$T/base.erofs" base
	truncate -s 32M "$T/rwlayer.img"
	mke2fs -q -t ext4 "$T/rwlayer.img"
	jq -cn --arg t "$T" '{qbx: 1, id: "layers", network: "none", rootfs: [
		{type: "ext4", source: "\($t)/rwlayer.img", options: ["rw", "loop"]},
		{type: "erofs", source: "\($t)/base.erofs", options: ["ro", "loop"]},
		{type: "format/mkdir/overlay", source: "overlay", options: [
			"X-containerd.mkdir.path={{ mount 0 }}/upper:0751:7:8", "X-containerd.mkdir.path={{ mount 0 }}/work:0755",
			"workdir={{ mount 0 }}/work", "upperdir={{ mount 0 }}/upper", "lowerdir={{ mount 1 }}"]}]}' > "$T/box"
	qbx-fs prepare --box "$T/box" > "$T/doc"
	run -0 qbx-vm run --box "$T/doc" -- sh -c 'stat -c "%a %u:%g" /; cat /deep/file; echo kept > /deep/file'
	[ "$output" = $'751 7:8\nbase' ]
	qbx-fs release --box "$T/doc" > "$T/released"
	[ "$(qbx-fs prepare --box "$T/released" | qbx-vm run -- cat /deep/file)" = kept ]
	# What is in it is seen without the layers as well.
	debugfs -R 'ls /upper' "$T/rwlayer.img" 2> /dev/null | grep -q deep
	jq -c '.rootfs |= [.[0], {type: "format/mkdir/bind", source: "{{ mount 0 }}/upper", options: [
		"X-containerd.mkdir.path={{ mount 0 }}/upper:0755", "rw", "rbind"]}]' "$T/box" | qbx-fs prepare > "$T/doc"
	run -127 qbx-vm run --box "$T/doc" -- /bin/nosuch
	debugfs -w -R "write $(command -v busybox) upper/busybox" "$T/rwlayer.img"
	debugfs -w -R 'set_inode_field upper/busybox mode 0100755' "$T/rwlayer.img"
	[ "$(qbx-vm run --box "$T/doc" -- /busybox cat /deep/file)" = kept ]
}

@test "the root directory's mode and owner are the image's" {
	T=$BATS_TEST_TMPDIR
	cp -a base "$T/base"
	chmod 1751 "$T/base"
	chown 70000:8 "$T/base"
	mkdir -p "$T/top/deep"
	echo top > "$T/top/deep/file"
	tar -C "$T/base" -cf "$T/base.tar" .
	tar -C "$T/top" -cf "$T/top.tar" deep # says nothing of the root
	for last in 1 2; do
		tars=("$T/base.tar" "$T/top.tar")
		image "$T/image.tar" '{}' "${tars[@]:0:$last}"
		jq -cn --arg s "$T/image.tar" '{qbx: 1, id: "layers", network: "none", rootfs: [{type: "oci-archive", source: $s}]}' |
			qbx-fs prepare > "$T/doc"
		[ "$(qbx-vm run --box "$T/doc" -- stat -c '%a %u:%g' /)" = '1751 70000:8' ]
	done
}
