# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# OCI images out of tar archives. To be loaded; wants $T, a directory.

# blob DIR MEDIATYPE: add standard input to an image layout, print its descriptor
blob() {
	mkdir -p "$1/blobs/sha256"
	cat > "$1/new"
	sum=$(sha256sum < "$1/new" | cut -d' ' -f1)
	mv "$1/new" "$1/blobs/sha256/$sum"
	jq -cn --arg d "sha256:$sum" --arg t "$2" --argjson s "$(stat -c %s "$1/blobs/sha256/$sum")" \
		'{mediaType:$t, digest:$d, size:$s}'
}

# image FILE CONFIG LAYER...: pack tar archives as an OCI image, the manifest below a second index
image() {
	dir=$(mktemp -d "$T/layout.XXXXXX") file=$1 config=$2 v=application/vnd.oci.image
	shift 2
	config=$(for layer; do gzip -dcf < "$layer" | sha256sum; done |
		jq -cR --slurp --argjson c "$config" '[splits(" *-\n") | select(. != "") | "sha256:" + .] |
			$c + {os:"linux", architecture:"amd64", rootfs:{type:"layers", diff_ids:.}}' |
		blob "$dir" "$v.config.v1+json")
	for layer; do blob "$dir" "$v.layer.v1.tar+gzip" < "$layer"; done > "$dir.layers"
	manifest=$(jq -cs --argjson c "$config" '{schemaVersion:2, config:$c, layers:.}' "$dir.layers" |
		blob "$dir" "$v.manifest.v1+json")
	index=$(jq -cn --argjson m "$manifest" '{schemaVersion:2, manifests:[
		$m + {platform:{os:"linux", architecture:"amd64"}},
		$m + {platform:{os:"unknown", architecture:"unknown"}}]}' | blob "$dir" "$v.index.v1+json")
	jq -cn --argjson i "$index" '{schemaVersion:2, manifests:[$i]}' > "$dir/index.json"
	echo '{"imageLayoutVersion":"1.0.0"}' > "$dir/oci-layout"
	tar -C "$dir" -cf "$file" .
	rm -r "$dir" "$dir.layers"
}

# tools DIR PROGRAM...: copy programs of this host there, with the libraries that they need
tools() {
	local dir=$1 program file
	shift
	for program; do
		program=$(command -v "$program")
		for file in "$program" $(ldd "$program" | grep -o '/[^ ]*'); do
			install -D "$(realpath "$file")" "$dir$file"
		done
	done
}
