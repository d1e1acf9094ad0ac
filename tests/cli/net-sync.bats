#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A namespace that somebody else fills after add, as ctr and nerdctl's hooks do: sync has the guest take the place
# of that. The bridge plugin is run here as they run it, with a container id and an address store of its own.

# shellcheck disable=SC2154 # nets.bash sets them
# shellcheck disable=SC2094,SC2030,SC2031 # it is only read; each test is a process

bats_require_minimum_version 1.5.0
load nets

# theirs COMMAND IFNAME [SUBNET]: the result goes to $T/their-IFNAME
theirs() {
	inside env -i PATH="$PATH" CNI_COMMAND="$1" CNI_CONTAINERID=other CNI_NETNS="/run/netns/$key" CNI_IFNAME="$2" \
		CNI_PATH=/usr/lib/cni /usr/lib/cni/bridge >"$T/their-$2" <<-END
		{"cniVersion":"1.0.0","name":"theirs","type":"bridge","bridge":"their0","mtu":1400,
		"ipam":{"type":"host-local","dataDir":"/run/theirs","subnet":"${3:-10.99.0.0/24}",
		"routes":[{"dst":"0.0.0.0/0"}]}}
	END
}

# The addresses that they hold.
held() {
	inside find /run/theirs -type f -name '[0-9]*' -printf '%f\n' 2>/dev/null | sort | xargs
}

# All of theirs: what a namespace takes along goes later, so the ports first.
theirs_end() {
	for port in $(inside ip -o link show master their0 | sed 's/^[0-9]*: \([^@]*\)@.*/\1/'); do
		inside ip link del "$port" 2>/dev/null || :
	done
	inside rm -rf /run/theirs
}

in_box() {
	inside ip netns exec "$key" "$@"
}

# wired INTERFACE TAP
wired() {
	in_box tc filter show dev "$1" parent ffff: | grep -q "Redirect to device $2"
	in_box tc filter show dev "$2" parent ffff: | grep -q "Redirect to device $1"
}

# asks KEY: the box that is wanted
asks() {
	box="{\"qbx\":1,\"id\":\"demo\",$1}"
}

two() {
	conflist 1.0.0
	echo '{"cniVersion":"0.4.0","name":"second","plugins":[{"type":"ptp","ipam":{"type":"host-local",
		"dataDir":"/run/cni","subnet":"10.78.0.0/24"}}]}' >"$conf/second.conflist"
	asks '"networks":[{"name":"testnet"},{"name":"second"}]'
}

nothing_of_ours() {
	[ -z "$(leases)" ]
	run ! inside ip -n "$key" link show net0
	[ -z "$(ls "$cache/results")" ]
}

@test "the guest takes the place of what others have made, and ours is given back" {
	conflist 1.0.0 firewall
	net add <<<"$box" >"$T/out"
	theirs ADD eth0
	tap=$(in_box cat /sys/class/net/tap0/ifindex)
	net sync <"$T/out" >"$T/synced"
	[ ! -s "$err" ]
	valid net.json "$T/synced"
	jq -e '.mine == [1,2] and .net.owned and .net.cni == null and .net.netns == "/run/netns/default--demo"' "$T/synced"
	jq -e --arg mac "$(in_box cat /sys/class/net/eth0/address)" --arg nic "$(jq -r '.net.links[0].mac' "$T/out")" \
		'.net.links == [{name: "eth0", ifname: "eth0", tap: "tap0", mac: $mac, nic: $nic, mtu: 1400,
			addresses: ["10.99.0.2/24"], routes: [{dst: "0.0.0.0/0", gw: "10.99.0.1"}], neighbours: []}]' "$T/synced"
	[ "$(in_box cat /sys/class/net/tap0/ifindex /sys/class/net/tap0/mtu | xargs)" = "$tap 1400" ]
	wired eth0 tap0
	nothing_of_ours
	jq -e '.networks | length == 1 and (.[0] | .tap == "tap0" and .ifname == "eth0" and has("conf") == false)' \
		"$state/leases/$key.json"
	net check <"$T/synced"
	valid net-status.json <(net status <<<"$box")
	net status <<<"$box" | jq -e '.networks == [{ifname: "eth0", tap: "tap0",
		mac: .networks[0].mac, addresses: ["10.99.0.2/24"]}]'
	# what others hold is theirs
	[ "$(net del <"$T/synced")" = "$box" ]
	[ "$(held)" = "10.99.0.2" ]
	theirs_end
}

