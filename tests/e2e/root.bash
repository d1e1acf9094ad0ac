# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0

# busybox_root DIR: a root file system with nothing but busybox in it
busybox_root() {
	local applet
	mkdir -p "$1/bin" "$1/etc" "$1/tmp" "$1/dev" "$1/proc" "$1/sys" "$1/run"
	for applet in $(busybox --list); do ln -s busybox "$1/bin/$applet"; done
	cp --remove-destination "$(command -v busybox)" "$1/bin/busybox"
}

# tree_script FILE: for a shell, in such a root: all there is to see of the root file system, a line an
# entry, and what the files hold; but for the root directory itself, which gets places to mount on
tree_script() {
	cat > "$1" <<-'EOT'
		all() {
			find / -xdev -mindepth 1 \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp \
				-o -path /etc/hosts -o -path /etc/hostname -o -path /etc/resolv.conf \) -prune \
				-o "$@" -print0 | sort -z
		}
		all -name '*' | xargs -0 stat -c '%N %F %a %u:%g %t,%T %y'
		# hard links by the first of their names: overlayfs goes on counting what is hidden
		all -type f | xargs -0 stat -c '%d:%i %s %n' |
			awk '{ if (!($1 in first)) first[$1] = $3; $1 = first[$1]; print }'
		all -type f | xargs -0 sha256sum
	EOT
}
