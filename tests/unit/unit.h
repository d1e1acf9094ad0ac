/* SPDX-License-Identifier: Apache-2.0 */
/* unit.h - cmocka, with the headers that it wants before its own */
#ifndef QBX_UNIT_H
#define QBX_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
