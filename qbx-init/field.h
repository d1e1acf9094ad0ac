/* SPDX-License-Identifier: Apache-2.0 */
/* field.h - a number in a text of the kernel's */
#ifndef QBX_INIT_FIELD_H
#define QBX_INIT_FIELD_H

#include <stdint.h>

/**
 * field_number() - the number behind a word in a text of the kernel's
 * @line: how the line begins, "some" or "MemTotal:"; NULL for the first line
 * @word: what the number follows, "total="; "" for the line's first number
 * Return: 0, or -1 when there is no such number.
 */
int field_number(const char *text, const char *line, const char *word, uint64_t *value);

#endif
