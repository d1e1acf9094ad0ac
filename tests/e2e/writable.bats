#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What a container writes: where it goes, how long it stays, and what happens when there is no room.
# What is in single quotes is for the shell in the container.
# shellcheck disable=SC2016,SC2154

bats_require_minimum_version 1.5.0

load boxes

# kept [OPTION of ctr run]... ID CMD...: a container that stays when its task has ended
kept() {
	local options=()
	while [[ $1 == -* ]]; do
		options+=("$1")
		shift
	done
	timeout 300 ctr run --snapshotter "$containerd_snapshotter" --runtime "$runtime" "${options[@]}" "$image" "$@" 3>&-
}

# again ID: its task once more
again() {
	timeout 300 ctr task start "$1" 3>&-
}

# disk ID: the file that it writes to, as containerd says where its upper directory is
disk() {
	ctr snapshot --snapshotter "$containerd_snapshotter" mounts /x "$1" |
		sed -n 's/.*upperdir=\([^,]*\)\/fs,.*/\1\/fs.ext4/p'
}

# Returns when all that nothing needs is gone.
sweep() {
	ctr leases create --id sweep > /dev/null
	ctr leases rm --sync sweep > /dev/null
}

# forget ID: the container and its snapshot, to the last file
forget() {
	ctr container rm "$1"
	sweep
}

mib() {
	echo $(($(stat -c %b "$1") / 2048))
}

# bats test_tags=kvm
@test "a container that is started again has its files, until its snapshot goes" {
	run -0 kept again sh -c 'stat -c "%a %u:%g" /; n=$(cat /kept/file) && [ ! -e /etc/motd ] && echo "$n times"
		mkdir -p /kept; echo $((n + 1)) > /kept/file; rm -f /etc/motd'
	[ "${lines[0]}" = '755 0:0' ]
	[[ $output != *times* ]]
	file=$(disk again)
	[ "$(stat -c '%u %a' "$file")" = '0 600' ]
	[ "$(mib "$file")" -lt 40 ]
	# What containerd counts, compares and commits is as it was.
	dir=$(dirname "$file")
	[ -z "$(find "$dir/fs" "$dir/work" -mindepth 1)" ]
	[ "$(ctr snapshot --snapshotter "$containerd_snapshotter" usage again | awk 'NR == 2 { print $2 + 0 }')" -lt 10 ]
	run -0 again again
	[ "$output" = $'755 0:0\n1 times' ]
	run -0 again again
	[ "$output" = $'755 0:0\n2 times' ]
	forget again
	[ ! -e "$dir" ]
}

@test "a guest that was killed: the next one puts its disk in order" {
	mkfifo out
	kept killed sh -c 'cat /file 2> /dev/null || { mkdir /dir; seq 100000 > /file; sync; echo up; exec sleep 1000; }' > out &
	pid=$!
	read -r _ < out
	kill -KILL "$(jq .pid /run/qemubox/default--killed/vm.json)"
	wait $pid || :
	run -0 again killed
	[ "$output" = "$(seq 100000)" ]
	forget killed
}

@test "a full disk is ENOSPC, and room is given back" {
	run -0 kept --annotation=io.qemubox.fs.writable-mib=128 full sh -c '
		dd if=/dev/zero of=/big bs=1M count=200 2>&1 | grep -o "No space left on device"
		echo more 2> /dev/null > /more || echo no more
		rm /big
		sync
		echo more > /more
		cat /more
		df -m / | tail -n 1'
	[[ $output == *'No space left on device'*$'\nno more\nmore\n'* ]] || { echo "$output"; false; }
	file=$(disk full)
	[ "$(stat -c %s "$file")" = $((128 << 20)) ]
	echo "# $(mib "$file") MiB are left on the host" >&3
	[ "$(mib "$file")" -lt 30 ]
	forget full
}

