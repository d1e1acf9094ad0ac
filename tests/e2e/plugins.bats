#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# CNI chains of the real plugins, each with a box that is reached and reaches others. The chain runs in a
# namespace that stands for the host, "router", beside another machine, "outside": both go with the test.

# shellcheck disable=SC2030,SC2031 # each test is a process
# shellcheck disable=SC2016 # the box's shell expands it

bats_require_minimum_version 1.5.0
load processes
load root

key=default--demo

setup_file() {
	local root=$BATS_FILE_TMPDIR/root lib
	busybox_root "$root"
	for lib in $(ldd "$(command -v socat)" | grep -o '/[^ ]*'); do
		mkdir -p "$root${lib%/*}"
		cp -L "$lib" "$root$lib"
	done
	cp "$(command -v socat)" "$root/bin/"
	head -c 200000 /dev/urandom > "$root/etc/sent"
	export BOX=$BATS_FILE_TMPDIR/box.json SENT=$root/etc/sent
	jq -n --arg root "$root" '{qbx: 1, id: "demo", rootfs: [{type: "bind", source: $root}],
		spec: {ociVersion: "1.0.2", root: {path: "rootfs"},
			process: {args: ["sh"], cwd: "/", env: ["PATH=/bin"], user: {uid: 0, gid: 0},
				capabilities: (["CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_NET_BIND_SERVICE"] |
					{bounding: ., effective: ., permitted: .})},
			mounts: [{destination: "/proc", type: "proc", source: "proc"},
				{destination: "/dev", type: "tmpfs", source: "tmpfs"},
				{destination: "/tmp", type: "tmpfs", source: "tmpfs"},
				{destination: "/sys", type: "sysfs", source: "sysfs", options: ["ro"]}],
			linux: {namespaces: [{type: "pid"}, {type: "mount"}, {type: "network"}]}}}' | qbx-fs prepare > "$BOX"
}

teardown_file() {
	qbx-fs release --box "$BOX" > /dev/null
}

setup() {
	T=$BATS_TEST_TMPDIR
	export QEMUBOX_CNI_CONF_DIR=$T/net.d QEMUBOX_CNI_BIN_DIR=$T/bin:/usr/lib/cni
	export QEMUBOX_CNI_CACHE_DIR=$T/cache QEMUBOX_STATE_DIR=$T/state
	mkdir "$T/net.d" "$T/bin"
	before=$(host)
	ip netns add router
	ip netns add outside
	ip -n router link add out0 type veth peer name eth0 netns outside
	ip -n router addr add 198.51.100.1/24 dev out0
	ip -n router addr add fd51::1/64 dev out0 nodad
	ip -n outside addr add 198.51.100.9/24 dev eth0
	ip -n outside addr add fd51::9/64 dev eth0 nodad
	for link in 'router lo' 'router out0' 'outside lo' 'outside eth0'; do
		ip -n "${link% *}" link set "${link#* }" up
	done
	ip -n outside route add default via 198.51.100.1
	ip -n outside route add default via fd51::1
	router sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding'
	outside socat TCP6-LISTEN:7,fork,reuseaddr,ipv6only=0 EXEC:cat 3>&- &
	server=$!
}

teardown() {
	exec 6>&- || :
	kill "$server"
	[ -z "${vm:-}" ] || qbx-vm stop --box "$BOX" > /dev/null || failed=1
	[ -z "${vm:-}" ] || wait "$vm" || :
	[ ! -s "$T/box.json" ] || router qbx-net del < "$T/box.json" > /dev/null || failed=1
	ip netns del router
	ip netns del outside
	[ -z "${failed:-}" ]
	[ -z "$(find "$T/state/leases" "$T/cache/results" "$T/ipam" -type f ! -name 'l[ao]*' 2> /dev/null)" ]
	diff <(echo "$before") <(host)
}

