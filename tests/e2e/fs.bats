#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# qbx-fs in a test host, with the real mkfs.erofs and containerd: every disk is read back through
# QEMU's own block layer, mounted, and compared with what it was made of.

bats_require_minimum_version 1.5.0
load images

setup_file() {
	# shellcheck source=/dev/null
	. "$BATS_TEST_DIRNAME/../hosts/containerd.sh"
	containerd_start 3>&-
	export containerd_pid
}

teardown_file() {
	# shellcheck source=/dev/null
	. "$BATS_TEST_DIRNAME/../hosts/containerd.sh"
	containerd_stop
}

setup() {
	T=$BATS_TEST_TMPDIR
	export QEMUBOX_STATE_DIR=$T/state QEMUBOX_RUN_DIR=$T/run PATH=$QBX_BIN:$PATH
	export QEMUBOX_WRITABLE=tmpfs # what is tested here are the layers
	layers=$T/state/layers
	mkdir "$T/mnt" "$T/want"
}

# What a test mounted lies below its directory; children first.
teardown() {
	findmnt -Jlo TARGET | jq -r '.filesystems[].target' | tac | while IFS= read -r mount; do
		[[ $mount != "$T"/* ]] || umount "$mount"
	done
}

# box TYPE SOURCE [OPTION]
box() {
	jq -cn --arg t "$1" --arg s "$2" --arg o "${3:-}" \
		'{qbx:1, id:"demo", rootfs:[{type:$t, source:$s, options:[$o | select(. != "")]}]}'
}

# prepare TYPE SOURCE [OPTION]: leaves the document in $T/doc
prepare() {
	box "$@" | qbx-fs prepare > "$T/doc"
}

refused() {
	run --separate-stderr qbx-fs prepare < <(box "${@:3}")
	# shellcheck disable=SC2154 # bats sets stderr
	[ "$status" -eq "$1" ] || { echo "status $status: $stderr"; false; }
	[ -z "$output" ]
	[[ $stderr == *"$2"* ]] || { echo "says: $stderr"; false; }
	[ "$(wc -l <<< "$stderr")" -eq 1 ]
}

# inspect FILTER TYPE SOURCE [OPTION]: that, of what inspect says, which makes nothing
inspect() {
	find "$layers" 2> /dev/null | sort > "$T/before"
	box "${@:2}" | qbx-fs inspect -j > "$T/inspect"
	find "$layers" 2> /dev/null | sort | diff "$T/before" - >&2
	jq -c "$1" "$T/inspect"
}

disk() {
	jq -r ".fs.disks[0].$1" "$T/doc"
}

# Mount what QEMU makes of the first disk on $T/mnt.
mount_disk() {
	qemu-img convert -f "$(disk format)" -O raw "$(disk path)" "$T/flat"
	mount -t erofs -o ro,loop "$T/flat" "$T/mnt"
}

# Everything there is to see of a tree, but for the root itself, which a merge makes anew.
tree() {
	(
		cd "$1" || exit
		find . -mindepth 1 ! -type d -printf '%p %y %m %U %G %T@ %s %l %n\n'
		find . -mindepth 1 -type d -printf '%p %y %m %U %G %T@\n'
		find . -type f -print0 | xargs -0r sha256sum
	) | sort
}

same_tree() {
	tree "$1" > "$T/tree.want"
	tree "$2" > "$T/tree.got"
	[ "$(wc -l < "$T/tree.want")" -ge "$3" ] # it was no empty tree
	diff "$T/tree.want" "$T/tree.got"
}

# A directory with what file systems trip over.
odd_tree() {
	mkdir -p "$1/etc" "$1/deep/er" "$1/empty"
	printf 'root:x:0:0::/:/bin/sh\napp:x:1000:1001::/:/bin/sh\n' > "$1/etc/passwd"
	printf 'root:x:0:\nwheel:x:10:app\n' > "$1/etc/group"
	head -c 100000 /dev/urandom > "$1/deep/er/random"
	printf 'name' > "$1/deep/ a,b"$'\n'"\"c\" ü"
	ln "$1/etc/passwd" "$1/hard"
	ln -s ../nowhere "$1/deep/dangling"
	mkfifo "$1/fifo"
	mknod "$1/null" c 1 3
	chmod 4751 "$1/etc/group"
	chown 12345:54321 "$1/empty"
	touch -d '1999-12-31 23:59:59.123456789' "$1/deep/er/random"
}

# lower NAME [MKFS-OPTION...]: make the directory $T/NAME an EROFS image and mount it over it
lower() {
	mkfs.erofs --quiet "${@:2}" "$T/$1.erofs" "$T/$1"
	mount -t erofs -o ro,loop "$T/$1.erofs" "$T/$1"
}

# small_tree NAME
small_tree() {
	mkdir -p "$T/$1/in-$1"
	head -c 5000 /dev/urandom > "$T/$1/in-$1/file"
	echo "$1" > "$T/$1/top"
}

@test "containerd's layers become one disk, equal to their overlay" {
	odd_tree "$T/l0"
	mkdir -p "$T/l1/etc" "$T/l1/more" "$T/l2/deep" "$T/l2/empty"
	touch "$T/l0/gone" "$T/l0/empty/hidden" "$T/l2/.wh.gone" "$T/l2/empty/.wh..wh..opq"
	seq 10000 > "$T/l1/more/numbers"
	echo replaced > "$T/l1/etc/group"
	echo top > "$T/l2/deep/er"
	for i in 0 1 2; do tar -C "$T/l$i" -czf "$T/l$i.tar" .; done
	image "$T/image.tar" '{}' "$T"/l?.tar
	name=docker.io/library/fs-e2e:1
	ctr image import --snapshotter erofs --index-name "$name" "$T/image.tar"
	ctr container create --snapshotter erofs "$name" fs-e2e
	options=$(ctr snapshot --snapshotter erofs mounts /x fs-e2e | sed -n 's/^mount -t overlay .* -o //p')
	lowers=$(tr , '\n' <<< "$options" | grep ^lowerdir=)
	[ "$(tr : '\n' <<< "$lowers" | wc -l)" -eq 3 ]
	[ "$(inspect '.disks | [.how, .there]' overlay overlay "$lowers")" = '["merged",false]' ]
	prepare overlay overlay "$lowers"
	[ "$(inspect '.disks | [.how, .there]' overlay overlay "$lowers")" = '["merged",true]' ]
	[ "$(jq -c '[.layers[] | [.kind, .block_size]]' "$T/inspect")" = '[["mount",4096],["mount",4096],["mount",4096]]' ]
	[ "$(jq -r '.layers[].from' "$T/inspect" | tac | paste -sd :)" = "${lowers#lowerdir=}" ]
	[ "$(jq -r '.layers[].path' "$T/inspect")" = "$(sed -n 's/.*FLAT "\(.*\)".*/\1/p' "$(disk path)" | tail -n 3)" ]
	[ "$(jq '.fs.disks | length' "$T/doc")" -eq 1 ]
	[ "$(disk format)" = vmdk ]
	jq -e '.fs.t_us | .resolve and .convert and .merge' "$T/doc"
	mount_disk
	mount -t overlay -o "$lowers" overlay "$T/want"
	same_tree "$T/want" "$T/mnt" 15
	[ ! -e "$T/mnt/gone" ]
	# The layers are used where they lie, and the second time nothing is made at all.
	[ "$(grep -c 'snapshots/[0-9]*/layer.erofs"' "$(disk path)")" -eq 3 ]
	find "$layers" | sort > "$T/before"
	cp "$T/doc" "$T/first"
	prepare overlay overlay "$lowers"
	find "$layers" | sort | diff "$T/before" -
	diff <(jq .fs.disks "$T/first") <(jq .fs.disks "$T/doc")
	umount "$T/want" "$T/mnt"
	ctr container rm fs-e2e
}

# above UPPER LOWERS COMMAND...: run a command in an overlay, so that the kernel writes the layer UPPER
above() {
	mkdir "$T/$1" "$T/$1.work" "$T/$1.all"
	mount -t overlay -o "lowerdir=$2,upperdir=$T/$1,workdir=$T/$1.work" overlay "$T/$1.all"
	(cd "$T/$1.all" && "${@:3}")
	umount "$T/$1.all"
}

@test "layers that are directories become one disk, equal to their overlay" {
	odd_tree "$T/l0"
	touch "$T/l0/gone" "$T/l0/empty/hidden"
	above l1 "$T/l0" sh -c 'rm gone; rm -r empty; mkdir empty more; seq 10000 > more/numbers; echo replaced > etc/group'
	above l2 "$T/l1:$T/l0" sh -c 'echo top > deep/er/top; rm deep/dangling'
	lowers="lowerdir=$T/l2:$T/l1:$T/l0"
	prepare overlay overlay "$lowers"
	[ "$(jq '.fs.disks | length' "$T/doc")" -eq 1 ]
	[ "$(disk format)" = vmdk ]
	mount_disk
	mount -t overlay -o "$lowers" overlay "$T/want"
	same_tree "$T/want" "$T/mnt" 14
	[ ! -e "$T/mnt/gone" ]
	[ -d "$T/mnt/empty" ]
	[ ! -e "$T/mnt/empty/hidden" ]
	# Nothing is made twice, and a directory that changed is made anew, it alone.
	cp "$T/doc" "$T/first"
	find "$layers" -name 'dir-*' | sort > "$T/before"
	prepare overlay overlay "$lowers"
	diff <(jq .fs.disks "$T/first") <(jq .fs.disks "$T/doc")
	umount "$T/want" "$T/mnt"
	echo more > "$T/l2/news"
	prepare overlay overlay "$lowers"
	[ "$(find "$layers" -name 'dir-*' | sort | comm -13 "$T/before" - | wc -l)" -eq 1 ]
	mount_disk
	[ "$(cat "$T/mnt/news")" = more ]
}

@test "a directory" {
	odd_tree "$T/dir"
	prepare bind "$T/dir"
	mount_disk
	same_tree "$T/dir" "$T/mnt" 15
	first=$(disk path)
	prepare bind "$T/dir"
	[ "$(disk path)" = "$first" ]
	echo more >> "$T/dir/etc/passwd"
	prepare bind "$T/dir"
	[ "$(disk path)" != "$first" ]
}

@test "a tar archive, plain and packed, cached by its bytes" {
	odd_tree "$T/dir"
	tar -C "$T/dir" -cf "$T/a.tar" .
	prepare tar "$T/a.tar"
	mount_disk
	(cd "$T/want" && tar -xf "$T/a.tar")
	same_tree "$T/want" "$T/mnt" 15
	first=$(disk path)
	cp "$T/a.tar" "$T/b.tar"
	prepare tar "$T/b.tar"
	[ "$(disk path)" = "$first" ]
	umount "$T/mnt"
	gzip "$T/a.tar"
	prepare tar "$T/a.tar.gz"
	[ "$(disk path)" != "$first" ]
	mount_disk
	same_tree "$T/want" "$T/mnt" 15
}

@test "the same input makes the same bytes" {
	odd_tree "$T/dir"
	tar -C "$T/dir" -cf "$T/a.tar" .
	prepare tar "$T/a.tar"
	cp "$(disk path)" "$T/first"
	rm -f "$(disk path)"
	prepare tar "$T/a.tar"
	cmp "$(disk path)" "$T/first"
	prepare bind "$T/dir"
	cp "$(disk path)" "$T/first"
	rm -f "$(disk path)"
	prepare bind "$T/dir"
	cmp "$(disk path)" "$T/first"
}

@test "an OCI image of 40 layers with whiteouts, opaque directories and a user's name" {
	odd_tree "$T/l0"
	touch "$T/l0/gone" "$T/l0/empty/hidden"
	tar -C "$T/l0" -czf "$T/l0.tar" .
	for i in $(seq 38); do
		mkdir -p "$T/l$i/deep/$i"
		echo "$i" > "$T/l$i/deep/latest"
		head -c "$((i * 1000))" /dev/urandom > "$T/l$i/deep/$i/file"
		tar -C "$T/l$i" -czf "$T/l$i.tar" .
	done
	mkdir -p "$T/l39/empty"
	touch "$T/l39/.wh.gone" "$T/l39/empty/.wh..wh..opq" "$T/l39/empty/seen"
	tar -C "$T/l39" -cf "$T/l39.tar" .
	image "$T/image.tar" '{"config":{"Entrypoint":["/bin/sh","-c"],"Cmd":["id"],"Env":["A=b=c","N=ü"],
		"WorkingDir":"/deep","User":"app"}}' "$T"/l?.tar "$T"/l??.tar
	[ "$(inspect '[(.layers | length), (.layers | map([.kind, .there]) | unique), .disks.how]' oci-archive "$T/image.tar")" = \
		'[40,[["oci",false]],"merged"]' ]
	prepare oci-archive "$T/image.tar"
	[ "$(jq -c .fs.process "$T/doc")" = '{"args":["/bin/sh","-c","id"],"env":["A=b=c","N=ü"],"cwd":"/deep","user":{"uid":1000,"gid":1001,"additionalGids":[10]}}' ]
	[ "$(jq '.fs.disks | length' "$T/doc")" -eq 1 ]
	mount_disk
	for i in $(seq 0 39); do tar -C "$T/want" -xf "$T/l$i.tar"; done
	rm -r "$T/want/gone" "$T/want/.wh.gone" "$T/want/empty/.wh..wh..opq" "$T/want/empty/hidden"
	touch -d "@$(stat -c %Y "$T/l39/empty")" "$T/want/empty"
	same_tree "$T/want" "$T/mnt" 90
}

@test "users that an image does not have" {
	odd_tree "$T/l0"
	tar -C "$T/l0" -cf "$T/l0.tar" .
	image "$T/a.tar" '{"config":{"User":"nobody"}}' "$T/l0.tar"
	refused 65 '"nobody" is not in its /etc/passwd' oci-archive "$T/a.tar"
	image "$T/a.tar" '{"config":{"User":"4242:wheel"}}' "$T/l0.tar"
	prepare oci-archive "$T/a.tar"
	[ "$(jq -c .fs.process.user "$T/doc")" = '{"uid":4242,"gid":10}' ]
}

@test "an image with the same layer twice and with empty layers" {
	small_tree a
	small_tree b
	tar -C "$T/a" -cf "$T/a.tar" .
	tar -C "$T/b" -cf "$T/b.tar" .
	head -c 1024 /dev/zero > "$T/empty.tar"
	image "$T/image.tar" '{}' "$T/empty.tar" "$T/a.tar" "$T/empty.tar" "$T/b.tar" "$T/a.tar" "$T/empty.tar"
	prepare oci-archive "$T/image.tar"
	mount_disk
	for l in b a; do tar -C "$T/want" -xf "$T/$l.tar"; done
	same_tree "$T/want" "$T/mnt" 4
	image "$T/image.tar" '{}' "$T/empty.tar"
	prepare oci-archive "$T/image.tar"
	umount "$T/mnt"
	mount_disk
	[ -z "$(ls -A "$T/mnt")" ]
}

# modes DIR PATH...: type, mode and owner of each
modes() {
	(cd "$1" && stat -c '%n %F %a %u:%g' "${@:2}")
}

@test "layers that leave out the directories that their files are in" {
	long=$(printf 'l%.0s' {1..120})
	for l in a b; do
		mkdir -p "$T/$l/d/e" "$T/$l/gone" "$T/$l/$long/in"
		chmod 750 "$T/$l/d"
		chown 70000:4000000 "$T/$l/d/e"
		touch -d '2001-02-03' "$T/$l/d/e"
	done
	chmod 1777 "$T/b/d/e"
	ln -s d "$T/b/link"
	mkdir -p "$T/top/d/e/f" "$T/top/gone/x" "$T/top/$long/in" "$T/top/new/er" "$T/top/link"
	touch "$T/top/d/e/f/file" "$T/top/gone/x/file" "$T/top/$long/in/file" "$T/top/new/er/file" "$T/top/link/file"
	touch "$T/hide" "$T/.wh.gone"
	for l in a b; do tar -C "$T/$l" -cf "$T/$l.tar" .; done
	tar -C "$T" -cf "$T/hide.tar" .wh.gone
	tar -C "$T/top" -czf "$T/top.tar" "d/e/f/file" gone/x/file "./$long/in/file" new/er/file link/file
	image "$T/image.tar" '{}' "$T/a.tar" "$T/hide.tar" "$T/top.tar"
	prepare oci-archive "$T/image.tar"
	mount_disk
	modes "$T/mnt" d d/e d/e/f gone gone/x "$long" new new/er link > "$T/got"
	cat > "$T/want.a" <<-EOT
		d directory 750 0:0
		d/e directory 755 70000:4000000
		d/e/f directory 755 0:0
		gone directory 755 0:0
		gone/x directory 755 0:0
		$long directory 755 0:0
		new directory 755 0:0
		new/er directory 755 0:0
		link directory 755 0:0
	EOT
	diff "$T/want.a" "$T/got"
	[ "$(stat -c %y "$T/mnt/d/e" | cut -c1-10)" = 2001-02-03 ]
	[ -f "$T/mnt/$long/in/file" ]
	umount "$T/mnt"
	# the same layer above another one is another image, and each is there the second time
	image "$T/image2.tar" '{}' "$T/b.tar" "$T/top.tar"
	prepare oci-archive "$T/image2.tar"
	mount_disk
	modes "$T/mnt" d d/e d/e/f link > "$T/got"
	sed -e 's/^d.e directory 755/d\/e directory 1777/' -ne '/^d\|^link/p' "$T/want.a" | diff - "$T/got"
	[ "$(find "$layers" -name 'chain-*' | wc -l)" -eq 2 ]
	find "$layers" | sort > "$T/before"
	prepare oci-archive "$T/image.tar"
	find "$layers" | sort | diff "$T/before" -
	umount "$T/mnt"
	# and by itself
	prepare tar "$T/top.tar"
	mount_disk
	[ "$(modes "$T/mnt" d/e)" = 'd/e directory 755 0:0' ]
}

@test "a layer whose root is opaque hides all below" {
	small_tree a
	small_tree b
	small_tree c
	for l in a b c; do tar -C "$T/$l" -cf "$T/$l.tar" .; done
	touch "$T/b/.wh..wh..opq"
	tar -C "$T/b" --format=pax -cf "$T/b.tar" in-b .wh..wh..opq top
	image "$T/image.tar" '{}' "$T/a.tar" "$T/b.tar" "$T/c.tar"
	for _ in first again; do
		prepare oci-archive "$T/image.tar"
		[ "$(sed -n 's/.*FLAT ".*\/\([a-z]*\)-.*/\1/p' "$(disk path)" | xargs)" = 'merge layer layer' ]
		mount_disk
		[ "$(cd "$T/mnt" && echo *)" = 'in-b in-c top' ]
		cmp "$T/b/in-b/file" "$T/mnt/in-b/file"
		[ "$(cat "$T/mnt/top")" = c ]
		umount "$T/mnt"
	done
}

@test "a sparse file as GNU tar stores it" {
	mkdir "$T/dir"
	truncate -s 1M "$T/dir/file"
	for format in gnu pax; do
		tar -C "$T/dir" --format=$format --sparse -cf "$T/a.tar" file
		refused 65 "file\" is in GNU tar's sparse form" tar "$T/a.tar"
	done
}

@test "an image of one layer is a raw disk" {
	odd_tree "$T/l0"
	tar -C "$T/l0" -cf "$T/l0.tar" .
	image "$T/a.tar" '{}' "$T/l0.tar"
	prepare oci-archive "$T/a.tar"
	[ "$(disk format)" = raw ]
	mount_disk
	tar -C "$T/want" -xf "$T/l0.tar"
	same_tree "$T/want" "$T/mnt" 15
}

# Mount the overlay that the document tells a guest to, made of parts of disks.
mount_parts() {
	local source name part start sectors lowers='' n=0
	for source in $(jq -r '.fs.mounts[] | select(.type == "erofs") | .source' "$T/doc"); do
		IFS='/@+' read -r name part start sectors <<< "${source#disk:}"
		[ "$part" -eq $((n % 255 + 1)) ]
		path=$(jq -r --arg s "$name" '.fs.disks[] | select(.serial == $s) | .path' "$T/doc")
		[ -e "$T/flat.$name" ] || qemu-img convert -f vmdk -O raw "$path" "$T/flat.$name"
		mkdir "$T/part$n"
		mount -t erofs -o "ro,loop,offset=$((start * 512)),sizelimit=$((sectors * 512))" \
			"$T/flat.$name" "$T/part$n"
		lowers=$T/part$n${lowers:+:$lowers}
		n=$((n + 1))
	done
	mount -t overlay -o "lowerdir=$lowers" overlay "$T/mnt"
}

@test "layers that cannot be merged are parts of one disk, equal to their overlay" {
	odd_tree "$T/1"
	touch "$T/1/gone"
	lower 1
	for i in 2 3 4 5 6; do
		small_tree "$i"
		ln "$T/$i/top" "$T/$i/hard-$i"
	done
	mknod "$T/3/gone" c 0 0
	mkdir "$T/4/deep"
	setfattr -n trusted.overlay.opaque -v y "$T/4/deep"
	lower 2 -zlz4
	lower 3 -zzstd -Eztailpacking
	lower 4 -zlz4 -Eall-fragments,dedupe
	lower 5 -zlz4hc -Enoinline_data
	lower 6 --chunksize=4096
	lowers="lowerdir=$T/6:$T/5:$T/4:$T/3:$T/2:$T/1"
	prepare overlay overlay "$lowers"
	[ "$(jq -c '[.fs.disks[] | [.serial, .format]]' "$T/doc")" = '[["layers0","vmdk"]]' ]
	[ "$(inspect '.disks | [.how, .count, (.why | test("mkfs.erofs failed"))]' overlay overlay "$lowers")" = '["parts",1,true]' ]
	[ "$(jq -r '.layers | map(.features[0] // "none") | join(" ")' "$T/inspect")" = \
		'none zero_padding zero_padding zero_padding zero_padding chunked_file' ]
	[ "$(jq -r '.fs.mounts[-1].options[0]' "$T/doc")" = lowerdir=lower5:lower4:lower3:lower2:lower1:lower0 ]
	mount -t overlay -o "$lowers" overlay "$T/want"
	mount_parts
	same_tree "$T/want" "$T/mnt" 25
	[ ! -e "$T/mnt/gone" ]
	[ ! -e "$T/mnt/deep/er" ]
}

@test "layers in directories with blanks, colons and backslashes" {
	for name in 'a b' 'c:d' 'e\f'; do
		small_tree "$name"
		lower "$name" -Enoinline_data
	done
	prepare overlay overlay "lowerdir=$T/e\\\\f:$T/c\\:d:$T/a b"
	mount_disk
	[ "$(cat "$T/mnt/top")" = 'e\f' ]
	[ -e "$T/mnt/in-c:d/file" ]
	[ -e "$T/mnt/in-a b/file" ]
}

@test "a path that a disk description cannot hold" {
	for name in 'a"b' c; do
		small_tree "$name"
		lower "$name" -Enoinline_data
	done
	prepare overlay overlay "lowerdir=$T/a\"b:$T/c"
	[ "$(jq -c '[.fs.disks[] | [.serial, .path, .format]]' "$T/doc")" = "$(jq -cn --arg t "$T" \
		'[["layer0", $t + "/c.erofs", "raw"], ["layer1", $t + "/a\"b.erofs", "raw"]]')" ]
	[ "$(jq -r '.fs.mounts[1].source' "$T/doc")" = disk:layer1 ]
	for name in d e f; do
		small_tree "$name"
		lower "$name" -Enoinline_data
	done
	refused 65 'a path that a VMDK description cannot hold' overlay overlay "lowerdir=$T/a\"b:$T/c:$T/d:$T/e:$T/f"
	prepare overlay overlay "lowerdir=$T/a\"b"
	[ "$(disk path)" = "$T/a\"b.erofs" ]
}

@test "a mounted directory as bind is its image, not a copy" {
	small_tree a
	lower a
	prepare bind "$T/a"
	[ "$(disk path)" = "$T/a.erofs" ]
}

# The kernel does that for files on some file systems, tmpfs not being one; mount(8) never asks for it.
@test "an image that is mounted without a loop device" {
	small_tree a
	truncate -s 8M "$T/ext4"
	mkfs.ext4 -q "$T/ext4"
	mount -t ext4 -o loop "$T/ext4" "$T/want"
	mkfs.erofs --quiet "$T/want/a.erofs" "$T/a"
	perl -e 'my ($from, $to, $type) = (@ARGV, "erofs");
		syscall(165, $from, $to, $type, 1, 0) == 0 or die "mount: $!"' "$T/want/a.erofs" "$T/a"
	[ "$(findmnt -no SOURCE "$T/a")" = "$T/want/a.erofs" ]
	prepare overlay overlay "lowerdir=$T/a"
	[ "$(disk path)" = "$T/want/a.erofs" ]
	head -c 200000 /dev/urandom > "$T/bigger"
	mkdir "$T/b"
	mv "$T/bigger" "$T/b/"
	mkfs.erofs --quiet "$T/want/b.erofs" "$T/b"
	mv "$T/want/b.erofs" "$T/want/a.erofs"
	refused 65 'no longer the file that is mounted' overlay overlay "lowerdir=$T/a"
}

@test "a blob that was renamed, removed or replaced under its mount" {
	small_tree a
	lower a
	cp "$T/a.erofs" "$T/copy"
	mv "$T/a.erofs" "$T/renamed"
	cp "$T/copy" "$T/a.erofs"
	prepare overlay overlay "lowerdir=$T/a"
	[ "$(disk path)" = "$T/renamed" ]
	rm "$T/renamed"
	refused 69 'renamed (deleted): No such file' overlay overlay "lowerdir=$T/a"
	cp "$T/copy" "$T/renamed (deleted)"
	refused 65 'no longer the file that is mounted' overlay overlay "lowerdir=$T/a"
}

@test "part of an image, and part of a file" {
	small_tree a
	lower a
	mkdir "$T/b" "$T/c"
	mount --bind "$T/a/in-a" "$T/b"
	# a directory like any other
	prepare overlay overlay "lowerdir=$T/b"
	mount_disk
	same_tree "$T/b" "$T/mnt" 1
	{ head -c 4096 /dev/zero; cat "$T/a.erofs"; } > "$T/shifted"
	mount -t erofs -o ro,loop,offset=4096 "$T/shifted" "$T/c"
	refused 65 'only a part of its file' overlay overlay "lowerdir=$T/c"
}

@test "other file systems than EROFS" {
	truncate -s 1M "$T/ext4"
	mkfs.ext4 -q "$T/ext4"
	mount -t ext4 -o loop "$T/ext4" "$T/want"
	odd_tree "$T/want"
	prepare overlay overlay "lowerdir=$T/want"
	mount_disk
	same_tree "$T/want" "$T/mnt" 9
	umount "$T/want"
	refused 65 'not an EROFS image' erofs "$T/ext4"
}

@test "many at once build once" {
	odd_tree "$T/dir"
	mkdir "$T/bin"
	printf '#!/bin/sh\necho >> %s/runs\nexec %s "$@"\n' "$T" "$(command -v mkfs.erofs)" > "$T/bin/mkfs.erofs"
	chmod 755 "$T/bin/mkfs.erofs"
	for l in a b; do
		small_tree "$l"
		tar -C "$T/$l" -cf "$T/$l.tar" .
	done
	image "$T/image.tar" '{}' "$T/a.tar" "$T/b.tar"
	# source, how often mkfs.erofs is run for it, and what is there then
	while read -r type source runs all; do
		box "$type" "$source" > "$T/box"
		for i in $(seq 20); do
			PATH=$T/bin:$PATH qbx-fs prepare --box "$T/box" > "$T/out.$i" &
		done
		wait
		[ "$(wc -l < "$T/runs")" -eq "$runs" ]
		[ "$(cat "$T"/out.* | jq -c 'del(.fs.t_us)' | sort | uniq -c | awk '{ print $1 }')" = 20 ]
		[ "$(left)" = "$all" ]
		cp "$T/out.20" "$T/doc"
		mount_disk
		case $type in
		bind) same_tree "$T/dir" "$T/mnt" 10 ;;
		*) [ "$(cat "$T/mnt/top")" = b ] && cmp "$T/a/in-a/file" "$T/mnt/in-a/file" ;;
		esac
		umount "$T/mnt"
		rm -r "$T/runs" "$T/state"
	done <<- EOT
		bind $T/dir 1 dir
		oci-archive $T/image.tar 3 disk layer layer merge
	EOT
}

