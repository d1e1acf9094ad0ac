/* SPDX-License-Identifier: Apache-2.0 */
/* sha256.c - SHA-256 as text */
#include "sha256.h"

#include <errno.h>
#include <sha2.h>
#include <stdint.h>
#include <unistd.h>

void sha256_hex(const void *data, size_t len, char hex[SHA256_HEX_LEN + 1])
{
	SHA256Data(data, len, hex);
}

int sha256_hex_fd(int fd, char hex[SHA256_HEX_LEN + 1])
{
	uint8_t buf[65536];
	SHA2_CTX ctx;
	ssize_t n;

	SHA256Init(&ctx);
	while ((n = read(fd, buf, sizeof(buf))) != 0) {
		if (n > 0)
			SHA256Update(&ctx, buf, (size_t)n);
		else if (errno != EINTR)
			return -1;
	}
	SHA256End(&ctx, hex);
	return 0;
}