@test "in memory, and where nothing may be written" {
	run -0 kept --annotation=io.qemubox.fs.writable=tmpfs memory sh -c 'cat /file; echo gone > /file'
	[[ $output != gone ]]
	run -0 again memory
	[[ $output != gone ]]
	[ ! -e "$(disk memory)" ]
	forget memory
	run kept --read-only readonly sh -c 'echo > /file; echo > /etc/motd; cat /proc/mounts'
	[[ $output == *'/file: Read-only'*'/etc/motd: Read-only'*'overlay / overlay ro,'* ]] || { echo "$output"; false; }
	[ ! -e "$(disk readonly)" ]
	forget readonly
}

@test "two VMs cannot have the same disk" {
	mkfifo out
	kept first sh -c 'echo up; exec sleep 1000' > out &
	pid=$!
	read -r _ < out
	jq 'del(.vm, .net, .shim, .bundle) | .id = "second"' /run/qemubox/default--first/box.json > box.json
	run -75 --separate-stderr qbx-vm start --box box.json
	[[ $stderr == *"disk $(disk first): Device or resource busy (another VM writes to it, or qbx-fs export reads it)"* ]]
	# It is QEMU that holds the lock, and nobody else any more.
	grep -q 'lock:.*OFDLCK.*WRITE.* 0 0$' /proc/"$(jq .pid /run/qemubox/default--first/vm.json)"/fdinfo/*
	[ ! -e /run/qemubox/default--second ]
	ctr task kill --signal SIGKILL first
	wait "$pid" || :
	qbx-vm start --box box.json > started.json
	qbx-vm stop --box started.json > /dev/null
	forget first
}

@test "a disk that is damaged is refused, and made anew when it is removed" {
	kept damaged true
	file=$(disk damaged)
	head -c 8192 /dev/urandom | dd of="$file" conv=notrunc status=none
	run -1 again damaged
	[[ $output == *'mount ext4 "disk:rw" on rw: create: '*'damaged'* ]] || { echo "$output"; false; }
	rm "$file"
	run -0 again damaged
	forget damaged
}

@test "a host without room is an error in the guest, and the VM goes on" {
	mkdir small
	jq -n --arg a "$archive" '{qbx: 1, id: "poor", rootfs: [{type: "oci-archive", source: $a}]}' > box.json
	qbx-fs prepare --box box.json > prepared.json
	file=$(jq -r '.fs.disks[-1].path' prepared.json)
	mount -t tmpfs -o size=24m none small
	cp --sparse=always "$file" small/rw
	jq --arg f "$PWD/small/rw" '.fs.disks[-1].path = $f' prepared.json > doc.json
	run -0 qbx-vm run --box doc.json -- sh -c '
		dd if=/dev/zero of=/big bs=1M count=100 conv=fsync 2>&1 | grep -o "fsync failed.*"
		echo going on'
	umount small
	[[ $output == *'Input/output error'*'going on' ]] || { echo "$output"; false; }
	[ -e "$file" ]
	qbx-fs release --box prepared.json > /dev/null
	qbx-fs release --box box.json > /dev/null
	[ ! -e "$file" ]
}

@test "the root directory of a box without a snapshot" {
	# shellcheck source=tests/e2e/root.bash
	. "$BATS_TEST_DIRNAME/root.bash"
	busybox_root root
	chmod 1751 root
	chown 5:6 root
	jq -n --arg d "$PWD/root" '{qbx: 1, id: "own", rootfs: [{type: "bind", source: $d}]}' > box.json
	qbx-fs prepare --box box.json > prepared.json
	run -0 qbx-vm run --box prepared.json -- sh -c 'stat -c "%a %u:%g" /; chmod 750 /; echo > /file'
	[ "$output" = '1751 5:6' ]
	run -0 qbx-vm run --box prepared.json -- sh -c 'stat -c "%a %u:%g" /; ls /file'
	[ "$output" = $'750 5:6\n/file' ]
	qbx-fs release --box prepared.json > /dev/null
	[ -z "$(ls -A /var/lib/qemubox/writable)" ]
}

# rootfs SNAPSHOT: the "rootfs" of a document, as containerd mounts that
rootfs() {
	ctr snapshot --snapshotter "$containerd_snapshotter" mounts /x "$1" |
		sed 's/^mount -t \([a-z]*\) \([^ ]*\) .* -o \(.*\)$/\1 \2 \3/' |
		jq -R 'split(" ") | [{type: .[0], source: .[1], options: (.[2] | split(","))}]'
}

# bats test_tags=kvm
@test "what a container wrote is what containerd compares and commits" {
	run -0 kept --annotation=io.qemubox.fs.commit=true commit sh -c '
		set -e
		rm -r /etc/motd /srv/opaque
		mkdir -p /srv/opaque /new/deep
		echo within > /srv/opaque/only
		echo changed >> /etc/hosts
		echo file > /new/deep/file
		ln /new/deep/file /new/hard
		ln -s ../file /new/deep/symlink
		chown 1234:5678 /new/deep/file
		chmod 4750 /new/deep/file
		truncate -s 100M /new/sparse'
	dir=$(dirname "$(disk commit)")
	[ "$(stat -c '%a %u:%g %h' "$dir/fs/new/deep/file")" = '4750 1234:5678 2' ]
	[ "$dir/fs/new/hard" -ef "$dir/fs/new/deep/file" ]
	[ "$(stat -c '%F %t:%T' "$dir/fs/etc/motd")" = 'character special file 0:0' ]
	[ "$(getfattr --absolute-names --only-values -n trusted.overlay.opaque "$dir/fs/srv/opaque")" = y ]
	[ "$(stat -c %b "$dir/fs/new/sparse")" -lt 100 ]
	[ "$(ls "$dir")" = $'fs\nfs.ext4\nwork' ]
	# containerd's own diff
	ctr snapshot --snapshotter "$containerd_snapshotter" diff commit > diff.tar
	tar -tf diff.tar | sed 's|^\./||' | sort > names
	for name in etc/.wh.motd new/deep/file new/hard new/deep/symlink new/sparse srv/opaque/only; do
		grep -qx "$name" names || { echo "no $name in:"; cat names; false; }
	done
	# and its commit, on which the next container stands
	ctr snapshot --snapshotter "$containerd_snapshotter" commit made commit
	ctr snapshot --snapshotter "$containerd_snapshotter" prepare next made > /dev/null
	rootfs next | jq '{qbx: 1, id: "next", rootfs: .}' > box.json
	qbx-fs prepare --box box.json > prepared.json
	run -0 qbx-vm run --box prepared.json -- sh -c '
		ls /etc/motd; ls -A /srv/opaque; cat /new/deep/file; stat -c "%a %u:%g %h" /new/hard; readlink /new/deep/symlink'
	qbx-fs release --box prepared.json > /dev/null
	ctr snapshot --snapshotter "$containerd_snapshotter" rm next
	ctr container rm commit || :
	ctr snapshot --snapshotter "$containerd_snapshotter" rm made
	sweep
	[[ $output == *'No such file'*$'only\nfile\n4750 1234:5678 2\n../file' ]] || { echo "$output"; false; }
}

@test "export on request, but not of a guest that was killed" {
	mkfifo out
	kept asked sh -c '[ ! -e /file ] || exec echo again; echo written > /file; sync; echo up; exec sleep 1000' > out &
	pid=$!
	read -r _ < out
	jq '{qbx, id, namespace, rootfs}' /run/qemubox/default--asked/box.json > box.json
	dir=$(dirname "$(disk asked)")
	run -75 --separate-stderr qbx-fs export --box box.json
	[[ $stderr == *'the file system is in use (stop the container, or pause it)' ]]
	kill -KILL "$(jq .pid /run/qemubox/default--asked/vm.json)"
	wait "$pid" || :
	run -75 --separate-stderr qbx-fs export --box box.json
	[ -z "$(ls -A "$dir/fs")" ]
	run -0 again asked
	[ "$output" = again ]
	strace -f -o trace qbx-fs export --box box.json > /dev/null
	[ "$(cat "$dir/fs/file")" = written ]
	# The process that read it could do nothing else.
	reader=$(awk '/setresuid\(65534, 65534, 65534\) *= 0/ { print $1 }' trace)
	awk -v pid="$reader" '$1 == pid { if (filtered) print; if (/PR_SET_SECCOMP.*= 0/) filtered = 1 }' trace |
		grep -vE '[+]{3}|<[.]{3}' | sed 's/^[0-9]* *\([a-z0-9_]*\).*/\1/' | sort -u > calls
	grep -qx pread64 calls
	run ! grep -vxE 'pread64|write|exit_group|brk|mmap|munmap|mremap|madvise' calls
	forget asked
}

