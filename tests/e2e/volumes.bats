#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Files of the host in a box, through containerd.
# shellcheck disable=SC2016,SC2154 # for the shell in the container; boxes.bash and tasks.bash set them

bats_require_minimum_version 1.5.0

load boxes
load tasks
load root

# volume SOURCE DESTINATION OPTION... — an option of ctr
volume() {
	local IFS=:
	echo "--mount=type=bind,src=$1,dst=$2,options=${*:3}"
}

# fs ID: that key of the box's document
fs() {
	jq -c .fs "/run/qemubox/default--$1/box.json"
}

# refused TEXT OPTION... — the box is, with that in the message
refused() {
	local text=$1
	shift
	run ! box "$@" refused true
	[[ $output == *"$text"* ]] || { echo "$output"; false; }
	ctr container rm refused 2> /dev/null || :
}

# bats test_tags=kvm
@test "directories: what one side does the other sees, with owners, modes, links and attributes" {
	mkdir -p rw/sub rw/inner ro shm
	mount -t tmpfs -o size=1m tmpfs shm
	mount -t tmpfs tmpfs rw/inner
	echo mounted > rw/inner/file
	echo secret > ro/key
	echo before > rw/seen
	install -m 4750 -o 1001 -g 1002 /dev/null rw/theirs
	ln -s /etc/hostname rw/outside
	ln rw/seen rw/again
	setfattr -n user.host -v here rw/seen
	up "$(volume "$PWD/rw" /data rbind rw)" "$(volume "$PWD/ro" /ro rbind ro)" \
		"$(volume "$PWD/shm" /dev/shm rbind rw)" "$(volume "$PWD/rw" /alone bind rw)" both
	[ "$(fs both | jq -r '[.volumes[] | "\(.kind) \(.destination) \(.readonly)"] | join(",")')" = \
		'share /data false,share /ro true,shm /dev/shm false,share /alone false' ]

	# the host's, seen from within
	ex both look sh -ec 'cd /data; cat seen /ro/key; stat -c "%a %u:%g" theirs; readlink outside
		busybox getfattr -n user.host seen | grep user; stat -c %h seen; [ $(stat -c %i seen) = $(stat -c %i again) ]; cat outside' > said
	diff - said <<- END
		before
		secret
		4750 1001:1002
		/etc/hostname
		user.host="here"
		2
		$(ex both name cat /etc/hostname)
	END

	# what is mounted below comes along if it is asked for
	[ "$(ex both below sh -c 'ls /alone/inner; cat /data/inner/file; echo new > /data/inner/new')" = mounted ]
	[ "$(cat rw/inner/new)" = new ]

	# /dev/shm is the guest's own, as large as the host's
	[ "$(ex both shm sh -c 'echo > /dev/shm/x; grep -o " /dev/shm tmpfs.*size=[0-9]*k" /proc/mounts')" = \
		' /dev/shm tmpfs rw,nosuid,nodev,noexec,relatime,size=1024k' ]
	[ -z "$(ls shm)" ]

	# the container's, seen from here
	ex both make sh -ec 'cd /data; echo within > new; chown 1234:4321 new; chmod 640 new; ln new hard
		ln -s ../../../etc/shadow soft; mkfifo pipe; mkdir -m 1777 dir; echo > dir/x; touch -d @1000000000 new
		cp --preserve=xattr seen dir/copy; mv seen moved; rm again; : > sub/empty; truncate -s 1G sub/sparse'
	[ "$(stat -c '%a %u:%g %h %Y' rw/new)" = '640 1234:4321 2 1000000000' ]
	[ rw/new -ef rw/hard ]
	[ "$(cat rw/new)" = within ]
	[ "$(readlink rw/soft)" = ../../../etc/shadow ]
	[ -p rw/pipe ]
	[ "$(stat -c %a rw/dir)" = 1777 ]
	[ "$(getfattr --only-values -n user.host rw/dir/copy)" = here ]
	[ ! -e rw/seen ] && [ ! -e rw/again ]
	[ "$(stat -c '%s %b' rw/sub/sparse)" = '1073741824 0' ]

	# and later, without a remount, and when the box has stood still
	ctr task pause both
	ctr task resume both
	echo after > rw/moved
	mkdir rw/later && echo more > rw/later/file
	[ "$(ex both later cat /data/moved /data/later/file)" = $'after\nmore' ]
	down both
	umount shm rw/inner
}

