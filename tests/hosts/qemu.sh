#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Unpack the QEMU of another Debian suite, with all it needs, below one directory that works
# wherever it lies, as QEMUBOX_QEMU_PATH=DIR/qemu-system-x86_64.
#
#   usage:   tests/hosts/qemu.sh [--if-there] SUITE      bookworm has 7.2, trixie 10.0
#   inputs:  QBX_CACHE, QBX_REFRESH
#   output:  DIR on stdout; with --if-there nothing when it is not in the cache
set -eu

here=$(dirname "$(realpath "$0")")
# shellcheck source=guest/functions.sh
. "$here/../../guest/functions.sh"

if_there=
[ "${1:-}" != --if-there ] || { if_there=yes; shift; }
[ $# -eq 1 ] || die "no suite given; see the head of $0"
suite=$1

# Firmware, modules and data are looked up beside the running program, which is the tree's own
# dynamic linker here: so that lies where QEMU's program does, under a name that says what it runs.
build_tree() {
	private_apt "$suite"
	cd "$1"
	mkdir -p usr/bin usr/lib usr/lib64
	ln -s usr/bin usr/lib usr/lib64 .
	packages=$(apt-get -q --no-install-recommends --simulate install qemu-system-x86 |
		sed -n 's/^Inst \([^ ]*\).*/\1/p')
	mkdir debs
	# shellcheck disable=SC2086 # a list of names
	(cd debs && apt-get -q download $packages)
	for deb in debs/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink \
			--exclude='./usr/share/doc*' --exclude='./usr/share/man' \
			--exclude='./usr/share/locale' --exclude='./var' --exclude='./etc'
	done
	rm -r debs
	cp -L lib64/ld-linux-x86-64.so.2 usr/bin/qemu-linked
	cat > qemu-system-x86_64 <<-'EOT'
		#!/bin/sh
		here=${0%/*}
		exec "$here/usr/bin/qemu-linked" --library-path "$here/usr/lib/x86_64-linux-gnu" \
			"$here/usr/bin/qemu-system-x86_64" "$@"
	EOT
	chmod 755 . qemu-system-x86_64
	./qemu-system-x86_64 --version
}

name=qemu-$(echo "$suite" | key "$0")
[ -z "$if_there" ] || [ -e "$cache/$name" ] || exit 0
cached "$name" build_tree
