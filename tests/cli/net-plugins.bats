#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The plugins of the CNI project that a box may meet: what each of them makes, that a guest's frames pass,
# and that check has nothing to say about it.

# shellcheck disable=SC2154 # nets.bash sets them

bats_require_minimum_version 1.5.0
load nets

# list PLUGIN...: a network of these, each as JSON
list() {
	(IFS=, && echo "{\"cniVersion\":\"1.0.0\",\"name\":\"testnet\",\"plugins\":[$*]}") >"$conf/a.conflist"
}

bridge='{"type":"bridge","bridge":"qbx0","isGateway":true,"ipam":{"type":"host-local","dataDir":"/run/cni",
	"ranges":[[{"subnet":"10.77.0.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}}'

# joined [NETWORKS]: the box, into $T/out, and check is content
joined() {
	doc=${1:+{\"qbx\":1,\"id\":\"demo\",\"networks\":$1\}}
	net add <<<"${doc:-$box}" >"$T/out"
	[ -z "$(net check <"$T/out")" ] || { net check <"$T/out"; false; }
}

# guest TARGET: be the guest, and find it by ARP and ping
guest() {
	inside ip netns exec "$key" perl "$BATS_TEST_DIRNAME/../e2e/guest.pl" \
		"$(jq -r '.net.links[0].tap' "$T/out")" "$(jq -r '.net.links[0].mac' "$T/out")" \
		"$(jq -r '.net.links[0].addresses[0]' "$T/out")" "$1"
}

# Some portmaps look for rules of IPv6 in CHECK where there are none.
unchecked() {
	list "$@"
	jq -c '.disableCheck = true' "$conf/a.conflist" >"$T/c" && mv "$T/c" "$conf/a.conflist"
}

@test "bridge" {
	list "$bridge"
	joined
	guest 10.77.0.1
	net del <"$T/out"
}

@test "ptp: its two routes, in the guest's too" {
	list '{"type":"ptp","ipMasq":true,"ipam":{"type":"host-local","dataDir":"/run/cni","subnet":"10.78.0.0/24",
		"routes":[{"dst":"0.0.0.0/0"}]}}'
	joined
	jq -e '.net.links[0].routes == [{dst: "0.0.0.0/0", gw: "10.78.0.1"}]' "$T/out"
	inside ip route | grep -q '^10.78.0.2 dev veth'
	guest 10.78.0.1
	net del <"$T/out"
	run ! grep -q 10.78.0.2 <(inside ip route)
}

@test "macvlan: the guest has the interface's own address" {
	inside ip link add up0 type veth peer name up1
	inside ip link set up0 up
	inside ip link set up1 up
	inside ip addr add 10.80.0.1/24 dev up1
	list '{"type":"macvlan","master":"up0","mode":"bridge","ipam":{"type":"static",
		"addresses":[{"address":"10.80.0.2/24","gateway":"10.80.0.1"}],"routes":[{"dst":"0.0.0.0/0"}]}}'
	joined
	inside ip -n "$key" -o -d link show net0 | grep -q 'macvlan mode bridge'
	inside ip -n "$key" -o link show net0 | grep -q "$(jq -r '.net.links[0].mac' "$T/out")"
	guest 10.80.0.1
	net del <"$T/out"
	inside ip link del up0
}

# ipvlan is one, in its modes l3 and l3s.
@test "an interface that does no ARP is refused" {
	list '{"type":"silent"}'
	plugin silent <<-'END'
		[ "$CNI_COMMAND" = ADD ] || exit 0
		nsenter --net="$CNI_NETNS" ip link add net0 type veth peer name peer
		nsenter --net="$CNI_NETNS" ip link set net0 arp off up
		echo '{"cniVersion":"1.0.0","interfaces":[{"name":"net0","sandbox":"'$CNI_NETNS'"}]}'
	END
	fails 69 add <<<"$box"
	one_line 'CNI network testnet: net0 does no ARP, so a guest could not find anybody'
}

@test "dual stack: addresses, gateways and routes of both families" {
	conflist 1.0.0
	joined
	jq -e '.net.links[0] | .addresses == ["10.77.0.2/24", "fd77::2/64"] and .routes ==
		[{dst: "0.0.0.0/0", gw: "10.77.0.1"}, {dst: "::/0", gw: "fd77::1"}]' "$T/out"
	guest 10.77.0.1
	net del <"$T/out"
}

@test "static: any number of addresses and routes, and names" {
	list '{"type":"bridge","bridge":"qbx0","dns":{"nameservers":["10.77.0.53"],"domain":"a.example",
		"search":["b.example"]},"ipam":{"type":"static","addresses":[{"address":"10.77.0.9/24",
		"gateway":"10.77.0.1"},{"address":"10.77.0.10/24","gateway":"10.77.0.1"},
		{"address":"fd77::9/64","gateway":"fd77::1"}],
		"routes":[{"dst":"0.0.0.0/0"},{"dst":"10.50.0.0/16","gw":"10.77.0.5"}]}}'
	joined
	jq -e '.net.links[0] | .addresses == ["10.77.0.9/24", "10.77.0.10/24", "fd77::9/64"] and .routes ==
		[{dst: "0.0.0.0/0", gw: "10.77.0.1"}, {dst: "10.50.0.0/16", gw: "10.77.0.5"}]' "$T/out"
	jq -e '.net.dns == {nameservers: ["10.77.0.53"], search: ["a.example", "b.example"]}' "$T/out"
	net del <"$T/out"
}

