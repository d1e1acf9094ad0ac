#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# tidy.sh - clang-tidy, which is not asked twice about the same text
#
#   usage:   tests/tidy.sh FILE... -- OPTION...     what is compiled, and the compiler's options
#   inputs:  .clang-tidy, QBX_CACHE
#   output:  what clang-tidy finds; exit status 1 if that is anything
#
# A file that had nothing to complain about is remembered by all that the verdict came of: the checker, its
# configuration, and the file as it is when all that it includes is in it, comments too.
set -eu

# shellcheck source=guest/functions.sh
. "$(dirname "$0")/../guest/functions.sh"

files=
while [ "$1" != -- ]; do
	files="$files $1"
	shift
done
shift

# What the preprocessor does not take is what clang-tidy will speak of.
verdict_of() {
	{ echo "$version $*"; cat .clang-tidy; clang -E -C "$@"; } 2> /dev/null | sha256sum | cut -c1-32
}

version=$(clang-tidy --version)
mkdir -p "$cache/tidy"
status=0
for file in $files; do
	verdict=$cache/tidy/$(verdict_of "$@" "$file")
	if [ -e "$verdict" ]; then
		touch "$verdict"
	elif clang-tidy --quiet "$file" -- "$@" 2> /dev/null; then
		: > "$verdict"
	else
		status=1
	fi
done
exit $status
