#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Build the guest's crun, static and small, from the source that the distribution packages: without
# the libraries that it would load for systemd, CRIU and others, which the guest has no use for.
#
#   usage:   guest/crun.sh
#   inputs:  libseccomp and libcap of the build machine, QBX_CACHE, QBX_REFRESH
#   output:  the program's path on stdout
#
# The first run takes a minute; the result is cached by the contents of this script.
set -eu

here=$(dirname "$(realpath "$0")")
# shellcheck source=guest/functions.sh
. "$here/functions.sh"

suite=trixie

build_crun() {
	private_apt "$suite" deb-src
	mkdir "$1/src"
	cd "$1/src"
	apt-get -q source --download-only --tar-only crun
	tar -x --strip-components=1 -f crun_*.orig.tar.*
	./configure --quiet --disable-dl --disable-systemd --disable-criu --enable-embedded-yajl \
		--disable-shared --enable-static CFLAGS='-O2 -ffunction-sections -fdata-sections'
	make -s -j "$(nproc)" -C libocispec
	make -s -j "$(nproc)" git-version.h crun LDFLAGS='-all-static -Wl,--gc-sections'
	strip --strip-all -o "$1/crun" crun
	cd "$1"
	rm -r src
}

# The make that may have called us has flags that are not meant for this one.
unset MAKEFLAGS MFLAGS MAKELEVEL
printf '%s/crun\n' "$(cached "crun-$(echo "$suite" | key "$0")" build_crun)"
