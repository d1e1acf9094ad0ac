#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# qbx-net with the distribution's CNI plugins. Scripts stand in for them only where one has to misbehave.

# shellcheck disable=SC2154 # nets.bash sets them
# shellcheck disable=SC2030,SC2031 # each test is a process

bats_require_minimum_version 1.5.0

load nets

@test "add joins the network, describes it by its schema, and del gives all back" {
	conflist 1.0.0 firewall
	net add <<<"$box" >"$T/out"
	[ ! -s "$err" ]
	[ "$(wc -l <"$T/out")" = 1 ]
	valid net.json "$T/out"
	jq -e '.mine == [1,2] and .net.owned and .net.cni == "testnet" and (.net.links | length) == 1' "$T/out"
	jq -e '.net.netns == "/run/netns/default--demo"' "$T/out"
	jq -e '.net.dns == {nameservers: ["192.0.2.53"], search: ["box.example"]}' "$T/out"
	jq -e '.net.links[0].routes == [{dst:"0.0.0.0/0",gw:"10.77.0.1"},{dst:"::/0",gw:"fd77::1"}]' "$T/out"
	jq -e '.net.t_us | has("netns") and has("cni.bridge") and has("cni.firewall") and has("calls") and has("tap")' "$T/out"
	mac=$(jq -r '.net.links[0].mac' "$T/out") address=$(jq -r '.net.links[0].addresses[0]' "$T/out")
	inside ip -n "$key" -o link show net0 | grep -q "$mac"
	inside ip -n "$key" -o addr show net0 | grep -qF "$address"
	inside ip -n "$key" -d link show tap0 | grep -q 'tun type tap pi off vnet_hdr on persist on'
	inside ip -n "$key" link show lo | grep -q UP
	inside ip netns exec "$key" tc filter show dev net0 parent ffff: | grep -q 'Redirect to device tap0'
	inside ip netns exec "$key" tc filter show dev tap0 parent ffff: | grep -q 'Redirect to device net0'
	[ "$(leases | wc -l)" = 2 ]
	[ "$(net del <"$T/out")" = "$box" ]
	[ "$(net del <"$T/out")" = "$box" ]
}

@test "del needs neither the net key nor, with the net key, the lease" {
	conflist 1.0.0 firewall
	net add <<<"$box" >/dev/null
	net del <<<"$box"
	[ -z "$(leases)" ]
	net add <<<"$box" >"$T/out"
	rm "$state/leases/$key.json"
	net del <"$T/out"
	[ -z "$(leases)" ]
}

@test "a damaged lease does not keep del from giving all back" {
	conflist 1.0.0
	net add <<<"$box" >/dev/null
	: >"$state/leases/$key.json"
	fails 65 add <<<"$box"
	one_line "$key.json"
	net del <<<"$box"
	one_line 'warning'
}

@test "every version of the specification that the plugins speak" {
	for version in 0.3.0 0.3.1 0.4.0 1.0.0; do
		conflist $version portmap # firewall starts at 0.4.0
		net add <<<"$box" >"$T/out"
		jq -e '.net.links[0].addresses | length == 2' "$T/out"
		net del <<<"$box"
	done
}

@test "a single plugin's configuration; ptp" {
	echo '{"cniVersion":"1.0.0","name":"one","type":"ptp","ipam":{"type":"host-local","dataDir":"/run/cni",
		"subnet":"10.78.0.0/24","routes":[{"dst":"0.0.0.0/0"}]}}' >"$conf/one.conf"
	net add <<<"$box" | jq -e '.net.cni == "one" and .net.links[0].routes[0].gw == "10.78.0.1"'
	net del <<<"$box"
}

@test "the network can be chosen by name" {
	conflist 1.0.0
	sed 's/testnet/other/' "$conf/10-test.conflist" >"$conf/99-other.conflist"
	NETWORK=other net add <<<"$box" | jq -e '.net.cni == "other"'
	net del <<<"$box"
	NETWORK=nowhere fails 78 add <<<"$box"
	one_line 'no CNI network "nowhere"'
}

