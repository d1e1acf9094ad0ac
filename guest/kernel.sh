#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Build the guest's kernel from the distribution's kernel source package and kernel.config.
#
#   usage:   guest/kernel.sh
#   inputs:  kernel.config, QBX_CACHE, QBX_REFRESH (look for a newer source package)
#   output:  the kernel's path on stdout: an ELF image, which QEMU starts through PVH. Beside it
#            lies the complete configuration, as `config`.
#
# The first run takes some 20 CPU minutes and 2 GB; the result is cached by the contents of this
# script, the options of the configuration (not its comments) and the version of the source, and so
# is the unpacked source. The same inputs give the same bytes, wherever the cache is.
set -eu

here=$(dirname "$(realpath "$0")")
# shellcheck source=guest/functions.sh
. "$here/functions.sh"

package=linux-source-6.12
suite=trixie

# The newest source in the cache. Only when there is none, or a newer one is asked for, does this
# ask the archive.
kernel_source() {
	newest=$(find "$cache" -maxdepth 1 -name "$package-*" -type d | sort -V | tail -n 1)
	if [ -z "$newest" ] || [ -n "${QBX_REFRESH:-}" ]; then
		private_apt "$suite"
		version=$(apt-cache show --no-all-versions "$package" | sed -n 's/^Version: //p')
		newest=$(QBX_REFRESH='' cached "$package-$version" unpack_source)
	fi
	printf '%s\n' "$newest"
}

unpack_source() {
	(cd "$1" && apt-get -q download "$package=$version")
	dpkg-deb --fsys-tarfile "$1"/*.deb | tar -x -C "$1" --strip-components=3
	tar -x -C "$1" --strip-components=1 -f "$1/$package.tar.xz"
	rm "$1"/*.deb "$1"/*.tar.*
}

# The fragment without its comments.
options() {
	grep -E '^(CONFIG_|# CONFIG_.* is not set)' "$here/kernel.config"
}

# Fail for each line of the fragment that the kernel's own rules did not let through.
check_config() {
	missing=$(options | grep -vxF -f "$1" || :)
	[ -z "$missing" ] || die "without effect in $package: $(echo "$missing" | xargs)"
}

build_kernel() {
	export KBUILD_BUILD_USER=qemubox KBUILD_BUILD_HOST=qemubox
	export KBUILD_BUILD_TIMESTAMP='2000-01-01 00:00:00 UTC'
	mkdir "$1/obj"
	kmake="make --no-print-directory -s -C $source O=$1/obj"
	options > "$1/fragment"
	$kmake KCONFIG_ALLCONFIG="$1/fragment" allnoconfig
	check_config "$1/obj/.config"
	# The kernel names its source files in messages: by their place in the tree, not in the cache.
	$kmake -j "$(nproc)" KCFLAGS="-ffile-prefix-map=$1/obj/= -ffile-prefix-map=$source/=" vmlinux
	strip --strip-all -o "$1/vmlinux" "$1/obj/vmlinux"
	cp "$1/obj/.config" "$1/config"
	rm -r "$1/obj" "$1/fragment"
}

# The make that may have called us has flags that are not meant for the kernel's.
unset MAKEFLAGS MFLAGS MAKELEVEL
mkdir -p "$cache"
source=$(kernel_source)
kernel=$(cached "kernel-$({ echo "${source##*/}"; options; } | key "$0")" build_kernel)
printf '%s\n' "$kernel/vmlinux"