@test "read-only is enforced by the host, whatever a privileged container does" {
	mkdir -p ro/inner rw
	echo secret > ro/key
	mount -t tmpfs tmpfs ro/inner
	up --privileged "$(volume "$PWD/ro" /ro rbind ro)" "$(volume "$PWD/rw" /rw bind)" tough
	run ! ex tough write sh -c 'mount -o remount,rw,bind /ro; mount | grep "on /ro .*(rw"; echo x > /ro/new'
	[[ $output == *'on /ro type virtiofs (rw'* ]] # the guest let it
	[[ $output == *'Read-only file system'* ]]    # and the host did not
	for what in 'rm /ro/key' 'chmod 777 /ro/key' 'chown 1 /ro/key' 'mv /ro/key /ro/k' 'touch /ro/key' 'mkdir /ro/d' \
		'ln /ro/key /ro/l' 'echo x > /ro/inner/x' 'truncate -s 0 /ro/key'; do
		run ! ex tough "e$RANDOM" sh -c "$what"
	done
	# A device node would count on the host.
	run ! ex tough node mknod /rw/disk b 8 0
	diff <(find ro rw | sort) <(printf '%s\n' ro ro/inner ro/key rw)
	[ "$(stat -c %a:%u ro/key)" = 644:0 ]
	[ "$(cat ro/key)" = secret ]
	down tough
	umount ro/inner
}