@test "no configuration: an empty namespace, no link, one warning" {
	rmdir "$conf"
	net add <<<"$box" >"$T/out"
	one_line "no network for $key: no CNI configuration in $conf "
	jq -e '.net | .links == [] and .cni == null and .owned' "$T/out"
	[ "$(inside ip -n "$key" -o link | wc -l)" = 1 ]
	net del <"$T/out"
}

@test "network none: the same, silently" {
	conflist 1.0.0
	net add <<<'{"qbx":1,"id":"demo","network":"none"}' >"$T/out"
	[ ! -s "$err" ]
	jq -e '.net | .links == [] and .cni == null' "$T/out"
	net del <"$T/out"
}

@test "a namespace that is there already is used, and stays" {
	conflist 1.0.0
	inside ip netns add "$key"
	net add <<<"$box" | jq -e '.net.owned == false'
	net del <<<"$box"
	inside ip netns list | grep -q "$key"
	[ "$(inside ip -n "$key" -o link | wc -l)" = 1 ]
	inside ip netns del "$key"
}

@test "a box has one network; the second add is refused and harms nothing" {
	conflist 1.0.0
	net add <<<"$box" >/dev/null
	fails 75 add <<<"$box"
	one_line "$key already has a network"
	inside ip -n "$key" link show tap0
	net del <<<"$box"
}

@test "ten at once get ten addresses" {
	conflist 1.0.0 firewall
	pids=
	for i in 0 1 2 3 4 5 6 7 8 9; do
		err=$T/err$i net add <<<"{\"qbx\":1,\"id\":\"box$i\"}" >"$T/out$i" 3>&- &
		pids="$pids $!"
	done
	for p in $pids; do wait "$p"; done
	[ "$(jq -r '.net.links[0].addresses[0]' "$T"/out? | sort -u | wc -l)" = 10 ]
	[ "$(jq -r '.net.links[0].mac' "$T"/out? | sort -u | wc -l)" = 10 ]
	pids=
	for i in 0 1 2 3 4 5 6 7 8 9; do
		err=$T/err$i net del <"$T/out$i" 3>&- >/dev/null &
		pids="$pids $!"
	done
	for p in $pids; do wait "$p"; done
}

@test "kill -9 while a plugin runs: del gives all back, and so does the next add" {
	conflist 1.0.0 stuck
	plugin stuck <<-END
		[ "\$CNI_COMMAND" = DEL ] && exit 0
		ppid=\$(cut -d' ' -f4 </proc/\$\$/stat)
		kill -9 \$ppid
		exec sleep 60
	END
	run -137 net add <<<"$box"
	[ "$(leases | wc -l)" = 2 ]
	[ "$(net del <<<"$box")" = "$box" ]
	[ -z "$(leases)" ]
	run -137 net add <<<"$box"
	conflist 1.0.0
	net add <<<"$box" >/dev/null
	[ "$(leases | wc -l)" = 2 ]
	net del <<<"$box"
}

@test "a reboot: the lease is there, the namespace is not" {
	conflist 1.0.0
	net add <<<"$box" >/dev/null
	inside umount "/run/netns/$key"
	net add <<<"$box" | jq -e '.net.links[0].tap == "tap0"'
	[ "$(leases | wc -l)" = 2 ]
	inside umount "/run/netns/$key"
	inside rm "/run/netns/$key"
	net del <<<"$box"
}

@test "a plugin that is missing: named before anything is made" {
	conflist 1.0.0 nosuch
	fails 69 add <<<"$box"
	one_line "CNI plugin \"nosuch\" is in none of $bin:/usr/lib/cni (install it"
}

@test "a plugin that fails half-way: its own words, the earlier ones undone" {
	conflist 1.0.0 firewall broken
	plugin broken <<-END
		echo "\$CNI_COMMAND" >>$BATS_TEST_TMPDIR/calls
		[ "\$CNI_COMMAND" = DEL ] && exit 0
		echo noise >&2
		printf '%s' '{"cniVersion":"1.0.0","code":100,"msg":"no such luck","details":"two\nlines"}'
		exit 1
	END
	fails 69 add <<<"$box"
	one_line 'CNI plugin broken: ADD failed: no such luck; two lines (code 100)'
	[ "$(tr '\n' ' ' <"$BATS_TEST_TMPDIR/calls")" = 'ADD DEL ' ]
	fails 69 --json-errors add <<<"$box"
	valid error.json "$err"
	jq -e '.error | .stage == "qbx-net" and .code == 69' "$err"
}

