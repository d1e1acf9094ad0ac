#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A box on several networks, and what it may ask of each.

# shellcheck disable=SC2154 # nets.bash sets them

bats_require_minimum_version 1.5.0
load nets

# network NAME N [PLUGIN...]: one with a bridge of its own and 10.N.0.0/24
network() {
	name=$1 n=$2
	shift 2
	plugins='{"type":"bridge","bridge":"qbx'$n'","isGateway":true,"capabilities":{"mac":true,"ips":true},
		"ipam":{"type":"host-local","dataDir":"/run/cni","subnet":"10.'$n'.0.0/24",
		"routes":[{"dst":"0.0.0.0/0"},{"dst":"172.'$n'.0.0/16"}]},"dns":{"nameservers":["192.0.2.'$n'"]}}'
	for p in "$@"; do plugins="$plugins,$p"; done
	echo "{\"cniVersion\":\"1.0.0\",\"name\":\"$name\",\"plugins\":[$plugins]}" >"$conf/$n.conflist"
}

# document NETWORKS
document() {
	echo "{\"qbx\":1,\"id\":\"demo\",\"networks\":$1}"
}

@test "three networks, each with its interface and TAP, in order" {
	network one 11
	network two 12
	document '[{"name":"two"},{"ifname":"net7"},{"name":"one"}]' >"$T/box"
	net add <"$T/box" >"$T/out"
	valid net.json "$T/out"
	jq -e '.net.cni == "two" and [.net.links[] | [.name, .network, .tap]] ==
		[["eth0", "two", "tap0"], ["net7", "one", "tap1"], ["eth2", "one", "tap2"]]' "$T/out"
	# where two networks lead to the same place, the first one does
	jq -e '[.net.links[].routes | map(.dst)] ==
		[["0.0.0.0/0", "172.12.0.0/16"], ["172.11.0.0/16"], []]' "$T/out"
	jq -e '.net.dns.nameservers == ["192.0.2.12", "192.0.2.11"]' "$T/out"
	jq -e '[.net.links[].mac] | unique | length == 3' "$T/out"
	jq -e '.net.t_us | has("cni.bridge") and has("cni.bridge.net7") and has("tap.eth2")' "$T/out"
	for pair in net0:tap0 net7:tap1 net2:tap2; do
		inside ip netns exec "$key" tc filter show dev "${pair%:*}" parent ffff: |
			grep -q "Redirect to device ${pair#*:}"
		inside ip netns exec "$key" tc filter show dev "${pair#*:}" parent ffff: |
			grep -q "Redirect to device ${pair%:*}"
	done
	[ "$(leases | wc -l)" = 3 ]
	net del <"$T/out" >"$T/after"
	cmp "$T/box" "$T/after"
}

@test "del without the lease, of all of them" {
	network one 11
	network two 12
	document '[{"name":"two"},{"ifname":"net7"},{"name":"one"}]' | net add >"$T/out"
	rm "$state/leases/$key.json"
	net del <"$T/out"
}

@test "the second network fails: the first is given back" {
	network one 11
	network two 12 '{"type":"broken"}'
	plugin broken <<-'END'
		[ "$CNI_COMMAND" = DEL ] && exit 0
		echo no >&2
		exit 1
	END
	fails 69 add < <(document '[{"name":"one"},{"name":"two"}]')
	one_line 'CNI plugin broken: ADD failed'
}

@test "none of them" {
	network one 11
	for doc in '{"qbx":1,"id":"demo","networks":[]}' \
		'{"qbx":1,"id":"demo","network":"none","networks":[{"name":"one"}]}'; do
		net add <<<"$doc" | jq -e '.net.links == [] and .net.cni == null'
		[ ! -s "$err" ]
		net del <<<"$doc"
	done
}

@test "mac, ips and args arrive" {
	network one 11 '{"type":"spy"}'
	plugin spy <<-END
		printf '%s\n' "\$CNI_ARGS" >>$T/args
		tee $T/input | jq .prevResult
	END
	document '[{"mac":"02:11:22:33:44:55","ips":["10.11.0.77"],"args":{"IgnoreUnknown":"1","K":"a b"},
		"aliases":["db"]}]' | net add >"$T/out"
	jq -e '.net.links[0] | .mac == "02:11:22:33:44:55" and .addresses == ["10.11.0.77/24"]' "$T/out"
	inside ip -n "$key" -o link show net0 | grep -q 02:11:22:33:44:55
	jq -e 'has("runtimeConfig") or has("capabilities") | not' "$T/input"
	net del <"$T/out"
	# the same for DEL
	[ "$(sort -u "$T/args")" = 'IgnoreUnknown=1;K=a b' ]
	[ "$(wc -l <"$T/args")" = 2 ]
}

