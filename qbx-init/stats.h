/* SPDX-License-Identifier: Apache-2.0 */
/* stats.h - how busy the guest is, as the kernel's text files tell it */
#ifndef QBX_INIT_STATS_H
#define QBX_INIT_STATS_H

#include "init.h"

/** stats_handle() - Guest/Stats */
void stats_handle(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg);

/**
 * stats_field() - the number behind a word in a text of the kernel's
 * @line: how the line begins, "some" or "MemTotal:"; NULL for the first line
 * @word: what the number follows, "total="; "" for the line's first number
 * Return: 0, or -1 when there is no such number.
 */
int stats_field(const char *text, const char *line, const char *word, uint64_t *value);

#endif
