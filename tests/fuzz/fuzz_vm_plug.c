/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_vm_plug.c - QEMU's lists of processors and of memory devices */
#include "fuzz.h"

#include "qbx-vm/plug.c"

#include "qbx-vm/memory.c"

struct talk *talk_begin(int dirfd, struct qbx_err *err)
{
	(void)dirfd;
	(void)err;
	abort(); /* no target here talks */
}

void talk_end(struct talk *t)
{
	(void)t;
	abort();
}

json_t *talk_ask(struct talk *t, const char *command, json_t *arguments, struct qbx_err *err)
{
	(void)t;
	(void)command;
	(void)arguments;
	(void)err;
	abort();
}

void talk_expect(struct talk *t, talk_is_fn *is, void *arg)
{
	(void)t;
	(void)is;
	(void)arg;
	abort();
}

int talk_await(struct talk *t, unsigned timeout_ms, struct qbx_err *err)
{
	(void)t;
	(void)timeout_ms;
	(void)err;
	abort();
}

static void check_memory(const json_t *data)
{
	struct qbx_err err = { 0 };
	struct plugged p = { 0 };

	if (take_device(&p, data, &err) < 0) {
		if (!err.code)
			abort();
	} else if (p.block == 0 || p.size > p.most || p.most > INT64_MAX) {
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(slots_free) struct slots s = { 0 };
	json_t *list = json_loadb((const char *)data, size, 0, NULL);
	struct qbx_err err = { 0 };
	const struct slot *slot;

	if (!list)
		return 0;
	check_memory(list);
	if (slots_take(&s, list, &err) < 0) {
		if (!err.code)
			abort();
		return 0;
	}
	if (s.taken > s.n || s.n > RESIZE_VCPUS_MAX)
		abort();
	slot = pick(&s, false);
	if (slot && slot->taken)
		abort();
	slot = pick(&s, true);
	if (slot && (!slot->taken || !slot->id))
		abort();
	return 0;
}
