#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The version that is spoken, and CNI's verbs beside ADD and DEL: VERSION, CHECK, STATUS.

# shellcheck disable=SC2154 # nets.bash sets them

bats_require_minimum_version 1.5.0
load nets

# versions CNIVERSIONS PLUGIN...: bridge and some more, with a choice
versions() {
	conflist 0.4.0 "${@:2}"
	jq -c ".cniVersions = $1" "$conf/10-test.conflist" >"$conf/new"
	mv "$conf/new" "$conf/10-test.conflist"
}

# speaks NAME VERSION...: a plugin that passes the result on, and writes down what it is asked in
speaks() {
	supported=$(printf '%s\n' "${@:2}" | jq -Rn '[inputs]' | jq -c .)
	plugin "$1" <<-END
		cat >$T/$1.\$CNI_COMMAND
		echo \$CNI_COMMAND >>$T/$1.calls
		case \$CNI_COMMAND in
		VERSION) echo '{"cniVersion":"1.1.0","supportedVersions":$supported}' ;;
		ADD) jq .prevResult $T/$1.ADD ;;
		esac
	END
}

# differs LINE: check finds something, and LINE among it
differs() {
	status=0
	net check <"$T/out" >"$T/found" || status=$?
	[ "$status" = 1 ]
	grep -qx "$1" "$T/found" || { cat "$T/found"; false; }
}

@test "the newest version is spoken that all plugins speak" {
	versions '["1.0.0", "0.3.1", "1.1.0", "9.0.0"]' spy
	speaks spy 0.3.1 0.4.0
	net add <<<"$box" >"$T/out"
	jq -e '.cniVersion == "0.4.0" and .prevResult.cniVersion == "0.4.0" and
		(.prevResult.ips | map(.version)) == ["4", "6"]' "$T/spy.ADD"
	[ "$(cat "$T/spy.VERSION")" = '{"cniVersion":"1.1.0"}' ]
	# del speaks it too, whatever the plugins have learnt since, and does not ask
	speaks spy 0.3.1 0.4.0 1.0.0
	net del <"$T/out"
	jq -e '.cniVersion == "0.4.0"' "$T/spy.DEL"
	[ "$(xargs <"$T/spy.calls")" = 'VERSION ADD DEL' ]
	net add <<<"$box" | jq -e '.net.links | length == 1'
	jq -e '.cniVersion == "1.0.0" and (.prevResult.ips[0] | has("version") | not)' "$T/spy.ADD"
	net del <<<"$box"
}

@test "no version in common: said, and nothing made" {
	versions '["1.0.0"]' spy
	speaks spy 1.1.0
	fails 78 add <<<"$box"
	one_line 'CNI network testnet: plugin spy speaks no version that it can use'
	plugin spy <<<'echo what?'
	fails 69 add <<<"$box"
	one_line 'CNI plugin spy: VERSION failed: its answer: not valid JSON'
	[ ! -e "$state" ]
}

@test "without a choice no plugin is asked for its version" {
	conflist 0.4.0 spy
	speaks spy 0.4.0
	net add <<<"$box" >/dev/null
	net del <<<"$box"
	[ "$(xargs <"$T/spy.calls")" = 'ADD DEL' ]
}

@test "a result of another version is put right, one of none that is known refused" {
	conflist 1.0.0 old spy
	speaks spy 1.0.0
	plugin old <<-'END'
		[ "$CNI_COMMAND" = DEL ] || jq '.prevResult | .cniVersion = "0.3.1" | .ips[0].version = "4"'
	END
	net add <<<"$box" >/dev/null
	jq -e '.prevResult | .cniVersion == "1.0.0" and (.ips[0] | has("version") | not)' "$T/spy.ADD"
	net del <<<"$box"
	plugin old <<-'END'
		[ "$CNI_COMMAND" = DEL ] || jq '.prevResult | .cniVersion = "2.0.0"'
	END
	fails 69 add <<<"$box"
	one_line 'CNI plugin old: ADD failed: its result is of CNI version "2.0.0", not 1.0.0 (the plugin'
}

@test "a list goes on in the folder of its name" {
	conflist 1.0.0
	mkdir "$conf/testnet"
	echo '{"type":"spy"}' >"$conf/testnet/10-spy.conf"
	speaks spy 1.0.0
	net add <<<"$box" >/dev/null
	net del <<<"$box"
	[ "$(xargs <"$T/spy.calls")" = 'ADD DEL' ]
}

@test "check is silent about a network as it was made" {
	conflist 1.0.0 firewall
	net add <<<"$box" >"$T/out"
	[ -z "$(net check <"$T/out")" ]
	valid net-check.json <(net check -j <"$T/out")
	[ "$(net check -j <"$T/out")" = '[]' ]
	net del <"$T/out"
	for version in 0.3.1 0.4.0; do
		conflist $version portmap
		net add <<<"$box" >"$T/out"
		[ -z "$(net check <"$T/out")" ]
		net del <"$T/out"
	done
}

