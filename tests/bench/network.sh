# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The part of measure.sh that is about the network: two boxes and two containers of runc on the one bridge of
# the host's CNI configuration, and qbx-net alone. To be sourced.
# shellcheck disable=SC2154 # measure.sh sets runs, image and work

network_rounds=3
network_seconds=3 # of one iperf3
network_pings=200

declare -A served=()

# serve NAME COMMAND... — it runs in the background as ${served[NAME]}, with an iperf3 that listens by now.
serve() {
	local line name=$1 fifo=$work/serve.$1
	shift
	mkfifo "$fifo"
	"$@" > "$fifo" 2>&1 &
	served[$name]=$!
	exec 6< "$fifo"
	while read -r line <&6; do
		case $line in *'Server listening'*) break ;; esac
	done
	case ${line:-} in *'Server listening'*) ;; *) say "no iperf3 server: $*"; return 1 ;; esac
	cat <&6 > "$fifo.log" &
	exec 6<&-
}

# inside ID CMD... — in a container, with what it prints.
inside() {
	local id=$1
	shift
	ctr task exec --exec-id "x$RANDOM$RANDOM" "$id" "$@"
}

address_of() {
	inside "$1" ip -4 -o address show eth0 | sed -n 's/.* inet \([0-9.]*\).*/\1/p'
}

# throughput FILE ID TO [-R] — Mbit/s, to the end of FILE.
throughput() {
	local file=$1 id=$2
	shift 2
	inside "$id" iperf3 --json --time $network_seconds --client "$@" |
		jq '.end.sum_received.bits_per_second / 1e6' >> "$file"
}

# round_trips FILE ID TO — ms, each to the end of FILE; the first ones also resolve addresses, and are none.
round_trips() {
	inside "$2" ping -n -c 3 -i 0.01 "$3" > "$work/ping"
	inside "$2" ping -n -c $network_pings -i 0.01 "$3" |
		sed -n 's/.*time=\([0-9.]*\) ms.*/\1/p' >> "$1"
}

# network_round WHO BRIDGE — appends to $work/net.WHO.*
network_round() {
	local who=$1 bridge=$2 other from=$1-a to=$work/net.$1
	other=$(cat "$to.address")
	throughput "$to.up" "$from" "$bridge"
	throughput "$to.down" "$from" "$bridge" -R
	throughput "$to.across" "$from" "$other"
	round_trips "$to.ping" "$from" "$bridge"
	round_trips "$to.ping-across" "$from" "$other"
}

# network_result NAME UNIT FILE WHO
network_result() {
	local values
	mapfile -t values < "$work/net.$4.$3"
	result "$1" "$4" "$2" "${values[@]}"
}

# ctr, in the foreground, deletes the task of its container itself.
network_end() {
	local who
	kill "${served[host]}"
	wait "${served[host]}" || :
	for who in qemubox runc; do
		ctr task rm --force "$who-a" > /dev/null
		ctr task kill --signal KILL "$who-b"
		wait "${served[$who]}" || :
		ctr container rm "$who-a" "$who-b"
	done
}

measure_network() {
	local i who bridge
	for who in qemubox runc; do
		ctr_run "$who" -d "$image" "$who-a" sleep 1000000
		serve "$who" ctr_run "$who" "$image" "$who-b" iperf3 --server --forceflush
		address_of "$who-b" > "$work/net.$who.address"
	done
	bridge=$(ip -4 -o address show qemubox0 | sed -n 's/.* inet \([0-9.]*\).*/\1/p')
	serve host iperf3 --server --forceflush --bind "$bridge"
	for i in $(seq $network_rounds); do
		for who in qemubox runc; do network_round "$who" "$bridge"; done
		say "network, $i of $network_rounds rounds"
	done
	for who in qemubox runc; do
		network_result 'iperf3: to the bridge' Mbit/s up "$who"
		network_result 'iperf3: from the bridge' Mbit/s down "$who"
		network_result 'iperf3: box to box' Mbit/s across "$who"
		network_result 'ping: to the bridge' ms ping "$who"
		network_result 'ping: box to box' ms ping-across "$who"
	done
	network_end
}

# What qbx-net takes of a start beyond the time that the plugins run themselves, its own process and the shell's
# fork for it included.
measure_net_share() {
	local i started ended own=() plugins=()
	for i in $(seq 0 "$runs"); do
		echo "{\"qbx\":1,\"id\":\"share$i\"}" > "$work/share"
		started=${EPOCHREALTIME/./}
		qbx-net add < "$work/share" > "$work/share.$i"
		ended=${EPOCHREALTIME/./}
		[ "$i" -gt 0 ] || continue # it makes the bridge
		plugins+=("$(jq '[.net.t_us | to_entries[] | select(.key | startswith("cni.")).value] | add / 1000' \
			"$work/share.$i")")
		own+=("$(jq -n "($ended - $started) / 1000 - ${plugins[-1]}")")
	done
	for i in $(seq 0 "$runs"); do qbx-net del < "$work/share.$i" > /dev/null; done
	result 'qbx-net add: beyond the plugins' qemubox ms "${own[@]}"
	result 'qbx-net add: the plugins' qemubox ms "${plugins[@]}"
}
