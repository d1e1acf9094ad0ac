#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kill -9 after every step of qbx-fs that can be seen from outside: what has a name is whole, the same
# command again does all of it, and release and gc find what is left. The program of these tests says
# itself what its steps are (lib/step.h). mke2fs is the real one; a script stands in for mkfs.erofs.

bats_require_minimum_version 1.5.0
load erofs

features=none,has_journal,ext_attr,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum

setup() {
	T=$BATS_TEST_TMPDIR/memory # a disk would be waited for, some hundred times
	mkdir "$T"
	mount -t tmpfs none "$T"
	export QEMUBOX_STATE_DIR=$T/state QEMUBOX_RUN_DIR=$T/run QEMUBOX_WRITABLE_MIB=64
	export QEMUBOX_STEPS=$T/steps QEMUBOX_DIE_AT=''
	cache=$T/state/layers
	mkdir -p "$T/bin" "$T/lower/a" "$T/lower/b" "$T/snapshot/fs" "$T/snapshot/work"
	echo a > "$T/lower/a/file"
	echo b > "$T/lower/b/file"
	erofs_image "$T/layer.img"
	merged_image "$T/merge.img"
	# shellcheck disable=SC2016 # it gets images to merge behind its output, or a directory
	printf '#!/bin/sh\nfor last; do :; done\n[ -d "$last" ] && cat %s/layer.img >&3 || cat %s/merge.img >&3\n' \
		"$T" "$T" > "$T/bin/mkfs.erofs"
	chmod 755 "$T/bin/mkfs.erofs"
	PATH=$T/bin:$PATH
	printf '{"qbx":1,"id":"demo","rootfs":[{"type":"overlay","source":"overlay","options":["lowerdir=%s"]}]}\n' \
		"$T/lower/b:$T/lower/a" > "$T/box"
}

teardown() {
	umount "$T"
}

# merged_image FILE: merged metadata, of one block, of two layers of one block
merged_image() {
	erofs_image "$1"
	at "$1" 1104 '\010' # needs others:
	at "$1" 1110 '\002' # two, which
	at "$1" 1112 '\012' # are described at 1280 and 1408:
	at "$1" 1344 '\001\000\000\000\001' # blocks, and behind how many
	at "$1" 1472 '\001\000\000\000\002'
}

# at FILE OFFSET BYTES
at() {
	# shellcheck disable=SC2059 # they are a format
	printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

fs() {
	"$QBX_BIN/../tests/fs-steps/qbx-fs" "$@"
}

# steps VERB...: to its end, from $T/box to $T/out, and how many there are
steps() {
	rm -f "$QEMUBOX_STEPS"
	fs "$@" < "$T/box" > "$T/out"
	n=$(wc -l < "$QEMUBOX_STEPS")
}

# killed VERB...: that it was, at step $i, and has said nothing
killed() {
	rm -f "$QEMUBOX_STEPS"
	status=0
	QEMUBOX_DIE_AT=$i fs "$@" < "$T/box" > "$T/out" 2> "$T/err" || status=$?
	[ "$status" = 137 ] || { echo "step $i: status $status"; cat "$T/err"; false; }
	[ ! -s "$T/out" ] || [ "$1" = gc ]
}

# A document without what changes from one cache to the next.
plain() {
	jq -c 'del(.fs.t_us, .fs.disks[].inodes)' "$1" | named
}

# A merge and a disk are named by the very files that they are made of.
named() {
	sed 's/\(merge\|disk\)-[0-9a-f]*/\1/g'
}

# whole: so is every file in the cache, and beside the snapshot, that has a name
whole() {
	local f
	[ ! -d "$T/state" ] || find "$T/state" "$T/snapshot" -type f > "$T/files"
	while IFS= read -r f; do
		case $f in
		*/dir-*.erofs) cmp "$f" "$T/layer.img" ;;
		*/merge-*.erofs) cmp "$f" "$T/merge.img" ;;
		*/disk-*.vmdk) named < "$f" | diff "$T/want.vmdk" - ;;
		*/ext4-*.img) e2fsck -fn "$f" > /dev/null 2>&1 ;;
		*.ext4) cmp "$f" "$cache"/ext4-*.img ;;
		*.json) jq -e '.files | length == 3' "$f" > /dev/null ;;
		*/lock) ;;
		*.tmp) ;; # of a lease, read by nobody
		*) false ;;
		esac || { echo "step $i: $f"; cat "$QEMUBOX_STEPS"; return 1; }
	done < "$T/files"
}

