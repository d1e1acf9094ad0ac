#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Two hundred boxes, twenty at a time.

# shellcheck disable=SC2154 # nets.bash sets them

bats_require_minimum_version 1.5.0
load nets

workers=20 each=10

# worker VERB N: ten boxes, one after the other
worker() {
	for i in $(seq $each); do
		id=box$2x$i
		case $1 in
		add) "$QBX_BIN/qbx-net" add <<<"{\"qbx\":1,\"id\":\"$id\"}" >"$T/$id.json" ;;
		del) "$QBX_BIN/qbx-net" del --box "$T/$id.json" >"$T/$id.after" ;;
		esac || echo "$id $1: $?"
	done
}

# all VERB: by all workers at once; they say nothing
all() {
	export -f worker
	export T each QEMUBOX_STATE_DIR=$state QEMUBOX_CNI_CONF_DIR=$conf QEMUBOX_RUN_DIR=$T/run \
		QEMUBOX_CNI_BIN_DIR=/usr/lib/cni QEMUBOX_CNI_CACHE_DIR=$cache
	pids=
	for w in $(seq $workers); do
		inside bash -c 'worker "$@"' worker "$1" "$w" >"$T/says$w" 2>&1 3>&- &
		pids="$pids $!"
	done
	for p in $pids; do wait "$p"; done
	cat "$T"/says*
	[ -z "$(cat "$T"/says*)" ]
}

@test "no address twice, none left, no error" {
	echo '{"cniVersion":"1.0.0","name":"many","plugins":[{"type":"bridge","bridge":"qbx0","isGateway":true,
		"ipam":{"type":"host-local","dataDir":"/run/cni","subnet":"10.77.0.0/24"}}]}' >"$conf/a.conflist"
	all add
	[ "$(cat "$T"/box*.json | jq -r '.net.links[0].addresses[0]' | sort -u | wc -l)" = $((workers * each)) ]
	[ "$(leases | wc -l)" = $((workers * each)) ]
	[ "$(find "$cache/results" -type f | wc -l)" = $((workers * each)) ]
	[ -z "$(net gc)" ]
	all del
	[ "$(cat "$T"/box*.after | jq -c 'has("net")' | sort -u)" = false ]
}
