#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Make the layers of a large image from the distribution's packages: over 100 MB, over 5,000 files.
#
#   usage:   tests/hosts/large.sh OUT-DIR
#   inputs:  QBX_CACHE, QBX_REFRESH
#   output:  OUT-DIR/1.tar, a system with a shell; 2.tar, Python and Perl on it; 3.tar, Git, which
#            also removes a directory of the second
set -eu

here=$(dirname "$(realpath "$0")")
# shellcheck source=guest/functions.sh
. "$here/../../guest/functions.sh"

suite=testing

# layer N REMOVED PACKAGE... — what the packages need beyond those of the layers before
layer() {
	n=$1 removed=$2
	shift 2
	apt-get -q --no-install-recommends --simulate install "$@" |
		sed -n 's/^Inst \([^ ]*\).*/\1/p' | sort > wanted
	sort -o have have
	mkdir "$n" debs
	# shellcheck disable=SC2046 # a list of names
	(cd debs && apt-get -q download $(comm -13 ../have ../wanted))
	for deb in debs/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$n" --keep-directory-symlink
	done
	[ -z "$removed" ] || { mkdir -p "$n/${removed%/*}" && : > "$n/${removed%/*}/.wh.${removed##*/}"; }
	tar -c -C "$n" --sort=name --numeric-owner --format=pax . > "$n.tar"
	cat wanted >> have
	rm -r "$n" debs
}

build_layers() {
	private_apt "$suite"
	cd "$1"
	umask 022
	: > have
	layer 1 '' base-files bash coreutils findutils
	layer 2 '' python3 perl tzdata
	layer 3 usr/share/zoneinfo/Antarctica git
	rm have wanted
}

key=$(echo "$suite" | key "$0")
dir=$(cached "large-$key" build_layers)
mkdir -p "$1"
cp "$dir"/?.tar "$1"
