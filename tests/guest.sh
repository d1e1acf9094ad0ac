#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# guest.sh - the same inputs give the same guest, as TAP: it is made from two copies of the sources, in
# directories of other names on other kinds of file system, with another mask, language and time zone
# The kernel takes too long for that here: make guest-check.
set -eu

cd "$(dirname "$0")/.."
here=$(mktemp -d) there=$(mktemp -d -p /dev/shm)
trap 'rm -rf "$here" "$there"' EXIT
trap 'exit 1' HUP INT TERM
unset MAKEFLAGS MFLAGS MAKELEVEL

# build DIR BUILD — from a copy of what the guest is made of in DIR, in its subdirectory BUILD.
build() {
	mkdir -p "$1/tmp"
	cp -R Makefile guest lib proto qbx-init "$1"
	TMPDIR=$1/tmp make -s -j2 -C "$1" BUILD="$2" "$2/qemubox-guest.json" 2>&1 | sed 's/^/# /'
}

a="$here/a" b="$there/a rather longer name"
(umask 022 && LC_ALL=C.UTF-8 TZ=UTC build "$a" build)
(umask 077 && LC_ALL=C TZ=JST-9 build "$b" out/guest)

echo 1..2
n=0 status=0
for file in qemubox-initrd qemubox-guest.json; do
	n=$((n + 1)) not=
	difference=$(cmp "$a/build/$file" "$b/out/guest/$file" 2>&1) || not='not ' status=1
	[ -z "$difference" ] || echo "# $difference"
	echo "${not}ok $n - $file is the same, wherever it is made"
done
exit "$status"
