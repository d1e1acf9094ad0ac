#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What goes wrong on the way is told in one line, and undone: plugins that misbehave, and a host that is out
# of addresses, of disk or of patience. More of the first kind in net.bats.

# shellcheck disable=SC2154 # nets.bash sets them

bats_require_minimum_version 1.5.0
load nets

# nothing_left: all is as before the add
nothing_left() {
	left=$(things)
	[ -z "$left" ] || { echo "left behind: $left"; cat "$err"; false; }
}

@test "no address is free: host-local's own words" {
	conflist 1.0.0
	sed -i 's/10.77.0.0\/24/10.77.0.0\/30/' "$conf/10-test.conflist"
	net add <<<"$box" >"$T/out"
	fails 69 add <<<'{"qbx":1,"id":"other"}'
	one_line 'CNI plugin bridge: ADD failed: .*no IP addresses available in range set: 10.77.0.1-10.77.0.2'
	[ "$(inside ls /run/netns)" = "$key" ]
	[ "$(ls "$state/leases")" = "$key.json" ]
	[ "$(leases | wc -l)" = 2 ]
	net del <"$T/out"
}

@test "the namespace vanishes in the middle of add" {
	conflist 1.0.0 thief firewall
	plugin thief <<-'END'
		[ "$CNI_COMMAND" = ADD ] || exit 0
		umount -l "$CNI_NETNS"
		jq .prevResult
	END
	fails 69 add <<<"$box"
	one_line "network namespace /run/netns/$key was taken away meanwhile"
	nothing_left
	# and another one in its place
	plugin thief <<-'END'
		[ "$CNI_COMMAND" = ADD ] || exit 0
		ip netns del "${CNI_NETNS##*/}"
		ip netns add "${CNI_NETNS##*/}"
		jq .prevResult
	END
	fails 69 add <<<"$box"
	one_line "network namespace /run/netns/$key was taken away meanwhile"
	inside ip netns del "$key" 2>/dev/null || :
	for tables in iptables ip6tables; do
		inside $tables -t nat -F && inside $tables -t nat -X
	done
}

@test "the namespace vanishes between add and del" {
	conflist 1.0.0 firewall
	net add <<<"$box" >"$T/out"
	inside ip netns del "$key"
	net del <"$T/out"
	nothing_left
}

@test "a result without interfaces and without addresses" {
	for out in '{"cniVersion":"1.0.0"}' '{"cniVersion":"1.0.0","interfaces":[],"ips":[]}' \
		'{"cniVersion":"1.0.0","interfaces":{},"ips":7,"routes":"x","dns":[]}'; do
		echo '{"cniVersion":"1.0.0","name":"empty","plugins":[{"type":"idle"}]}' >"$conf/a.conflist"
		plugin idle <<<"[ \$CNI_COMMAND = DEL ] || echo '$out'"
		fails 69 add <<<"$box"
		one_line 'CNI network empty: interface net0: No such device'
		nothing_left
	done
}

@test "an interface that a VM cannot take the place of" {
	echo '{"cniVersion":"1.0.0","name":"odd","plugins":[{"type":"tun"}]}' >"$conf/a.conflist"
	plugin tun <<-'END'
		[ "$CNI_COMMAND" = ADD ] || exit 0
		nsenter --net="$CNI_NETNS" ip tuntap add net0 mode tun
		echo '{"cniVersion":"1.0.0","interfaces":[{"name":"net0","sandbox":"'$CNI_NETNS'"}]}'
	END
	fails 69 add <<<"$box"
	one_line 'CNI network odd: net0 is no Ethernet interface'
	nothing_left
}

@test "a state directory that is read only" {
	conflist 1.0.0
	mkdir -p "$state/leases"
	inside mount --bind "$state" "$state"
	inside mount -o remount,ro,bind "$state"
	for verb in add del; do
		fails 69 $verb <<<"$box"
		one_line "take lock $state/leases/$key.lock: Read-only file system (state_dir of qemubox.conf(5) is where)"
	done
	inside umount "$state"
	nothing_left
}