# What must be the same before and after.
host() {
	ip -o link | cut -d: -f2
	ls /run/netns 2> /dev/null || :
	ls /run/qemubox 2> /dev/null || :
	vm_processes
	nft list ruleset 2> /dev/null | grep demo || :
}

router() {
	nsenter --net=/run/netns/router "$@"
}

outside() {
	nsenter --net=/run/netns/outside "$@"
}

# network NAME PLUGIN...: each as JSON
network() {
	(IFS=, && echo "{\"cniVersion\":\"1.0.0\",\"name\":\"$1\",\"plugins\":[${*:2}]}") > "$T/net.d/$1.conflist"
}

# from SUBNET...: an address of each, and a default route
from() {
	jq -nc --arg dir "$T/ipam" '{type: "host-local", dataDir: $dir,
		ranges: [$ARGS.positional[] | [{subnet: .}]],
		routes: [$ARGS.positional[] | {dst: (if test(":") then "::/0" else "0.0.0.0/0" end)}]}' --args "$@"
}

# bridge IPAM [MORE]
bridge() {
	echo "{\"type\":\"bridge\",\"bridge\":\"qbx7\",\"isGateway\":true,\"ipam\":$1${2:+,$2}}"
}

# joins [NETWORKS]: the box, with a shell that in_box speaks to, and echo servers at port 7
joins() {
	jq -c --argjson n "${1:-[{\}]}" '.networks = $n' "$BOX" > "$T/asks.json"
	router qbx-net add --box "$T/asks.json" > "$T/box.json"
	mkfifo "$T/in" "$T/out"
	qbx-vm run --box "$T/box.json" -- sh < "$T/in" > "$T/out" 3>&- &
	vm=$!
	exec 6> "$T/in" 5< "$T/out"
	in_box 'socat TCP6-LISTEN:7,fork,reuseaddr,ipv6only=0 EXEC:cat &
		socat UDP6-LISTEN:7,fork,ipv6only=0 EXEC:cat &
		until grep -q ":0007 " /proc/net/tcp6 && grep -q ":0007 " /proc/net/udp6; do sleep 0.05; done'
}

# leaves: the box ends, and its network is given back
leaves() {
	exec 6>&-
	wait "$vm"
	vm=
	router qbx-net del < "$T/box.json" > /dev/null
	rm "$T/box.json" "$T/in" "$T/out"
}

# in_box COMMANDS: their output and status; a box that does not answer in a minute fails the test
in_box() {
	local line
	printf '{ %s\n} < /dev/null; echo "end $?"\n' "$1" >&6
	while read -r -t 60 -u 5 line; do
		[[ $line != 'end '* ]] || return "${line#end }"
		echo "$line"
	done
	echo "no answer to: $1"
	return 1
}

# shellcheck disable=SC2094 # nobody writes to it
# reaches FROM ADDRESS [PORT]: 200 kB to an echo server and back, on TCP
reaches() {
	"$1" timeout 60 socat -t 30 - "TCP:$2:${3:-7},retry=50,interval=0.1" < "$SENT" | cmp - "$SENT"
}

# udp FROM ADDRESS PORT: a datagram there and back
udp() {
	[ "$(echo "by udp" | "$1" timeout 10 socat -t 5 - "UDP:$2:$3")" = 'by udp' ]
}

# box_reaches ADDRESS
box_reaches() {
	in_box "timeout 50 socat -t 30 - 'TCP:$1:7' < /etc/sent | cmp - /etc/sent"
}

# both_ways ADDRESS: of the box, which is reached from outside and reaches that, on TCP and UDP
both_ways() {
	reaches outside "$1"
	udp outside "$1" 7
	box_reaches 198.51.100.9
}

# mac_of NAMESPACE LINK
mac_of() {
	ip -n "$1" -j link show "$2" | jq -r '.[0].address'
}

guest_mac() {
	in_box 'cat /sys/class/net/eth0/address'
}

