/* SPDX-License-Identifier: Apache-2.0 */
/* le.h - little-endian numbers in a buffer */
#ifndef QBX_LE_H
#define QBX_LE_H

#include <stdint.h>

static inline uint16_t le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t le32(const uint8_t *p)
{
	return (uint32_t)le16(p) | (uint32_t)le16(p + 2) << 16;
}

#endif
