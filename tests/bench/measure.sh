#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The inner half of bench.sh, on a test host: measure, and write one JSON object a measurement.
#
#   usage:   measure.sh RUNS IMAGE.tar [PART...]     (by bench.sh only)
#   output:  JSON lines: what, of whom, unit, and the values, one a run
#
# qemubox and runc take turns on one containerd with one image, so that a machine that is busy is busy for both.
# runc's containers are joined to the same CNI network, by ctr.
set -euo pipefail

here=$(dirname "$(realpath "$0")")
# shellcheck source=tests/hosts/containerd.sh
. "$here/../hosts/containerd.sh"
# shellcheck source=tests/bench/network.sh
. "$here/network.sh"
# shellcheck source=tests/bench/storage.sh
. "$here/storage.sh"

runs=$1 archive=$2
shift 2
# Instructions are the same everywhere, and emulation on a host that is emulated takes an hour.
[ "${QEMUBOX_ACCEL:-kvm}" = tcg ] && parts=instructions || parts=
parts=${*:-$parts runs share network storage idle}
image=docker.io/library/qemubox-demo:latest
idle_seconds=10

say() { printf 'bench: %s\n' "$*" >&2; }

# result WHAT WHO UNIT VALUE... — one line of the answer.
result() {
	local what=$1 who=$2 unit=$3
	shift 3
	jq -cn --arg what "$what" --arg who "$who" --arg unit "$unit" \
		'{what: $what, who: $who, unit: $unit, values: ($ARGS.positional | map(tonumber))}' --args "$@"
}

options() {
	case $1 in
	qemubox) echo --runtime io.containerd.qemubox.v1 ;;
	runc) echo --runtime io.containerd.runc.v2 --cni ;;
	esac
}

ctr_run() {
	local who=$1
	shift
	# shellcheck disable=SC2046 # words
	ctr run --snapshotter erofs $(options "$who") "$@"
}

# ---- from ctr run to the first output, and to the end ----

# one_run WHO N — appends to the files of $work: first.WHO, whole.WHO (ms), documents.
one_run() {
	local who=$1 id=$1-$2 started up ended line
	started=${EPOCHREALTIME/./}
	ctr_run "$who" --rm "$image" "$id" echo up > "$work/fifo" &
	read -r line < "$work/fifo"
	up=${EPOCHREALTIME/./}
	wait $!
	ended=${EPOCHREALTIME/./}
	[ "$line" = up ]
	printf '%d.%03d\n' $(((up - started) / 1000)) $(((up - started) % 1000)) >> "$work/first.$who"
	printf '%d.%03d\n' $(((ended - started) / 1000)) $(((ended - started) % 1000)) >> "$work/whole.$who"
	[ "$who" = runc ] || cat "/var/log/qemubox/default--$id.json" >> "$work/documents"
}

