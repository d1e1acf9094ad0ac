# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# For tests that hold a task and do things to it. To be loaded after boxes.bash.

# up [OPTION of ctr run]... ID [CMD...]: a box in the background; returns when it has said "up". What it says after that can be
# read from descriptor 8. Sets pid, ctr's.
up() {
	local options=() id
	while [[ $1 == -* ]]; do
		options+=("$1")
		shift
	done
	id=$1
	shift
	[ $# -gt 0 ] || set -- sh -c 'echo up; exec sleep 1000'
	mkfifo "$id.out"
	box "${options[@]}" "$id" "$@" > "$id.out" &
	pid=$!
	exec 8< "$id.out"
	read -r _ <&8
}

# down ID: end it as users do
down() {
	ctr task kill --signal SIGKILL "$1"
	wait "$pid" || :
}

# ex ID EXEC CMD...
ex() {
	local id=$1 exec=$2
	shift 2
	timeout 120 ctr task exec --exec-id "$exec" "$id" "$@" 3>&-
}
