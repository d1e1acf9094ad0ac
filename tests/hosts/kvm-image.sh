#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Build what the *kvm* test host boots: the distribution's kernel, a small initrd and a disk with
# the root that root.sh builds, made into a machine of its own with systemd.
#
#   usage:   tests/hosts/kvm-image.sh
#   inputs:  root.sh's root, kvm-etc/ (copied over the root's /etc),
#            kvm-masked (units that are not to start), QBX_CACHE,
#            QBX_REFRESH
#   output:  a directory on stdout that holds kernel, initrd and root.ext4; all are shared, so boot
#            them without writing to them
#
# The first run takes about a minute and some 800 MB; it is cached by the contents of its inputs.
set -eu

here=$(dirname "$(realpath "$0")")
# shellcheck source=guest/functions.sh
. "$here/../../guest/functions.sh"

suite=testing
# What the initrd needs to find the disks: the cloud kernel has it in modules.
modules='virtio_pci virtio_blk ext4 erofs'

# The kernel's packages, from a system that has none: which ones they are is the archive's matter.
unpack_kernel() {
	private_apt "$suite"
	packages=$(apt-get -q --no-install-recommends --simulate install linux-image-cloud-amd64 |
		sed -n 's/^Inst \(linux-[a-z]*-[0-9][^ ]*\).*/\1/p')
	mkdir "$1"
	# shellcheck disable=SC2086 # a list of names
	(cd "$1" && apt-get -q download $packages)
	for deb in "$1"/*.deb; do
		dpkg-deb -x "$deb" "$1/all"
		rm "$deb"
	done
}

# No getty, no timer, nothing that waits for a network or looks after the machine, nothing that looks
# for what this root does not have; and containerd when a test starts it.
settle_units() {
	units=$1/etc/systemd/system
	rm -r "$units"/*.wants
	while read -r unit; do
		ln -sf /dev/null "$units/$unit"
	done < "$here/kvm-masked"
	mkdir "$units/multi-user.target.wants"
	ln -s ../qemubox-command.service "$units/multi-user.target.wants/"
	# Nothing has to be brought up to date on the first boot.
	touch "$1/etc/.updated" "$1/var/.updated"
}

build_initrd() {
	tree=$1 version=$2 initrd=$3
	mkdir -p "$initrd/dev" "$initrd/root" "$initrd/bin"
	cp "$tree/usr/bin/busybox" "$initrd/bin/"
	for module in $modules; do
		chroot "$tree" modprobe --set-version "$version" --show-depends "$module"
	done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' | while read -r module; do
		name=${module##*/}
		case $name in
		*.xz) xz -dc "$tree$module" > "$initrd/${name%.xz}" ;;
		*) cp "$tree$module" "$initrd/" ;;
		esac
		echo "/${name%.xz}" >> "$initrd/modules"
	done
	cat > "$initrd/init" <<-'EOT'
		#!/bin/busybox sh
		set -e
		/bin/busybox mount -t devtmpfs dev /dev
		while read -r module; do /bin/busybox insmod "$module"; done < /modules
		/bin/busybox mount -t ext4 -o noatime /dev/vda /root
		/bin/busybox mount -t erofs -o ro /dev/vdb /root/host
		/bin/busybox mount --move /dev /root/dev
		exec /bin/busybox switch_root /root /sbin/init
	EOT
	chmod 755 "$initrd/init"
}

# The root's files are linked, not copied: they are never written to here, only replaced.
build_kvm() {
	new=$1 tree=$1/tree
	cp -al "$root" "$tree"
	unpack_kernel "$new/kernel.d"
	version=$(ls "$new/kernel.d/all/usr/lib/modules")
	mkdir -p "$tree/usr/lib/modules" "$tree/host"
	mv "$new/kernel.d/all/usr/lib/modules/$version" "$tree/usr/lib/modules/"
	mv "$tree/usr/lib/modules/$version/vmlinuz" "$new/kernel"
	chroot "$tree" depmod "$version"
	cp -R --remove-destination "$here/kvm-etc/." "$tree/etc/"
	settle_units "$tree"
	build_initrd "$tree" "$version" "$new/initrd.d"
	(cd "$new/initrd.d" && find . | cpio -o -H newc --quiet) > "$new/initrd"
	truncate -s 8G "$new/root.ext4"
	mke2fs -q -t ext4 -m 0 -N 131072 -O ^has_journal -E lazy_itable_init=0 -d "$tree" "$new/root.ext4"
	rm -r "$tree" "$new/kernel.d" "$new/initrd.d"
}

root=$("$here/root.sh")
inputs=$(find "$here/kvm-etc" -type f | sort)
# shellcheck disable=SC2086 # a list of names without blanks
cached "kvm-$(echo "$root $modules" | key "$0" "$here/kvm-masked" $inputs)" build_kvm
