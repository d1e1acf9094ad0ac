#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Make the guest's initrd: /init, crun and the directories they mount things on.
#
#   usage:   guest/initrd.sh INIT OUT
#   inputs:  INIT, the static qbx-init; the crun that crun.sh builds
#   output:  OUT, a newc archive; the same inputs give the same bytes
set -eu

here=$(dirname "$(realpath "$0")")
init=$1 out=$2
crun=$("$here/crun.sh")

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
trap 'exit 1' HUP INT TERM

umask 022
chmod 755 "$tree"
mkdir -p "$tree/usr/bin" "$tree/dev" "$tree/proc" "$tree/sys" "$tree/run" "$tree/tmp" "$tree/root"
ln -s usr/bin "$tree/bin"
strip --strip-all -o "$tree/init" "$init"
cp "$crun" "$tree/usr/bin/crun"
find "$tree" -exec touch --no-dereference --date=@0 {} +

# File systems differ in how many links a directory has, so in the archive everything has one. Format:
# Documentation/driver-api/early-userspace/buffer-format.rst of Linux.
one_link_each() {
	# shellcheck disable=SC2016 # perl has variables too
	perl -0777 -i -pe '
		for (my $at = 0; substr($_, $at, 6) eq "070701"; $at += -$at % 4) {
			my $size = hex substr($_, $at + 54, 8);
			substr($_, $at + 38, 8) = "00000001";
			$at += 110 + hex substr($_, $at + 94, 8);
			$at += -$at % 4 + $size;
		}' "$1"
}

# Not compressed: of a boot's 320 million instructions unpacking this is 3, of lz4 23, of zstd 56.
(cd "$tree" && find . | LC_ALL=C sort |
	cpio --quiet --create --format=newc --owner=0:0 --reproducible) > "$out.new"
one_link_each "$out.new"
mv "$out.new" "$out"
