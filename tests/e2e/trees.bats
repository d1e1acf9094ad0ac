#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What a container sees of its image is, file by file, what it sees with runc on the same containerd.

# shellcheck disable=SC2154 # boxes.bash sets them

bats_require_minimum_version 1.5.0
load boxes
load images
load root

# 1.7 does not take another one's shim.
runc=io.containerd.runc.v2
[ -z "${QBX_CONTAINERD:-}" ] || runc=/opt/containerd/$QBX_CONTAINERD/usr/bin/containerd-shim-runc-v2

# tree RUNTIME IMAGE: what is there to be seen, on standard output
tree() {
	timeout 300 ctr run --rm --snapshotter "${snapshotter:-$containerd_snapshotter}" --runtime "$1" "$2" \
		tree sh /tree 3>&-
}

# same IMAGE...: in a box and with runc
same() {
	local name
	for name; do
		tree "$runc" "$name" > want
		tree "$runtime" "$name" > got
		[ "$(wc -l < want)" -gt 300 ] || { cat want; false; }
		diff want got
	done
}

# The base: tools, and one of everything that a file system may hold.
base() {
	busybox_root "$1"
	touch "$1/etc/hosts" "$1/etc/hostname" "$1/etc/resolv.conf" # a box has its own
	tools "$1" getfattr
	tree_script "$1/tree"
	echo 'all -name "*" | xargs -0 /usr/bin/getfattr -h -d -m - --absolute-names 2>&1' >> "$1/tree"
	mkdir -p "$1/data/sub" "$1/data/hidden" "$1/data/opaque" "$1/data/$(printf 'n%.0s' {1..250})" "$1/odd"
	printf 'x' > "$1/odd/ a,b"$'\n'"\"c\" \\d ü"
	head -c 70000 /dev/urandom > "$1/data/random"
	truncate -s 3M "$1/data/sparse"
	echo end >> "$1/data/sparse"
	ln "$1/data/random" "$1/data/sub/hard"
	ln -s ../random "$1/data/sub/link"
	ln -s "/$(printf 'l%.0s' {1..200})/$(printf 'm%.0s' {1..200})" "$1/data/longlink"
	mkfifo "$1/data/fifo"
	mknod "$1/data/null" c 1 3
	mknod "$1/data/loop" b 7 300
	cp "$1/bin/busybox" "$1/data/capable"
	setcap cap_net_raw+ep "$1/data/capable"
	echo below | tee "$1/data/hidden/file" "$1/data/opaque/file" "$1/data/gone" > "$1/data/kept"
	chmod 4755 "$1/data/kept"
	chmod 1777 "$1/data/sub"
	chown -h 70000:4000000 "$1/data/hidden" "$1/data/sub/link"
	touch -h -d '1999-12-31 23:59:59.123456789' "$1/data/kept" "$1/data/longlink" "$1/data/hidden"
	touch -d '2150-01-01' "$1/data/opaque"
}

# Layer N above it.
layer() {
	mkdir -p "$1/data/by-$2" "$1/data/sub/$(($2 % 5))"
	echo "$2" | tee "$1/data/latest" "$1/data/sub/$(($2 % 5))/of-$2" > "$1/data/by-$2/file"
	ln "$1/data/by-$2/file" "$1/data/by-$2/hard"
	chmod 1777 "$1/data/sub"
	case $(($2 % 16)) in
	1) touch "$1/data/.wh.gone" "$1/data/sub/.wh.hard" ;;
	2) mkdir "$1/data/opaque" && echo above > "$1/data/opaque/above" && touch "$1/data/opaque/.wh..wh..opq" ;;
	3) touch "$1/data/.wh.hidden" "$1/data/sub/.wh.$((($2 - 1) % 5))" ;;
	4) mkdir "$1/data/hidden" && echo again > "$1/data/hidden/again" && chmod 700 "$1/data/hidden" ;;
	5) echo file > "$1/data/fifo" && ln -s kept "$1/data/null" && mkdir "$1/data/loop" ;;
	6) mkfifo "$1/data/loop" && touch "$1/data/.wh.null" ;;
	esac
}

# pack DIR TAR: with what an image's layer keeps
pack() {
	tar -C "$1" --xattrs --xattrs-include='*' --format=pax --numeric-owner -cf "$2" .
}

