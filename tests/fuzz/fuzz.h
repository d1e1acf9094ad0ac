/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz.h - what libFuzzer calls; a target aborts when what must hold does not */
#ifndef QBX_FUZZ_H
#define QBX_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
