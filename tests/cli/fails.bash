# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0

load valid

# fails STATUS TEXT ARG...: qbx-vm says one line on stderr that holds TEXT, and nothing on stdout
fails() {
	run --separate-stderr qbx-vm "${@:3}"
	# shellcheck disable=SC2154 # bats sets stderr
	[ "$status" -eq "$1" ] || { echo "status $status: $stderr"; false; }
	[ -z "$output" ]
	[[ $stderr == *"$2"* ]] || { echo "says: $stderr"; false; }
	[ "$(wc -l <<< "$stderr")" -eq 1 ]
}