@test "archives that are cut short" {
	odd_tree "$T/dir"
	tar -C "$T/dir" -cf "$T/a.tar" .
	truncate -s -60000 "$T/a.tar"
	refused 65 'truncated archive' tar "$T/a.tar"
	[ "$(ls "$layers")" = lock ]
}

@test "no room for an image" {
	odd_tree "$T/dir"
	mkdir "$T/small"
	mount -t tmpfs -o size=80k none "$T/small"
	QEMUBOX_STATE_DIR=$T/small refused 75 'No space left on device' bind "$T/dir"
	[ "$(ls "$T/small/layers")" = lock ]
}

@test "killed at any time, no half image has a name" {
	mkdir "$T/dir"
	head -c 30000000 /dev/urandom > "$T/dir/file"
	box bind "$T/dir" > "$T/box"
	for ms in 1 3 10 20 30 50 80; do
		timeout -s KILL "0.0$(printf %02d "$ms")" qbx-fs prepare < "$T/box" > "$T/out" || :
		for f in "$layers"/*.erofs; do
			[ ! -e "$f" ] || fsck.erofs "$f"
		done
	done
	prepare bind "$T/dir"
	mount_disk
	same_tree "$T/dir" "$T/mnt" 1
}

# named ID TYPE SOURCE [OPTION]: prepare for a box of that name
named() {
	box "${@:2}" | jq -c --arg id "$1" '.id = $id' | qbx-fs prepare > "$T/doc.$1"
}

# left: the kinds of what is in the cache
left() {
	find "$layers" -name '*.erofs' -o -name '*.vmdk' | sed 's,.*/,,; s/-.*//' | sort | xargs
}

