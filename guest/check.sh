#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Build the kernel and crun once more, in another directory, and compare them with those in the cache.
#
#   usage:   guest/check.sh     (make guest-check; some 25 CPU minutes)
#   inputs:  QBX_CACHE and what is in it: the same source package is used
#   output:  a line for each of the two; exit status 1 if one differs
set -eu

here=$(dirname "$(realpath "$0")")
# shellcheck source=guest/functions.sh
. "$here/functions.sh"

kernel=$("$here/kernel.sh")
crun=$("$here/crun.sh")

other=$cache/guest-check/elsewhere
rm -rf "$cache/guest-check"
mkdir -p "$other"
trap 'rm -rf "$cache/guest-check"' EXIT
trap 'exit 1' HUP INT TERM
# The sources take 1.5 GB: hard links will do, as a build does not write there.
find "$cache" -maxdepth 1 -name 'linux-source-*' -type d -exec cp -al {} "$other/" \;

status=0
compare() {
	if cmp "$1" "$2" >&2; then
		echo "the same: $1"
	else
		echo "differs:  $1"
		status=1
	fi
}
export QBX_CACHE="$other"
compare "$crun" "$("$here/crun.sh")"
compare "$kernel" "$("$here/kernel.sh")"
exit "$status"