@test "a capability goes to the plugins that declare it, and to no other" {
	network one 11 '{"type":"spy","capabilities":{"portMappings":true,"bandwidth":false}}'
	plugin spy <<-END
		tee $T/input.\$CNI_COMMAND | jq .prevResult
	END
	document '[{"mac":"02:11:22:33:44:55","portMappings":[{"hostPort":8080,"containerPort":80,
		"protocol":"tcp"}]}]' | net add >"$T/out"
	jq -e '.runtimeConfig == {portMappings: [{hostPort: 8080, containerPort: 80, protocol: "tcp"}]}' "$T/input.ADD"
	net del <"$T/out"
	jq -e '.runtimeConfig.portMappings[0].hostPort == 8080' "$T/input.DEL"
	fails 78 add < <(document '[{"bandwidth":{"ingressRate":8000,"ingressBurst":8000}}]')
	one_line 'CNI network one: no plugin takes "bandwidth" (one has to say "capabilities":{"bandwidth":true} in '
	net add < <(document '[{"dns":{"servers":["192.0.2.1"]}}]') | jq -e '.net.links | length == 1'
	net del <<<"$box"
}

@test "what is wrong with an entry is said, by add and nothing else" {
	network one 11
	fails 65 add < <(document '[{},{"macc":"02:11:22:33:44:55"}]')
	one_line 'networks: entry 2: unknown key "macc"'
	fails 65 add < <(document '[{},{},{},{},{}]')
	one_line 'at most 4'
	fails 65 add < <(document '{}')
	one_line '"networks" must be an array'
	fails 78 add < <(document '[{},{"name":"nowhere"}]')
	one_line 'no CNI network "nowhere"'
	rm "$conf"/*
	fails 78 add < <(document '[{}]')
	one_line 'no CNI configuration'
	[ ! -e "$state" ]
}

@test "a lease of the first version is undone" {
	network one 11
	document '[{"ifname":"eth0"}]' >"$T/box" # what all had
	net add <"$T/box" >"$T/out"
	jq -c '{lease: 1, owned, tap: true, net} + (.networks[0] | {started, conf_path, conf, result})' \
		"$state/leases/$key.json" >"$T/old"
	jq -e '.started == 1 and .conf.name == "one"' "$T/old"
	cp "$T/old" "$state/leases/$key.json"
	fails 75 add <<<"$box"
	net del <<<"$box"
	# one whose add was killed
	document '[{"ifname":"eth0"}]' >"$T/box" # what all had
	net add <"$T/box" >"$T/out"
	jq -c 'del(.net)' "$T/old" >"$state/leases/$key.json"
	net add <<<"$box" >/dev/null
	[ "$(leases | wc -l)" = 1 ]
	net del <<<"$box"
}

@test "a TAP of somebody else is not taken over" {
	network one 11
	inside ip netns add "$key"
	inside ip -n "$key" tuntap add tap0 mode tap
	fails 69 add <<<"$box"
	one_line "create tap0: there is one in /run/netns/$key"
	inside ip -n "$key" link show tap0
	inside ip netns del "$key"
}

@test "other CNI tools find the attachment in the result cache" {
	network one 11 '{"type":"spy","capabilities":{"mac":true}}'
	plugin spy <<-END
		jq .prevResult
	END
	document '[{"ifname":"net7","mac":"02:11:22:33:44:55","args":{"IgnoreUnknown":"1"}}]' | net add >"$T/out"
	[ "$(ls "$cache/results")" = "one-$key-net7" ]
	jq -e --arg key "$key" '.kind == "cniCacheV1" and .containerId == $key and .ifName == "net7" and
		.networkName == "one" and .netns == "/run/netns/" + $key and .cniArgs == [["IgnoreUnknown", "1"]] and
		.capabilityArgs == {mac: "02:11:22:33:44:55"} and .result.cniVersion == "1.0.0" and
		(.result.ips | length) == 1' "$cache/results/one-$key-net7"
	jq -r .config "$cache/results/one-$key-net7" | base64 -d | jq -e '.name == "one" and (.plugins | length) == 2'
	net del <"$T/out"
	[ -z "$(ls "$cache/results")" ]
}

@test "without lease, document and configuration, the cache is enough" {
	network one 11 '{"type":"spy","capabilities":{"mac":true}}'
	plugin spy <<-END
		cat >$T/input.\$CNI_IFNAME
		[ "\$CNI_COMMAND" = DEL ] || jq .prevResult $T/input.\$CNI_IFNAME
	END
	document '[{"ifname":"net7","mac":"02:11:22:33:44:55"},{}]' | net add >"$T/out"
	rm "$state/leases/$key.json" "$conf"/*
	# not ours, though it has our name
	jq -c '.netns = "/run/netns/other"' "$cache/results/one-$key-net7" >"$cache/results/one-$key-other"
	net del <<<"$box"
	jq -e '.runtimeConfig.mac == "02:11:22:33:44:55" and (.prevResult.ips | length) == 1' "$T/input.net7"
	jq -e 'has("runtimeConfig") | not' "$T/input.net1"
	rm "$cache/results/one-$key-other"
}

@test "a cache that cannot be written: said so, everything undone" {
	network one 11
	echo >"$cache"
	fails 69 add <<<"$box"
	one_line "$cache/results.*Not a directory (cni_cache_dir of qemubox.conf(5) is where)"
	rm "$cache"
}
