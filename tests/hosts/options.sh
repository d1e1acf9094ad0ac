# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
#
# The arguments that all test hosts take: [--install-from DIR | --no-install] [--] CMD [ARG...]
# To be sourced, with $here set. It shifts the options away and sets
#   checkout   the tree that is visible in the host
#   install    the one whose `make install` puts the toolkit there; empty for none
#   root       the host's root file system
#   other      with QBX_CONTAINERD, as containerd.sh has it: that one, unpacked, by other.sh's name

# shellcheck disable=SC2034,SC2154 # what is set is for the host, and $here is its
checkout=$(realpath "$here/../..")
install=$checkout
while [ $# -gt 0 ]; do
	case $1 in
	--install-from) checkout=$(realpath "$2") install=$checkout; shift 2 ;;
	--no-install) install=; shift ;;
	--) shift; break ;;
	-*) die "unknown option $1; see the head of $0" ;;
	*) break ;;
	esac
done
[ $# -gt 0 ] || die "no command given; see the head of $0"
[ "$(id -u)" -eq 0 ] || die "needs root: it makes namespaces, mounts and file systems as root"

# shellcheck disable=SC2034
root=$("$here/root.sh")

other=${QBX_CONTAINERD:+containerd/$QBX_CONTAINERD}
[ -z "$other" ] || "$here/other.sh" "$other" > /dev/null