# others ID SCRIPT: the same snapshot under another runtime, which runs that; runc itself, as containerd 1.7 has
# no shim for it here
others() {
	local status=0
	mkdir -p bundle/rootfs
	[ -e bundle/config.json ] || runc spec --bundle bundle
	jq --arg script "exec 2>&1; $2" '.process.args = ["/bin/sh", "-c", $script] | .process.terminal = false |
		.root.readonly = false | del(.linux.resources) |
		.process.capabilities |= map_values(. + ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID"])' \
		bundle/config.json > bundle/changed.json
	mv bundle/changed.json bundle/config.json
	ctr snapshot --snapshotter "$containerd_snapshotter" mounts "$PWD/bundle/rootfs" "$1" | sh
	runc run --bundle bundle others < /dev/null 3>&- || status=$?
	umount bundle/rootfs
	return $status
}

# exported ID: as the shim does with io.qemubox.fs.commit
exported() {
	rootfs "$1" | jq --arg id "$1" '{qbx: 1, id: $id, rootfs: .}' > exported.json
	qbx-fs export --box exported.json > /dev/null
}

@test "what others have written to the snapshot is there, and what was exported does not come back" {
	ctr container create --snapshotter "$containerd_snapshotter" --runtime "$runtime" "$image" shared sh /do
	others shared '
		set -e
		rm -r /etc/motd /srv/opaque
		mkdir -p /srv/opaque /new/deep
		echo within > /srv/opaque/only
		echo file > /new/deep/file
		ln /new/deep/file /new/hard
		chown 1234:5678 /new/deep/file
		chmod 4750 /new/deep/file
		echo "
			cat /new/hard; stat -c \"%a %u:%g %h\" /new/deep/file; ls -A /srv/opaque; ls /etc/motd
			rm /new/deep/file; echo box > /box; rm -r /srv/opaque
		" > /do'
	run -0 again shared
	[[ $output == $'file\n4750 1234:5678 2\nonly\n'*/etc/motd*'No such file'* ]]
	# It goes on under the other, and then here: below what the container has written.
	others shared 'ls /box /new/deep/file; echo late > /late; echo "ls -A / /new/deep; [ -e /turn ] && rm /turn || touch /turn" > /do' > seen
	[[ $(cat seen) == */box*'No such file'*/new/deep/file ]]
	run -0 again shared
	[[ $output == *$'\nbox\n'*$'\nlate\n'* && $output != *turn* && ${lines[-1]} == /new/deep: ]]
	exported shared
	others shared 'cat /box /turn; ls -A /new /new/deep /srv; cat /new/hard; ls /etc/motd || true' > seen
	[[ $(cat seen) == $'box\n/new:\ndeep\nhard\n\n/new/deep:\n\n/srv:'*$'\nfile\n'*/etc/motd*'No such file'* ]] || { cat seen; false; }
	run ! grep -q opaque seen
	# Removed in the box after it was exported: it stays removed.
	run -0 again shared
	[[ $output == *turn* ]]
	run -0 again shared
	[[ $output != *turn* && ${lines[-1]} == /new/deep: ]]
	# Both have written since then.
	others shared 'echo x > /both'
	run -1 again shared
	[[ $output == *'changed by others since it was exported, and the container has written since ('*"remove $(disk shared); "* ]]
	others shared 'rm /both; echo "cat /box /late; ls /both /turn || true" > /do'
	rm "$(disk shared)"
	run -0 again shared
	[[ $output == $'box\nlate\n'*/both*'No such file'*/turn ]]
	# Only the others have: what the disk had is theirs.
	exported shared
	others shared 'echo edited > /box; rm /late'
	run -0 again shared
	[[ $output == $'edited\n'*/late*'No such file'* ]]
	forget shared
}
