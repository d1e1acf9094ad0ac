#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2016 # what is in single quotes is for another shell
# What others have put into an upper directory: it is a layer, but not what export has put there. A script
# stands in for mkfs.erofs; what guests see is tested in tests/e2e/writable.bats.

bats_require_minimum_version 1.5.0
load erofs
load valid

setup() {
	T=$BATS_TEST_TMPDIR
	export QEMUBOX_STATE_DIR=$T/state QEMUBOX_RUN_DIR=$T/run QEMUBOX_WRITABLE_MIB=64
	to=$T/snapshots/7/fs
	mkdir -p "$T/bin" "$T/lower" "$to" "$T/snapshots/7/work" "$T/disk/work"
	erofs_image "$T/a.erofs"
	# of a directory, and none of a merge
	stand_in 'for last; do :; done; [ -d "$last" ] && exec cat "$T/a.erofs" >&3; echo no >&2; exit 1'
	export T PATH=$T/bin:$PATH
	jq -cn --arg t "$T" '{qbx: 1, id: "demo", rootfs: [{type: "overlay", source: "overlay", options:
		["lowerdir=\($t)/lower", "upperdir=\($t)/snapshots/7/fs", "workdir=\($t)/snapshots/7/work"]}]}' > "$T/box"
}

# stand_in SCRIPT: what mkfs.erofs does
stand_in() {
	printf '#!/bin/sh\n%s\n' "$1" > "$T/bin/mkfs.erofs"
	chmod 755 "$T/bin/mkfs.erofs"
}

fs() {
	"$QBX_BIN/qbx-fs" "$@"
}

# with FILTER: the document, changed
with() {
	jq -c "$1" "$T/box"
}

# layers: how many there are when the document of standard input is prepared, which is left in $T/doc
layers() {
	fs prepare 2> /dev/null > "$T/doc"
	jq -r '.fs.mounts | map(select(.type == "erofs")) | length' "$T/doc"
}

# images: of directories, in the cache
images() {
	find "$T/state/layers" -name 'dir-*' | sort
}

# inspected [WORDS]: what is said of the upper directory of the document, and so it is in JSON
inspected() {
	fs inspect < "$T/box" > "$T/text"
	fs inspect -j < "$T/box" > "$T/json"
	valid fs-inspect.json "$T/json"
	[ "$(grep '^upper: ' "$T/text")" = "${1:+upper: $to has $1}" ] || { cat "$T/text"; false; }
}

# written DIR: a guest writes: its disk has that in its upper directory now
written() {
	local features=none,has_journal,ext_attr,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum
	rm -rf "$T/disk/upper"
	cp -a "$1" "$T/disk/upper"
	MKE2FS_CONFIG=/dev/null mke2fs -q -F -b 4096 -I 256 -O $features -d "$T/disk" "$to.ext4" 2> "$T/mke2fs"
}

# names DIR: all that is in it, with what it is
names() {
	(cd "$1" && find . -mindepth 1 \( -type c -printf 'without %P\n' -o -printf '%y %P\n' \) | sort)
}

# set_attribute FILE NAME VALUE, get_attribute FILE NAME, unset_attribute FILE NAME: an extended one
set_attribute() {
	python3 -c 'import os, sys; os.setxattr(sys.argv[1], sys.argv[2], sys.argv[3].encode())' "$@"
}

get_attribute() {
	python3 -c 'import os, sys; print(os.getxattr(sys.argv[1], sys.argv[2]).decode())' "$@" 2> /dev/null
}

unset_attribute() {
	python3 -c 'import os, sys; os.removexattr(sys.argv[1], sys.argv[2])' "$@"
}

opaque() {
	set_attribute "$1" trusted.overlay.opaque y
}

is_opaque() {
	[ "$(get_attribute "$1" trusted.overlay.opaque)" = y ]
}

@test "what others have put there is one more layer, whatever is written to" {
	[ "$(layers < "$T/box")" = 1 ]
	inspected ''
	rm "$to.ext4"
	echo hello > "$to/file"
	inspected '1 entry: becomes a layer'
	grep -q "an image of the directory $to, to be made" "$T/text"
	[ "$(jq -c '.upper | [.entries, .layer]' "$T/json")" = '[1,true]' ]
	run -0 fs prepare --dry-run --box "$T/box"
	[[ $output == *"make $T/state/layers/dir-"*" of $to:"* ]]
	mkdir "$to/dir"
	[ "$(layers < "$T/box")" = 2 ]
	# on top, and the images are those of any directory: had again, and made anew
	inspected '2 entries: becomes a layer'
	[ "$(jq -r '.layers | map(.from) | join(" ")' "$T/json")" = "$T/lower $to" ]
	stat -c %i "$to.ext4" > "$T/before"
	images > "$T/made"
	[ "$(layers < "$T/box")" = 2 ]
	images | diff "$T/made" -
	echo more > "$to/dir/more"
	inspected "3 entries: becomes a layer below $to.ext4, which counts where both have something, and is older than 1 of them"
	fs prepare < "$T/box" 2> "$T/err" > "$T/doc"
	grep -qF "warning: $to: newer than $to.ext4, which counts where both have something: 1 entries (" "$T/err"
	[ "$(images | wc -l)" = 3 ]
	stat -c %i "$to.ext4" | diff "$T/before" -
	# and collected: of the two only the one that was made later is of anything
	[ "$(fs gc | grep -c ^dir-)" = 1 ]
	[ "$(with '.writable = "tmpfs"' | layers)" = 2 ]
	[ "$(with '.rootfs[0].options += ["ro"]' | layers)" = 2 ]
	[ "$(find "$to" | wc -l)" = 4 ]
}