link_of() {
	jq -r ".net.links[0].$1" "$T/box.json"
}

@test "bridge, host-local: dual stack" {
	network one "$(bridge "$(from 10.77.0.0/24 fd77::/64)")"
	joins
	both_ways 10.77.0.2
	reaches outside '[fd77::2]'
	box_reaches '[fd51::9]'
	in_box 'ping -c 1 10.77.0.1 && ping6 -c 1 fd77::1'
	outside ping -c 1 -W 5 fd77::2
}

@test "static addresses; tuning: MAC and MTU are the guest's" {
	network one "$(bridge '{"type":"static","addresses":[{"address":"10.77.0.9/24","gateway":"10.77.0.1"},
		{"address":"10.77.0.10/24"}],"routes":[{"dst":"0.0.0.0/0"}]}')" \
		'{"type":"tuning","mtu":1380,"sysctl":{"net.ipv4.conf.IFNAME.log_martians":"1"},"capabilities":{"mac":true}}'
	joins '[{"mac":"02:aa:bb:00:00:01"}]'
	both_ways 10.77.0.9
	reaches outside 10.77.0.10
	[ "$(in_box 'cat /sys/class/net/eth0/address /sys/class/net/eth0/mtu')" = $'02:aa:bb:00:00:01\n1380' ]
	# its sysctls are the namespace's, which the guest does not share
	[ "$(ip netns exec "$key" cat /proc/sys/net/ipv4/conf/net0/log_martians)" = 1 ]
}

# mapped BACKEND: ports of the host lead to the box
mapped() {
	network one "$(bridge "$(from 10.77.0.0/24)")" \
		"{\"type\":\"portmap\",\"backend\":\"$1\",\"capabilities\":{\"portMappings\":true}}"
	joins '[{"portMappings":[{"hostPort":8007,"containerPort":7,"protocol":"tcp"},
		{"hostPort":8007,"containerPort":7,"protocol":"udp"}]}]'
	reaches outside 198.51.100.1 8007
	udp outside 198.51.100.1 8007
	reaches router 198.51.100.1 8007
	box_reaches 198.51.100.9
	run ! outside socat -u /dev/null TCP:198.51.100.1:8008
}

@test "portmap by iptables" {
	mapped iptables
	router iptables-save -t nat | grep -q 8007
}

@test "portmap by nftables" {
	mapped nftables
	router nft list ruleset | grep -q 'dport 8007 dnat'
}

# guarded IPTABLES: what the box begins passes, and what is begun from outside does not
guarded() {
	router "$1" -P FORWARD DROP
	joins
	router "$1-save" | grep -q -- '-A CNI-FORWARD -s 10.77.0.[0-9]*/32 -j ACCEPT'
	address=$(link_of 'addresses[0]' | cut -d/ -f1)
	box_reaches 198.51.100.9
	reaches router "$address"
	run ! outside socat -u /dev/null "TCP:$address:7,connect-timeout=1"
	# nor does anything that the box sends as another
	in_box 'ip addr add 10.77.0.66/24 dev eth0'
	in_box "ping -c 1 -W 5 -I $address 198.51.100.9"
	run ! in_box 'ping -c 1 -W 1 -I 10.77.0.66 198.51.100.9'
	router "$1" -I FORWARD -s 10.77.0.66 -j ACCEPT
	router "$1" -I FORWARD -d 10.77.0.66 -j ACCEPT
	in_box 'ping -c 1 -W 5 -I 10.77.0.66 198.51.100.9'
	leaves
	run ! grep -F "$address" <(router "$1-save")
}

@test "firewall, by each iptables that the kernel has" {
	network one "$(bridge "$(from 10.77.0.0/24)")" '{"type":"firewall","backend":"iptables"}'
	guarded iptables-nft
	router iptables-nft -P FORWARD ACCEPT
	router iptables-legacy -S > /dev/null || return 0
	ln -s "$(command -v iptables-legacy)" "$T/bin/iptables"
	PATH=$T/bin:$PATH
	guarded iptables-legacy
}

