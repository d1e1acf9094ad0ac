#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh TARGET SECONDS - fuzz one decoder from its seeds
# What makes it fail is left in build-fuzz/crash-*, to be turned into a seed and mended.
set -eu

target=$1 seconds=$2
name=${target##*/fuzz_}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/corpus"
seeds=$(dirname "$0")/corpus/$name
[ -d "$seeds" ] || { echo "$0: $name has no seeds in $seeds" >&2; exit 1; }
"$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
	-artifact_prefix="$(dirname "$target")/crash-$name-" "$work/corpus" "$seeds" >"$work/log" 2>&1 || {
	tail -n 40 "$work/log" >&2
	exit 1
}
sed -n "s/^stat::number_of_executed_units: */$name: runs /p" "$work/log" >&2
