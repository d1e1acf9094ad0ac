#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Run a command on the *direct* test host: the root that root.sh builds, entered on this machine
# with mount, PID, network, IPC, UTS and cgroup namespaces of its own. What the command writes is
# kept in memory and gone afterwards, and so is every process, mount, interface and cgroup,
# whether the command ends by itself or this script is ended by a signal.
#
#   usage:   tests/hosts/direct.sh [--install-from DIR | --no-install] [--] CMD [ARG...]
#   inputs:  the checkout DIR (default: the one this script is in); its `make install` puts the
#            toolkit in the host, and it is visible there, read-only, under the same path.
#            CI and QBX_* pass into the host, and no other variable does.
#   output:  CMD's own stdin, stdout, stderr and exit status; 128+n after signal n.
set -eu

here=$(dirname "$(realpath "$0")")
# shellcheck source=guest/functions.sh
. "$here/../../guest/functions.sh"
# shellcheck source=tests/hosts/options.sh
. "$here/options.sh"

# In every hierarchy a cgroup of our own, below the one we are in, becomes the host's root cgroup.
# This prints their paths, without the process id that ends each.
cgroups() {
	while IFS=: read -r _ controllers path; do
		mount=/sys/fs/cgroup/${controllers#name=}
		[ -n "$controllers" ] || [ -e "$mount/cgroup.procs" ] || mount=$mount/unified
		[ ! -w "$mount$path/cgroup.procs" ] || echo "$mount${path%/}/qemubox-direct"
	done < /proc/self/cgroup
}

cgroups_enter() {
	for group in $(cgroups); do
		mkdir "$group.$$"
		for file in cpuset.cpus cpuset.mems; do # v1 gives a new cpuset nothing
			[ ! -e "$group.$$/$file" ] || cat "${group%/*}/$file" > "$group.$$/$file"
		done
		echo 0 > "$group.$$/cgroup.procs"
	done
}

# Ours, and those of a script that was killed outright.
cgroups_remove() {
	for ours in $(cgroups); do
		for group in "$ours".*; do
			pid=${group##*.}
			[ "$pid" != $$ ] && [ -e "/proc/$pid" ] ||
				find "$group" -depth -type d -exec rmdir {} + 2> /dev/null || :
		done
	done
}

# unshare(1) leaves when the host's PID 1 is gone, and the kernel lets that one go last.
# shellcheck disable=SC2317 # traps call it
end() {
	trap '' HUP INT TERM
	pkill -KILL -P "$child" || kill -KILL "$child" 2> /dev/null || :
	wait "$child" || :
	cgroups_remove
	exit "$1"
}

# The shell gives a background command /dev/null for stdin, and SIGINT and SIGQUIT ignored: both
# are put right here. Should this script be killed outright, PDEATHSIG takes the host with it.
exec 3<&0
(
	cgroups_enter
	exec env --default-signal=INT,QUIT setpriv --pdeathsig KILL \
		unshare --mount --pid --net --ipc --uts --cgroup --fork --kill-child=KILL -- \
		"$here/enter.sh" "$root" "$checkout" "$install" "$@"
) <&3 3<&- &
child=$!
exec 3<&-
trap 'end 129' HUP
trap 'end 130' INT
trap 'end 143' TERM

status=0
wait "$child" || status=$?
cgroups_remove
exit "$status"
