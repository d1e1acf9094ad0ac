#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The examples of the manual pages that belong to no single command's tests.

# shellcheck disable=SC2154 # boxes.bash sets some variables

bats_require_minimum_version 1.5.0
load boxes

# The displays of a page's EXAMPLES, without mdoc's escapes.
examples() {
	sed -n '/^\.Sh EXAMPLES/,/^\.Sh SEE/p' "/usr/share/man/man${1##*.}/$1" |
		sed -n '/^\.Bd/,/^\.Ed/p' | sed '/^\.[BE]d/d; s/\\e/\\/g; s/\\&//g'
}

@test "qbx(8)" {
	mkdir /srv/rootfs
	tar -C "$BATS_TEST_TMPDIR" -xf "$archive" index.json # a file to pack
	cp "$archive" image.tar
	# with a lease of ctr's own: containerd collects what nothing refers to
	mkdir root
	ctr image mount --snapshotter erofs "$image" root > /dev/null
	cp -a root/. /srv/rootfs
	ctr image unmount --snapshotter erofs --rm root > /dev/null
	examples qbx.8 > commands
	[ "$(grep -c 'qbx run' commands)" -eq 3 ]
	sh -e commands > out
	grep -q '^Linux qbx-' out
	grep -qx ./index.json out
	rm -r /srv/rootfs
}

@test "containerd-shim-qemubox-v1(8)" {
	ctr image tag "$image" docker.io/library/busybox:latest > /dev/null
	examples containerd-shim-qemubox-v1.8 | grep -v 'ctr image pull' > commands # there is no registry
	sh -e commands > out
	[ "$(grep -c '^Linux demo 6' out)" -eq 2 ]
	grep -q '"vm": [0-9]' out
	qbx-net del <<< '{"qbx":1,"id":"demo"}' > /dev/null # the pipeline ends with a box whose network stays
	ctr image rm docker.io/library/busybox:latest > /dev/null
}

@test "qemubox.conf(5)" {
	examples qemubox.conf.5 > all
	grep '^{' all > config.json
	grep -v '^{' all > commands
	echo '{"qbx":1,"id":"demo"}' > box.json
	grep -q 'QEMUBOX_ACCEL=tcg' commands
	sh -e commands > by-variable
	env -u QEMUBOX_ACCEL QEMUBOX_CONFIG="$PWD/config.json" qbx-vm start --dry-run --box box.json > by-file
	cmp by-variable by-file
	grep -q accel=tcg by-file
}

@test "qbx-json(7)" {
	mkdir -p /srv/rootfs
	examples qbx-json.7 | qbx-fs prepare --dry-run > out
	grep -q '^mkfs.erofs\|^make' out
	rmdir /srv/rootfs
}
