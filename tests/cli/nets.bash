# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# For tests of qbx-net: real CNI plugins, in mount and network namespaces of the test's own, and a look at
# what is left after each test. To be loaded.
# shellcheck disable=SC2034

load valid

setup() {
	T=$BATS_TEST_TMPDIR conf=$BATS_TEST_TMPDIR/net.d state=$BATS_TEST_TMPDIR/state
	bin=$BATS_TEST_TMPDIR/bin err=$BATS_TEST_TMPDIR/err cache=$BATS_TEST_TMPDIR/cache
	box='{"qbx":1,"id":"demo","mine":[1,2]}'
	key=default--demo
	mkdir "$conf" "$bin"
	mkfifo "$T/ready"
	# shellcheck disable=SC2016
	unshare -mn sh -ec '
		mount -t tmpfs none /run
		ip link set lo up
		echo ready >"$1"
		exec sleep infinity' sh "$T/ready" 3>&- &
	HOLDER=$!
	read -r _ <"$T/ready"
}

# Nothing may be left of any box.
teardown() {
	left=$(things)
	kill "$HOLDER"
	[ -z "$left" ] || { echo "left behind: $left"; false; }
}

# All that a box's network may leave.
things() {
	inside ls /run/netns 2>/dev/null || :
	ls -A "$state/leases" 2>/dev/null || :
	ls -A "$cache/results" 2>/dev/null || :
	inside ip -o link show type veth
	inside iptables-save | grep -F "$key" || :
	inside ip6tables-save | grep -F "$key" || :
	leases
}

inside() {
	nsenter -t "$HOLDER" -m -n "$@"
}

# qbx-net in there; standard error goes to $err
net() {
	inside env QEMUBOX_STATE_DIR="$state" QEMUBOX_CNI_CONF_DIR="$conf" QEMUBOX_RUN_DIR="$T/run" \
		QEMUBOX_CNI_BIN_DIR="$bin:/usr/lib/cni" QEMUBOX_CNI_CACHE_DIR="$cache" \
		${NETWORK:+QEMUBOX_CNI_NETWORK=$NETWORK} "${qbx_net:-$QBX_BIN/qbx-net}" "$@" 2>"$err"
}

# Addresses that host-local holds as given out.
leases() {
	inside find /run/cni -type f -name '[0-9f]*' 2>/dev/null || :
}

# conflist VERSION [PLUGIN...]: bridge, then the plugins
conflist() {
	version=$1
	shift
	plugins='{"type":"bridge","bridge":"qbx0","isGateway":true,"ipMasq":true,"ipam":{"type":"host-local",
		"dataDir":"/run/cni","ranges":[[{"subnet":"10.77.0.0/24"}],[{"subnet":"fd77::/64"}]],
		"routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0"}]},
		"dns":{"nameservers":["192.0.2.53"],"search":["box.example"]}}'
	for p in "$@"; do
		plugins="$plugins,{\"type\":\"$p\"}"
	done
	echo "{\"cniVersion\":\"$version\",\"name\":\"testnet\",\"plugins\":[$plugins]}" >"$conf/10-test.conflist"
}

# plugin NAME: a script from standard input that takes a plugin's place
plugin() {
	{ echo '#!/bin/sh'; cat; } >"$bin/$1"
	chmod +x "$bin/$1"
}

one_line() {
	[ "$(wc -l <"$err")" = 1 ] || { cat "$err"; false; }
	grep -q "$1" "$err" || { cat "$err"; false; }
}

fails() {
	status=0 want=$1
	shift
	out=$(net "$@") || status=$?
	[ "$status" = "$want" ] || { echo "status $status, not $want"; cat "$err"; false; }
	[ -z "$out" ]
}
