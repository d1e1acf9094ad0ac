#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Measure what a box costs, beside runc on the same containerd with the same image.
#
#   usage:   tests/bench/bench.sh HOST RUNS IMAGE OUT [PART...]
#            (make bench [HOST=direct|kvm] [BENCH_RUNS=30] [BENCH_PARTS='instructions runs share network idle'])
#   inputs:  a checkout that is built; the test host tests/hosts/HOST.sh; IMAGE, an OCI archive in the
#            checkout, where the host sees it too
#   output:  a table on stdout; JSON lines, one a measurement with all its values, in OUT
#
# Figures of a machine that does other things too are worth what their ratios are.
set -eu

here=$(dirname "$(realpath "$0")")
host=$1 runs=$2 image=$(realpath "$3") out=$4
shift 4

mkdir -p "$(dirname "$out")"
commit=$(git -C "$here" describe --always --dirty 2> /dev/null || echo unknown)
jq -cn --arg host "$host" --arg commit "$commit" --arg date "$(date -u +%FT%TZ)" \
	'{what: "bench", host: $host, commit: $commit, date: $date}' > "$out"
"$here/../hosts/$host.sh" "$here/measure.sh" "$runs" "$image" "$@" >> "$out"

jq -rs '
	# the least value that so many in a hundred are not above
	def at(p): sort | .[([((length * p / 100) | ceil), 1] | max) - 1];
	def show: if . == null then "-" else (. * 100 | round / 100 | tostring) end;
	"\(.[0].date)  \(.[0].commit)  host \(.[0].host), \(.[1].cpus) CPUs, \(.[1].accel), Linux \(.[1].kernel)",
	"",
	(["", "", "qemubox", "", "runc", "", "ratio"], ["", "unit", "p50", "p99", "p50", "p99", "of p50"] | @tsv),
	([.[] | select(.values)] | map(.what) as $order | group_by(.what)
		| sort_by(.[0].what as $w | $order | index($w))[]
		| (map(select(.who == "qemubox"))[0].values) as $q | (map(select(.who == "runc"))[0].values) as $r
		| [.[0].what, .[0].unit, ($q | if . then at(50) else null end | show),
			($q | if . and length > 2 then at(99) else null end | show),
			($r | if . then at(50) else null end | show),
			($r | if . and length > 2 then at(99) else null end | show),
			(if $q and $r and ($r | at(50)) > 0 then ($q | at(50)) / ($r | at(50)) else null end | show)]
		| @tsv)' "$out" |
	awk -F '\t' 'NF < 2 { print; next }
		{ printf "%-34s %-8s %10s %10s %10s %10s %8s\n", $1, $2, $3, $4, $5, $6, $7 }'
cat << 'END'

beyond the plugins: qbx-net add without the time that the plugins ran, its process included; goal: at most 5 ms.
iperf3: each of three takes 3 s. ping: round trips, of 600. Both from a box on the CNI bridge, and runc's on the same.
storage: a large image of three layers; what is written goes to the box's disk, and with runc to the host's own file system:
         memory, on the direct host.
layers: from ctr run to its end; the first start of a box also merges them. page cache: of the image's layers on the host.
phase: what each command says of itself, qbx-json(7); those of the shim contain the others.
memory: PSS of the box's processes on the host without the mapping that is the guest's memory.
guest instructions: from the start of the kernel's clock to where init would say hello; goal: no more than before.
idle wake-ups: of all threads of QEMU, the vsock daemon and the shim (runc: the shim), over 10 s; goal: under 10 /s.
END
echo "bench: all values are in $out" >&2
