#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2016 # what is in single quotes is for another shell
# What qbx-fs inspect says. A script stands in for mkfs.erofs, as what is asked here is whether it is
# listened to; what the real one says is compared in tests/e2e/fs.bats.

bats_require_minimum_version 1.5.0
load erofs
load valid

setup() {
	T=$BATS_TEST_TMPDIR
	export QEMUBOX_STATE_DIR=$T/state QEMUBOX_RUN_DIR=$T/run QEMUBOX_WRITABLE_MIB=64
	mkdir -p "$T/bin" "$T/dir" "$T/lower" "$T/7/fs" "$T/7/work"
	stand_in 'cat "$T/a.erofs" >&3'
	export T PATH=$T/bin:$PATH
	for i in a b 'q"'; do erofs_image "$T/$i.erofs"; done
}

# stand_in SCRIPT: what mkfs.erofs does
stand_in() {
	printf '#!/bin/sh\n%s\n' "$1" > "$T/bin/mkfs.erofs"
	chmod 755 "$T/bin/mkfs.erofs"
}

# rootfs JQ: an array of mounts by itself
rootfs() {
	jq -cn "def image(\$f): {type: \"erofs\", source: \"\(env.T)/\(\$f).erofs\"};
		def overlay: {type: \"overlay\", source: \"overlay\", options: [.]};
		def all(\$n): {type: \"format/overlay\", source: \"overlay\", options: [\"lowerdir={{ overlay 0 \(\$n) }}\"]};
		env.T as \$t | $1"
}

# box JQ [MORE]: a document with these, and more keys
box() {
	jq -cn --argjson rootfs "$(rootfs "$1")" "env.T as \$t | {qbx: 1, id: \"demo\", rootfs: \$rootfs} + (${2:-{\}})"
}

# inspect: what it says of standard input, which is the same as its JSON says, and changes nothing
inspect() {
	find "$T" -printf '%p %s %T@\n' | sort > "$BATS_RUN_TMPDIR/before"
	cat > "$BATS_RUN_TMPDIR/in"
	"$QBX_BIN/qbx-fs" inspect < "$BATS_RUN_TMPDIR/in" > "$BATS_RUN_TMPDIR/text"
	"$QBX_BIN/qbx-fs" inspect -j < "$BATS_RUN_TMPDIR/in" > "$BATS_RUN_TMPDIR/json"
	find "$T" -printf '%p %s %T@\n' | sort | diff "$BATS_RUN_TMPDIR/before" -
	valid fs-inspect.json "$BATS_RUN_TMPDIR/json"
}

# says LINE...: exactly these lines of text begin so, and are there
says() {
	local line
	for line; do
		grep -qxF -- "$line" "$BATS_RUN_TMPDIR/text" || { cat "$BATS_RUN_TMPDIR/text"; false; }
	done
}

# of FILTER: that of the JSON
of() {
	jq -c "$1" "$BATS_RUN_TMPDIR/json"
}

@test "an image: all lines of it, of a document and of a bare array" {
	inspect < <(box '[image("a")]')
	diff - "$BATS_RUN_TMPDIR/text" <<- END
		layer 0: $T/a.erofs: an image, there: 4096 bytes, blocks of 4096
		disks: 1: one layer is a disk as it is
		writable: $T/state/writable/default--demo.ext4 of 64 MiB, which release removes, to be made: the root file system has no upper directory
		root: mode 0755 of 0:0: as in the layer $T/a.erofs
	END
	inspect < <(echo; rootfs '[image("a")]')
	says "writable: $T/state/writable/NAMESPACE--ID.ext4 of 64 MiB, which release removes, to be made: the root file system has no upper directory"
	run -65 --separate-stderr "$QBX_BIN/qbx-fs" inspect <<< '[],"spec":{}'
	# shellcheck disable=SC2154 # bats sets stderr
	[[ -z $output && $stderr == *'standard input: line 1: '* ]]
	run -65 --separate-stderr "$QBX_BIN/qbx-fs" inspect <<< '[]'
	[[ $stderr == *'"rootfs" is missing or empty'* ]]
	box '[image("a")]' > "$T/box"
	"$QBX_BIN/qbx-fs" inspect --box "$T/box" | grep -qx "root: .*"
}

@test "a directory, which prepare makes an image of" {
	chmod 1750 "$T/dir"
	doc=$(box '[{type: "bind", source: "\($t)/dir"}]')
	inspect <<< "$doc"
	[ ! -e "$T/state" ]
	[ "$(of '.layers[0] | [.kind, .there, .from]')" = "[\"directory\",false,\"$T/dir\"]" ]
	path=$(of '.layers[0].path' | tr -d '"')
	says "layer 0: $path: an image of the directory $T/dir, to be made" "root: mode 1750 of 0:0: as the directory $T/dir"
	"$QBX_BIN/qbx-fs" prepare <<< "$doc" > "$T/doc"
	[ "$(jq -r '.fs.disks[0].path' "$T/doc")" = "$path" ]
	inspect <<< "$doc"
	says "layer 0: $path: an image of the directory $T/dir, there: 4096 bytes, blocks of 4096"
	# an archive may say what the root is
	tar -C "$T/dir" -cf "$T/dir.tar" .
	inspect < <(box '[{type: "tar", source: "\($t)/dir.tar"}]')
	[ "$(of '[.layers[0].kind, .root]')" = '["tar",{"why":"a layer that has yet to be made may say it"}]' ]
	says 'root: not known: a layer that has yet to be made may say it'
}

@test "several: merged, parts of a disk, or a disk each" {
	two='[image("a"), image("b"), all(1)]'
	stand_in 'exit 0'
	inspect < <(rootfs "$two")
	says 'disks: one, with merged metadata that is to be made: mkfs.erofs merges all of them'
	[ "$(of '[.layers[].path] == ["\(env.T)/b.erofs", "\(env.T)/a.erofs"]')" = true ]
	[ "$(of .disks)" = '{"how":"merged","count":1,"why":"mkfs.erofs merges all of them","there":false}' ]
	inspect < <(rootfs '["lowerdir=\($t)/dir:\($t)/lower" | overlay]')
	says 'disks: one, with merged metadata that is to be made: mkfs.erofs is asked when all of them are there'
	# as it says no, prepare does otherwise, too
	stand_in 'echo "<E> erofs: layer is compressed" >&2; exit 1'
	inspect < <(rootfs "$two")
	says 'disks: 1, with a layer in each part, which the guest stacks: merge: mkfs.erofs failed: layer is compressed'
	box "$two" | "$QBX_BIN/qbx-fs" prepare > "$T/doc"
	[ "$(jq -c '[.fs.disks[].serial]' "$T/doc")" = '["layers0","rw"]' ]
	inspect < <(rootfs '[image("a"), image("q\""), all(1)]')
	says 'disks: 2, which the guest stacks: a disk description cannot hold the path of one of them'
	inspect < <(rootfs '[image("a"), {type: "ext4", source: "\($t)/b.erofs"}, {type: "format/overlay", source: "overlay",
		options: ["lowerdir={{ mount 0 }}", "upperdir={{ mount 1 }}/upper", "X-containerd.mkdir.path={{ mount 1 }}/upper:0701:5:6"]}]')
	says "root: mode 0701 of 5:6: as the mounts want it in $T/b.erofs"
	[ "$(of '.writable | del(.path)')" = '{"kind":"disk","size":4096,"kept":true,"there":true,"why":"mount 1 of the root file system is for that"}' ]
	inspect < <(rootfs '[{type: "ext4", source: "\($t)/b.erofs"}, {type: "format/mkdir/bind", source: "{{ mount 0 }}/upper"}]')
	says 'disks: 0: there are no layers'
}

@test "features, by name" {
	printf '\065' | dd of="$T/a.erofs" bs=1 seek=1104 conv=notrunc status=none
	inspect < <(rootfs '[image("a")]')
	says "layer 0: $T/a.erofs: an image, there: 4096 bytes, blocks of 4096, features zero_padding,chunked_file,ztailpacking,fragments"
	printf '\200' | dd of="$T/a.erofs" bs=1 seek=1104 conv=notrunc status=none
	run -65 --separate-stderr "$QBX_BIN/qbx-fs" inspect < <(rootfs '[image("a")]')
	# shellcheck disable=SC2154 # bats sets stderr
	[[ -z $output && $stderr == *'an EROFS image with 48bit'* ]]
}

@test "where what is written goes" {
	snapshot='["lowerdir=\($t)/lower" | overlay | .options += ["upperdir=\($t)/7/fs", "workdir=\($t)/7/work"]]'
	chown 5:6 "$T/7/fs"
	inspect < <(rootfs "$snapshot")
	says "writable: $T/7/fs.ext4 of 64 MiB, which stays, to be made: $T/7/fs is the upper directory" \
		"root: mode 0755 of 5:6: as the directory $T/7/fs"
	truncate -s 128M "$T/7/fs.ext4"
	inspect < <(rootfs "$snapshot")
	says "writable: $T/7/fs.ext4 of 128 MiB, which stays, there: $T/7/fs is the upper directory"
	inspect < <(box "$snapshot" '{writable: "tmpfs", writable_mib: 100}')
	says 'writable: tmpfs of 100 MiB: the document says so'
	QEMUBOX_WRITABLE=tmpfs inspect < <(rootfs "$snapshot")
	says 'writable: tmpfs: the configuration says so'
	inspect < <(rootfs "$snapshot | .[0].options += [\"ro\"]")
	says 'writable: none: the root file system is read-only'
	rm -r "$T/7"
	inspect < <(rootfs "$snapshot")
	says "writable: $T/state/writable/NAMESPACE--ID.ext4 of 64 MiB, which release removes, to be made: $T/7/fs is not there"
}

@test "volumes, up to one that is refused" {
	truncate -s 2M "$T/large"
	mount='def bind($s; $d; $o): {source: $s, destination: $d, type: "bind", options: [$o]};'
	spec="$mount {mounts: [bind(\"\(\$t)/dir\"; \"/d\"; \"rw\"), bind(\"\(\$t)/a.erofs\"; \"/f\"; \"ro\"),
		bind(\"\(\$t)/large\"; \"/l\"; \"ro\"), (bind(\"\(\$t)/large\"; \"/e\"; \"ro\") | .type = \"ext4\")"
	inspect < <(box '[image("a")]' "{spec: ($spec]})}")
	tail -n 4 "$BATS_RUN_TMPDIR/text" | diff - <(
		cat <<- END
			volume /d: $T/dir, as a share: a directory
			volume /f: $T/a.erofs, as a file, read-only: a small file, read-only or of this box alone
			volume /l: $T/large, as a share, read-only: a file that is written to, or large
			volume /e: $T/large, as a disk, read-only: the mount's type is that of a file system on a disk
		END
	)
	box '[image("a")]' "{spec: ($spec, bind(\"/dev/null\"; \"/n\"; \"\")]})}" > "$T/box"
	run -65 --separate-stderr "$QBX_BIN/qbx-fs" inspect --box "$T/box"
	[[ $stderr == *'mount on /n: /dev/null is a character device'* ]]
	diff "$BATS_RUN_TMPDIR/text" - <<< "$output"
}

@test "what prepare refuses is refused with the same words, after what was found before it" {
	# compare STATUS LINES JQ [MORE]
	compare() {
		box "${@:3}" > "$T/box"
		run "-$1" --separate-stderr "$QBX_BIN/qbx-fs" prepare --box "$T/box"
		want=$stderr
		run "-$1" --separate-stderr "$QBX_BIN/qbx-fs" inspect --box "$T/box"
		[ "$stderr" = "$want" ]
		[ "$(grep -c '^layer' <<< "$output")" -eq "$2" ]
		"$QBX_BIN/qbx-fs" inspect -j --box "$T/box" > "$BATS_RUN_TMPDIR/json" 2> /dev/null || :
		valid fs-inspect.json "$BATS_RUN_TMPDIR/json"
	}
	echo text > "$T/text.erofs"
	ln -s a.erofs "$T/link.erofs"
	compare 65 2 '[image("a"), image("b"), image("text"), all(2)]'
	compare 65 1 '[image("a"), image("link"), all(1)]'
	compare 69 1 '[image("b"), image("absent"), all(1)]'
	compare 65 2 '[image("a"), image("b"), image("a"), all(1)]'
	compare 65 0 '[{type: "zfs", source: "/pool"}]'
	compare 65 0 '[image("a")]' '{writable: "zfs"}'
	compare 65 0 '[image("a")]' '{commit: true}'
	mkdir -p "$T/7/fs.ext4"
	compare 65 1 '["lowerdir=\($t)/lower" | overlay | .options += ["upperdir=\($t)/7/fs"]]'
}