# More loop devices than the host begins with, for runc's sake.
loops() {
	local n
	for n in $(seq 64 255); do
		[ -e "/dev/loop$n" ] || mknod -m 600 "/dev/loop$n" b 7 "$n"
	done
}

@test "1, 5, 30, 100 and 128 layers" {
	loops
	# shellcheck disable=SC2034 # for image
	T=$PWD
	base l0
	pack l0 l0.tar
	tars=(l0.tar)
	for i in $(seq 127); do
		layer "l$i" "$i"
		pack "l$i" "l$i.tar"
		tars+=("l$i.tar")
	done
	for n in 1 5 30 100 128; do
		name=docker.io/library/layers:$n
		image "$n.tar" '{}' "${tars[@]:0:$n}"
		ctr image import --snapshotter "$containerd_snapshotter" --index-name "$name" "$n.tar" > /dev/null
	done
	tree "$runc" docker.io/library/layers:128 > /dev/null # its snapshotter mounts what is used first
	things > before
	same docker.io/library/layers:{1,5,30,100,128}
	grep -q security.capability want
	grep -q '/data/opaque/above' want
	[[ $(< want) != *'/data/gone'* ]]
}

@test "a directory as root, mounted or not, and the native snapshotter" {
	base dir
	mkdir mnt
	mkfs.erofs --quiet -zlz4 -T0 --mkfs-time dir.erofs dir
	mount -t erofs -o ro,loop dir.erofs mnt
	for root in "$PWD/dir" "$PWD/mnt"; do
		for which in "$runc" "$runtime"; do
			timeout 300 ctr run --rm --runtime "$which" --rootfs --read-only --env PATH=/bin "$root" tree sh /tree > "${which##*/}" 3>&- ||
				{ umount mnt; false; }
		done
		[ "$(wc -l < "${runc##*/}")" -gt 300 ]
		diff "${runc##*/}" "$runtime"
	done
	umount mnt
	for which in "$runc" "$runtime"; do
		timeout 300 ctr run --rm --snapshotter native --runtime "$which" "$image" tree \
			find / -xdev -mindepth 1 \( -path /proc -o -path /sys -o -path /dev -o -path /run \) -prune -o \
			-type f -exec sha256sum '{}' + > "${which##*/}" 3>&-
	done
	diff <(sort "${runc##*/}") <(grep -vE ' /etc/(hosts|hostname|resolv.conf)$' "$runtime" | sort)
}

# A script for GNU's tools, which the distribution's image has.
large_script() {
	cat <<-'EOT'
		all() {
			find / -xdev -mindepth 1 \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp \
				-o -path /etc/hosts -o -path /etc/hostname -o -path /etc/resolv.conf \) -prune -o "$@"
		}
		all ! -type d ! -path /etc -printf '%p %y %m %U:%G %T@ %s %l %n\n' | sort
		all -type d ! -path /etc -printf '%p %y %m %U:%G %T@\n' | sort
		all -type f -print0 | sort -z | xargs -0 sha256sum
	EOT
}

@test "an image of the distribution, of 200 MB and 7,000 files, and by the pipeline" {
	# shellcheck disable=SC2034 # for image
	T=$PWD
	image large.tar '{"config":{"Env":["PATH=/usr/bin"]}}' "${archive%/*}"/large/?.tar
	name=docker.io/library/large:1
	ctr image import --snapshotter "$containerd_snapshotter" --index-name "$name" large.tar > /dev/null
	large_script > script
	for which in "$runc" "$runtime"; do
		timeout 300 ctr run --rm --snapshotter "$containerd_snapshotter" --runtime "$which" "$name" tree \
			bash -c "$(< script)" > "${which##*/}" 3>&-
		things > before # snapshots stay mounted
	done
	[ "$(grep -c ' f ' "${runc##*/}")" -gt 5000 ]
	diff "${runc##*/}" "$runtime"
	jq -cn --arg s "$PWD/large.tar" '{qbx: 1, id: "tree", network: "none", rootfs: [{type: "oci-archive", source: $s}]}' |
		qbx-fs prepare > document
	qbx-vm run --box document -- bash -c "$(< script)" > pipeline
	diff "${runc##*/}" pipeline
	grep -q '^/usr/bin/git ' pipeline
	[[ $(< pipeline) != *Antarctica* ]]
}
