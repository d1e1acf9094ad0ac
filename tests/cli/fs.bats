#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# qbx-fs on this machine: what it refuses, and that nothing is left then. Scripts stand in for
# mkfs.erofs where it has to misbehave; what a real one makes is tested in tests/e2e/fs.bats.

bats_require_minimum_version 1.5.0
load erofs

setup() {
	T=$BATS_TEST_TMPDIR
	export QEMUBOX_STATE_DIR=$T/state QEMUBOX_RUN_DIR=$T/run
	layers=$T/state/layers
	mkdir "$T/bin" "$T/root"
	echo hello > "$T/root/file"
}

# qbx-fs, which finds its helpers in $helpers only, if that is set
fs() {
	env PATH="${helpers:-$PATH}" "$QBX_BIN/qbx-fs" "$@"
}

# box TYPE SOURCE [OPTION]: a document with one mount; the arguments are JSON texts' insides
box() {
	printf '{"qbx":1,"id":"demo","rootfs":[{"type":"%s","source":"%s"%s}]}\n' "$1" "$2" \
		"${3:+,\"options\":[\"$3\"]}"
}

# prepare TYPE SOURCE [OPTION]: run it
prepare() {
	run --separate-stderr fs prepare < <(box "$@")
}

# refused STATUS WORDS: one line that says this, no document, nothing left in the cache
refused() {
	# shellcheck disable=SC2154 # bats sets stderr
	[ "$status" -eq "$1" ] || { echo "status $status: $stderr"; false; }
	[ -z "$output" ]
	[ "$(wc -l <<< "$stderr")" -eq 1 ]
	[[ $stderr == *"$2"* ]] || { echo "says: $stderr"; false; }
	[ -z "$(find "$T/state" -name '*.erofs' -o -name '*.vmdk' 2> /dev/null)" ]
}

# stand_in SCRIPT: what mkfs.erofs does
stand_in() {
	printf '#!/bin/sh\n%s\n' "$1" > "$T/bin/mkfs.erofs"
	chmod 755 "$T/bin/mkfs.erofs"
	PATH=$T/bin:$PATH
}

# blob DIR: add standard input to an image layout, print its descriptor
blob() {
	mkdir -p "$1/blobs/sha256"
	cat > "$1/blobs/new"
	sum=$(sha256sum < "$1/blobs/new" | cut -d' ' -f1)
	mv "$1/blobs/new" "$1/blobs/sha256/$sum"
	printf '{"digest":"sha256:%s","size":%s}' "$sum" "$(stat -c %s "$1/blobs/sha256/$sum")"
}

# layout DIR [ARCH]: an image of one layer
layout() {
	mkdir -p "$1"
	layer=$(tar -C "$T/root" -c . | blob "$1")
	config=$(printf '{"os":"linux","architecture":"%s"}' "${2:-$(arch)}" | blob "$1")
	manifest=$(printf '{"config":%s,"layers":[%s]}' "$config" "$layer" | blob "$1")
	printf '{"manifests":[%s]}' "$manifest" > "$1/index.json"
	printf '{"imageLayoutVersion":"1.0.0"}' > "$1/oci-layout"
}

arch() {
	case $(uname -m) in x86_64) echo amd64 ;; aarch64) echo arm64 ;; esac
}

pack() {
	tar -C "$1" -cf "$1.tar" .
}

@test "help names the verbs" {
	run -0 fs --help
	[[ $output == *prepare* && $output == *release* ]]
}

@test "an EROFS file is a disk as it is" {
	erofs_image "$T/a.erofs"
	prepare erofs "$T/a.erofs"
	[ "$status" -eq 0 ]
	[[ $output == *'"disks":[{"serial":"root","path":"'$T'/a.erofs","format":"raw","readonly":true,"inodes":["'$(stat -c %D "$T/a.erofs"):$(printf %x "$(stat -c %i "$T/a.erofs")")'"]},{"serial":"rw",'* ]]
	[[ $output == *'{"type":"erofs","source":"disk:root","target":"lower0","options":["ro"]}'* ]]
	[[ $output == *'"upperdir=rw/upper","workdir=rw/work"]}]'* ]]
}

@test "a read-only root stays one" {
	erofs_image "$T/a.erofs"
	prepare erofs "$T/a.erofs" ro
	[ "$status" -eq 0 ]
	[[ $output == *'"workdir=rw/work","ro"]}]'* ]]
}