@test "gc removes what neither a box nor a directory needs, and nothing else" {
	for l in a b; do
		small_tree "$l"
		tar -C "$T/$l" -cf "$T/$l.tar" .
	done
	image "$T/image.tar" '{}' "$T/a.tar" "$T/b.tar"
	named one oci-archive "$T/image.tar"
	named two overlay overlay "lowerdir=$T/b:$T/a"
	all='dir dir disk disk layer layer merge merge'
	# what was prepared may start
	[ -z "$(qbx-fs gc)" ]
	[ "$(left)" = "$all" ]
	# an hour later only what runs, or can be told to be needed, stays
	touch -d '2 hours ago' "$layers"/leases/*
	mkdir -p "$T/run/default--one"
	[ "$(qbx-fs gc --dry-run)" = default--two.json ]
	[ "$(qbx-fs gc)" = default--two.json ]
	[ "$(left)" = "$all" ]
	rmdir "$T/run/default--one"
	[ "$(qbx-fs gc | sed 's/-.*//' | sort | xargs)" = 'default disk layer layer merge' ]
	[ "$(left)" = 'dir dir disk merge' ]
	# one directory has changed: its image, and what it was a part of, is needed by nobody
	echo more > "$T/b/more"
	[ "$(qbx-fs gc | sed 's/-.*//' | sort | xargs)" = 'dir disk merge' ]
	rm -r "$T/a"
	qbx-fs gc
	[ -z "$(left)" ]
	# release ends a lease; a document in run_dir is one
	named one oci-archive "$T/image.tar"
	mkdir -p "$T/run/default--other"
	cp "$T/doc.one" "$T/run/default--other/box.json"
	qbx-fs release --box "$T/doc.one" > /dev/null
	[ -z "$(qbx-fs gc)" ]
	rm -r "$T/run/default--other"
	qbx-fs gc
	[ -z "$(left)" ]
}