measure_runs() {
	local i who values
	for i in $(seq 0 "$runs"); do
		for who in qemubox runc; do one_run "$who" "$i"; done
		# The first of each makes the bridge and fills caches.
		[ "$i" -gt 0 ] || rm "$work"/first.* "$work"/whole.* "$work/documents"
		[ $((i % 10)) -ne 0 ] || say "$i of $runs runs"
	done
	for who in qemubox runc; do
		mapfile -t values < "$work/first.$who"
		result 'ctr run to first output' $who ms "${values[@]}"
		mapfile -t values < "$work/whole.$who"
		result 'ctr run to its end' $who ms "${values[@]}"
	done
	# Each command's own phases, and the shim's, in the order of the first document.
	jq -cs '[.[] | . as $d | [("net", "fs", "vm", "shim") as $part | ($d[$part].t_us // {}) | to_entries[]
			| {key: "\($part) \(.key)", value: (.value / 1000)}] | from_entries]
		| . as $all | $all[0] | keys_unsorted[] as $k
		| {what: "phase \($k)", who: "qemubox", unit: "ms", values: [$all[] | .[$k] // empty]}' "$work/documents"
}

# ---- a box that idles ----

# rollup FIELD PID... — sum of a field of smaps_rollup, in KiB.
rollup() {
	local field=$1 pid
	shift
	for pid; do cat "/proc/$pid/smaps_rollup"; done |
		awk -v f="$field:" '$1 == f { sum += $2 } END { print sum + 0 }'
}

# guest_pss KIB PID... — PSS of the mappings that are the guest's memory: a memory backend by name or size.
guest_pss() {
	local kib=$1 pid
	shift
	for pid; do cat "/proc/$pid/smaps"; done | awk -v kib="$kib" '
		/^[0-9a-f]+-[0-9a-f]+ / { named = /memory-backend/; guest = named }
		$1 == "Size:" { guest = named || $2 == kib }
		$1 == "Pss:" && guest { sum += $2 }
		END { print sum + 0 }'
}

# switches PID... — times that their threads went to sleep, so far.
switches() {
	local pid
	for pid; do cat "/proc/$pid"/task/*/status; done |
		awk '$1 == "voluntary_ctxt_switches:" { sum += $2 } END { print sum + 0 }'
}

# wakeups WHO PID...
wakeups() {
	local who=$1 before after
	shift
	before=$(switches "$@")
	sleep $idle_seconds
	after=$(switches "$@")
	result 'idle wake-ups' "$who" /s "$(awk "BEGIN { print ($after - $before) / $idle_seconds }")"
}

shim_memory() {
	result 'shim RSS' "$1" KiB "$(rollup Rss "$2")"
	result 'shim private dirty' "$1" KiB "$(rollup Private_Dirty "$2")"
}

# ---- execs ----

# now_ms — a stopwatch.
now_ms() {
	echo $((${EPOCHREALTIME/./} / 1000))
}

# exec_ms ID CMD... — how long that took, its output thrown away.
exec_ms() {
	local started id=$1
	shift
	started=$(now_ms)
	ctr task exec --exec-id "x$RANDOM$RANDOM" "$id" "$@" > /dev/null
	echo $(($(now_ms) - started))
}

# crowd ID N — so many execs at once, until the last has ended.
crowd() {
	local started i pids=()
	started=$(now_ms)
	for i in $(seq "$2"); do
		ctr task exec --exec-id "crowd$i" "$1" true &
		pids+=($!)
	done
	wait "${pids[@]}"
	echo $(($(now_ms) - started))
}

measure_execs() {
	local i values=()
	say "execs, $1"
	for i in $(seq "$runs"); do values+=("$(exec_ms idle true)"); done
	result 'exec of true' "$1" ms "${values[@]}"
	result 'exec: 100 MiB of output' "$1" ms "$(exec_ms idle head -c 104857600 /dev/zero)"
	result '50 execs of true at once' "$1" ms "$(crowd idle 50)"
}

# beyond PID — PSS of a process without the guest's memory.
beyond() {
	echo $(($(rollup Pss "$1") - $(guest_pss "$guest_kib" "$1")))
}

measure_qemubox() {
	local doc=/run/qemubox/default--idle/box.json qemu helper shim guest_kib helper_pss=0
	ctr_run qemubox -d "$image" idle sleep 1000
	qemu=$(jq .vm.pid $doc) helper=$(jq '.vm.helper.pid // empty' $doc)
	guest_kib=$(($(jq .vm.memory_mib $doc) * 1024))
	shim=$(pgrep -f 'containerd-shim-qemubox-v1 .*-id idle')
	sleep $idle_seconds # what starting left to do
	# shellcheck disable=SC2086 # there may be no helper
	wakeups qemubox $qemu $helper $shim
	if [ -n "$helper" ]; then
		helper_pss=$(beyond "$helper")
		result 'memory: vsock daemon' qemubox KiB "$helper_pss"
	fi
	result 'memory: QEMU' qemubox KiB "$(beyond "$qemu")"
	result 'memory: shim' qemubox KiB "$(beyond "$shim")"
	result 'memory: all of these' qemubox KiB $(($(beyond "$qemu") + helper_pss + $(beyond "$shim")))
	# shellcheck disable=SC2086
	result 'memory: the guest, so far' qemubox KiB "$(guest_pss "$guest_kib" $qemu $helper)"
	shim_memory qemubox "$shim"
	measure_execs qemubox
	end_idle
}

measure_runc() {
	local shim
	ctr_run runc -d "$image" idle sleep 1000
	shim=$(pgrep -f 'containerd-shim-runc-v2 .*-id idle')
	sleep $idle_seconds
	wakeups runc "$shim"
	result 'memory: shim' runc KiB "$(rollup Pss "$shim")"
	result 'memory: all of these' runc KiB "$(rollup Pss "$shim")"
	shim_memory runc "$shim"
	measure_execs runc
	end_idle
}

end_idle() {
	ctr task rm --force idle > /dev/null
	ctr container rm idle
}

# ---- instructions ----

# Guest time counts instructions with -icount, and to the last digit only where nothing from outside is waited
# for: so the VM has no vsock. Its init then gives up where it would say hello, and the kernel's last message,
# which has a time stamp, tells how many it took since the kernel's clock began.
measure_instructions() {
	local line words share args=() i value
	share=${QEMUBOX_SHARE_DIR:-/usr/share/qemubox}/kernel
	echo '{"qbx":1,"id":"icount"}' > "$work/icount.json"
	line=$(qbx-vm start --dry-run --box "$work/icount.json" | tail -n 1)
	eval "words=(${line##* -- })" # what confines QEMU comes before
	for ((i = 0; i < ${#words[@]}; i++)); do
		value=${words[i + 1]:-}
		# Descriptors that it would be given are left out, or are files here.
		case "${words[i]} $value" in
		'-chardev socket,'* | '-qmp '* | '-mon '* | '-device vhost-'* | '-add-fd '*) ;;
		'-chardev file,id=console,'*) args+=(-chardev "file,id=console,path=$work/console") ;;
		'-kernel '*) args+=(-kernel "$share/qemubox-kernel-x86_64") ;;
		'-initrd '*) args+=(-initrd "$share/qemubox-initrd") ;;
		# what qbx-vm tells an emulated guest of the clock: here it is one tick an instruction
		'-append '*) args+=(-append "$value tsc_early_khz=1000000") ;;
		*) args+=("${words[i]}") && continue ;;
		esac
		i=$((i + 1))
	done
	for i in 1 2; do
		timeout 300 "${args[@]}" -icount shift=0,sleep=off >&2
		tr -d '\r' < "$work/console" | sed -n 's/^\[ *\([0-9.]*\)\] reboot: .*/\1/p' > "$work/icount.$i"
		[ -s "$work/icount.$i" ] || { cat "$work/console" >&2; say 'no last message from the guest'; return 1; }
	done
	result 'guest instructions to the hello' qemubox million \
		"$(awk '{ print $1 * 1000 }' "$work/icount.1")" "$(awk '{ print $1 * 1000 }' "$work/icount.2")"
}

# shellcheck disable=SC2119 # it has arguments of its own
containerd_start
trap containerd_stop EXIT
ctr image import --snapshotter erofs "$archive" >&2
work=$(mktemp -d)
mkfifo "$work/fifo"

jq -cn --arg kernel "$(uname -r)" --arg cpus "$(nproc)" --arg accel "${QEMUBOX_ACCEL:-kvm}" \
	'{what: "host", kernel: $kernel, cpus: ($cpus | tonumber), accel: $accel}'
for part in $parts; do
	say "$part"
	case $part in
	instructions) measure_instructions ;;
	runs) measure_runs ;;
	share) measure_net_share ;;
	network) measure_network ;;
	storage) measure_storage ;;
	idle)
		measure_qemubox
		measure_runc
		;;
	*)
		say "no part \"$part\""
		exit 64
		;;
	esac
done