@test "a second sync finds nothing new, unless something is; the TAPs have the queues that they had" {
	export QEMUBOX_VCPUS_MAX=2
	conflist 1.0.0
	asks '"spec":{"annotations":{"io.qemubox.vcpus":"2"}}'
	net add <<<"$box" >"$T/out"
	theirs ADD eth0
	net sync <"$T/out" >"$T/one"
	jq -e '.net.links[0].queues == 2' "$T/one"
	net sync <"$T/one" >"$T/two"
	net sync <"$T/out" >"$T/three"
	for again in two three; do
		diff <(jq 'del(.net.t_us)' "$T/one") <(jq 'del(.net.t_us)' "$T/$again")
	done
	in_box ip address add 10.99.0.77/24 dev eth0
	in_box ip link set eth0 mtu 1300
	net sync <"$T/one" | jq -e --slurpfile one "$T/one" '.net.links[0] | .mtu == 1300 and
		(.addresses | sort) == ["10.99.0.2/24", "10.99.0.77/24"] and .nic == $one[0].net.links[0].nic'
	[ "$(in_box cat /sys/class/net/tap0/mtu)" = 1300 ]
	wired eth0 tap0
	net check <<<"$box"
	net del <<<"$box"
	theirs_end
}

@test "nobody else is there: the document as it was, and nothing changes" {
	conflist 1.0.0
	net add <<<"$box" >"$T/out"
	cp "$state/leases/$key.json" "$T/lease"
	in_box ip link add down0 type veth peer name down1
	in_box ip tuntap add theirs mode tap
	in_box ip link set theirs up
	net sync <"$T/out" | diff "$T/out" -
	diff "$T/lease" "$state/leases/$key.json"
	[ ! -s "$err" ]
	net check <"$T/out"
	net del <"$T/out"
}

@test "two interfaces; the TAPs in order, whatever they were called" {
	two
	net add <<<"$box" >"$T/out"
	theirs ADD eth9 10.98.0.0/24
	theirs ADD eth10 10.97.0.0/24
	net sync <"$T/out" >"$T/synced"
	valid net.json "$T/synced"
	jq -e --slurpfile out "$T/out" '[.net.links[] | [.name, .tap, .nic, .addresses[0]]] ==
		[["eth9", "tap0", $out[0].net.links[0].mac, "10.98.0.2/24"],
		["eth10", "tap1", $out[0].net.links[1].mac, "10.97.0.2/24"]]' "$T/synced"
	jq -e '[.net.links[].routes[].dst] == ["0.0.0.0/0"]' "$T/synced"
	wired eth9 tap0
	wired eth10 tap1
	nothing_of_ours
	net check <"$T/synced"
	net del <"$T/synced"
	theirs_end
}

@test "fewer than TAPs: one waits until there is an interface for it, and goes with del" {
	inside ip netns add "$key"
	two
	net add <<<"$box" >"$T/out"
	theirs ADD eth5
	net sync <"$T/out" >"$T/synced"
	jq -e '[.net.links[] | [.name, .tap]] == [["eth5", "tap0"]]' "$T/synced"
	[ -z "$(in_box tc filter show dev tap1 parent ffff:)" ]
	net check <"$T/synced"
	theirs ADD eth6 10.98.0.0/24
	net sync <"$T/synced" >"$T/again"
	jq -e --slurpfile out "$T/out" '[.net.links[] | [.name, .tap, .nic]] ==
		[["eth5", "tap0", $out[0].net.links[0].mac], ["eth6", "tap1", $out[0].net.links[1].mac]]' "$T/again"
	wired eth6 tap1
	# the other one has the first TAP when the first interface has gone, or is down
	in_box ip link set eth5 down
	net sync <"$T/again" | jq -e --slurpfile out "$T/out" '[.net.links[] | [.name, .tap, .nic]] ==
		[["eth6", "tap0", $out[0].net.links[0].mac]]'
	wired eth6 tap0
	in_box tc qdisc show dev eth5 | grep -v noqueue | diff /dev/null -
	net check <<<"$box"
	net del <<<"$box"
	in_box ip -o link show type tun | diff /dev/null -
	in_box tc qdisc show dev eth6 | grep -v noqueue | diff /dev/null -
	in_box ip link del eth5
	in_box ip link del eth6
	inside ip netns del "$key"
	theirs_end
}