@test "a plugin that can neither do nor undo: the others are undone" {
	conflist 0.3.1 firewall
	fails 78 add <<<"$box"
	one_line 'CNI plugin firewall: ADD failed: incompatible CNI versions.*(code 1)'
}

@test "a plugin that fails without JSON: its standard error, cleaned" {
	conflist 1.0.0 broken
	plugin broken <<-'END'
		[ "$CNI_COMMAND" = DEL ] && exit 0
		echo not json
		printf 'panic:\n\033[31m\tall is lost\377\n' >&2
		exit 2
	END
	fails 69 add <<<"$box"
	one_line 'ADD failed: exit status 2: panic: \[31m all is lost?$'
}

@test "a plugin that prints garbage, nothing, or a bad result" {
	conflist 1.0.0 broken
	for out in garbage '' '[]' '{"ips":[{"address":"nowhere"}]}' '{"dns":{"nameservers":["x"]}}'; do
		plugin broken <<-END
			[ "\$CNI_COMMAND" = DEL ] || echo '$out'
		END
		fails 69 add <<<"$box"
		one_line 'result'
	done
}

@test "a plugin that prints too much" {
	conflist 1.0.0 broken
	plugin broken <<-'END'
		[ "$CNI_COMMAND" = DEL ] || exec head -c 10000000 /dev/zero
	END
	fails 69 add <<<"$box"
	one_line 'CNI plugin broken: ADD failed: .*more than 262144 bytes'
}

@test "a plugin that hangs is ended with its children at the deadline" {
	conflist 1.0.0 broken
	plugin broken <<-'END'
		[ "$CNI_COMMAND" = DEL ] && exit 0
		sleep 4242
	END
	fails 75 --plugin-timeout 1 add <<<"$box"
	one_line 'CNI plugin broken: ADD failed: no end after 1 s'
	run ! inside pgrep -f 'sleep 4242'
	fails 64 --plugin-timeout 0 add <<<"$box"
	one_line 'plugin-timeout'
}

@test "a plugin that cannot be undone: the rest is, and del can be tried again" {
	conflist 1.0.0 sticky firewall
	plugin sticky <<-END
		if [ "\$CNI_COMMAND" = DEL ]; then
			echo no >&2
			exit 1
		fi
		jq .prevResult
	END
	net add <<<"$box" >"$T/out"
	fails 69 del <"$T/out"
	one_line 'CNI plugin sticky: DEL failed: exit status 1: no'
	[ -z "$(leases)" ]
	run ! inside ls "/run/netns/$key"
	rm "$bin/sticky"
	fails 69 del <"$T/out"
	one_line 'CNI plugin "sticky" is in none of'
	ln -s /bin/true "$bin/sticky"
	net del <"$T/out"
}

@test "a chain that leaves no net0" {
	echo '{"cniVersion":"1.0.0","name":"empty","plugins":[{"type":"idle"}]}' >"$conf/a.conflist"
	plugin idle <<-'END'
		[ "$CNI_COMMAND" = DEL ] || echo '{}'
	END
	fails 69 add <<<"$box"
	one_line 'CNI network empty: interface net0: No such device'
}

@test "a chain that made a TAP and says what the guest's side is, as tc-redirect-tap does" {
	conflist 1.0.0 maketap
	plugin maketap <<-'END'
		[ "$CNI_COMMAND" = DEL ] && exit 0
		nsenter --net="$CNI_NETNS" ip tuntap add tap7 mode tap vnet_hdr >&2
		nsenter --net="$CNI_NETNS" ip link set tap7 mtu 1400 up >&2
		jq '.prevResult | (.interfaces | length) as $n
			| .interfaces += [{name: "tap7", sandbox: env.CNI_NETNS, mac: "02:00:00:00:00:01"},
				{name: "tap7", sandbox: env.CNI_CONTAINERID, mac: "02:00:00:00:00:02"}]
			| .ips += [{address: "10.99.0.2/24", interface: ($n + 1)}]'
	END
	net add <<<"$box" >"$T/out"
	jq -e '.net.links == [{name: "eth0", ifname: "net0", network: "testnet", tap: "tap7", mac: "02:00:00:00:00:02", mtu: 1400,
		addresses: ["10.99.0.2/24"],
		routes: [{dst: "0.0.0.0/0"}, {dst: "::/0"}]}]' "$T/out"
	run ! inside ip -n "$key" link show tap0
	net del <"$T/out"
}