@test "gc waits for those who prepare" {
	small_tree a
	mkfifo "$T/here" "$T/on"
	mkdir "$T/bin"
	printf '#!/bin/sh\necho > %s/here\nread -r _ < %s/on\nexec %s "$@"\n' "$T" "$T" "$(command -v mkfs.erofs)" > "$T/bin/mkfs.erofs"
	chmod 755 "$T/bin/mkfs.erofs"
	box bind "$T/a" | PATH=$T/bin:$PATH qbx-fs prepare > "$T/doc" 3>&- &
	prepare=$!
	read -r _ < "$T/here"
	qbx-fs gc > "$T/removed" 3>&- &
	gc=$!
	SECONDS=0
	# A gc that does not wait has ended, and one that never comes to it is not waited for.
	until grep -q "^[0-9]*: -> OFDLCK" /proc/locks; do
		kill -0 "$gc"
		[ "$SECONDS" -lt 60 ]
		sleep 0.05
	done
	echo > "$T/on"
	wait "$prepare"
	wait "$gc"
	[ ! -s "$T/removed" ]
	[ -e "$(disk path)" ]
}

@test "the examples of the manual page" {
	awk '/^\.Ed/ { on = 0 } on { print } /^\.Bd -literal/ { on = 1 }' \
		"$BATS_TEST_DIRNAME/../../man/qbx-fs.8" > "$T/examples"
	[ "$(grep -c qbx-fs "$T/examples")" -eq 3 ]
	sh -e "$T/examples" > "$T/out"
	[[ $(head -n 1 "$T/out") == "make $layers/dir-"* ]]
	grep -qx "layer 0: $layers/dir-.*: an image of the directory /etc/skel, to be made" "$T/out"
	[ "$(tail -n 1 "$T/out" | jq -c keys)" = '["id","qbx","rootfs"]' ]
}

