#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What is known of all boxes' networks, and what dead ones have left.

# shellcheck disable=SC2154 # nets.bash sets them

bats_require_minimum_version 1.5.0
load nets

# other ID: a document of another box
other() {
	echo "{\"qbx\":1,\"id\":\"$1\"}"
}

# alive: a process that lasts, in $pid; in the box's namespace if it is named
alive() {
	if [ "${1:-}" ]; then
		[ -p "$T/there" ] || mkfifo "$T/there"
		# shellcheck disable=SC2016 # for that shell
		nsenter -t "$HOLDER" -m -n nsenter --net="/run/netns/$1" \
			sh -c 'echo there > "$0"; exec sleep 1000' "$T/there" 3>&- &
		pid=$!
		read -r _ < "$T/there"
	else
		sleep 1000 3>&- &
		pid=$!
	fi
}

dies() {
	kill -9 "$1"
	wait "$1" || :
}

state() {
	net status <<<"$box" | jq -r '.state + ": " + .why'
}

# A chain whose second plugin has qbx-net killed when it is told so by $T/kill.
deadly() {
	conflist 1.0.0 deadly
	plugin deadly <<-END
		if [ "\$CNI_COMMAND" = ADD ]; then
			[ ! -e $T/kill ] || kill -9 \$PPID
			jq .prevResult
		fi
	END
}

