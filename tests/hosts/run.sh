#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Run one container from an image archive to its last word, as `make run` shows it: on a test host,
# under a containerd of its own.
#
#   usage:   direct.sh tests/hosts/run.sh 5< IMAGE.tar
#   inputs:  an OCI archive on descriptor 5; QBX_IMAGE, its name if it is the user's own;
#            QBX_CMD, a shell command (default: the demo's, or what the user's image would run);
#            QBX_RUNTIME (default io.containerd.qemubox.v1)
#   output:  the container's stdin, stdout and exit status. What happened in which time on stderr.
set -eu

here=$(dirname "$(realpath "$0")")
# shellcheck source=tests/hosts/containerd.sh
. "$here/containerd.sh"

runtime=${QBX_RUNTIME:-io.containerd.qemubox.v1}
document=${QEMUBOX_LOG_DIR:-/var/log/qemubox}/default--demo.json

# What the toolkit says of the run: the box document as it was last. Each command times its own
# phases; the shim's are the commands as it saw them, and its calls on the guest.
report() {
	jq -r '.vm.guest.kernel // "not told"' "$document" | sed 's/^/guest kernel    /'
	echo "host kernel     $(uname -r)"
	echo
	jq -r '. as $doc | ("net", "fs", "vm", "shim") as $part | $doc[$part].t_us // {} | to_entries[] |
		"\($part) \(.key) \(.value / 1000)"' "$document" |
		awk '{ printf "%-5s %-24s %9.1f ms\n", $1, $2, $3 }'
}

# ctr loses an end of stdin that comes before it has made the task, and the container would wait for
# it for ever. So it is held back until ctr writes the pid file.
hold_stdin() {
	cat
	tail -n +1 -F "$work/pid" > "$work/pid.fifo" 2> /dev/null &
	head -c 1 "$work/pid.fifo" > /dev/null
	kill $!
}

containerd_start
ctr image import --snapshotter erofs - <&5 >&2
image=$(ctr image list -q | head -n 1)

set -- "$image" demo
if [ -n "${QBX_CMD:-}" ]; then
	set -- "$@" /bin/sh -c "$QBX_CMD"
elif [ -z "${QBX_IMAGE:-}" ]; then
	# shellcheck disable=SC2016 # the container's shell expands these
	set -- "$@" /bin/sh -c 'echo "hello from $(hostname)"; uname -a; ip -4 -o address show'
fi

work=$(mktemp -d)
mkfifo "$work/stdin" "$work/pid.fifo"
exec 6<&0
hold_stdin <&6 > "$work/stdin" &

status=0
started=$(date +%s%N)
ctr run --rm --snapshotter erofs --runtime "$runtime" --pid-file "$work/pid" "$@" \
	< "$work/stdin" 5<&- 6<&- || status=$?
ended=$(date +%s%N)

{
	echo
	[ ! -e "$document" ] || report
	printf '%-30s %9d ms\n' "ctr run, all in all" $(((ended - started) / 1000000))
	echo "exit status $status"
} >&2
exit "$status"
