#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Unpack a package of another Debian suite, with all it needs, below one directory that works wherever
# it lies: DIR/PROGRAM runs with the suite's own libraries. The test hosts show it as /opt/NAME.
#
#   usage:   tests/hosts/other.sh [--if-there] NAME
#            tests/hosts/other.sh --names
#   inputs:  QBX_CACHE, QBX_REFRESH
#   output:  DIR on stdout; with --if-there nothing when it is not in the cache
set -eu

here=$(dirname "$(realpath "$0")")
# shellcheck source=guest/functions.sh
. "$here/../../guest/functions.sh"

# name, suite, package, programs
others() {
	cat <<-'EOT'
		qemu/bookworm   bookworm  qemu-system-x86  qemu-system-x86_64
		qemu/trixie     trixie    qemu-system-x86  qemu-system-x86_64
		containerd/1.7  trixie    containerd       containerd ctr
	EOT
}

unpack() {
	packages=$(apt-get -q --no-install-recommends --simulate install "$package" |
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
}

# What a program looks for beside itself it finds beside the running one, which is the tree's own
# dynamic linker here: so that lies where the program does, under a name that says what it runs.
build_tree() {
	private_apt "$suite"
	cd "$1"
	mkdir -p usr/bin usr/lib usr/lib64
	ln -s usr/bin usr/lib usr/lib64 .
	unpack
	cp -L lib64/ld-linux-x86-64.so.2 "usr/bin/${name%/*}-linked"
	for program in $programs; do
		cat > "$program" <<-EOT
			#!/bin/sh
			here=\${0%/*}
			exec "\$here/usr/bin/${name%/*}-linked" --library-path "\$here/usr/lib/x86_64-linux-gnu" \\
				"\$here/usr/bin/$program" "\$@"
		EOT
		chmod 755 "$program"
		"./$program" --version
	done
	chmod 755 .
}

[ "${1:-}" != --names ] || { others | cut -d' ' -f1; exit; }
if_there=
[ "${1:-}" != --if-there ] || { if_there=yes; shift; }
[ $# -eq 1 ] || die "no name given; see the head of $0"
name=$1
line=$(others | grep "^$name ") || die "$name is none of: $("$0" --names | xargs)"
read -r _ suite package programs <<EOT
$line
EOT

tree=$(echo "$name" | tr / -)-$(echo "$line" | key "$0")
[ -z "$if_there" ] || [ -e "$cache/$tree" ] || exit 0
cached "$tree" build_tree
