# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# For tests of what becomes of an image, not of what is in it. To be loaded.

# erofs_image FILE [SIZE]: a superblock, the one block that it counts, and an empty root directory
erofs_image() {
	truncate -s "${2:-4096}" "$1"
	printf '\342\341\365\340' | dd of="$1" bs=1 seek=1024 conv=notrunc status=none
	printf '\014' | dd of="$1" bs=1 seek=1036 conv=notrunc status=none
	printf '\001' | dd of="$1" bs=1 seek=1060 conv=notrunc status=none
	# the root directory: inode 0, at 0
	printf '\355\101' | dd of="$1" bs=1 seek=4 conv=notrunc status=none
}
