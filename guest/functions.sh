# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
#
# What the scripts that build things from the distribution share: messages, a cache that is keyed
# by content, and the distribution's package archive in a private apt state. To be sourced.
#
#   QBX_CACHE    where results are kept, outside any checkout (default /var/cache/qemubox)
#   QBX_REFRESH  not empty: look for newer packages and build again

cache=${QBX_CACHE:-/var/cache/qemubox}

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }

# key FILE... — 16 hex digits that stand for the contents of the files and of stdin.
key() { cat "$@" - | sha256sum | cut -c1-16; }

# tell_progress DIR — say every 20 seconds how much there is in DIR, until the process group $ticker
# is ended.
tell_progress() {
	# shellcheck disable=SC2016 # the inner shell expands these
	setsid sh -c '
		started=$(date +%s)
		while sleep 20; do
			files=$(find "$1" -xdev 2> /dev/null | wc -l)
			echo "$0: $(($(date +%s) - started)) s, $files files so far"
		done' "${0##*/}" "$1" >&2 &
	ticker=$!
}

# cached NAME BUILDER — print the path of NAME in the cache. When it is not there yet, first run
# BUILDER with an empty directory as its only argument and, if it succeeds, move that into place.
# Of several callers one builds and the others wait for it. Run BUILDER's own processes without
# descriptor 9: it holds the lock.
cached() {
	if [ ! -e "$cache/$1" ] || [ -n "${QBX_REFRESH:-}" ]; then
		mkdir -p "$cache"
		(
			flock 9
			[ ! -e "$cache/$1" ] || [ -n "${QBX_REFRESH:-}" ] || exit 0
			aside=$(mktemp -d "$cache/.aside.XXXXXX")
			mkdir "$aside/new"
			chmod 755 "$aside"
			say "building $cache/$1"
			tell_progress "$aside/new" 9>&-
			trap 'kill -- "-$ticker"; rm -rf "$aside"' EXIT
			trap 'exit 1' HUP INT TERM
			"$2" "$aside/new" >&2 9>&-
			[ ! -e "$cache/$1" ] || mv "$cache/$1" "$aside/old"
			mv "$aside/new" "$cache/$1"
		) 9> "$cache/$1.lock"
	fi
	printf '%s\n' "$cache/$1"
}

# mirror — the archive that this machine's own apt configuration names for its release.
mirror() {
	release=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
	uri=$(env -u APT_CONFIG apt-get --print-uris update |
		sed -n "s|^'\(.*\)/dists/$release/.*|\1|p" | head -n 1)
	[ -n "$uri" ] || die "apt names no archive for release '$release'"
	printf '%s\n' "$uri"
}

# source_line SUITE [TYPE] — a line for a sources.list; TYPE is deb or deb-src.
source_line() {
	printf '%s [signed-by=%s] %s %s main\n' "${2:-deb}" \
		/usr/share/keyrings/debian-archive-keyring.gpg "$(mirror)" "$1"
}

# private_apt SUITE [TYPE] — from here on apt-get and apt-cache see that suite and nothing else,
# with lists and state of their own below the cache. A suite's Release file may be past its date
# when the mirror is a snapshot.
private_apt() {
	apt=$cache/apt/$1-${2:-deb}
	mkdir -p "$apt/lists/partial" "$apt/archives/partial"
	source_line "$@" > "$apt/sources.list"
	: > "$apt/status"
	cat > "$apt/apt.conf" <<-EOT
		Dir::Etc::SourceList "$apt/sources.list";
		Dir::Etc::SourceParts "/dev/null";
		Dir::Etc::Preferences "/dev/null";
		Dir::Etc::PreferencesParts "/dev/null";
		Dir::State::Lists "$apt/lists";
		Dir::State::status "$apt/status";
		Dir::Cache "$apt";
		Acquire::Check-Valid-Until "false";
		Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
		Acquire::Languages "none";
		APT::Sandbox::User "root";
	EOT
	export APT_CONFIG="$apt/apt.conf"
	apt-get -q update >&2
}
