# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0

# busybox_root DIR: a root file system with nothing but busybox in it
busybox_root() {
	local applet
	mkdir -p "$1/bin" "$1/etc" "$1/tmp" "$1/dev" "$1/proc" "$1/sys" "$1/run"
	for applet in $(busybox --list); do ln -s busybox "$1/bin/$applet"; done
	cp --remove-destination "$(command -v busybox)" "$1/bin/busybox"
}