@test "what changes while it is read, is elsewhere, or lies below a mount" {
	echo hello > "$to/file"
	stand_in 'for last; do :; done; [ "$last" != "$T/snapshots/7/fs" ] || echo more >> "$last/file"; cat "$T/a.erofs" >&3'
	run -75 --separate-stderr fs prepare --box "$T/box"
	# shellcheck disable=SC2154 # bats sets stderr
	[[ $stderr == *"$to: changed while it was read (stop what writes there"* ]]
	[ ! -e "$to.ext4" ]
	# the same while it is copied, on the way to be replaced
	stand_in 'for last; do :; done; [ -d "$last" ] && exec cat "$T/a.erofs" >&3; exit 1'
	fs prepare < "$T/box" 2> /dev/null > "$T/doc"
	mkdir "$T/wrote"
	written "$T/wrote"
	printf '#!/bin/sh\n%s "$@"\necho late > "%s/late"\n' "$(command -v cp)" "$to" > "$T/bin/cp"
	chmod 755 "$T/bin/cp"
	run -75 --separate-stderr fs export --box "$T/box"
	rm "$T/bin/cp"
	[[ $stderr == *"$to: changed while it was read (stop what writes there)" ]]
	[ "$(names "$to")" = $'f file\nf late' ]
	[ "$(ls "$T/snapshots/7")" = $'fs\nfs.ext4\nwork' ]
	mkdir "$to/moved"
	set_attribute "$to/moved" trusted.overlay.redirect /elsewhere
	for verb in prepare inspect; do
		run -65 --separate-stderr fs $verb --box "$T/box"
		[[ $stderr == *"$to: \"moved\" has its content elsewhere: trusted.overlay.redirect ("* ]]
	done
	unset_attribute "$to/moved" trusted.overlay.redirect
	run -65 --separate-stderr unshare --mount sh -c 'mount -t tmpfs none "$2/moved"; "$1/qbx-fs" prepare --box "$3"' sh \
		"$QBX_BIN" "$to" "$T/box"
	[[ $stderr == *"$to: something is mounted below, on moved"* ]]
}

@test "what export has put there is no layer, and files that are removed later do not come back" {
	fs prepare < "$T/box" > /dev/null
	mkdir "$T/wrote"
	touch "$T/wrote/stays" "$T/wrote/goes"
	written "$T/wrote"
	fs export < "$T/box" > "$T/out"
	diff "$T/box" "$T/out"
	[ "$(names "$to")" = $'f goes\nf stays' ]
	inspected "2 entries: exported from $to.ext4, which has them"
	[ "$(layers < "$T/box")" = 1 ]
	# The disk alone counts, whatever has become of it since.
	rm "$T/wrote/goes"
	written "$T/wrote"
	[ "$(layers < "$T/box")" = 1 ]
	fs export < "$T/box" > /dev/null
	[ "$(names "$to")" = 'f stays' ]
	[ "$(ls "$T/snapshots/7")" = $'fs\nfs.ext4\nwork' ]
	# In memory there is nothing of it, nor on a disk that is another one, were it an older one's.
	[ "$(with '.writable = "tmpfs"' | layers)" = 2 ]
	cp -a "$to.ext4" "$T/copy"
	rm "$to.ext4"
	inspected '1 entry: becomes a layer'
	[ "$(layers < "$T/box")" = 2 ]
	[ "$(layers < "$T/box")" = 2 ]
	mv "$T/copy" "$to.ext4"
	[ "$(layers < "$T/box")" = 1 ]
	unset_attribute "$to.ext4" trusted.qemubox.disk
	[ "$(layers < "$T/box")" = 2 ]
}