@test "release undoes prepare, and again" {
	erofs_image "$T/a.erofs"
	box erofs "$T/a.erofs" > "$T/box"
	fs prepare < "$T/box" | fs release > "$T/released"
	diff "$T/box" "$T/released"
	fs release < "$T/released" | diff "$T/box" -
	run -0 fs release --dry-run --box "$T/box"
	[[ $output == *'drop "fs"'* ]]
}

@test "a path may hold blanks, commas and line ends" {
	mkdir "$T/a b,c"
	erofs_image "$T/a b,c/d"$'\n'"e"
	prepare erofs "$T/a b,c/d\\ne"
	[ "$status" -eq 0 ]
	[[ $output == *'/a b,c/d\ne","format":"raw"'* ]]
}

@test "no rootfs, two, none that is known" {
	run --separate-stderr fs prepare <<< '{"qbx":1,"id":"demo"}'
	refused 65 '"rootfs" is missing'
	run --separate-stderr fs prepare <<< '{"qbx":1,"id":"demo","rootfs":[]}'
	refused 65 '"rootfs" is missing'
	run --separate-stderr fs prepare <<< '{"qbx":1,"id":"demo","rootfs":[{},{}]}'
	refused 65 'rootfs: Object item not found: type'
	run --separate-stderr fs prepare <<< '{"qbx":1,"id":"demo","rootfs":[{"type":"tar"}]}'
	refused 65 'source'
	run --separate-stderr fs prepare <<< '{"qbx":1,"id":"demo","rootfs":[{"type":1,"source":"/x"}]}'
	refused 65 'rootfs: '
	prepare zfs /pool
	refused 65 '"zfs" is not understood'
	prepare tar relative.tar
	refused 65 'not an absolute path'
}

