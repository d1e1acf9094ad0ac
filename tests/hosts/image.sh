#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Make a real OCI image from the distribution's packages, as an archive that `ctr image import`
# takes and calls docker.io/library/qemubox-demo:latest.
#
#   usage:   tests/hosts/image.sh [OUT.tar]
#   inputs:  image.packages, QBX_CACHE, QBX_REFRESH
#   output:  the archive's path on stdout: OUT.tar, or the one in the cache
#
# Layer 1, plain tar:   busybox with its applets, accounts root, nobody and demo (1000).
# Layer 2, gzip:        the packages; replaces applets of layer 1; ping has a file capability.
# Layer 3, gzip:        hides /etc/hidden, replaces /etc/motd, empties /srv/opaque of what it had.
set -eu

here=$(dirname "$(realpath "$0")")
# shellcheck source=guest/functions.sh
. "$here/../../guest/functions.sh"

suite=testing
name=docker.io/library/qemubox-demo:latest

# unpack DIR PACKAGE... — the packages' files, but no documentation.
unpack() {
	dir=$1
	shift
	apt-get -q download "$@"
	for deb in ./*.deb; do
		dpkg-deb -x "$deb" "$dir"
		rm "$deb"
	done
	rm -rf "$dir/usr/share/doc" "$dir/usr/share/info" "$dir/usr/share/man" \
		"$dir/usr/share/locale" "$dir/usr/share/lintian"
}

# closure PACKAGE... — the packages and all that they need, from a system that has none.
closure() {
	apt-get -q --no-install-recommends --simulate install "$@" | sed -n 's/^Inst \([^ ]*\).*/\1/p'
}

layer1() {
	mkdir -p etc usr/bin usr/sbin usr/lib usr/lib64 var/tmp tmp root srv/opaque \
		home/demo dev proc sys run
	ln -s usr/bin usr/sbin usr/lib usr/lib64 .
	chmod 1777 tmp var/tmp
	chmod 700 root
	unpack . busybox-static
	for applet in $(usr/bin/busybox --list); do
		[ -e "usr/bin/$applet" ] || ln -s busybox "usr/bin/$applet"
	done
	cat > etc/passwd <<-'EOT'
		root:x:0:0:root:/root:/bin/sh
		demo:x:1000:1000:demo:/home/demo:/bin/sh
		nobody:x:65534:65534:nobody:/nonexistent:/bin/false
	EOT
	cat > etc/group <<-'EOT'
		root:x:0:
		audio:x:29:demo
		demo:x:1000:
		nogroup:x:65534:
	EOT
	printf 'ID=qemubox-demo\nPRETTY_NAME="qemubox demo"\n' > etc/os-release
	echo 'from layer 1' | tee etc/motd etc/hidden srv/opaque/below > home/demo/file
	chown -R 1000:1000 home/demo
}

layer2() {
	packages=$(sed 's/#.*//' "$here/image.packages" | xargs)
	# shellcheck disable=SC2046,SC2086 # lists of names
	unpack . $(closure $packages)
	setcap cap_net_raw+ep usr/bin/ping
}

layer3() {
	mkdir -p etc srv/opaque
	touch etc/.wh.hidden srv/opaque/.wh..wh..opq
	echo 'from layer 3' | tee srv/opaque/above > etc/motd
}

# blob MEDIATYPE FILE — file it under its digest and print its descriptor.
blob() {
	digest=$(sha256sum < "$2" | cut -d' ' -f1)
	jq -n --arg type "$1" --arg digest "sha256:$digest" --argjson size "$(stat -c %s "$2")" \
		'{mediaType: $type, digest: $digest, size: $size}'
	mv "$2" "$image/blobs/sha256/$digest"
}

# add_layer N SUFFIX COMMAND... — make layer N, pack it with COMMAND, note descriptor and diff id.
add_layer() {
	n=$1 type=application/vnd.oci.image.layer.v1.tar$2
	shift 2
	mkdir "$work/$n"
	(cd "$work/$n" && "layer$n")
	tar -c -C "$work/$n" --sort=name --mtime=@0 --numeric-owner --format=pax \
		--pax-option='exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime' \
		--xattrs --xattrs-include=security.capability . > "$work/$n.tar"
	sha256sum < "$work/$n.tar" | cut -d' ' -f1 >> "$work/diff_ids"
	"$@" < "$work/$n.tar" > "$work/packed"
	blob "$type" "$work/packed" >> "$work/layers"
}

build_image() {
	work=$1/work image=$1/image
	mkdir -p "$work" "$image/blobs/sha256"
	private_apt "$suite"
	umask 022
	add_layer 1 '' cat
	add_layer 2 +gzip gzip -n
	add_layer 3 +gzip gzip -n

	jq -n --rawfile diff_ids "$work/diff_ids" '{
		created: "1970-01-01T00:00:00Z", architecture: "amd64", os: "linux",
		config: {
			Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
			Cmd: ["/bin/sh"], WorkingDir: "/"
		},
		rootfs: {type: "layers", diff_ids: ($diff_ids | split("\n")[:-1] | map("sha256:" + .))}
	}' > "$work/config"
	blob application/vnd.oci.image.config.v1+json "$work/config" > "$work/config.blob"
	jq -n --slurpfile config "$work/config.blob" --slurpfile layers "$work/layers" '{
		schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json",
		config: $config[0], layers: $layers
	}' > "$work/manifest"
	blob application/vnd.oci.image.manifest.v1+json "$work/manifest" |
		jq --arg name "$name" '{
			schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json",
			manifests: [. + {
				platform: {architecture: "amd64", os: "linux"},
				annotations: {
					"io.containerd.image.name": $name,
					"org.opencontainers.image.ref.name": ($name | split(":")[-1])
				}
			}]
		}' > "$image/index.json"
	echo '{"imageLayoutVersion":"1.0.0"}' > "$image/oci-layout"

	tar -c -C "$image" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner \
		blobs index.json oci-layout > "$1/image.tar"
	rm -r "$work" "$image"
}

key=$(echo "$suite $name" | key "$0" "$here/image.packages")
archive=$(cached "image-$key" build_image)/image.tar
if [ $# -gt 0 ]; then
	cp "$archive" "$1"
	archive=$1
fi
printf '%s\n' "$archive"