@test "more than TAPs is refused in a line, and changes nothing" {
	conflist 1.0.0
	net add <<<"$box" >"$T/out"
	cp "$state/leases/$key.json" "$T/lease"
	theirs ADD eth0
	theirs ADD eth1 10.98.0.0/24
	fails 69 sync <"$T/out"
	one_line "/run/netns/$key has 2 interfaces for the guest, whose VM has 1"
	diff "$T/lease" "$state/leases/$key.json"
	wired net0 tap0
	net check <"$T/out"
	net del <"$T/out"
	theirs_end
	net add <<<'{"qbx":1,"id":"demo","network":"none"}' >"$T/out"
	theirs ADD eth0
	fails 69 sync <"$T/out"
	one_line 'has 1 interfaces for the guest, whose VM has 0'
	net del <"$T/out"
	theirs_end
}

@test "a TAP that a plugin has made cannot be another's" {
	conflist 1.0.0 maketap
	plugin maketap <<-'END'
		[ "$CNI_COMMAND" = DEL ] && exit 0
		nsenter --net="$CNI_NETNS" ip tuntap add tap7 mode tap vnet_hdr >&2
		nsenter --net="$CNI_NETNS" ip link set tap7 up >&2
		jq '.prevResult | .interfaces += [{name: "tap7", sandbox: env.CNI_NETNS}]'
	END
	net add <<<"$box" >"$T/out"
	jq -e '.net.links[0].tap == "tap7"' "$T/out"
	net sync <"$T/out" | diff "$T/out" -
	theirs ADD eth0
	fails 69 sync <"$T/out"
	one_line "has an interface of somebody else's, eth0 (.*a plugin made the VM's TAP, tap7"
	in_box ip link show net0
	net del <"$T/out"
	theirs_end
}

@test "a DEL that fails: a warning, and del tries again" {
	conflist 1.0.0 stubborn
	plugin stubborn <<-END
		[ "\$CNI_COMMAND" != DEL ] || [ ! -e $T/refuse ] || { echo '{"code":100,"msg":"not now"}'; exit 1; }
		[ "\$CNI_COMMAND" = ADD ] && exec jq .prevResult
		exit 0
	END
	net add <<<"$box" >"$T/out"
	theirs ADD eth0
	touch "$T/refuse"
	net sync <"$T/out" >"$T/synced"
	one_line 'warning: .*stubborn: DEL failed: not now .*; qbx-net del tries again'
	jq -e '[.net.links[] | [.name, .tap]] == [["eth0", "tap0"]]' "$T/synced"
	wired eth0 tap0
	status=0
	net check <"$T/synced" >"$T/found" || status=$?
	[ "$status" = 1 ]
	[ "$(cat "$T/found")" = "net0: is still to be given back, as del does" ]
	fails 69 del <"$T/synced"
	rm "$T/refuse"
	net del <"$T/synced"
	[ "$(held)" = "10.99.0.2" ]
	theirs_end
	# and so does the next sync
	net add <<<"$box" >"$T/out"
	theirs ADD eth0
	touch "$T/refuse"
	net sync <"$T/out" >"$T/synced"
	rm "$T/refuse"
	net sync <"$T/synced" >"$T/again"
	[ ! -s "$err" ]
	nothing_of_ours
	net check <"$T/again"
	net del <"$T/again"
	theirs_end
}

@test "two attachments to one network: what they share is given back by del" {
	conflist 1.0.0
	asks '"networks":[{},{}]'
	net add <<<"$box" >"$T/out"
	theirs ADD eth0
	net sync <"$T/out" >"$T/synced"
	grep -q 'qbx-net del tries again' "$err"
	wired eth0 tap0
	net del <"$T/synced"
	[ ! -s "$err" ]
	[ "$(held)" = "10.99.0.2" ]
	theirs_end
}

@test "a namespace that add found filled" {
	inside ip netns add "$key"
	theirs ADD eth0
	asks '"netns":"/run/netns/default--demo"'
	net add <<<"$box" >"$T/out"
	net sync <"$T/out" | jq -e --slurpfile out "$T/out" '(.net.links[0] | del(.nic)) == $out[0].net.links[0]'
	in_box ip address add 10.99.0.77/24 dev eth0
	net sync <"$T/out" | jq -e '.net.links[0].addresses | length == 2'
	theirs ADD eth1 10.98.0.0/24
	fails 69 sync <"$T/out"
	one_line 'has 2 interfaces for the guest, whose VM has 1'
	net del <"$T/out"
	in_box ip -o link show type tun | diff /dev/null -
	inside ip netns del "$key"
	theirs_end
}