# sized VCPUS: the box, of a specification for so many processors
sized() {
	echo '{"qbx":1,"id":"demo","spec":{"annotations":{"io.qemubox.vcpus":"'"$1"'"}}}'
}

@test "TAPs of several queues for a box of several processors" {
	export QEMUBOX_VCPUS_MAX=12
	conflist 1.0.0
	for size in 1:null 3:3 12:8; do
		sized "${size%:*}" >"$T/box"
		net add <"$T/box" >"$T/out"
		jq -e ".net.links[0].queues == ${size#*:}" "$T/out"
		valid net.json "$T/out"
		[ "$(inside ip -n "$key" -d -o link show tap0 | grep -c ' multi_queue on\| multi_queue numqueues')" = \
			"$([ "${size#*:}" = null ] && echo 0 || echo 1)" ]
		[ -z "$(net check <"$T/out")" ]
		net del <"$T/out" >"$T/after"
		cmp "$T/box" "$T/after"
	done
	net add --dry-run <<<"$(sized 2)" >"$T/plan"
	grep -q 'ip tuntap add dev tap0 mode tap vnet_hdr multi_queue$' "$T/plan"
	grep -q 'tc qdisc add dev tap0 root noqueue$' "$T/plan"
	run ! grep -q 'multi_queue\|noqueue' <(net add --dry-run <<<"$(sized 1)")
	# by the bundle as well, and what qbx-vm would refuse is refused before anything is made
	mkdir "$T/bundle"
	echo '{"linux":{"resources":{"cpu":{"quota":150000,"period":100000}}}}' >"$T/bundle/config.json"
	box='{"qbx":1,"id":"demo","bundle":"'$T/bundle'"}'
	net add <<<"$box" | jq -e '.net.links[0].queues == 2'
	# its 256 queues have no qdisc each, which would take megabytes
	[ "$(inside ip netns exec "$key" tc qdisc show dev tap0 root | cut -d' ' -f2)" = noqueue ]
	net del <<<"$box"
	fails 65 add <<<"$(sized many)"
	one_line 'annotation io.qemubox.vcpus: "many" is no whole number'
}

@test "a chain that made a TAP of several queues: it is opened as such by a box of one processor, too" {
	export QEMUBOX_VCPUS_MAX=4
	conflist 1.0.0 maketap
	plugin maketap <<-'END'
		[ "$CNI_COMMAND" = DEL ] && exit 0
		nsenter --net="$CNI_NETNS" ip tuntap add tap7 mode tap vnet_hdr multi_queue >&2
		nsenter --net="$CNI_NETNS" ip link set tap7 up >&2
		jq '.prevResult | .interfaces += [{name: "tap7", sandbox: env.CNI_NETNS}]'
	END
	for vcpus in 1 3; do
		net add <<<"$(sized $vcpus)" >"$T/out"
		jq -e ".net.links[0] | .tap == \"tap7\" and .queues == $vcpus" "$T/out"
		[ -z "$(net check <"$T/out")" ]
		net del <"$T/out"
	done
}

@test "the examples of the manual page" {
	conflist 1.0.0 firewall
	sed -i 's/"type":"bridge",/&"capabilities":{"ips":true},/' "$conf/10-test.conflist"
	awk '/^\.Ed/ { on = 0 } on { print } /^\.Bd -literal/ { on = 1 }' \
		"$BATS_TEST_DIRNAME/../../man/qbx-net.8" >"$T/examples"
	[ "$(wc -l <"$T/examples")" -ge 4 ]
	cd "$T"
	inside env PATH="$QBX_BIN:$PATH" QEMUBOX_STATE_DIR="$state" QEMUBOX_CNI_CONF_DIR="$conf" QEMUBOX_CNI_CACHE_DIR="$cache" \
		sh -ex "$T/examples"
}

@test "plugins get the protocol's environment and input, and not our standard output" {
	conflist 1.0.0 spy
	plugin spy <<-END
		[ "\$CNI_COMMAND" = DEL ] && exit 0
		env >$BATS_TEST_TMPDIR/env
		tee $BATS_TEST_TMPDIR/input | jq .prevResult
		ls -l /proc/\$\$/fd >$BATS_TEST_TMPDIR/fds
	END
	SECRET=x net add <<<"$box" >"$T/out"
	grep -q 'pipe:' "$T/fds"
	run ! grep -qF "$T/out" "$T/fds"
	grep -qx 'CNI_CONTAINERID=default--demo' "$BATS_TEST_TMPDIR/env"
	grep -qx 'CNI_NETNS=/run/netns/default--demo' "$BATS_TEST_TMPDIR/env"
	grep -qx 'CNI_IFNAME=net0' "$BATS_TEST_TMPDIR/env"
	run ! grep -qE 'SECRET|QEMUBOX' "$BATS_TEST_TMPDIR/env"
	jq -e '.type == "spy" and .name == "testnet" and .cniVersion == "1.0.0" and
		(.prevResult.ips | length) == 2' "$BATS_TEST_TMPDIR/input"
	net del <<<"$box"
}

@test "a malformed configuration is named" {
	echo '{"name":"x","plugins":' >"$conf/10-bad.conflist"
	fails 78 add <<<"$box"
	one_line "$conf/10-bad.conflist: not valid JSON"
	echo '{"cniVersion":"9.9.9","name":"x","plugins":[{"type":"bridge"}]}' >"$conf/10-bad.conflist"
	fails 78 add <<<"$box"
	one_line '9.9.9'
}

@test "a malformed document is refused in one line, by both verbs" {
	conflist 1.0.0
	for verb in add del; do
		for doc in '' '[]' '{"qbx":1' '{"qbx":2,"id":"demo"}' '{"qbx":"1","id":"demo"}' '{"qbx":1}' \
			'{"qbx":1,"id":7}' '{"qbx":1,"id":"demo","id":"demo"}' '{"qbx":1,"id":"../x"}' \
			'{"qbx":1,"id":"demo","net":[]}'; do
			fails 65 $verb <<<"$doc"
			one_line 'standard input'
		done
		fails 65 $verb < <(head -c 100000000 /dev/zero | tr '\0' ' ')
		one_line 'more than 4194304 bytes'
	done
	fails 65 add <<<'{"qbx":1,"id":"demo","network":"wifi"}'
	one_line '"network" must be'
}

@test "standard output that cannot be written: all is given back" {
	conflist 1.0.0
	status=0
	net add <<<"$box" >/dev/full || status=$?
	[ "$status" = 75 ]
	one_line 'write standard output: No space left on device'
	[ ! -e "$state/leases/$key.json" ]
}

@test "without the privilege: said so, nothing made" {
	conflist 1.0.0
	status=0
	inside env QEMUBOX_STATE_DIR="$state" QEMUBOX_CNI_CONF_DIR="$conf" QEMUBOX_CNI_CACHE_DIR="$cache" \
		QEMUBOX_CNI_BIN_DIR=/usr/lib/cni \
		setpriv --bounding-set=-all --inh-caps=-all "$QBX_BIN/qbx-net" add <<<"$box" 2>"$err" || status=$?
	[ "$status" = 77 ]
	one_line 'make a network namespace: Operation not permitted (run it as root)'
}

@test "--dry-run says what would be done and does nothing" {
	conflist 1.0.0 firewall
	net add --dry-run <<<"$box" >"$T/plan"
	grep -qx 'ip netns add default--demo' "$T/plan"
	grep -q "CNI_COMMAND=ADD.*'/usr/lib/cni/bridge'" "$T/plan"
	grep -q 'tc filter add dev tap0 .* redirect dev net0' "$T/plan"
	[ ! -e "$state" ]
	sh -n "$T/plan"
	net add <<<"$box" >/dev/null
	net del --dry-run <<<"$box" >"$T/plan"
	grep -q "CNI_COMMAND=DEL.*'/usr/lib/cni/firewall'" "$T/plan"
	inside sh -ec ". $T/plan"
}
