#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Say which kernel and which initrd were made to go together: `qbx-vm check` holds what is installed
# against it. No start of a box reads it.
#
#   usage:   guest/manifest.sh KERNEL INITRD OUT
#   inputs:  the two files; the crun that crun.sh builds; the protocol's version in lib/guest.h
#   output:  OUT, a JSON object; the same inputs give the same bytes
set -eu

here=$(dirname "$(realpath "$0")")
kernel=$1 initrd=$2 out=$3

digest() { sha256sum < "$1" | cut -d' ' -f1; }

# word NAME TEXT — TEXT, if it is one word that JSON takes as it is.
word() {
	case $2 in
	'' | *[!A-Za-z0-9._+~-]*) echo "${0##*/}: no $1 found" >&2 && exit 1 ;;
	esac
	printf '%s' "$2"
}

protocol=$(word 'protocol version' \
	"$(sed -n 's/^#define GUEST_PROTOCOL \([0-9]*\)u .*/\1/p' "$here/../lib/guest.h")")
release=$(word 'kernel release' \
	"$(grep -a -o -m 1 'Linux version [^ ]*' "$kernel" | head -n 1 | cut -d' ' -f3)")
crun=$(word 'crun version' "$("$("$here/crun.sh")" --version | sed -n '1s/^crun version //p')")

cat > "$out.new" <<EOT
{
  "guest": 1,
  "protocol": $protocol,
  "kernel": {"sha256": "$(digest "$kernel")", "release": "$release"},
  "initrd": {"sha256": "$(digest "$initrd")", "crun": "$crun"}
}
EOT
mv "$out.new" "$out"