@test "a disk that is full, whenever that is" {
	conflist 1.0.0
	mkdir -p "$state"
	inside mount -t tmpfs -o size=64k none "$state"
	# a little more room each time, until it is enough; most of it is taken
	for room in 0 1 2 3 4 5 6; do
		inside sh -c "rm -f '$state/big'; head -c $((65536 - room * 4096)) /dev/zero >'$state/big'" 2>/dev/null || :
		status=0
		net add <<<"$box" >"$T/out" || status=$?
		[ $status != 0 ] || break
		[ $status = 75 ]
		one_line "$state/leases.*No space left on device"
		[ "$(inside ls "$state/leases")" = '' ]
		[ -z "$(inside ls /run/netns)$(leases)" ]
	done
	[ "$room" -gt 0 ] && [ "$room" -lt 6 ]
	# with no room for anything, del still does it
	inside sh -c "cat /dev/zero >>'$state/big'" 2>/dev/null || :
	net del <"$T/out"
	[ -z "$(inside ls "$state/leases")" ]
	inside umount "$state"
	nothing_left
}

@test "no room for the result cache" {
	conflist 1.0.0
	mkdir -p "$cache"
	inside mount -t tmpfs -o size=4k none "$cache"
	inside sh -c "cat /dev/zero >'$cache/big'" 2>/dev/null || :
	fails 75 add <<<"$box"
	one_line "$cache/results.*No space left on device"
	[ "$(inside find "$cache" -type f)" = "$cache/big" ]
	inside umount "$cache"
	nothing_left
}

@test "a plugin that hangs in del: ended with all it started, and tried again" {
	conflist 1.0.0 slow
	plugin slow <<-END
		case \$CNI_COMMAND in
		ADD) jq .prevResult ;;
		DEL) [ -e $T/go ] || sleep 4245 ;;
		esac
	END
	net add <<<"$box" >"$T/out"
	fails 75 --plugin-timeout 1 del <"$T/out"
	one_line 'CNI plugin slow: DEL failed: no end after 1 s'
	run ! inside pgrep -f 'sleep 4245'
	# the rest is given back already
	[ -z "$(inside ls /run/netns)$(leases)" ]
	[ "$(ls "$state/leases")" = "$key.json" ]
	touch "$T/go"
	net del <"$T/out"
	nothing_left
}

@test "a plugin that closes its input, ignores SIGTERM, or leaves somebody with its output" {
	conflist 1.0.0 rude
	plugin rude <<-'END'
		trap '' TERM HUP INT
		[ "$CNI_COMMAND" = ADD ] || exit 0
		exec <&-
		echo '{}'
	END
	net add <<<"$box" >/dev/null
	net del <<<"$box"
	plugin rude <<-'END'
		[ "$CNI_COMMAND" = ADD ] || exit 0
		sleep 4246 &
		jq .prevResult
	END
	fails 75 --plugin-timeout 1 add <<<"$box"
	one_line 'CNI plugin rude: ADD failed: no end after 1 s'
	run ! inside pgrep -f 'sleep 4246'
	nothing_left
}

@test "a plugin that cannot be run, is a directory, or is killed" {
	conflist 1.0.0 odd
	mkdir "$bin/odd"
	fails 69 add <<<"$box"
	one_line 'CNI plugin "odd" is in none of'
	rmdir "$bin/odd"
	printf 'no program\n' >"$bin/odd"
	chmod +x "$bin/odd"
	fails 69 add <<<"$box"
	one_line 'CNI plugin odd: ADD failed'
	rm "$bin/odd"
	ln -s /bin/true "$bin/odd" # so that it can be undone
	net del <<<"$box"
	rm "$bin/odd"
	# shellcheck disable=SC2016 # the script expands it
	plugin odd <<<'[ "$CNI_COMMAND" = DEL ] || kill -9 $$'
	fails 69 add <<<"$box"
	one_line 'CNI plugin odd: ADD failed: exit status 137'
	nothing_left
}

@test "10 MB of JSON" {
	conflist 1.0.0 broken
	plugin broken <<-'END'
		[ "$CNI_COMMAND" = DEL ] && exit 0
		printf '{"x":"'
		head -c 10000000 /dev/zero | tr '\0' x
		printf '"}'
	END
	fails 69 add <<<"$box"
	one_line 'CNI plugin broken: ADD failed: .*more than 262144 bytes'
	nothing_left
}

@test "an error as long as can be is one line" {
	conflist 1.0.0 broken
	plugin broken <<-'END'
		[ "$CNI_COMMAND" = DEL ] && exit 0
		jq -cn '{code: 100, msg: ("long\n" * 10000), details: ("x" * 10000)}'
		exit 1
	END
	fails 69 add <<<"$box"
	one_line 'CNI plugin broken: ADD failed: long long'
	[ "$(wc -c <"$err")" -lt 1200 ]
	nothing_left
}
