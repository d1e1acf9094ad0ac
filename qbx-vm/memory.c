/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.c - how much memory a running q35 machine has
 *
 * Source of the commands: QEMU's QMP reference, query-memory-devices and MEMORY_DEVICE_SIZE_CHANGE.
 * What a guest is asked to take it takes within a second or two; what it is asked to give back it
 * gives back as far as it can, and goes on trying.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "log.h"
#include "resize.h"

#define CHANGE_MS 6000u
#define MIB (UINT64_C(1) << 20)
#define STEP_MIB 128u /* as "size" has it: a memory block of x86-64 */

/* Of the device VM_ID_MEMORY: bytes. */
struct plugged {
	uint64_t base; /* what the machine was started with */
	uint64_t size, requested, most, block;
};

static int take_device(struct plugged *p, const json_t *data, struct qbx_err *err)
{
	json_int_t size, requested, most, block;

	if (json_unpack((json_t *)data, "{s:I, s:I, s:I, s:I}", "size", &size, "requested-size",
			&requested, "max-size", &most, "block-size", &block) < 0 ||
	    size < 0 || requested < 0 || most < 0 || block <= 0 || size > most)
		return err_code(err, EX_DATAERR, "query-memory-devices: %s has no sizes",
				VM_ID_MEMORY);
	p->size = (uint64_t)size;
	p->requested = (uint64_t)requested;
	p->most = (uint64_t)most;
	p->block = (uint64_t)block;
	return 0;
}

static int read_plugged(struct plugged *p, struct talk *t, struct qbx_err *err)
{
	json_auto_t *summary = talk_ask(t, "query-memory-size-summary", NULL, err);
	json_auto_t *devices = summary ? talk_ask(t, "query-memory-devices", NULL, err) : NULL;
	json_t *item;
	size_t i;

	if (!devices)
		return -1;
	p->base = (uint64_t)json_integer_value(json_object_get(summary, "base-memory"));
	json_array_foreach (devices, i, item) {
		const json_t *data = json_object_get(item, "data");
		const char *id = json_string_value(json_object_get(data, "id"));

		if (id && !strcmp(id, VM_ID_MEMORY))
			return take_device(p, data, err);
	}
	err_code(err, EX_UNAVAILABLE, "its memory cannot change: there is no %s", VM_ID_MEMORY);
	return -1;
}

static bool is_change(void *arg, const char *name, const json_t *data)
{
	const char *id = json_string_value(json_object_get(data, "id"));
	const uint64_t *wanted = arg;

	return !strcmp(name, "MEMORY_DEVICE_SIZE_CHANGE") && id && !strcmp(id, VM_ID_MEMORY) &&
	       (uint64_t)json_integer_value(json_object_get(data, "size")) == *wanted;
}

/* Ask the guest and wait for it. Return: 0, also when it has not done all of it in time. */
static int request(struct talk *t, uint64_t bytes, struct qbx_err *err)
{
	struct qbx_err late = { 0 };
	json_t *reply;

	talk_expect(t, is_change, &bytes);
	reply = talk_ask(t, "qom-set",
			 json_pack("{s:s, s:s, s:I}", "path", "/machine/peripheral/" VM_ID_MEMORY,
				   "property", "requested-size", "value", (json_int_t)bytes),
			 err);
	if (!reply)
		return -1;
	json_decref(reply);
	if (talk_await(t, CHANGE_MS, &late) == 0 || late.sys == ETIMEDOUT)
		return 0;
	*err = late;
	return -1;
}

static int change(struct resize *r, struct talk *t, unsigned mib, struct qbx_err *err)
{
	struct plugged p = { .block = 1 };
	uint64_t wanted;

	if (read_plugged(&p, t, err) < 0)
		return -1;
	if (mib * MIB < p.base)
		return err_code(err, EX_UNAVAILABLE,
				"%u MiB are less than the %" PRIu64 " MiB it was started with", mib,
				p.base / MIB);
	wanted = (mib + STEP_MIB - 1) / STEP_MIB * STEP_MIB * MIB - p.base;
	wanted = (wanted + p.block - 1) / p.block * p.block;
	if (wanted > p.most)
		return err_code(err, EX_UNAVAILABLE,
				"%u MiB are more than its most, %" PRIu64 " MiB", mib,
				(p.base + p.most) / MIB);
	if ((wanted != p.requested || wanted != p.size) &&
	    (request(t, wanted, err) < 0 || read_plugged(&p, t, err) < 0))
		return -1;
	r->memory_mib = (unsigned)((p.base + p.size) / MIB);
	if (p.size < wanted)
		return err_code(err, EX_TEMPFAIL, "the guest has taken %u MiB, not %u",
				r->memory_mib, mib);
	if (p.size > wanted)
		log_warn("the guest still uses %u MiB, more than %u", r->memory_mib, mib);
	return 0;
}

int memory_set(struct resize *r, unsigned mib, struct qbx_err *err)
{
	struct talk *t;
	int rc;

	if (!r->q35)
		return err_code(err, EX_UNAVAILABLE, "a microvm keeps the memory it has, %u MiB",
				r->memory_mib);
	t = talk_begin(r->dirfd, err);
	rc = t ? change(r, t, mib, err) : -1;
	talk_end(t);
	return rc;
}