# nothing_of_the_box: once an hour has passed, if anybody has to wait for that
nothing_of_the_box() {
	[ -z "$(find "$T/state" -path '*/leases/*' -o -path '*/writable/*')" ] && return
	echo "step $i:"
	find "$T/state"
	cat "$QEMUBOX_STEPS"
	return 1
}

aged() {
	[ ! -d "$cache/leases" ] || find "$cache/leases" -type f -exec touch -d '2 hours ago' {} +
}

# nothing: gc leaves but the empty file system, when the directories have gone as well
nothing() {
	mv "$T/lower" "$T/gone"
	fs gc > /dev/null
	mv "$T/gone" "$T/lower"
	[ "$(find "$T/state" -type f ! -name 'ext4-*.img')" = "$cache/lock" ] && return
	echo "step $i:"
	find "$T/state"
	return 1
}

# prepared: to its end, from nothing; what comes of it
prepared() {
	steps prepare
	plain "$T/out" > "$T/want"
	named < "$(echo "$cache"/disk-*.vmdk)" > "$T/want.vmdk"
	[ "$(wc -l < "$T/want.vmdk")" -gt 10 ]
	rm -r "$T/state"
}

# of_snapshot: the box has an upper directory
of_snapshot() {
	jq -c --arg upper "upperdir=$T/snapshot/fs" '.rootfs[0].options += [$upper]' "$T/box" > "$T/with"
	mv "$T/with" "$T/box"
}

# again: the same command does all of it
again() {
	fs prepare < "$T/box" > "$T/out"
	plain "$T/out" | diff "$T/want" -
	whole
	# shellcheck disable=SC2012 # the names are ours
	[ "$(ls "$cache" | named | sort | sed 's/dir-[0-9a-f]*/dir/' | xargs)" = \
		'dir.erofs dir.erofs disk.vmdk ext4-1-64.img leases lock merge.erofs' ]
}

@test "prepare is killed: what has a name is whole, and the next one makes the rest" {
	prepared
	[ "$n" -gt 15 ]
	for what in 'built dir-' 'linked dir-' 'linked merge-' 'linked disk-' 'linked ext4-' 'copied /' \
		'linked /' 'begun ' 'written '; do
		grep -q "^$what" "$T/steps"
	done
	for i in $(seq "$n"); do
		killed prepare
		whole
		again
		fs release < "$T/out" > "$T/released"
		diff "$T/box" "$T/released"
		rm -r "$T/state"
	done
}

@test "prepare is killed: release, and gc alone, leave nothing" {
	prepared
	for i in $(seq "$n"); do
		killed prepare
		fs release < "$T/box" > "$T/out"
		diff "$T/box" "$T/out"
		fs gc > /dev/null
		nothing_of_the_box
		rm -r "$T/state"
		killed prepare
		aged
		fs gc > /dev/null
		nothing_of_the_box
		nothing
		rm -r "$T/state"
	done
}

@test "release is killed: release, and gc alone, find the rest" {
	prepared
	fs prepare < "$T/box" > "$T/doc"
	steps release
	[ "$n" -eq 2 ]
	for i in $(seq "$n"); do
		fs prepare < "$T/box" > "$T/doc"
		killed release
		whole
		fs release < "$T/doc" > "$T/out"
		diff "$T/box" "$T/out"
		nothing_of_the_box
		again
		killed release
		again
		killed release
		aged
		fs gc > /dev/null
		nothing_of_the_box
		nothing
	done
}