# took COMMAND...: ms
took() {
	local start
	start=$(date +%s%N)
	"$@"
	echo $((($(date +%s%N) - start) / 1000000))
}

@test "three networks, and bandwidth: one is slow to the box, one is slow from it" {
	shaped='{"type":"bandwidth","capabilities":{"bandwidth":true}}'
	network one "$(bridge "$(from 10.77.0.0/24)")" "$shaped"
	network two "$(bridge "$(from 10.78.0.0/24)" | sed 's/qbx7/qbx8/')" "$shaped"
	network three "$(bridge "$(from 10.79.0.0/24)" | sed 's/qbx7/qbx9/')" "$shaped"
	joins '[{"name":"one"}, {"name":"two","bandwidth":{"ingressRate":800000,"ingressBurst":80000}},
		{"name":"three","bandwidth":{"egressRate":800000,"egressBurst":80000}}]'
	[ "$(in_box 'ip -4 -o addr' | awk '/eth/ { print $2, $4 }' | xargs)" = \
		'eth0 10.77.0.2/24 eth1 10.78.0.2/24 eth2 10.79.0.2/24' ]
	[ "$(router tc qdisc show | grep -c 'tbf .* rate 800Kbit')" = 2 ]
	# what is sent less the burst, at that rate
	least=$((($(stat -c %s "$SENT") * 8 - 80000) * 1000 / 800000))
	fast=$(took reaches router 10.77.0.2)
	into=$(took reaches router 10.78.0.2)
	out=$(took reaches router 10.79.0.2)
	echo "# $fast ms, $into ms in, $out ms out; at least $least" >&3
	[ "$into" -ge $least ] && [ "$out" -ge $least ]
	[ "$fast" -lt $least ]
}

@test "ptp" {
	network one "{\"type\":\"ptp\",\"ipam\":$(from 10.77.0.0/24)}"
	joins
	both_ways "$(link_of 'addresses[0]' | cut -d/ -f1)"
	in_box 'ping -c 1 10.77.0.1'
}

@test "macvlan: on the wire beside the host" {
	network one '{"type":"macvlan","master":"out0","mode":"bridge","ipam":{"type":"static",
		"addresses":[{"address":"198.51.100.2/24","gateway":"198.51.100.1"}]}}'
	joins
	both_ways 198.51.100.2
	[ "$(guest_mac)" = "$(mac_of "$key" net0)" ]
	outside ip neigh show 198.51.100.2 | grep "$(link_of mac)"
}

# bats test_tags=kvm
@test "ipvlan, l2, where the kernel has it: on the wire, with the MAC of the host" {
	network one '{"type":"ipvlan","master":"out0","mode":"l2","ipam":{"type":"static",
		"addresses":[{"address":"198.51.100.2/24","gateway":"198.51.100.1"}]}}'
	if ! ip -n router link add ipv0 link out0 type ipvlan mode l2; then
		echo '{"qbx":1,"id":"demo"}' > "$T/asks.json"
		run -69 --separate-stderr router qbx-net add --box "$T/asks.json"
		# shellcheck disable=SC2154 # bats sets stderr
		[[ $stderr == *'CNI plugin ipvlan: ADD failed'*'operation not supported'* ]]
		return
	fi
	ip -n router link del ipv0
	joins
	both_ways 198.51.100.2
	[ "$(guest_mac)" = "$(mac_of router out0)" ]
}

