#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Build the test hosts' root file system: a small Debian with the distribution's own containerd,
# CNI plugins, QEMU and mkfs.erofs, as listed in root.packages.
#
#   usage:   tests/hosts/root.sh
#   inputs:  root.packages, etc/ (copied over the root's own), QBX_CACHE, QBX_REFRESH
#   output:  the root's path on stdout; it is shared, so mount it read-only
#
# The first run takes about a minute and some 500 MB; it is cached by the contents of its inputs.
set -eu

here=$(dirname "$(realpath "$0")")
# shellcheck source=guest/functions.sh
. "$here/../../guest/functions.sh"

suite=testing

build_root() {
	packages=$(sed 's/#.*//' "$here/root.packages" | xargs | tr ' ' ,)
	mmdebstrap --quiet --mode=root --variant=apt --include="$packages" \
		--aptopt='Acquire::Check-Valid-Until "false"' \
		--aptopt='Acquire::Languages "none"' \
		--aptopt='APT::Sandbox::User "root"' \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/info/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		"$suite" "$1" "$(source_line "$suite")"
	cp -R "$here/etc" "$1/"
	mkdir -p "$1/opt/cni"
	ln -s ../../usr/lib/cni "$1/opt/cni/bin"
}

inputs=$(find "$here/etc" -type f | sort)
# shellcheck disable=SC2086 # a list of names without blanks
cached "root-$(echo "$suite" | key "$0" "$here/root.packages" $inputs)" build_root