@test "much of it, many of them, mapped and locked: as on a disk" {
	# A machine that emulates KVM has a tenth of the speed.
	local size=100M many=1500
	[ "${QEMUBOX_ACCEL:-kvm}" = tcg ] || size=16M many=200
	mkdir -p data/many
	cp "$BATS_TEST_DIRNAME/../../${QBX_BUILD:-build}/tests/e2e/fileops" data
	head -c $size /dev/urandom > data/large
	for ((i = 1; i <= many; i++)); do echo "$i" > "data/many/$i"; done
	up "$(volume "$PWD/data" /data rbind rw)" much
	(cd data && sha256sum large) > sum
	ex much sum sh -c 'cd /data && sha256sum large' | diff - sum
	ex much copy cp /data/large /data/copy
	cmp data/large data/copy
	cat data/many/* | sha256sum > sum
	ex much read sh -c 'cat /data/many/* | sha256sum' | diff - sum
	ex much write sh -ec "cd /data; mkdir more; i=0; while [ \$i -lt $((many / 2)) ]; do echo \$i > more/\$i; i=\$((i + 1)); done
		rm -r many"
	[ "$(find data/more -type f | wc -l)" -eq $((many / 2)) ]
	[ "$(cat data/more/$((many / 2 - 1)))" = $((many / 2 - 1)) ]
	[ ! -e data/many ]

	# Programs are run from there, but where their pages would be emulated.
	ex much keep cp /data/fileops /tmp
	run ex much run /data/fileops
	if [ "$(jq -r .vm.accel /run/qemubox/default--much/box.json)" = tcg ]; then
		[[ $output == *'not executable'* ]]
	else
		[[ $output == *'put, get or lock'* ]]
	fi

	# mapped in the box, read here; written here, read from a mapping in the box
	echo ............ > data/map
	ex much put /tmp/fileops put /data/map within
	[ "$(cat data/map)" = within...... ]
	echo 'from outside' > data/map
	[ "$(ex much get /tmp/fileops get /data/map 12)" = 'from outside' ]

	# two processes of the box, one lock
	for kind in flock posix; do
		[ "$(ex much "$kind" /tmp/fileops lock /data/lock "$kind")" = 'kept out' ]
	done
	down much
}

# becomes ID FILE TEXT — within 20 seconds, in that box
becomes() {
	ex "$1" "wait$RANDOM" timeout 20 sh -c 'until [ "$(cat "$1")" = "$2" ]; do sleep 0.1; done' sh "$2" "$3" ||
		{ ex "$1" "fail$RANDOM" cat "$2"; false; }
}

# bats test_tags=kvm
@test "single files are sent, and sent again when the host's are replaced or written to" {
	mkdir -p cm/..1 elsewhere
	echo one > cm/..1/key
	ln -s ..1 cm/..data
	ln -s ..data/key cm/key
	echo 'nameserver 192.0.2.1' > elsewhere/stub
	ln -s elsewhere/stub resolv.conf
	echo token-1 > token
	echo written > written
	install -m 400 -o 1234 -g 4321 /dev/null secret
	echo 'my secret' > secret
	up --privileged "$(volume "$PWD/cm/key" /cm/key rbind ro)" "$(volume "$PWD/cm" /all rbind ro)" \
		"$(volume "$PWD/resolv.conf" /etc/resolv.conf rbind rw)" "$(volume "$PWD/token" /run/token bind ro)" \
		"$(volume "$PWD/written" /written bind ro)" "$(volume "$PWD/secret" /secret bind ro)" files
	[ "$(fs files | jq -r '[.volumes[].kind] | join(" ")')" = 'file share file file file file' ]
	ex files look sh -ec 'cat /cm/key /all/key /etc/resolv.conf /run/token /written /secret
		stat -c "%a %u:%g" /secret' > said
	diff - said <<- END
		one
		one
		nameserver 192.0.2.1
		token-1
		written
		my secret
		400 1234:4321
	END
	# What is secret is nowhere but there.
	run ! grep -rl 'my secret' /run/qemubox /var/log/qemubox
	# Read-only is read-only; what is to be written to in the box is, and stays there.
	run ! ex files write sh -c 'echo x > /secret'
	ex files resolv sh -c 'echo "# mine" >> /etc/resolv.conf'
	[ "$(cat elsewhere/stub)" = 'nameserver 192.0.2.1' ]

	# The swap that a kubelet makes: both the single file and the directory follow.
	mkdir cm/..2
	echo two > cm/..2/key
	ln -s ..2 cm/..tmp
	mv -T cm/..tmp cm/..data
	rm -r cm/..1
	becomes files /cm/key two
	becomes files /all/key two
	# replaced, in its own directory and where a symlink leads
	echo token-2 > new && mv new token
	becomes files /run/token token-2
	echo 'nameserver 192.0.2.2' > elsewhere/new && mv elsewhere/new elsewhere/stub
	becomes files /etc/resolv.conf 'nameserver 192.0.2.2'
	# written to, longer and shorter, by who has it open all the time
	exec 7<> written
	for text in longer-than-before short; do
		echo $text > written
		becomes files /written $text
	done
	exec 7>&-
	chmod 444 secret
	ex files mode timeout 20 sh -c 'until [ "$(stat -c %a /secret)" = 444 ]; do sleep 0.1; done'
	# A symlink that leads out of there later is not followed.
	ln -sf /etc/shadow new && mv new token
	echo last > new && mv new written
	becomes files /written last
	[ "$(ex files token cat /run/token)" = token-2 ]
	logged 'volume /run/token: '
	down files
}

# attach FILE — to a free loop device, whose node this host may lack
attach() {
	local loop
	loop=$(losetup --find 2>&1 | grep -o '/dev/loop[0-9]*' | head -n 1)
	[ -b "$loop" ] || mknod -m 600 "$loop" b 7 "${loop#/dev/loop}"
	losetup "$loop" "$1"
	echo "$loop"
}

# bats test_tags=kvm
@test "disk images and block devices are disks of the VM" {
	truncate -s 64M image
	mke2fs -q -t ext4 image
	truncate -s 8M one two
	mke2fs -q one # which leaves its first sectors alone
	echo 'on the first' | dd of=one conv=notrunc status=none
	loop=$(attach one)
	bound=$(attach two)
	mount "$loop" /mnt
	refused 'Device or resource busy' "--device=$loop"
	umount /mnt
	up "--mount=type=ext4,src=$PWD/image,dst=/disk,options=rw:noatime:errors=remount-ro" "--device=$loop" \
		"$(volume "$bound" /dev/bound bind ro)" disks
	[ "$(fs disks | jq -r '[.volumes[].kind] | join(" ")')" = 'disk block block' ]
	ex disks look sh -ec 'grep " /disk " /proc/mounts; head -c 12 "$1"; echo; echo within > /disk/file; sync
		echo "by the box" | dd of="$1" conv=notrunc oflag=direct,sync bs=512 conv=notrunc,sync status=none
		[ -b /dev/bound ]; dd if=/dev/bound bs=1M status=none | wc -c
		! dd if=/dev/zero of=/dev/bound bs=512 count=1 oflag=direct' sh "$loop" > said 2> said.err || { cat said said.err; false; }
	grep -q '^/dev/vd[a-z] /disk ext4 rw,noatime' said
	[ "$(tail -n 2 said)" = $'on the first\n8388608' ]
	# Whoever else wants to write to it is kept out while the box runs.
	run ! mount "$loop" /mnt
	down disks
	mount "$loop" /mnt
	umount /mnt
	[ "$(debugfs -R 'cat /file' image 2> /dev/null)" = within ]
	[ "$(head -c 10 one)" = 'by the box' ]
	[ -z "$(tr -d '\0' < two)" ]
	losetup -d "$loop" "$bound"
}

# bats test_tags=kvm
@test "a dozen disk images beside network, writable disk and a directory, on both machines" {
	local machine i options
	mkdir files dir
	echo outside > files/host
	truncate -s 4M image
	mke2fs -q -t ext4 -d files image
	for machine in microvm q35; do
		options=("--annotation=io.qemubox.machine=$machine" "$(volume "$PWD/dir" /dir rbind rw)")
		for i in {1..12}; do
			cp image "$machine$i"
			options+=("--mount=type=ext4,src=$PWD/$machine$i,dst=/disk$i,options=rw")
		done
		up "${options[@]}" "$machine"
		[ "$(jq -r .vm.machine "/run/qemubox/default--$machine/box.json")" = "$machine" ]
		# each is the one that it should be, and what goes over the other devices arrives, too
		ex "$machine" use sh -ec 'for i in $(seq 12); do cat /disk$i/host; echo "within $i" > /disk$i/box; done
			echo rw > /file; sync; ls /sys/bus/virtio/drivers/virtio_balloon | grep -c virtio
			ping -qc 2 "$(ip route | sed -n "s/^default via \([^ ]*\).*/\1/p")" > /dev/null; echo shared > /dir/box' > said
		diff said <(yes outside | head -n 12; echo 1)
		[ "$(cat dir/box)" = shared ]
		rm dir/box
		down "$machine"
		for i in {1..12}; do
			[ "$(debugfs -R 'cat /box' "$machine$i" 2> /dev/null)" = "within $i" ]
			e2fsck -fn "$machine$i" > /dev/null 2>&1
		done
	done
}

