#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What gc removes where containerd's snapshots are directories, of which images are made.

# shellcheck disable=SC2154 # boxes.bash sets them

bats_require_minimum_version 1.5.0
load boxes
load images
load root

cache=/var/lib/qemubox/layers

# imported NAME: an image of two layers that no other has, as directories of overlayfs
imported() {
	# shellcheck disable=SC2034 # for image
	local T=$PWD
	busybox_root "$1"
	echo "$1" > "$1/name"
	head -c 3000000 /dev/urandom > "$1/random"
	mkdir "$1.top"
	echo "top of $1" > "$1.top/top"
	tar -C "$1" -cf "$1.0.tar" .
	tar -C "$1.top" -cf "$1.1.tar" .
	image "$1.tar" '{}' "$1.0.tar" "$1.1.tar"
	ctr image import --no-unpack --index-name "docker.io/library/$1:latest" "$1.tar" > /dev/null
}

# on [OPTION of ctr run]... IMAGE ID CMD...
on() {
	local options=()
	while [[ $1 == -* ]]; do
		options+=("$1")
		shift
	done
	timeout 300 ctr run "${options[@]}" --snapshotter overlayfs --runtime "$runtime" "docker.io/library/$1:latest" "${@:2}" 3>&-
}

# made: what is in the cache
made() {
	find "$cache" -name '*.erofs' -o -name '*.vmdk' | sed 's,.*/,,' | sort
}

# kinds: of names
kinds() {
	sed 's/-.*//' | sort | xargs
}

# forgotten IMAGE: and its snapshots, as far as no container needs them
forgotten() {
	ctr image rm --sync "docker.io/library/$1:latest" > /dev/null
}

@test "the images of snapshots that containerd has removed go, and a box that runs goes on" {
	qbx gc > /dev/null # what other tests have left
	made > before.made
	imported stays
	imported goes
	on --detach stays reader sleep 1000
	[ "$(on --rm goes once cat /top)" = 'top of goes' ]
	made > all
	comm -13 before.made all > new
	[ "$(kinds < new)" = 'dir dir dir dir disk disk merge merge' ]
	# as long as containerd has them they are needed
	[ -z "$(qbx gc)" ]
	forgotten stays # but its container has them
	forgotten goes
	run -0 qbx gc
	echo "$output" > removed
	[ "$(kinds < removed)" = 'dir dir disk merge' ]
	made | comm -23 all - | diff <(sort removed) -
	# files that the guest has not read before
	[ "$(ctr task exec --exec-id read reader cat /top 3>&-)" = 'top of stays' ]
	[ "$(ctr task exec --exec-id sum reader sha256sum /random 3>&- | cut -d' ' -f1)" = \
		"$(sha256sum < stays/random | cut -d' ' -f1)" ]
	[ -z "$(qbx gc)" ]
	ctr task rm --force reader > /dev/null
	ctr container rm reader
	ctr leases create --id sweep > /dev/null
	ctr leases rm --sync sweep > /dev/null
	[ "$(qbx gc | kinds)" = 'dir dir disk merge' ]
	made | diff before.made -
}
