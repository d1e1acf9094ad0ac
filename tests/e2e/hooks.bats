#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The hooks of a specification that are programs of the host: what they are told, when they run, and what
# becomes of one that fails. ctr has no option for them, so it gets whole specifications.
# What is in single quotes is for jq, for a hook's shell or for the shell in the container.
# shellcheck disable=SC2016,SC2154

bats_require_minimum_version 1.5.0

load boxes
load root

# spec HOOKS CMD...: a specification with those hooks, a jq expression, in spec.json. Each is a shell in the
# test's directory, by `sh`: ["prestart", SCRIPT].
spec() {
	local hooks=$1
	root=$BATS_FILE_TMPDIR/root
	[ -d "$root" ] || busybox_root "$root"
	ctr oci spec | jq --arg root "$root" --arg here "$PWD" '
		def sh(script): {path: "/bin/sh", args: ["hook", "-c", "cd \($here)\n" + script],
			env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "WHO=me"]};
		.root = {path: $root} | .linux.cgroupsPath = "/default/hooked"
		| .process.args = $ARGS.positional | .process.env = ["PATH=/bin"]
		| .hooks = ('"$hooks"') | .annotations = {"org.example.note": "a b"}' --args -- "${@:2}" > spec.json
}

# hooked ID: run it
hooked() {
	timeout 120 ctr run --rm --runtime "$runtime" --config spec.json "$1" 3>&-
}

bundle_of() {
	echo "/run/containerd/io.containerd.runtime.v2.task/default/$1"
}

# As nerdctl does: the real plugin, on the namespace of the process that the state names.
cni_hook() {
	cat > bridge.json <<-EOT
		{"cniVersion": "1.0.0", "name": "hooked", "type": "bridge", "bridge": "hooked0", "isGateway": true,
		 "ipam": {"type": "host-local", "subnet": "10.99.0.0/24", "dataDir": "$PWD/leases",
		          "routes": [{"dst": "0.0.0.0/0"}]}}
	EOT
	cat > cni <<-'EOT'
		#!/bin/sh -e
		cd "${0%/*}"
		state=$(cat)
		pid=$(echo "$state" | jq '.pid // empty')
		CNI_COMMAND=$1 CNI_CONTAINERID=$(echo "$state" | jq -r .id) CNI_IFNAME=eth0 CNI_PATH=/usr/lib/cni \
			CNI_NETNS=${pid:+/proc/$pid/ns/net} /usr/lib/cni/bridge < bridge.json > "result.$1"
	EOT
	chmod +x cni
}

# bats test_tags=kvm
@test "createRuntime makes the box's network by CNI, on the process of the state, and poststop gives it back" {
	cni_hook
	spec '{createRuntime: [{path: "\($here)/cni", args: ["cni", "ADD"], env: ["PATH=/usr/bin:/bin"]}],
		poststop: [{path: "\($here)/cni", args: ["cni", "DEL"], env: ["PATH=/usr/bin:/bin"]}]}' \
		sh -c 'ip -4 -o address show | sed -n "s/.*\(eth[0-9]\) *inet \([0-9.]*\).*/\1 \2/p"
			ip route; ping -c 2 -W 5 10.99.0.1; echo up; exec nc -l -p 7005'
	mkfifo says
	hooked cnihook > says &
	client=$!
	exec 5< says
	read -r -u 5 ifname address
	until [[ ${line:-} == up ]]; do
		read -r -u 5 line
		echo "$line" >> seen
	done
	[ "$ifname" = eth0 ]
	[ "$address" = "$(jq -r '.ips[0].address | split("/")[0]' result.ADD)" ]
	grep -q "default via 10.99.0.1 dev eth0" seen
	grep -q ' 0% packet loss' seen
	[ -e "leases/hooked/$address" ]
	echo across | socat -u - "TCP:$address:7005,retry=20,interval=0.5"
	read -r -u 5 line
	[ "$line" = across ]
	exec 5<&-
	wait $client
	[ ! -e "leases/hooked/$address" ]
	ip link del hooked0
}

