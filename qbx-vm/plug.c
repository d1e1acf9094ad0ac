/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plug.c - processors that are plugged into a q35 machine and out of it
 *
 * Source of the commands: QEMU's QMP reference, query-hotpluggable-cpus, device_add, device_del and the
 * events that they lead to. Processors that the machine was started with cannot be pulled out; they
 * are only taken offline.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "resize.h"

#define UNPLUG_MS 5000u
#define ID_PREFIX "/machine/peripheral/"

/* One place for a processor, as QEMU lists it. */
struct slot {
	json_t *props;	  /* borrowed from the list */
	const char *type; /* the same */
	const char *id;	  /* the same; NULL if it cannot be pulled out */
	bool taken;
	uint64_t key; /* in the order in which they are filled */
};

struct slots {
	json_t *list;
	struct slot slot[RESIZE_VCPUS_MAX];
	size_t n, taken;
};

static uint64_t key_of(const json_t *props)
{
	static const char *const ids[] = { "socket-id", "die-id", "core-id", "thread-id" };
	uint64_t key = 0;

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		key = key * 4096 +
		      (uint64_t)json_integer_value(json_object_get(props, ids[i])) % 4096;
	return key;
}

static int take_slot(struct slot *s, const json_t *item, struct qbx_err *err)
{
	const char *path = json_string_value(json_object_get(item, "qom-path"));

	s->props = json_object_get(item, "props");
	s->type = json_string_value(json_object_get(item, "type"));
	s->taken = path != NULL;
	s->key = key_of(s->props);
	if (path && !strncmp(path, ID_PREFIX, strlen(ID_PREFIX)))
		s->id = path + strlen(ID_PREFIX);
	if (!json_is_object(s->props) || !s->type ||
	    json_integer_value(json_object_get(item, "vcpus-count")) != 1)
		return err_code(err, EX_DATAERR, "query-hotpluggable-cpus: not one processor");
	return 0;
}

static void slots_free(struct slots *s)
{
	json_decref(s->list);
}

/* @list is taken, and may be NULL with @err. */
static int slots_take(struct slots *s, json_t *list, struct qbx_err *err)
{
	json_t *item;
	size_t i;

	s->list = list;
	if (!list)
		return -1;
	if (json_array_size(s->list) > ARRAY_SIZE(s->slot))
		return err_code(err, EX_DATAERR, "query-hotpluggable-cpus: %zu places",
				json_array_size(s->list));
	json_array_foreach (s->list, i, item) {
		if (take_slot(&s->slot[s->n], item, err) < 0)
			return -1;
		s->taken += s->slot[s->n++].taken;
	}
	return 0;
}

/* The first free place, or the last one that can be emptied. */
static struct slot *pick(struct slots *s, bool taken)
{
	struct slot *best = NULL;

	for (size_t i = 0; i < s->n; i++) {
		struct slot *c = &s->slot[i];

		if (c->taken != taken || (taken && !c->id))
			continue;
		if (!best || (taken ? c->key > best->key : c->key < best->key))
			best = c;
	}
	return best;
}

static int plug_in(struct talk *t, struct slot *s, struct qbx_err *err)
{
	json_t *args = json_copy(s->props), *reply;
	char id[32];

	snprintf(id, sizeof(id), "cpu%" PRIx64, s->key);
	json_object_set_new(args, "driver", json_string(s->type));
	json_object_set_new(args, "id", json_string(id));
	reply = talk_ask(t, "device_add", args, err);
	json_decref(reply);
	s->taken = true;
	return reply ? 0 : -1;
}

/* Is it told of that device that it is gone, or that the guest does not let it go? */
struct fate {
	const char *id;
	bool refused;
};

static bool is_fate(void *arg, const char *name, const json_t *data)
{
	const char *device = json_string_value(json_object_get(data, "device"));
	struct fate *f = arg;

	if (!device || strcmp(device, f->id) != 0)
		return false;
	f->refused = !strcmp(name, "DEVICE_UNPLUG_GUEST_ERROR");
	return f->refused || !strcmp(name, "DEVICE_DELETED");
}

static int pull_out(struct talk *t, struct slot *s, struct qbx_err *err)
{
	struct fate fate = { .id = s->id };
	json_t *reply;

	talk_expect(t, is_fate, &fate);
	reply = talk_ask(t, "device_del", json_pack("{s:s}", "id", s->id), err);
	if (!reply)
		return -1;
	json_decref(reply);
	if (talk_await(t, UNPLUG_MS, err) < 0)
		return err_wrap(err, "unplug processor %s", s->id);
	if (fate.refused)
		return err_code(err, EX_TEMPFAIL, "the guest does not let go of processor %s",
				s->id);
	s->taken = false;
	return 0;
}

static int plug(struct talk *t, unsigned n, struct qbx_err *err)
{
	_cleanup_(slots_free) struct slots s = { 0 };
	struct slot *next;

	if (slots_take(&s, talk_ask(t, "query-hotpluggable-cpus", NULL, err), err) < 0)
		return -1;
	for (; s.taken < n; s.taken++) {
		next = pick(&s, false);
		if (!next)
			return err_code(err, EX_UNAVAILABLE,
					"the machine has places for %zu processors, not %u", s.n,
					n);
		if (plug_in(t, next, err) < 0)
			return -1;
	}
	for (; s.taken > n && (next = pick(&s, true)); s.taken--)
		if (pull_out(t, next, err) < 0)
			return -1;
	return 0;
}

int plug_cpus(const struct resize *r, unsigned n, struct qbx_err *err)
{
	struct talk *t = talk_begin(r->dirfd, err);
	int rc = t ? plug(t, n, err) : -1;

	talk_end(t);
	return rc;
}