@test "tap: the chain's own is the guest's, on a bridge in the namespace" {
	ip netns add "$key"
	ip -n "$key" link add br0 type bridge
	ip -n "$key" link add up0 type veth peer name down0 netns router
	ip -n "$key" link set up0 master br0 up
	ip -n "$key" link set br0 up
	ip -n router addr add 10.77.0.1/24 dev down0
	ip -n router link set down0 up
	# the TAP's address is the guest's, not for the namespace to answer for
	ip netns exec "$key" sysctl -qw net.ipv4.conf.all.arp_ignore=1
	network one "{\"type\":\"tap\",\"bridge\":\"br0\",\"ipam\":$(from 10.77.0.0/24)}"
	joins
	[ "$(link_of tap)" = net0 ]
	both_ways 10.77.0.2
	leaves
	ip netns del "$key"
}

# What the plugin of that name does, which no distribution has: a TAP in the place of what the chain made
# before, and the guest's own side of it in the result.
redirect() {
	cat > "$T/bin/redirect" <<-'END'
		#!/bin/sh -e
		cat > "${0%/*}/input"
		in_ns() { nsenter --net="$CNI_NETNS" "$@"; }
		turn() {
			in_ns tc qdisc add dev "$1" ingress
			in_ns tc filter add dev "$1" parent ffff: protocol all u32 match u32 0 0 \
				action mirred egress redirect dev "$2"
		}
		mac() { in_ns ip -j link show "$1" | jq -r '.[0].address'; }
		case $CNI_COMMAND in
		ADD)
			in_ns ip tuntap add vm0 mode tap vnet_hdr
			in_ns ip link set vm0 up
			turn "$CNI_IFNAME" vm0
			turn vm0 "$CNI_IFNAME"
			jq --arg ns "$CNI_NETNS" --arg id "$CNI_CONTAINERID" --arg tap "$(mac vm0)" \
				--arg mac "$(mac "$CNI_IFNAME")" '.prevResult
				| .interfaces += [{name: "vm0", sandbox: $ns, mac: $tap}, {name: "vm0", sandbox: $id, mac: $mac}]
				| .ips[].interface = (.interfaces | length) - 1' "${0%/*}/input" ;;
		DEL) [ -z "$CNI_NETNS" ] || in_ns ip link del vm0 2> /dev/null || : ;;
		esac
	END
	chmod +x "$T/bin/redirect"
}

@test "a chain that ends as tc-redirect-tap does" {
	redirect
	network one "{\"type\":\"ptp\",\"ipam\":$(from 10.77.0.0/24)}" '{"type":"redirect"}'
	joins
	[ "$(link_of tap)" = vm0 ]
	[ "$(guest_mac)" = "$(mac_of "$key" net0)" ]
	both_ways "$(link_of 'addresses[0]' | cut -d/ -f1)"
}

# arp MAC ADDRESS: a frame from that MAC, which asks for the gateway in the name of ADDRESS
arp() {
	local hex=${1//:/} bytes=() frame i
	IFS=. read -ra bytes <<< "$2"
	frame=ffffffffffff${hex}08060001080006040001$hex$(printf %02x "${bytes[@]}")0000000000000a4d0001
	for ((i = ${#frame} - 2; i >= 0; i -= 2)); do frame=${frame:0:i}'\x'${frame:i}; done
	in_box "printf '$frame' | socat -u - INTERFACE:eth0"
}

# known ADDRESS: has the host heard of it?
known() {
	ip -n router neigh show dev qbx7 | grep -q "^$1 "
}

awaited() {
	SECONDS=0
	until known "$1"; do
		[ $SECONDS -lt 30 ] || return 1
		sleep 0.1
	done
}

@test "bridge, macspoofchk: no frame leaves with another's MAC" {
	network one "$(bridge "$(from 10.77.0.0/24)" '"macspoofchk":true')"
	joins
	both_ways 10.77.0.2
	arp 02:00:00:00:00:66 10.77.0.66
	arp "$(link_of mac)" 10.77.0.67
	awaited 10.77.0.67
	run ! known 10.77.0.66
	# without the plugin's rules it would
	router nft flush ruleset
	arp 02:00:00:00:00:66 10.77.0.66
	awaited 10.77.0.66
}