@test "by hand: a document with a specification, one step at a time" {
	mkdir data
	echo shared > data/file
	echo sent > token
	busybox_root "$PWD/root"
	jq -cn --arg d "$PWD" '{qbx: 1, id: "hand", network: "none", rootfs: [{type: "bind", source: "\($d)/root"}],
		spec: {ociVersion: "1.1.0", process: {cwd: "/", user: {uid: 0, gid: 0}, args: ["true"], env: ["PATH=/bin"]},
		mounts: [{destination: "/proc", type: "proc", source: "proc"},
			{destination: "/data", type: "bind", source: "\($d)/data", options: ["rbind", "rw", "nosuid"]},
			{destination: "/token", type: "bind", source: "\($d)/token", options: ["bind", "ro"]}],
		linux: {namespaces: [["pid", "mount", "network"][] | {type: .}]}}}' > in.json
	[[ $(qbx-fs prepare --dry-run --box in.json) == *"share $PWD/data as volumes/0, for /data"*"send $PWD/token as files/1, read-only, for /token"* ]]
	qbx-fs prepare --box in.json > box.json
	run ! grep sent box.json
	[[ $(qbx-vm run --dry-run --box box.json) == *"/volumes/0 ($PWD/data)"*'virtiofsd --shared-dir=/volumes '*' vhost-user-fs-device,'* ]]
	# Its files are kept up to date while it runs in the foreground, too.
	mkfifo said
	qbx-vm run --box box.json -- sh -c 'cat /data/file /token; grep -o "/data virtiofs rw,nosuid" /proc/mounts
		echo mine > /data/new; until [ "$(cat /token)" = again ]; do sleep 0.1; done; echo seen' \
		< /dev/null > said 3>&- &
	runner=$!
	exec 9< said
	for line in shared sent '/data virtiofs rw,nosuid'; do
		read -r -u 9 got
		[ "$got" = "$line" ]
	done
	echo again > token
	read -r -u 9 got
	[ "$got" = seen ]
	wait $runner
	[ "$(cat data/new)" = mine ]
	# What was looked at is what is opened, or nothing is.
	mv data other && mkdir data
	run -125 qbx-vm run --box box.json -- true
	[[ $output == *"volume /data: $PWD/data is not what it was"* ]]
}

