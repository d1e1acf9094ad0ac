/* SPDX-License-Identifier: Apache-2.0 */
/* sha256.c - SHA-256 as text */
#include "sha256.h"

#include <sha2.h>
#include <stdint.h>

void sha256_hex(const void *data, size_t len, char hex[SHA256_HEX_LEN + 1])
{
	SHA256Data(data, len, hex);
}
