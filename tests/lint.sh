#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# lint.sh - static checks as TAP, one test a tool; what a tool finds is shown as diagnostics
# Wants the generated headers: make lint makes them first.
# shellcheck disable=SC2317 # check() calls them by name
set -u

cd "$(dirname "$0")/.." || exit
build=${QBX_BUILD:-build}
n=0
all_ok=0

check() {
	title=$1
	shift
	n=$((n + 1))
	if out=$("$@" 2>&1); then
		echo "ok $n - $title"
	else
		printf '%s\n' "$out" | sed 's/^/# /'
		echo "not ok $n - $title"
		all_ok=1
	fi
}

sources() {
	git ls-files "$@" | while read -r f; do [ -e "$f" ] && echo "$f"; done
}

includes="-Ilib -I. -Itests -I$build/proto $(pkg-config --cflags libnl-route-3.0)"

# Verdicts of half a year ago are of files that nobody has any more.
tidy() {
	# shellcheck disable=SC2086
	sources 'lib/*.c' 'qbx-*/*.c' 'tests/*.c' |
		xargs -P 2 -n 8 sh -c 'tests/tidy.sh "$@" -- -std=gnu17 -D_GNU_SOURCE \
			-DQBX_VERSION=\"0\" '"$includes" sh || return 1
	find "${QBX_CACHE:-/var/cache/qemubox}/tidy" -type f -mtime +180 -delete
}

cppcheck_all() {
	# shellcheck disable=SC2046
	cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,performance,portability \
		--inline-suppr --suppressions-list=.cppcheck -j 2 -D__linux__ -Ilib \
		$(sources 'lib/*.c' 'qbx-*/*.c')
}

manuals() {
	for m in man/*.[1-8]; do
		mandoc -T lint -W style "$m" | grep -v 'referenced manual not found' && return 1
	done
	return 0
}

scripts() {
	git ls-files | while read -r f; do
		[ -f "$f" ] || continue
		case $f in *.bats | *.bash) continue ;; esac
		head -n 1 "$f" | grep -qE '^#!.*/(sh|bash)' && echo "$f"
	done | xargs shellcheck -x
}

bats_files() {
	sources '*.bats' '*.bash' | xargs -r shellcheck -s bash -x
}

spdx() {
	missing=$(sources '*.c' '*.h' '*.sh' '*.mk' '*.proto' '*.bats' 'Makefile' 'man/*' |
		xargs grep -L 'SPDX-License-Identifier: Apache-2.0')
	[ -z "$missing" ] || { echo "no licence line: $missing"; return 1; }
}

echo 1..6
check clang-tidy tidy
check cppcheck cppcheck_all
check 'mandoc -T lint' manuals
check 'shellcheck of scripts' scripts
check 'shellcheck of tests' bats_files
check 'licence lines' spdx
exit $all_ok
