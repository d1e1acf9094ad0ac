/* SPDX-License-Identifier: Apache-2.0 */
/* inspect.h - between the halves of inspect */
#ifndef QBX_INSPECT_H
#define QBX_INSPECT_H

#include <jansson.h>

/** inspect_print() - a line for each thing in @found, the object of `inspect -j` in qbx-fs(8). */
void inspect_print(const json_t *found);

#endif