@test "without the lease, del leaves alone what others have made" {
	conflist 1.0.0
	inside ip netns add "$key"
	net add <<<"$box" >"$T/out"
	theirs ADD eth0
	net sync <"$T/out" >"$T/synced"
	rm "$state/leases/$key.json"
	net del <"$T/synced"
	in_box ip -o link show type tun | diff /dev/null -
	in_box ip -o address show dev eth0 | grep -q 10.99.0.2
	in_box tc qdisc show dev eth0 | grep -v noqueue | diff /dev/null -
	in_box ip link del eth0
	inside ip netns del "$key"
	theirs_end
}

@test "a box that has no network, or half of one" {
	conflist 1.0.0
	fails 69 sync <<<"$box"
	one_line "box $key has no network (qbx-net add"
	net add <<<"$box" >"$T/out"
	jq -c 'del(.net)' "$state/leases/$key.json" >"$T/lease"
	cp "$T/lease" "$state/leases/$key.json"
	fails 69 sync <"$T/out"
	one_line 'has not finished (qbx-net del'
	net del <"$T/out"
}

@test "--dry-run says what would be done and does nothing" {
	conflist 1.0.0
	net add <<<"$box" >"$T/out"
	theirs ADD eth0
	net sync --dry-run <"$T/out" >"$T/plan"
	wired net0 tap0
	sh -n "$T/plan"
	grep -q "CNI_COMMAND=DEL.*'/usr/lib/cni/bridge'" "$T/plan"
	# it is what would be done
	inside sh -ec ". $T/plan"
	wired eth0 tap0
	nothing_of_ours
	net del <"$T/out"
	theirs_end
}

# ---- kill -9 at each step ----

prepare() {
	# shellcheck disable=SC2034 # for net
	qbx_net=$QBX_BIN/../tests/net-steps/qbx-net
	two
	export QEMUBOX_STEPS=$T/steps QEMUBOX_DIE_AT
}

# filled [OPTION...]: a box on two networks, with one interface of somebody else's
filled() {
	QEMUBOX_STEPS='' net add "$@" <<<"$box" >"$T/out"
	theirs ADD eth0
}

count_steps() {
	filled
	rm -f "$QEMUBOX_STEPS"
	QEMUBOX_DIE_AT='' net sync <"$T/out" >"$T/synced"
	n=$(wc -l <"$QEMUBOX_STEPS")
	[ "$n" -gt 15 ]
	grep -q '^mtu tap0$' "$QEMUBOX_STEPS"
	grep -q '^unredirected tap1$' "$QEMUBOX_STEPS"
	grep -q '^DEL bridge$' "$QEMUBOX_STEPS"
	QEMUBOX_STEPS='' net del <"$T/synced"
	theirs_end
}

killed_at() {
	rm -f "$QEMUBOX_STEPS"
	status=0
	QEMUBOX_DIE_AT=$1 net sync <"$T/out" >/dev/null || status=$?
	[ $status = 137 ] || { echo "step $1: status $status"; cat "$err"; false; }
}

# given_back VERB: of all nothing is left, but for theirs
given_back() {
	QEMUBOX_STEPS='' net "$@" <<<"$box" >/dev/null
	[ "$(held)" = 10.99.0.2 ]
	theirs_end
	left=$(things)
	[ -n "$left" ] || [ -s "$err" ] || return 0
	tail -n 1 "$QEMUBOX_STEPS"
	echo "$left"
	cat "$err"
	false
}

@test "sync is killed, del finds everything" {
	prepare
	count_steps
	for i in $(seq "$n"); do
		filled
		killed_at "$i"
		given_back del
	done
}

@test "sync is killed, gc finds everything when the owner has gone, and nothing before" {
	prepare
	count_steps
	for i in $(seq "$n"); do
		sleep 1000 3>&- &
		filled --owner $!
		killed_at "$i"
		[ -z "$(QEMUBOX_STEPS='' net gc)" ]
		kill -9 $! && { wait $! || :; }
		given_back gc
	done
}

@test "sync is killed, and the next one goes on" {
	prepare
	count_steps
	for i in $(seq "$n"); do
		filled
		killed_at "$i"
		QEMUBOX_STEPS='' net sync <"$T/out" >"$T/again"
		jq -e --slurpfile out "$T/out" '[.net.links[] | [.name, .tap, .nic]] ==
			[["eth0", "tap0", $out[0].net.links[0].mac]]' "$T/again" >/dev/null
		wired eth0 tap0
		nothing_of_ours
		QEMUBOX_STEPS='' net check <"$T/again"
		given_back del
	done
}