@test "the document is as its schema says" {
	odd_tree "$T/l0"
	tar -C "$T/l0" -cf "$T/l0.tar" .
	image "$T/a.tar" '{"config":{"User":"app"}}' "$T/l0.tar"
	for source in "oci-archive $T/a.tar" "bind $T/l0" "tar $T/l0.tar"; do
		# shellcheck disable=SC2086
		prepare $source
		jq -n --slurpfile schema "$BATS_TEST_DIRNAME/../schema/fs.json" --slurpfile doc "$T/doc" '
			def required($s; $v): ($s.required // [] | all(. as $k | $v | has($k))) and
				(if $s.additionalProperties == false
				 then $v | keys | all(. as $k | $s.properties | has($k)) else true end);
			def valid($s; $v):
				if $s.type == "object" then ($v | type) == "object" and required($s; $v) and
					($v | keys | all(. as $k | valid($s.properties[$k] // $s.additionalProperties; $v[$k])))
				elif $s.type == "array" then ($v | type) == "array" and ($v | all(. as $i | valid($s.items; $i)))
				elif $s.type == "string" then ($v | type) == "string" and ($v | test($s.pattern // ""))
				elif $s.type == "integer" then ($v | type) == "number" and $v >= ($s.minimum // $v)
				elif $s.type == "boolean" then ($v | type) == "boolean"
				elif $s.enum then any($s.enum[]; . == $v)
				else error("a schema that this test does not know: \($s)") end;
			valid($schema[0]; $doc[0].fs)' | grep -qx true
	done
}
