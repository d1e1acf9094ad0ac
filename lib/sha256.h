/* SPDX-License-Identifier: Apache-2.0 */
/* sha256.h - SHA-256 as text, by libmd */
#ifndef QBX_SHA256_H
#define QBX_SHA256_H

#include <stddef.h>

#define SHA256_HEX_LEN 64u

/** sha256_hex() - the digest of @len bytes as lower-case hexadecimal digits and a NUL. */
void sha256_hex(const void *data, size_t len, char hex[SHA256_HEX_LEN + 1]);

#endif