@test "the MTU of the link is the TAP's and the guest's" {
	list "${bridge/\"isGateway\"/\"mtu\":1400,\"isGateway\"}"
	joined
	jq -e '.net.links[0].mtu == 1400' "$T/out"
	inside ip -n "$key" -o link show tap0 | grep -q 'mtu 1400'
	net del <"$T/out"
	list "${bridge/\"isGateway\"/\"mtu\":9000,\"isGateway\"}"
	joined
	jq -e '.net.links[0].mtu == 9000' "$T/out"
	guest 10.77.0.1
	net del <"$T/out"
}

@test "tuning: what it makes of MAC and MTU is the guest's" {
	list "$bridge" '{"type":"tuning","mtu":1380,"capabilities":{"mac":true}}'
	joined '[{"mac":"02:AA:bb:00:00:01"}]'
	jq -e '.net.links[0] | .mtu == 1380 and .mac == "02:aa:bb:00:00:01"' "$T/out"
	inside ip -n "$key" -o link show tap0 | grep -q 'mtu 1380'
	guest 10.77.0.1
	net del <"$T/out"
}

@test "portmap: what the document asks for leads to the guest's address" {
	unchecked "$bridge" '{"type":"portmap","capabilities":{"portMappings":true}}'
	joined '[{"portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp"},
		{"hostPort":5353,"containerPort":53,"protocol":"udp","hostIP":"127.0.0.1"}]}]'
	inside iptables-save -t nat | grep -q -- '-p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.77.0.2:80'
	inside iptables-save -t nat | grep -q -- '-d 127.0.0.1/32 -p udp -m udp --dport 5353 -j DNAT --to-destination 10.77.0.2:53'
	net del <"$T/out"
	run ! grep -q 10.77.0.2 <(inside iptables-save -t nat)
}

@test "bandwidth: what the document asks for is on the host's side" {
	list "$bridge" '{"type":"bandwidth","capabilities":{"bandwidth":true}}'
	joined '[{"bandwidth":{"ingressRate":8000000,"ingressBurst":8000000,"egressRate":4000000,
		"egressBurst":4000000}}]'
	veth=$(inside ip -o link show type veth | sed 's/^[0-9]*: \([^@:]*\).*/\1/')
	inside tc qdisc show dev "$veth" | grep -q 'tbf .* rate 8Mbit'
	ifb=$(inside ip -o link show type ifb | sed 's/^[0-9]*: \([^@:]*\).*/\1/')
	inside tc qdisc show dev "$ifb" | grep -q 'tbf .* rate 4Mbit'
	guest 10.77.0.1
	net del <"$T/out"
	[ -z "$(inside ip -o link show type ifb)" ]
}

@test "firewall: the guest's addresses are let through, both families" {
	conflist 1.0.0 firewall
	joined
	inside iptables-save -t filter | grep -q -- '-A CNI-FORWARD -s 10.77.0.2/32 -j ACCEPT'
	inside ip6tables-save -t filter | grep -q -- '-A CNI-FORWARD -s fd77::2/128 -j ACCEPT'
	net del <"$T/out"
	run ! grep -q 10.77.0.2 <(inside iptables-save)
	run ! grep -q fd77::2 <(inside ip6tables-save)
}

@test "two networks of one bridge, with rules of both" {
	unchecked "$bridge" '{"type":"portmap","capabilities":{"portMappings":true}}' '{"type":"firewall"}'
	joined '[{},{"portMappings":[{"hostPort":8081,"containerPort":80,"protocol":"tcp"}]}]'
	guest 10.77.0.1
	inside iptables-save -t nat | grep -q -- '--dport 8081 -j DNAT --to-destination 10.77.0.3:80'
	net del <"$T/out"
	run ! grep -q '10.77.0.[23]' <(inside iptables-save)
}

@test "a file with the configuration of one plugin" {
	echo "${bridge/\"type\":\"bridge\"/\"cniVersion\":\"0.3.1\",\"name\":\"one\",\"type\":\"bridge\"}" >"$conf/a.conf"
	joined
	jq -e '.net.cni == "one"' "$T/out"
	jq -e '.result.cniVersion == "0.3.1" and .result.ips[0].version == "4"' "$cache/results/one-$key-net0"
	guest 10.77.0.1
	net del <"$T/out"
}