@test "each kind in its turn, in order, with the state, an environment of its own, and the host as it is then" {
	spec 'def tell(name): sh("cat > " + name + "; echo " + name + " >> order; env > env");
		{prestart: [tell("prestart.0"), tell("prestart.1")],
		createRuntime: [tell("createRuntime"), sh("readlink /proc/self/cwd > cwd; readlink /proc/$(jq .pid createRuntime)/exe > exe")],
		startContainer: [{path: "/bin/sh", args: ["sh", "-c", "echo in the guest > /tmp/hook"]}],
		poststart: [tell("poststart")],
		poststop: [tell("poststop.0"), sh("exit 3"), sh("test -e /proc/$(jq .pid createRuntime) && echo alive >> order
			test -e /run/netns/default--told || echo no network >> order; echo poststop.2 >> order")]}' cat /tmp/hook
	run hooked told
	[ "$status" -eq 0 ]
	[ "$output" = 'in the guest' ]
	[ "$(cat order)" = $'prestart.0\nprestart.1\ncreateRuntime\npoststart\npoststop.0\npoststop.2' ]
	for at in prestart.0:creating prestart.1:creating createRuntime:creating poststart:running poststop.0:stopped; do
		jq -e --arg status "${at#*:}" --arg bundle "$(bundle_of told)" '.ociVersion == "1.2.0" and .id == "told" and
			.status == $status and .bundle == $bundle and .annotations == {"org.example.note": "a b"}
			and (has("pid") == ($status != "stopped"))' "${at%:*}"
	done
	[ "$(jq .pid prestart.0 poststart | sort -u | wc -l)" -eq 1 ]
	[[ $(cat exe) == */qemu-system* ]]
	[ "$(grep -v '^PWD=\|^OLDPWD=\|^_=\|^SHLVL=' env | sort)" = $'PATH=/usr/sbin:/usr/bin:/sbin:/bin\nWHO=me' ]
	logged 'poststop\[1\] /bin/sh: ended with status 3'
	jq -e '.shim.t_us | .hooks > 0 and .poststop > 0' /var/log/qemubox/default--told.json
}

@test "one that fails fails Create in one line, and what was done is undone, by poststop too" {
	spec '{createRuntime: [sh("echo noise >&2; echo no such network >&2; exit 7"), sh("echo second >> ran")],
		poststop: [sh("echo undone >> ran")]}' true
	run hooked fails
	[ "$status" -ne 0 ]
	[ "${#lines[@]}" -eq 1 ]
	[[ $output == *'hook: createRuntime[0] /bin/sh: ended with status 7: no such network'* ]]
	[ "$(cat ran)" = undone ]
	ctr container rm fails || :

	spec '{prestart: [{path: "/no/such/hook"}], poststop: [sh("echo missing >> ran")]}' true
	run hooked missing
	[ "$status" -ne 0 ]
	[ "${#lines[@]}" -eq 1 ]
	[[ $output == *'prestart[0] /no/such/hook: '*'No such file'* ]]
	[ "$(cat ran)" = $'undone\nmissing' ]
	ctr container rm missing || :
}

@test "one that hangs is killed when its time is up, with what it has started" {
	spec '{createRuntime: [sh("sleep 1000 & echo $! > child; wait") + {timeout: 1}]}' true
	run hooked hangs
	[ "$status" -ne 0 ]
	[[ $output == *'createRuntime[0] /bin/sh: killed when its time was up'* ]]
	[ ! -e "/proc/$(cat child)" ]
	ctr container rm hangs || :
}

@test "a poststart hook that fails fails Start, and ends the container" {
	spec '{poststart: [sh("echo sorry >&2; exit 4"), sh("echo second >> ran")], poststop: [sh("echo undone >> ran")]}' sleep 1000
	run hooked late
	[ "$status" -ne 0 ]
	[[ $output == *'poststart[0] /bin/sh: ended with status 4: sorry'* ]]
	ctr task rm --force late 2> /dev/null || : # 1.7 leaves it
	[ "$(cat ran)" = undone ]
	ctr container rm late || :
}

@test "while one runs the shim answers, and Delete ends it" {
	mkfifo begun
	spec '{createRuntime: [sh("echo $$ > begun; exec sleep 1000")], poststop: [sh("echo undone >> ran")]}' true
	hooked busy > out 2>&1 &
	client=$!
	read -r hook < begun
	SECONDS=0
	shimctl call busy State id=busy | grep -qx status=0 # being created
	[ "$SECONDS" -le 2 ]
	[ -e "$(bundle_of busy)/hooks.json" ]
	shimctl call busy Delete id=busy
	wait $client && false
	[ "$SECONDS" -lt 30 ] # half of the time that the hook has
	[ ! -e "/proc/$hook" ]
	grep -q 'was deleted while it was being created' out
	[ "$(cat ran)" = undone ]
	ctr container rm busy || :
}

# The shim of ID dies; returns when containerd has had "delete" clean up.
die() {
	watch
	kill -KILL "$(pgrep -f "containerd-shim-qemubox-v1 .*-id $1")"
	await /tasks/delete "$1"
	unwatch
}

@test "a shim that dies: delete runs what is left of poststop, once, and ends the hook that still runs" {
	mkfifo begun
	# While the container runs,
	spec '{poststop: [sh("cat > state; echo first >> ran"), sh("exit 1"), sh("echo last >> ran")]}' sh -c 'echo up; exec sleep 1000'
	mkfifo says
	hooked orphan > says &
	client=$!
	read -r _ < says
	die orphan
	wait $client && false
	[ "$(cat ran)" = $'first\nlast' ]
	jq -e '.status == "stopped" and .id == "orphan" and (has("pid") | not)' state
	ctr container rm orphan 2> /dev/null || :

	# and while a hook does.
	rm ran
	spec '{createRuntime: [sh("echo $$ > begun; sleep 1000; echo survived >> ran")], poststop: [sh("echo undone >> ran")]}' true
	hooked early 2> /dev/null &
	client=$!
	read -r hook < begun
	kill -KILL "$(pgrep -f 'containerd-shim-qemubox-v1 .*-id early')"
	wait $client && false
	[ ! -e "/proc/$hook" ]
	[ "$(cat ran)" = undone ]
	ctr container rm early 2> /dev/null || :
	rm -rf /run/containerd/fifo/*
}