@test "check tells every kind of difference" {
	conflist 1.0.0
	net add <<<"$box" >"$T/out"
	n="inside ip -n $key"
	$n link set tap0 mtu 1300
	differs 'tap0: MTU is 1300, not 1500'
	$n link set tap0 mtu 1500 down
	differs 'tap0: is down'
	$n link set tap0 up
	mac=$(jq -r '.net.links[0].mac' "$T/out")
	$n link set net0 address 02:00:00:00:00:99
	differs "net0: MAC is 02:00:00:00:00:99, not $mac"
	$n link set net0 address "$mac"
	[ -z "$(net check <"$T/out")" ]
	$n route del default
	differs 'net0: route to 0.0.0.0/0 via 10.77.0.1 is missing'
	$n route add default via 10.77.0.1
	$n addr del 10.77.0.2/24 dev net0
	differs 'net0: address 10.77.0.2/24 is missing'
	# and the plugin finds so too
	grep -q '^net0: CNI plugin bridge: CHECK failed: ' "$T/found"
	$n addr add 10.77.0.2/24 dev net0
	$n route add default via 10.77.0.1
	inside ip netns exec "$key" tc qdisc del dev tap0 ingress
	differs 'tap0: is not redirected to net0'
	[ "$(wc -l <"$T/found")" = 1 ]
	run -1 net check -j <"$T/out"
	valid net-check.json <(echo "$output")
	[ "$output" = '[{"about":"tap0","difference":"is not redirected to net0"}]' ]
	$n link del tap0
	inside ip netns exec "$key" ip tuntap add tap0 mode tap multi_queue
	differs 'tap0: is a device of several queues'
	$n link del tap0
	differs 'tap0: is missing'
	$n link del net0
	differs 'net0: is missing'
	inside umount "/run/netns/$key"
	differs "/run/netns/$key: is missing"
	net del <"$T/out"
	differs "$key: has no network"
}

@test "the plugins' CHECK: their words, their last result; not if it is forbidden" {
	conflist 1.0.0 spy
	plugin spy <<-END
		cat >$T/input.\$CNI_COMMAND
		[ "\$CNI_COMMAND" != ADD ] || jq .prevResult $T/input.ADD
		[ "\$CNI_COMMAND" != CHECK ] || { echo '{"code":100,"msg":"all","details":"lost"}'; exit 1; }
	END
	net add <<<"$box" >"$T/out"
	differs 'net0: CNI plugin spy: CHECK failed: all; lost (code 100)'
	jq -e '.prevResult.ips | length == 2' "$T/input.CHECK"
	net del <"$T/out"
	sed -i 's/"name"/"disableCheck":true,"name"/' "$conf/10-test.conflist"
	net add <<<"$box" >"$T/out"
	[ -z "$(net check <"$T/out")" ]
	net del <"$T/out"
}

@test "an add that was killed has not finished" {
	conflist 1.0.0 stuck
	plugin stuck <<-'END'
		[ "$CNI_COMMAND" = DEL ] || kill -9 $PPID
	END
	run -137 net add <<<"$box"
	echo "$box" >"$T/out"
	differs "$key: its add or del has not finished"
	net del <<<"$box"
}

@test "ready asks the plugins of a network" {
	conflist 1.0.0 spy
	fails 69 ready
	one_line 'CNI network testnet: CNI plugin "spy" is in none of'
	speaks spy 1.0.0 1.1.0
	net ready
	[ ! -e "$T/spy.calls" ]
	echo '{"cniVersion":"1.1.0","name":"other","plugins":[{"type":"spy","capabilities":{"mac":true}}]}' >"$conf/b.conflist"
	net ready --network other
	[ "$(xargs <"$T/spy.calls")" = STATUS ]
	jq -e '.cniVersion == "1.1.0" and .name == "other" and (has("prevResult") | not)' "$T/spy.STATUS"
	plugin spy <<<'env | grep "^CNI_" | cut -d= -f1 >&2; echo "{\"code\":50,\"msg\":\"full\"}"; exit 1'
	fails 75 ready --network other
	one_line 'CNI network other: CNI plugin spy: STATUS failed: full (code 50)'
	plugin spy <<<'env | grep "^CNI_" | cut -d= -f1 >&2; exit 1'
	fails 69 ready --network other
	one_line 'CNI_COMMAND CNI_PATH$\|CNI_PATH CNI_COMMAND$'
	fails 78 ready --network nowhere
	rm "$conf"/*
	fails 78 ready
	one_line 'no CNI configuration'
}

@test "an IPAM plugin that is not there is told before anything is made, and by check" {
	conflist 1.0.0
	sed -i 's/host-local/keeper/' "$conf/10-test.conflist"
	missing='IPAM of CNI plugin "bridge": CNI plugin "keeper" is in none of'
	fails 69 add <<<"$box"
	one_line "$missing $bin:/usr/lib/cni (install it"
	[ ! -e "$state" ]
	fails 69 ready
	one_line "CNI network testnet: $missing"
	cp /usr/lib/cni/host-local "$bin/keeper"
	net ready
	net add <<<"$box" >"$T/out"
	mv "$bin/keeper" "$T/keeper"
	differs "net0: $missing $bin:/usr/lib/cni"
	[ "$(wc -l <"$T/found")" = 1 ]
	# what undoes asks the plugin, which cannot either, and is asked again
	fails 69 del <"$T/out"
	one_line 'CNI plugin bridge: DEL failed: .*keeper'
	mv "$T/keeper" "$bin/keeper"
	net del <"$T/out"
	sed -i 's/keeper/..\/keeper/' "$conf/10-test.conflist"
	fails 78 add <<<"$box"
	one_line 'the "ipam" of plugin 1 has no "type" that CNI allows'
}