# mounts MOUNT...: a document with these, each "TYPE SOURCE OPTION...", where a "_" is a blank
mounts() {
	local m type source options list=
	for m; do
		read -r type source options <<< "$m"
		# shellcheck disable=SC2086 # words
		options=$(printf '"%s",' $options)
		options=${options//_/ } source=${source//_/ }
		list+=,$(printf '{"type":"%s","source":"%s","options":[%s]}' "$type" "$source" "${options%,}")
	done
	printf '{"qbx":1,"id":"demo","rootfs":[%s]}\n' "${list#,}"
}

@test "mounts that containerd leaves to us: images, and an overlay that names them" {
	for i in 0 1 2 3; do erofs_image "$T/$i.erofs"; done
	stand_in 'exit 1'
	images=("erofs $T/3.erofs ro loop" "erofs $T/2.erofs ro loop" "erofs $T/1.erofs ro" "erofs $T/0.erofs ro")
	run --separate-stderr fs prepare < <(mounts "${images[@]}" 'format/mkdir/overlay overlay lowerdir={{_overlay_0_3_}}')
	[ "$status" -eq 0 ]
	[[ $output == *'"source":"disk:layers0/1@0+8","target":"lower0"'*'"disk:layers0/4@24+8","target":"lower3"'* ]]
	[ "$(sed -n 's/.*FLAT "\(.*\)".*/\1/p' "$layers"/disk-*.vmdk)" = "$(printf "$T/%s.erofs\n" 0 1 2 3)" ]
	cp "$(echo "$layers"/disk-*.vmdk)" "$T/want"
	for lowers in '{{_overlay_0_2_}}:{{_mount_3_}}' '{{_mount_0_}}:{{mount_1}}:{{_overlay_2_3_}}'; do
		rm -r "$layers"
		run -0 fs prepare < <(mounts "${images[@]}" "format/overlay overlay lowerdir=$lowers")
		diff "$T/want" "$layers"/disk-*.vmdk
	done
	# the other way round
	rm -r "$layers"
	run -0 fs prepare < <(mounts "${images[@]}" "format/overlay overlay lowerdir={{_overlay_3_0_}}")
	[ "$(sed -n 's/.*FLAT "\(.*\)".*/\1/p' "$layers"/disk-*.vmdk)" = "$(printf "$T/%s.erofs\n" 3 2 1 0)" ]
	rm -r "$T/state"

	last() {
		run --separate-stderr fs prepare < <(mounts "${images[@]}" "$1")
	}
	last 'format/overlay overlay lowerdir={{_overlay_0_4_}}'
	refused 65 'mount 4 in a template: 4 are before it'
	last 'format/overlay overlay lowerdir={{_overlay_0_2_}}'
	refused 65 'mount 3, of type "erofs", is not used by the last'
	last 'format/overlay overlay lowerdir={{_overlay_0_3_}}:{{_mount_1_}}'
	refused 65 'mount 1 is a layer twice'
	last 'format/overlay overlay lowerdir={{_overlay_0_3_}}/fs'
	refused 65 'lowerdir "/fs" behind a template'
	last 'format/overlay overlay lowerdir={{_overlay_0_3_|_html_}}'
	refused 65 'not {{ mount N }} or {{ overlay N N }}'
	last 'mkdir/overlay overlay lowerdir={{_overlay_0_3_}}'
	refused 65 'lowerdir "{{ overlay 0 3 }}" is not an absolute path'
	last 'format/mkdir/overlay overlay X-containerd.mkdir.path=/x:9 lowerdir={{_overlay_0_3_}}'
	refused 65 'not X-containerd.mkdir.path=PATH:MODE:UID:GID'
	last 'format/mkdir/overlay overlay uidmap=0:1000:1 lowerdir={{_overlay_0_3_}}'
	refused 65 'owners are not mapped'
	last 'erofs /x.erofs'
	refused 65 '5 mounts, and the last is no overlay'
	images[1]="tmpfs $T/2.erofs"
	last 'format/overlay overlay lowerdir={{_overlay_0_3_}}'
	refused 65 'mount 1 is a layer of type "tmpfs"'
}

@test "a writable image that containerd leaves to us" {
	erofs_image "$T/0.erofs"
	truncate -s 1M "$T/rw.img"
	images=("ext4 $T/rw.img rw loop" "erofs $T/0.erofs ro loop")
	upper='upperdir={{_mount_0_}}/upper workdir={{_mount_0_}}/work lowerdir={{_mount_1_}}'
	run -0 fs prepare < <(mounts "${images[@]}" "format/mkdir/overlay overlay X-containerd.mkdir.path={{_mount_0_}}/upper:0700:1:2 $upper")
	[[ $output == *'{"serial":"rw","path":"'$T'/rw.img","format":"raw","readonly":false}'* ]]
	[[ $output == *'"X-qemubox.root=700:1:2"'* ]]
	run -0 fs prepare < <(mounts "${images[0]}" 'format/mkdir/bind {{_mount_0_}}/upper rw')
	rm -r "$T/state"

	last() {
		run --separate-stderr fs prepare < <(mounts "${images[@]}" "$1")
	}
	last "format/overlay overlay ${upper/upper /upperdir }"
	refused 65 'not upper in an ext4 before it'
	last "format/overlay overlay ${upper/mount_0/mount_1}"
	refused 65 'not upper in an ext4 before it'
	last "format/overlay overlay ${upper/workdir=/workdir=/x}"
	refused 65 'is not where upperdir is'
	last "overlay overlay ${upper}"
	refused 65 'is not an absolute path'
	images[2]="ext4 $T/rw.img"
	last "format/overlay overlay $upper"
	refused 65 'mount 2, of type "ext4", is not used'
	unset 'images[2]'
	ln -s rw.img "$T/link"
	images[0]="ext4 $T/link rw"
	last "format/overlay overlay $upper"
	refused 65 'not a regular file'
	images[0]="ext4 $T/none rw"
	last "format/overlay overlay $upper"
	refused 69 'No such file'
}

@test "an option that is not understood is not passed over" {
	erofs_image "$T/0.erofs"
	overlay='format/mkdir/overlay overlay lowerdir={{_mount_0_}}'
	# those of containerd's snapshotters, and of people
	run -0 fs prepare < <(mounts "erofs $T/0.erofs ro loop noatime dax=never context=u:r:t:s" \
		"$overlay index=off xino=auto volatile metacopy=off nodev")
	run -0 fs prepare --dry-run < <(mounts "overlay overlay lowerdir=$T/root index=off")
	rm -r "$T/state"

	# option OPTION STATUS WORDS: of the layer
	option() {
		run --separate-stderr fs prepare < <(mounts "erofs $T/0.erofs ro $1" "$overlay")
		refused 65 "option \"$1\"$2"
	}
	for verity in "=$T/0.erofs.dmverity" .roothash=00ff .device-name=x .hash-offset=4096 =on; do
		option "X-containerd.dmverity$verity" \
			': layers are not checked by dm-verity (set dmverity_mode = "off" for containerd'"'s erofs snapshotter)"
	done
	option X-containerd.other=1 ' of a mount of type "erofs" is not understood (have the snapshotter'
	option fsoffset=4096 ' of a mount of type "erofs" is not understood'
	option noacl ' of a mount of type "erofs" is not understood'
	option loops ' of a mount of type "erofs" is not understood'
	option lowerdir=/x ' of a mount of type "erofs" is not understood'

	run --separate-stderr fs prepare < <(mounts "erofs $T/0.erofs X-containerd.dmverity=/x")
	refused 65 'option "X-containerd.dmverity=/x": layers are not'
	run --separate-stderr fs inspect < <(mounts "erofs $T/0.erofs X-containerd.dmverity=/x")
	refused 65 'option "X-containerd.dmverity=/x": layers are not'
	run --separate-stderr fs prepare < <(mounts "erofs $T/0.erofs" "$overlay datadir+=/x")
	refused 65 'option "datadir+=/x" of a mount of type "overlay" is not understood'
	run --separate-stderr fs prepare < <(mounts "overlay overlay lowerdir=$T/root userxattr")
	refused 65 "option \"userxattr\": overlayfs's marks are read from trusted.overlay only (have"
	run --separate-stderr fs prepare < <(mounts "bind $T/root rbind idmap")
	refused 65 'option "idmap" of a mount of type "bind" is not understood'
	run --separate-stderr fs prepare < <(mounts "mkfs/ext4 $T/rw.img X-containerd.mkfs.size=67108864 rw loop" \
		"erofs $T/0.erofs ro loop" "$overlay")
	refused 65 'option "X-containerd.mkfs.size=67108864": no file system is made for containerd (set no default_size'
}

@test "merged metadata that names its layers" {
	for i in 0 1 2; do erofs_image "$T/$i.erofs"; done
	cp "$T/0.erofs" "$T/meta.erofs"
	printf '\010' | dd of="$T/meta.erofs" bs=1 seek=1104 conv=notrunc status=none
	printf '\003' | dd of="$T/meta.erofs" bs=1 seek=1110 conv=notrunc status=none
	stand_in 'exit 1'
	run --separate-stderr fs prepare < <(mounts \
		"erofs $T/meta.erofs ro loop device=$T/0.erofs device=$T/1.erofs device=$T/2.erofs")
	[ "$status" -eq 0 ]
	[ "$(sed -n 's/.*FLAT "\(.*\)".*/\1/p' "$layers"/disk-*.vmdk)" = "$(printf "$T/%s.erofs\n" 0 1 2)" ]
	rm -r "$T/state"
	run --separate-stderr fs prepare < <(mounts "erofs $T/meta.erofs device=$T/0.erofs device=$T/1.erofs")
	refused 65 'an EROFS image that needs 3 more, not 2'
	run --separate-stderr fs prepare < <(mounts "erofs $T/meta.erofs")
	refused 65 'needs 3 more'
	run --separate-stderr fs prepare < <(mounts "erofs $T/0.erofs device=$T/1.erofs")
	refused 65 'needs 0 more, not 1'
	run --separate-stderr fs prepare < <(mounts "erofs $T/meta.erofs device=x device=$T/1.erofs device=$T/2.erofs")
	refused 65 'not an absolute path'
}

@test "no mounts: the directory in the specification" {
	mkdir -p "$T/bundle/rootfs"
	printf '{"root":{"path":"rootfs"}}' > "$T/bundle/config.json"
	run -0 fs prepare --dry-run <<< '{"qbx":1,"id":"demo","rootfs":[],"bundle":"'"$T"'/bundle"}'
	[[ $output == *" of $T/bundle/rootfs:"* ]]
	printf '{"root":{"path":"%s"}}' "$T/root" > "$T/bundle/config.json"
	run -0 fs prepare --dry-run <<< '{"qbx":1,"id":"demo","bundle":"'"$T"'/bundle"}'
	[[ $output == *" of $T/root:"* ]]
	run --separate-stderr fs prepare <<< '{"qbx":1,"id":"demo","spec":{"root":{"path":"rootfs"}}}'
	refused 65 '"rootfs" is missing'
	run --separate-stderr fs prepare <<< '{"qbx":1,"id":"demo","bundle":"'"$T"'/none"}'
	refused 69 "open bundle $T/none"
}

@test "options that are no strings" {
	run --separate-stderr fs prepare \
		<<< '{"qbx":1,"id":"demo","rootfs":[{"type":"bind","source":"/x","options":[1]}]}'
	refused 65 'options'
}

@test "an overlay of what are no directories" {
	mkdir "$T/up"
	prepare overlay overlay "upperdir=$T/up"
	refused 65 'without lowerdir='
	prepare overlay overlay "lowerdir=$T/none"
	refused 69 "No such file"
	prepare overlay overlay "lowerdir=relative"
	refused 65 "not an absolute path"
	prepare overlay overlay "lowerdir=$T/root/file"
	refused 65 "not a directory"
	prepare overlay overlay "lowerdir=$T/a\\\\:b"
	refused 69 "$T/a:b: No such file"
}

@test "files that are no EROFS images" {
	prepare erofs "$T/none"
	refused 69 'No such file'
	prepare erofs "$T/root"
	refused 65 'not a regular file'
	prepare erofs /dev/null
	refused 65 'not a regular file'
	mkfifo "$T/fifo"
	prepare erofs "$T/fifo"
	refused 65 'not a regular file'
	prepare erofs "$T/root/file"
	refused 65 'not an EROFS image'
	truncate -s 1M "$T/ext4"
	printf '\123\357' | dd of="$T/ext4" bs=1 seek=1080 conv=notrunc status=none
	prepare erofs "$T/ext4"
	refused 65 'not an EROFS image'
	erofs_image "$T/a.erofs"
	ln -s a.erofs "$T/link"
	prepare erofs "$T/link"
	refused 65 'a symbolic link'
	erofs_image "$T/short" 2048
	prepare erofs "$T/short"
	refused 65 'truncated EROFS image'
}

@test "files that are no tar archives" {
	head -c 20000 /dev/urandom > "$T/junk"
	prepare tar "$T/junk"
	refused 65 'not a tar archive'
	: > "$T/empty"
	prepare tar "$T/empty"
	refused 65 'not a tar archive'
	prepare tar "$T/root"
	refused 65 'not a regular file'
	prepare oci-archive "$T/junk"
	refused 65 'not a tar archive'
	tar -C "$T/root" -cf "$T/a.tar" .
	prepare oci-archive "$T/a.tar"
	refused 65 'no oci-layout in it'
}

@test "images that are not as they say" {
	layout "$T/i"
	rm "$T"/i/blobs/sha256/"$(sed 's/.*sha256:\([0-9a-f]*\).*/\1/' "$T/i/index.json")"
	pack "$T/i"
	prepare oci-archive "$T/i.tar"
	refused 65 'is missing'

	layout "$T/j" pdp11
	pack "$T/j"
	prepare oci-archive "$T/j.tar"
	refused 65 'an image for linux/pdp11'

	layout "$T/k"
	manifest=$(sed 's/.*sha256:\([0-9a-f]*\).*/\1/' "$T/k/index.json")
	sed -i 's/layers/LAYERS/' "$T/k/blobs/sha256/$manifest"
	pack "$T/k"
	prepare oci-archive "$T/k.tar"
	refused 65 'its digest is sha256:'

	layout "$T/l"
	echo more >> "$T/l/blobs/sha256/$(sed 's/.*sha256:\([0-9a-f]*\).*/\1/' "$T/l/index.json")"
	pack "$T/l"
	prepare oci-archive "$T/l.tar"
	refused 65 'bytes, not'

	layout "$T/m"
	pack "$T/m"
	truncate -s -8000 "$T/m.tar"
	prepare oci-archive "$T/m.tar"
	refused 65 'm.tar: '

	layout "$T/n"
	echo '{"manifests":[]}' > "$T/n/index.json"
	pack "$T/n"
	prepare oci-archive "$T/n.tar"
	refused 65 'no image for linux/'
}

# A layer whose bytes changed but not their number: found while it is converted.
@test "a layer with another digest is not kept" {
	stand_in 'cat > /dev/null'
	layout "$T/i"
	for b in "$T"/i/blobs/sha256/*; do
		[ "$(stat -c %s "$b")" -lt 2000 ] ||
			printf X | dd of="$b" bs=1 seek=5000 conv=notrunc status=none
	done
	pack "$T/i"
	prepare oci-archive "$T/i.tar"
	refused 65 'its digest is sha256:'
}

@test "mkfs.erofs is missing" {
	helpers=$T/bin prepare bind "$T/root"
	refused 69 'start mkfs.erofs: No such file or directory (erofs-utils 1.8 or later is needed)'
}

@test "mkfs.erofs is too old" {
	stand_in 'echo "mkfs.erofs: unrecognized option '"'--tar=f'"'" >&2; echo usage: >&2; exit 1'
	tar -C "$T/root" -cf "$T/a.tar" .
	prepare tar "$T/a.tar"
	refused 69 'is too old'
	[[ $stderr == *'1.8 or later'* ]]
}

@test "mkfs.erofs fails: its own words, on one line, without control characters" {
	stand_in 'printf "\n<W> erofs: odd\n<E> erofs: \tbad \033[31mthing\r\n<E> erofs: more\n" >&2; exit 3'
	prepare bind "$T/root"
	refused 65 'mkfs.erofs failed: bad  [31mthing'
	stand_in 'exit 1'
	prepare bind "$T/root"
	refused 65 'it says nothing'
	stand_in 'kill -9 $$'
	prepare bind "$T/root"
	refused 69 'killed by signal 9'
}

@test "mkfs.erofs says more than is kept" {
	stand_in 'yes "<E> erofs: no" | head -c 1000000 >&2; exit 1'
	prepare bind "$T/root"
	refused 65 'mkfs.erofs failed: no'
}

@test "mkfs.erofs writes no image" {
	stand_in 'echo junk > /proc/self/fd/3'
	run --separate-stderr fs prepare < <(box bind "$T/root")
	[ "$status" -eq 65 ]
	[[ $stderr == *'not an EROFS image'* ]]
}

@test "no room" {
	mkdir "$T/small"
	mount -t tmpfs -o size=64k none "$T/small"
	stand_in 'dd if=/dev/zero of=/proc/self/fd/3 bs=1M count=1 2>&1 >/dev/null |
		sed -n "1s/^dd: /<E> erofs: /p" >&2; exit 1'
	QEMUBOX_STATE_DIR=$T/small prepare bind "$T/root"
	left=$(find "$T/small" -type f -size +0)
	umount "$T/small"
	refused 75 'No space left on device'
	[ -z "$left" ]
}

@test "a gzip that is cut short, or has no unpacker" {
	stand_in 'cat > /dev/null'
	tar -C "$T/root" -cz . > "$T/a.tgz"
	truncate -s -20 "$T/a.tgz"
	prepare tar "$T/a.tgz"
	refused 65 'gzip failed'
	stand_in "exec $(command -v cat) > /dev/null"
	printf '\050\265\057\375 not quite' > "$T/a.zst"
	helpers=$T/bin prepare tar "$T/a.zst"
	refused 69 'start zstd'
}

# A build that is killed half-way leaves no file, and the next one is not in its way.
@test "killed while it builds" {
	mkfifo "$T/here"
	stand_in 'head -c 1000000 /dev/zero > /proc/self/fd/3; echo > '"$T/here"'; exec sleep 1000'
	box bind "$T/root" > "$T/box"
	"$QBX_BIN/qbx-fs" prepare < "$T/box" > "$T/out" 3>&- &
	read -r _ < "$T/here"
	kill -9 $!
	wait $! || :
	[ ! -s "$T/out" ]
	[ "$(ls "$layers")" = lock ]
	stand_in 'exit 1'
	prepare bind "$T/root"
	refused 65 'it says nothing'
}

@test "a directory that changes while it is read" {
	stand_in "echo more >> '$T/root/file'"
	prepare bind "$T/root"
	refused 75 'changed while it was read'
}

@test "a directory with a mount below" {
	mkdir "$T/root/proc"
	mount -t tmpfs none "$T/root/proc"
	prepare bind "$T/root"
	umount "$T/root/proc"
	refused 65 'something is mounted below, on proc'
}

@test "a dry run says what it would do and does nothing" {
	run -0 fs prepare --dry-run < <(box bind "$T/root")
	[[ ${lines[0]} == "make $layers/dir-"*".erofs of $T/root:" ]]
	[[ ${lines[1]} == "mkfs.erofs --quiet "*" /proc/self/fd/3 $T/root" ]]
	[ ! -e "$T/state" ]
	layout "$T/i"
	pack "$T/i"
	run -0 fs prepare --dry-run < <(box oci-archive "$T/i.tar")
	[[ $output == *"mkfs.erofs --quiet "*" --aufs "* ]]
	[ ! -e "$T/state" ]
}

@test "errors as JSON" {
	run --separate-stderr fs prepare --json-errors < <(box erofs "$T/root/file")
	[ "$status" -eq 65 ]
	[[ $stderr == '{"error":{"stage":"qbx-fs","code":65,'* ]]
}

@test "a hundred megabytes are no document" {
	run --separate-stderr fs prepare < <(head -c 100000000 /dev/zero | tr '\0' ' ')
	refused 65 'more than'
}
