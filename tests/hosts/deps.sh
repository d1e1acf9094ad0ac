#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Install what building and testing needs from the distribution's packages, where it is missing.
#
#   usage:   tests/hosts/deps.sh
#   inputs:  packages.txt
#   output:  nothing on stdout; apt-get's own messages on stderr
set -eu

here=$(dirname "$(realpath "$0")")

packages=$(sed 's/#.*//' "$here/packages.txt" | xargs)
# shellcheck disable=SC2086 # a list of names
installed=$(dpkg-query --show --showformat '${db:Status-Status} ${Package}\n' $packages 2> /dev/null |
	sed -n 's/^installed //p' | xargs)
missing=
for package in $packages; do
	case " $installed " in
	*" $package "*) ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
	echo "deps.sh: as root, run: apt-get install$missing" >&2
	exit 77
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -q update >&2
# shellcheck disable=SC2086 # a list of names
apt-get -q -y --no-install-recommends install $missing >&2