@test "what cannot be a volume is refused by name, before anything starts" {
	mkdir dir
	mkfifo pipe
	socat -u UNIX-LISTEN:sock,unlink-close=0 /dev/null 3>&- &
	until [ -S sock ]; do :; done
	kill $!
	ln -s "$PWD/dir" link
	refused "mount on /x: $PWD/pipe is a FIFO" "$(volume "$PWD/pipe" /x bind)"
	refused "mount on /x: $PWD/sock is a socket" "$(volume "$PWD/sock" /x bind)"
	refused 'mount on /x: /dev/null is a character device' "$(volume /dev/null /x bind)"
	refused "mount on /x: /proc/sys is of the host's kernel" "$(volume /proc/sys /x rbind)"
	refused "mount on /x: /sys is of the host's kernel" "$(volume /sys /x rbind)"
	refused "mount on /x: $PWD/absent: No such file" "$(volume "$PWD/absent" /x bind)"
	refused "mount on /x: $PWD/dir is a directory" "--mount=type=ext4,src=$PWD/dir,dst=/x"
	refused 'Too many levels of symbolic links' "$(volume /proc/self/root/etc /x bind)"
	# a symlink of the host's is the host's business
	box "$(volume "$PWD/link" /x bind)" linked test -d /x
}

@test "a box whose virtiofsd ends is ended, with the reason" {
	mkdir data
	up "$(volume "$PWD/data" /data rbind rw)" orphan
	SECONDS=0
	kill -KILL "$(jq .virtiofsd.pid /run/qemubox/default--orphan/vm.json)"
	status=0
	wait "$pid" || status=$?
	[ "$status" -eq 137 ]
	[ "$SECONDS" -lt 20 ]
	[ "$(jq -r .end.reason /var/log/qemubox/default--orphan.json)" = volumes ]
	logged 'virtiofsd, which it has its volumes from, ended'
}
