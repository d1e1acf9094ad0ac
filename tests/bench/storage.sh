# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The part of measure.sh that is about storage: what a box writes and reads beside a container of runc on the
# same image, what many layers cost a start, and what ten boxes of one image leave in the host's page cache.
# To be sourced.
# shellcheck disable=SC2154 # measure.sh sets runs, archive and work

storage_rounds=3
storage_boxes=10
storage_layers=30

large=docker.io/library/large:1
many=docker.io/library/many:1

# import NAME LAYER.tar... — an image of these layers
import() {
	local name=$1 T=$work
	shift
	# shellcheck source=tests/e2e/images.bash
	. "$here/../e2e/images.bash"
	image "$work/image.tar" '{"config":{"Env":["PATH=/usr/bin"]}}' "$@"
	ctr image import --snapshotter erofs --index-name "$name" "$work/image.tar" > /dev/null
	rm "$work/image.tar"
}

# The first layer of the large image, and small ones on it.
import_many() {
	local i layers=("${archive%/*}/large/1.tar")
	for i in $(seq 2 $storage_layers); do
		mkdir -p "$work/layer/srv/$i"
		seq "$i" 1000 | tee "$work/layer/srv/latest" > "$work/layer/srv/$i/numbers"
		tar -C "$work/layer" -cf "$work/layer.$i.tar" .
		rm -r "$work/layer"
		layers+=("$work/layer.$i.tar")
	done
	import $many "${layers[@]}"
	rm "$work"/layer.*.tar
}

# ---- reads and writes ----

# What runs in the container: a line a figure, "NAME VALUE".
storage_script() {
	cat <<- 'END'
		import mmap, os, random, subprocess, time

		MiB, SIZE, BLOCK, SECONDS = 1 << 20, 128 << 20, 4096, 2
		file = "/var/tmp/bench"
		block = mmap.mmap(-1, BLOCK)
		random.seed(1)

		def timed(f):
		    begin = time.monotonic()
		    n = f()
		    return n / (time.monotonic() - begin)

		def forget(fd):
		    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)

		def write():
		    fd = os.open(file, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
		    data = os.urandom(MiB)
		    for _ in range(SIZE // MiB):
		        os.write(fd, data)
		    os.fsync(fd)
		    return SIZE / MiB

		def read(path):
		    fd = os.open(path, os.O_RDONLY)
		    n = 0
		    while part := os.read(fd, MiB):
		        n += len(part)
		    os.close(fd)
		    return n / MiB

		def at_random(flags, do):
		    fd = os.open(file, flags | os.O_DIRECT)
		    end, n = time.monotonic() + SECONDS, 0
		    while time.monotonic() < end:
		        do(fd, [block], random.randrange(SIZE // BLOCK) * BLOCK)
		        n += 1
		    os.fdatasync(fd)
		    return n

		def find():
		    subprocess.run(["find", "/", "-xdev"], stdout=subprocess.DEVNULL, check=True)
		    return 1

		def image():
		    return sum(read(os.path.join(d, f)) for d, _, files in os.walk("/usr/lib") for f in files
		               if not os.path.islink(os.path.join(d, f)))

		print("find-first", 1000 / timed(find))
		print("find-again", 1000 / timed(find))
		print("image", timed(image))
		print("write", timed(write))
		fd = os.open(file, os.O_RDONLY)
		forget(fd)
		print("read", timed(lambda: read(file)))
		forget(fd)
		print("random-read", timed(lambda: at_random(os.O_RDONLY, os.preadv)))
		print("random-write", timed(lambda: at_random(os.O_WRONLY, os.pwritev)))
	END
}

# storage_result NAME UNIT FIGURE
storage_result() {
	local who values
	for who in qemubox runc; do
		mapfile -t values < <(sed -n "s/^$3 //p" "$work/storage.$who")
		result "$1" "$who" "$2" "${values[@]}"
	done
}

measure_files() {
	local i who script
	script=$(storage_script)
	for i in $(seq $storage_rounds); do
		for who in qemubox runc; do
			ctr_run "$who" --rm $large "$who-files" python3 -c "$script" >> "$work/storage.$who"
		done
		say "storage, $i of $storage_rounds rounds"
	done
	storage_result 'find /, first' ms find-first
	storage_result 'find /, again' ms find-again
	storage_result 'read the files of an image' MiB/s image
	storage_result 'write 128 MiB, with fsync' MiB/s write
	storage_result 'read it again' MiB/s read
	storage_result 'random 4 KiB reads, direct' /s random-read
	storage_result 'random 4 KiB writes, direct' /s random-write
}

# ---- many layers ----

# layers_ms WHO — of one container, to its end
layers_ms() {
	local started
	started=$(now_ms)
	ctr_run "$1" --rm $many "$1-many" true
	echo $(($(now_ms) - started))
}

measure_layers() {
	local who first again
	import_many
	for who in qemubox runc; do
		first=$(layers_ms "$who")
		again=()
		for _ in $(seq $storage_rounds); do again+=("$(layers_ms "$who")"); done
		result "$storage_layers layers: first start" "$who" ms "$first"
		result "$storage_layers layers: later starts" "$who" ms "${again[@]}"
	done
}

# ---- the host's page cache ----

# cached_kib — of the layers of all images, in this host's memory
cached_kib() {
	find /var/lib/containerd/io.containerd.snapshotter.v1.erofs/snapshots -name layer.erofs \
		-exec fincore --bytes --noheadings --output RES {} + | awk '{ sum += $1 } END { print int(sum / 1024) }'
}

# A box that has read all files of the image, and then stands there. Its ctr is ${boxes[N]}.
cache_box() {
	local line
	mkfifo "$work/cache.$1"
	ctr_run qemubox $large "cache-$1" bash -c \
		'find /usr -xdev -type f -exec cat {} + > /dev/null; echo read; exec sleep 1000000' > "$work/cache.$1" &
	boxes[$1]=$!
	read -r line < "$work/cache.$1"
	[ "$line" = read ]
}

measure_cache() {
	local i one boxes=()
	for i in $(seq $storage_boxes); do
		cache_box "$i"
		[ "$i" -gt 1 ] || one=$(cached_kib)
	done
	result 'page cache: an image, one box' qemubox KiB "$one"
	result "page cache: it, $storage_boxes boxes" qemubox KiB "$(cached_kib)"
	for i in $(seq $storage_boxes); do
		ctr task kill --signal KILL "cache-$i"
		wait "${boxes[$i]}" || :
		ctr container rm "cache-$i"
	done
}

measure_storage() {
	import $large "${archive%/*}"/large/?.tar
	measure_files
	measure_layers
	measure_cache
}