# unneeded: what a box has left that was killed, whose directories have gone
unneeded() {
	fs prepare < "$T/box" > /dev/null
	# what another was about to write, and never will
	echo '{"fil' > "$cache/leases/default--other.json.1.tmp"
	aged
	mv "$T/lower" "$T/gone"
}

@test "gc is killed: gc finds the rest, and a box may start in between" {
	prepared
	unneeded
	steps gc
	mv "$T/gone" "$T/lower"
	[ "$(named < "$T/steps" | sed 's/dir-[0-9a-f]*/dir/' | sort)" = "removed default--demo.ext4
removed default--demo.json
removed default--other.json.1.tmp
removed dir.erofs
removed dir.erofs
removed disk.vmdk
removed merge.erofs" ]
	for i in $(seq "$n"); do
		unneeded
		killed gc
		mv "$T/gone" "$T/lower"
		whole
		nothing
		unneeded
		killed gc
		mv "$T/gone" "$T/lower"
		# merged metadata of layers that have gone may be there, beside the new
		fs prepare < "$T/box" > "$T/out"
		plain "$T/out" | diff "$T/want" -
		whole
		fs gc > /dev/null
		again
	done
}

@test "a snapshot's own disk is there as a whole, or not yet" {
	of_snapshot
	prepared
	for i in $(seq "$n"); do
		rm -f "$T/snapshot/fs.ext4"
		killed prepare
		whole
		again
		[ -s "$T/snapshot/fs.ext4" ]
		cmp "$T/snapshot/fs.ext4" "$cache/ext4-1-64.img"
		echo written > "$T/snapshot/fs.ext4"
		fs prepare < "$T/box" > "$T/out"
		fs release < "$T/out" > /dev/null
		[ "$(cat "$T/snapshot/fs.ext4")" = written ]
		rm -r "$T/state"
	done
}

# written DIR: a disk on which a guest has written that, in the place of the snapshot's
written() {
	mkdir -p "$T/disk/work"
	cp -a "$1" "$T/disk/upper"
	truncate -s 64M "$T/snapshot/fs.ext4"
	MKE2FS_CONFIG=/dev/null mke2fs -q -F -b 4096 -I 256 -O $features -d "$T/disk" "$T/snapshot/fs.ext4" 2> "$T/err"
}

# same DIR DIR
same() {
	diff <(tree "$1") <(tree "$2")
}

tree() {
	(cd "$1" && find . -printf '%p %y %m\n' -type f -exec sha256sum {} + | sort)
}

@test "export is killed: release, and gc alone, find what is beside the directory" {
	mkdir -p "$T/new/deep" "$T/old/empty"
	echo new | tee "$T/new/file" > "$T/new/deep/file"
	echo old > "$T/old/file"
	of_snapshot
	written "$T/new"
	mkdir "$T/there"
	cp -a "$T/old" "$T/there/fs"
	fs export --to "$T/there/fs" < "$T/box" > "$T/out" # which makes the directories that stay
	rm -r "$T/there/fs"
	cp -a "$T/old" "$T/there/fs"
	steps export --to "$T/there/fs"
	last=$(grep -n '^exchanged ' "$T/steps" | cut -d: -f1)
	for what in noted marked exchanged unmarked 'note removed'; do
		grep -q "^$what " "$T/steps"
	done
	[ "$(ls "$T/there")" = fs ]
	for i in $(seq "$n"); do
		for verb in gc release 'export --to '"$T/to"; do
			rm -rf "$T/there/fs" "$T/to"
			cp -a "$T/old" "$T/there/fs"
			killed export --to "$T/there/fs"
			# shellcheck disable=SC2086 # options
			fs $verb < "$T/box" > "$T/out"
			[ "$(ls "$T/there")" = fs ]
			[ -z "$(ls "$T/state/exports")" ]
			[ ! -e "$T/there/fs/empty" ] || same "$T/old" "$T/there/fs"
		done
	done
	# what is itself killed meanwhile
	for i in 1 2 3 4 5; do
		at=$i i=$last
		killed export --to "$T/there/fs"
		i=$at
		killed gc
		fs gc > "$T/out"
		[ "$(ls "$T/there")" = fs ]
		[ -z "$(ls "$T/state/exports")" ]
	done
}

@test "export is killed: the directory is the one or the other, and the next one clears up" {
	mkdir -p "$T/new/deep" "$T/old/empty" "$T/both/deep" "$T/both/empty"
	echo new | tee "$T/new/file" > "$T/new/deep/file"
	mknod "$T/new/gone" c 0 0
	echo old | tee "$T/old/file" > "$T/old/other"
	sed -i "s|:$T/lower/a||" "$T/box" # two layers with what is in the upper directory
	# what others have put there stays below what the container has written
	cp -a "$T/new/." "$T/both"
	cp -a "$T/old/other" "$T/both"
	of_snapshot
	written "$T/new"
	fs export < "$T/box" > "$T/out" # which makes the directories that stay
	rm -r "$T/snapshot/fs"
	cp -a "$T/old" "$T/snapshot/fs"
	steps export
	[ "$n" -gt 10 ]
	for what in 'copied ' 'tree noted ' 'renamed ' 'kept '; do
		grep -q "^$what" "$T/steps"
	done
	for i in $(seq "$n"); do
		rm -r "$T/snapshot/fs" "$T/snapshot/fs.base"
		cp -a "$T/old" "$T/snapshot/fs"
		killed export
		exchanged=0
		if grep -q '^kept ' "$T/steps"; then
			exchanged=1
			same "$T/both" "$T/snapshot/fs"
		else
			same "$T/old" "$T/snapshot/fs"
		fi
		# The box sees the same below its disk, wherever that is now.
		fs inspect -j < "$T/box" > "$T/found"
		below=$(jq -r '.layers[-1].from' "$T/found")
		same "$T/old" "$below"
		if [ "$((i % 2))" = 0 ]; then
			fs prepare < "$T/box" > "$T/prepared"
			fs release < "$T/prepared" > /dev/null
			[ "$exchanged" = 0 ] || same "$T/old" "$T/snapshot/fs.base"
		fi
		fs export < "$T/box" > "$T/out"
		diff "$T/box" "$T/out"
		same "$T/both" "$T/snapshot/fs"
		same "$T/old" "$T/snapshot/fs.base"
		[ "$(ls "$T/snapshot")" = $'fs\nfs.base\nfs.ext4\nwork' ]
	done
	# to where nothing is
	steps export --to "$T/to"
	for i in $(seq "$n"); do
		rm -r "$T/to"
		killed export --to "$T/to"
		if [ -e "$T/to" ]; then
			same "$T/both" "$T/to"
			grep -q '^renamed ' "$T/steps"
		fi
		fs export --to "$T/to" < "$T/box" > /dev/null
		same "$T/both" "$T/to"
		[ ! -e "$T/to.new" ]
	done
}

@test "a disk is made anew for what others have changed, and prepare is killed: it is the one or the other" {
	mkdir "$T/new"
	echo new > "$T/new/file"
	sed -i "s|:$T/lower/a||" "$T/box"
	of_snapshot
	fs prepare < "$T/box" > "$T/out"
	cp "$T/snapshot/fs.ext4" "$T/empty"
	written "$T/new"
	fs export < "$T/box" > /dev/null
	echo changed > "$T/snapshot/fs/file"
	cp -a "$T/snapshot" "$T/saved"
	# again_changed: what steps() counts is from here on
	again_changed() {
		rm -r "$T/snapshot"
		cp -a "$T/saved" "$T/snapshot"
	}
	again_changed
	steps prepare
	grep -q "^removed $T/snapshot/fs.ext4" "$T/steps"
	for i in $(seq "$n"); do
		again_changed
		killed prepare
		fs prepare < "$T/box" > "$T/out"
		cmp "$T/snapshot/fs.ext4" "$T/empty"
		same "$T/saved/fs" "$T/snapshot/fs"
		[ "$(jq -r '.fs.mounts | length' "$T/out")" = 3 ] # one of two merged layers
		fs inspect < "$T/box" | grep -q "^upper: $T/snapshot/fs has 1 entry: becomes a layer\$"
	done
}