@test "an export goes on top of what others have put there, which stays below the disk" {
	mkdir -p "$to/both" "$to/hidden" "$to/gone/deep" "$to/new" "$T/wrote/both" "$T/wrote/hidden" "$T/wrote/new" "$T/wrote/back" "$T/wrote/was"
	touch "$to/removed" "$to/both/old" "$to/both/removed" "$to/hidden/old" "$to/gone/deep/file" "$to/new/removed" "$to/was"
	echo old > "$to/replaced"
	ln "$to/both/old" "$to/hard"
	mknod "$to/back" c 0 0
	mknod "$to/stays" c 0 0
	opaque "$to/new"
	set_attribute "$to/both" user.old 1
	cp -a "$to" "$T/before"
	mkdir "$T/lower/both"
	touch "$T/lower/removed" "$T/lower/both/removed"
	fs prepare < "$T/box" > /dev/null
	for name in removed both/removed gone new/removed; do mknod "$T/wrote/$name" c 0 0; done
	touch "$T/wrote/both/new" "$T/wrote/hidden/new" "$T/wrote/back/file"
	echo new > "$T/wrote/replaced"
	opaque "$T/wrote/hidden"
	chmod 1750 "$T/wrote/both"
	set_attribute "$T/wrote/both" user.new 2
	# what no guest can say
	set_attribute "$T/wrote" trusted.qemubox.export 'of another'
	written "$T/wrote"
	fs export < "$T/box" > /dev/null
	diff - <(names "$to") <<- END
		d back
		d both
		d hidden
		d new
		d was
		f back/file
		f both/new
		f both/old
		f hard
		f hidden/new
		f replaced
		without both/removed
		without removed
		without stays
	END
	[ "$(cat "$to/replaced")" = new ]
	[ "$to/both/old" -ef "$to/hard" ]
	[ "$(stat -c %a "$to/both")" = 1750 ]
	[ "$(get_attribute "$to/both" user.new)" = 2 ]
	run -1 get_attribute "$to/both" user.old
	for name in hidden new back was; do is_opaque "$to/$name"; done
	run -1 is_opaque "$to/both"
	diff <(names "$T/before") <(names "$to.base")
	inspected "14 entries: exported from $to.ext4, which has them above the layer $to.base"
	[ "$(layers < "$T/box")" = 2 ]
	[ "$(jq -r '.layers[1].from' "$T/json")" = "$to.base" ]
	# once more, and elsewhere
	rm "$T/wrote/removed" "$T/wrote/both/new"
	written "$T/wrote"
	fs export < "$T/box" > /dev/null
	names "$to" > "$T/got"
	grep -qx 'f removed' "$T/got"
	run ! grep -qx 'f both/new' "$T/got"
	fs export --to "$T/else" < "$T/box" > /dev/null
	names "$T/else" | diff "$T/got" -
	run -1 get_attribute "$T/else" trusted.qemubox.export
	get_attribute "$to" trusted.qemubox.export
	diff <(names "$T/before") <(names "$to.base")
	[ "$(ls "$T/snapshots/7")" = $'fs\nfs.base\nfs.ext4\nwork' ]
}

@test "others change what was exported: that counts, unless the container has written since" {
	echo old > "$to/base"
	fs prepare < "$T/box" > /dev/null
	mkdir "$T/wrote"
	touch "$T/wrote/file"
	written "$T/wrote"
	fs export < "$T/box" > /dev/null
	cp -a "$T/snapshots" "$T/exported" # with other inodes and times of change
	echo edited > "$to/file"
	inspected "2 entries: becomes a layer, and $to.ext4 is made anew: it was exported, and others have changed that since"
	grep -q "^writable: $to.ext4 of 64 MiB, which stays, to be made: " "$T/text"
	# nothing is left to export
	fs export < "$T/box" > /dev/null
	[ "$(cat "$to/file")" = edited ]
	stat -c %i "$to.ext4" > "$T/before"
	for i in 1 2 3 4 5 6 7 8; do fs prepare < "$T/box" 2> /dev/null > "$T/doc$i" & done
	wait
	for i in 1 2 3 4 5 6 7 8; do
		[ "$(jq '.fs.mounts | map(select(.type == "erofs")) | length' "$T/doc$i")" = 2 ]
	done
	cmp "$to.ext4" "$T"/state/layers/ext4-*
	[ "$(cat "$to/file")" = edited ]
	inspected '2 entries: becomes a layer'
	# which is what is below the disk from then on, and what was there before goes
	touch "$to.base/of-before"
	written "$T/wrote"
	fs export < "$T/box" > /dev/null
	[ "$(names "$to.base")" = $'f base\nf file' ]
	# a directory that was moved with its disk is one that was changed, and nothing of it is lost
	rm -r "$T/snapshots"
	mv "$T/exported" "$T/snapshots"
	inspected "2 entries: becomes a layer, and $to.ext4 is made anew: it was exported, and others have changed that since"
	# both have
	written "$T/wrote"
	for verb in prepare inspect export; do
		run -65 --separate-stderr fs $verb --box "$T/box"
		[[ $stderr == *"$to: changed by others since it was exported, and the container has written since ("*"remove $to.ext4; "* ]]
	done
	# in either way that it says
	mv "$to.ext4" "$T/disk.ext4"
	inspected '2 entries: becomes a layer'
	mv "$T/disk.ext4" "$to.ext4"
	find "$to" -mindepth 1 -delete
	inspected "0 entries: exported from $to.ext4, which has them above the layer $to.base"
	[ "$(layers < "$T/box")" = 2 ]
}