@test "status and list" {
	conflist 1.0.0
	run -1 net status <<<"$box"
	[ "$output" = '{"id":"demo","namespace":"default","state":"none"}' ]
	valid net-status.json <(echo "$output")
	[ "$(net list -j)" = '[]' ]
	net add <<<"$box" >"$T/out"
	net add <<<'{"qbx":1,"id":"a","namespace":"b","network":"none"}' >"$T/out2"
	net status <"$T/out" >"$T/status"
	valid net-status.json "$T/status"
	jq -e '.state == "kept" and .why == "it was made by hand" and .owned and
		.netns == "/run/netns/default--demo" and .networks[0].name == "testnet" and
		.networks[0].addresses == ["10.77.0.2/24", "fd77::2/64"] and .networks[0].tap == "tap0"' "$T/status"
	valid net-status.json <(net list -j | jq -c '.[]')
	net list -j | jq -e 'map(.id) == ["a", "demo"] and .[0].networks == []'
	[ "$(net list | awk '{ print $1, $2, $3, $4, $5, $6, $7 }')" = "NAMESPACE ID STATE NETWORK INTERFACE TAP ADDRESSES
b a kept - - - -
default demo kept testnet net0 tap0 10.77.0.2/24,fd77::2/64" ]
	net del <"$T/out" && net del <"$T/out2"
}

@test "what was made by hand is kept until its namespace has gone" {
	conflist 1.0.0
	net add <<<"$box" >/dev/null
	[ -z "$(net gc)" ]
	[ "$(state)" = 'kept: it was made by hand' ]
	alive "$key"
	[ "$(state)" = 'used: a process is in its namespace' ]
	dies $pid
	inside umount "/run/netns/$key"
	[ "$(state)" = 'dead: its namespace has gone' ]
	[ "$(net gc)" = "$key" ]
	[ -z "$(net gc)" ]
}

@test "a VM that runs keeps its network, whatever else has gone" {
	conflist 1.0.0
	net add <<<"$box" >/dev/null
	alive
	mkdir -p "$T/run/$key"
	jq -n --argjson pid $pid --argjson start "$(cut -d' ' -f22 "/proc/$pid/stat")" '{pid: $pid, start: $start}' \
		>"$T/run/$key/vm.json"
	inside umount "/run/netns/$key"
	[ -z "$(net gc)" ]
	[ "$(state)" = 'used: its VM runs' ]
	dies $pid
	[ "$(net gc)" = "$key" ]
}

@test "a lease lives as long as the process that it was made for, and as who is in the namespace" {
	conflist 1.0.0
	alive
	owner=$pid
	net add --owner "$owner" <<<"$box" >/dev/null
	[ -z "$(net gc)" ]
	[ "$(state)" = 'kept: who made it is there' ]
	alive "$key"
	dies "$owner"
	[ -z "$(net gc)" ]
	dies "$pid"
	[ "$(state)" = 'dead: who made it has gone' ]
	net gc -j >"$T/gone"
	valid net-gc.json "$T/gone"
	[ "$(cat "$T/gone")" = "[\"$key\"]" ]
	for bad in 0 x 1 "$owner" 99999999999; do
		fails 64 add --owner "$bad" <<<"$box"
		one_line 'is no process'
	done
}

@test "a box with a directory is whose process called add" {
	conflist 1.0.0
	mkdir -p "$T/run/$key"
	mkfifo "$T/go"
	# as the shim does it: one process calls add, and stays
	# shellcheck disable=SC2016 # that shell expands it
	inside env QEMUBOX_STATE_DIR="$state" QEMUBOX_CNI_CONF_DIR="$conf" QEMUBOX_RUN_DIR="$T/run" \
		QEMUBOX_CNI_BIN_DIR="$bin:/usr/lib/cni" QEMUBOX_CNI_CACHE_DIR="$cache" sh -c \
		'"$1" add <"$2" >"$3"; read _ <"$4"' sh "$QBX_BIN/qbx-net" <(echo "$box") "$T/out" "$T/go" 3>&- &
	shim=$!
	exec 5>"$T/go"
	until [ -s "$T/out" ]; do read -rt 0.1 _ <> <(:) || :; done
	[ "$(state)" = 'kept: who made it is there' ]
	[ -z "$(net gc)" ]
	exec 5>&-
	wait $shim || :
	[ "$(net gc)" = "$key" ]
}

@test "an add that was killed is given back, with its lock and all; others are not touched" {
	deadly
	net add < <(other bystander) >"$T/bystander"
	touch "$T/kill"
	run -137 net add <<<"$box"
	[ -e "$state/leases/$key.lock" ]
	touch "$state/leases/$key.json.new"
	[ "$(state)" = 'dead: its add or del has not finished' ]
	net gc --dry-run >"$T/plan"
	grep -qx "# $key: its add or del has not finished" "$T/plan"
	[ "$(state)" = 'dead: its add or del has not finished' ]
	[ "$(net gc)" = "$key" ]
	[ "$(ls "$state/leases")" = default--bystander.json ]
	net check <"$T/bystander"
	net del <"$T/bystander"
}

@test "a lock without a lease goes too" {
	mkdir -p "$state/leases"
	touch "$state/leases/$key.lock" "$state/leases/default--x.json.new"
	[ -z "$(net gc)" ]
	[ -z "$(net list -j | jq '.[]')" ]
	[ -z "$(ls "$state/leases")" ]
}

@test "a lease that was not finished goes with the next add or del of its box" {
	conflist 1.0.0
	half=$state/leases/$key.json.new
	net add <<<"$box" >"$T/out"
	printf '{"lease":' >"$half"
	net del <"$T/out"
	[ -z "$(ls "$state/leases")" ]
	printf '{"lease":' >"$half"
	net add <<<"$box" >"$T/out"
	[ "$(ls "$state/leases")" = "$key.json" ]
	printf '{"lease":' >"$half"
	[ -z "$(net gc)" ]
	[ "$(ls "$state/leases")" = "$key.json" ]
	net check <"$T/out"
	net del <"$T/out"
	net del <"$T/out"
	printf '{"lease":' >"$half"
	net del <"$T/out"
	[ -z "$(ls "$state/leases")" ]
}

@test "what somebody is at work on is left alone" {
	conflist 1.0.0 slow
	mkfifo "$T/in" "$T/go"
	plugin slow <<-END
		[ "\$CNI_COMMAND" = ADD ] || exit 0
		echo >$T/in
		read _ <$T/go
		jq .prevResult
	END
	err=$T/err2 net add <<<"$box" >"$T/out" 3>&- &
	adding=$!
	read -r _ <"$T/in"
	[ -z "$(net gc)" ]
	[ "$(state)" = 'busy: somebody is at work on it' ]
	echo >"$T/go"
	wait $adding
	net check <"$T/out"
	net del <"$T/out"
}

@test "what a killed add's plugin has started is ended before anything is given back" {
	conflist 1.0.0 parent
	plugin parent <<-'END'
		[ "$CNI_COMMAND" = ADD ] || exit 0
		sleep 4243 &
		env -i sleep 4244 & # nothing says that it works for the box: not ours to end
		kill -9 $PPID
	END
	run -137 net add <<<"$box"
	inside pgrep -f 'sleep 4243'
	[ "$(net gc)" = "$key" ]
	run ! inside pgrep -f 'sleep 4243'
	inside pkill -f 'sleep 4244'
}

@test "a namespace of somebody else stays, one that cannot be given back is tried again" {
	deadly
	inside ip netns add "$key"
	touch "$T/kill"
	run -137 net add <<<"$box"
	net add < <(other second) >/dev/null || :
	mv "$bin/deadly" "$T/"
	status=0
	out=$(net gc) || status=$?
	[ "$status" = 69 ]
	[ -z "$out" ]
	grep -q "qbx-net: $key: CNI plugin \"deadly\" is in none of" "$err"
	mv "$T/deadly" "$bin/"
	[ "$(net gc | xargs)" = "$key default--second" ]
	[ "$(inside ls /run/netns)" = "$key" ]
	[ "$(inside ip -n "$key" -o link | wc -l)" = 1 ]
	inside ip netns del "$key"
}

@test "a damaged lease is told, and keeps no other" {
	deadly
	touch "$T/kill"
	run -137 net add <<<"$box"
	echo '{' >"$state/leases/default--broken.json"
	status=0
	out=$(net gc) || status=$?
	[ "$status" = 65 ]
	[ "$out" = "$key" ]
	one_line 'default--broken.json'
	valid net-status.json <(net list -j | jq -c '.[]')
	net list -j | jq -e '.[0].state == "damaged" and .[0].id == "broken"'
	rm "$state/leases/default--broken.json"
}

@test "two at once" {
	deadly
	touch "$T/kill"
	for i in 1 2 3 4 5 6; do
		run -137 net add < <(other "box$i")
	done
	err=$T/err1 net gc >"$T/gc1" 3>&- &
	err=$T/err2 net gc >"$T/gc2"
	wait $!
	[ "$(sort "$T/gc1" "$T/gc2" | xargs)" = "$(echo default--box{1..6})" ]
}

@test "GC of CNI: all that is valid, of anybody; on request, and not if it is forbidden" {
	deadly
	jq -c '.cniVersion = "1.1.0" | .plugins = [{type: "spy"}, {type: "deadly"}]' "$conf/10-test.conflist" >"$conf/t.conflist"
	rm "$conf/10-test.conflist"
	plugin spy <<-END
		cat >$T/\$CNI_COMMAND
		echo \$CNI_COMMAND >>$T/calls
		if [ "\$CNI_COMMAND" = ADD ]; then
			nsenter --net="\$CNI_NETNS" ip link add net0 type veth peer name peer >&2
			echo '{"interfaces":[{"name":"net0","sandbox":"'\$CNI_NETNS'"}]}'
		fi
		[ "\$CNI_COMMAND" != DEL ] || nsenter --net="\$CNI_NETNS" ip link del net0 2>/dev/null || :
	END
	net add < <(other a) >"$T/a"
	net add < <(other b) >"$T/b"
	touch "$T/kill"
	run -137 net add <<<"$box"
	# another runtime's, one of another network, one that is none
	mkdir -p "$cache/results"
	foreign='{"kind":"cniCacheV1","containerId":"c1","networkName":"testnet","ifName":"net1"}'
	echo "$foreign" >"$cache/results/testnet-c1-net1"
	echo "${foreign/testnet/elsewhere}" >"$cache/results/elsewhere-c1-net1"
	echo '{' >"$cache/results/testnet-c2-net0"
	rm "$cache/results/testnet-default--b-net0"
	net gc --network testnet --dry-run | grep -q 'CNI_COMMAND=GC'
	run ! grep -q GC "$T/calls"
	[ "$(net gc --network testnet)" = "$key" ]
	jq -e '."cni.dev/valid-attachments" | sort_by(.containerID) == [{containerID: "c1", ifname: "net1"},
		{containerID: "default--a", ifname: "net0"}, {containerID: "default--b", ifname: "net0"}]' "$T/GC"
	jq -e '."cni.dev/attachments" == ."cni.dev/valid-attachments" and .name == "testnet"' "$T/GC"
	net gc
	[ "$(grep -c GC "$T/calls")" = 1 ]
	jq -c '.disableGC = true' "$conf/t.conflist" >"$T/c" && mv "$T/c" "$conf/t.conflist"
	fails 78 gc --network testnet
	one_line 'says disableGC'
	jq -c '.cniVersion = "1.0.0"' "$conf/t.conflist" >"$T/c" && mv "$T/c" "$conf/t.conflist"
	fails 78 gc --network testnet
	one_line 'it is of version 1.0.0, GC of 1.1.0'
	fails 78 gc --network nowhere
	rm "$cache/results"/*c1* "$cache/results"/*c2*
	net del <"$T/a" && net del <"$T/b"
}

@test "GC of CNI waits until no add is under way" {
	echo '{"cniVersion":"1.1.0","name":"testnet","plugins":[{"type":"slow"}]}' >"$conf/a.conflist"
	mkfifo "$T/in" "$T/go"
	plugin slow <<-END
		case \$CNI_COMMAND in
		ADD)
			nsenter --net="\$CNI_NETNS" ip link add net0 type veth peer name peer >&2
			echo >$T/in
			read _ <$T/go
			echo ADD >>$T/calls
			echo '{"interfaces":[{"name":"net0","sandbox":"'\$CNI_NETNS'"}]}'
			;;
		GC) tee $T/GC | jq -r .name >>$T/calls ;;
		esac
	END
	err=$T/err2 net add <<<"$box" >"$T/out" 3>&- &
	adding=$!
	read -r _ <"$T/in"
	net gc --network testnet 3>&- &
	collecting=$!
	echo >"$T/go"
	wait $adding
	wait $collecting
	[ "$(xargs <"$T/calls")" = 'ADD testnet' ]
	jq -e --arg key "$key" '."cni.dev/valid-attachments" == [{containerID: $key, ifname: "net0"}]' "$T/GC"
	net del <"$T/out"
}
