/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c - Task.Stats: what a container uses */
#include "metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "field.h"
#include "io.h"

#define TEXT_MAX 65536u
#define METRICS_TYPE "io.containerd.cgroups.v2.Metrics"

/* memory.stat has the first fields of a Memory, up to the one of this number. */
#define MEMORY_STAT_LAST 31u
#define ALL_FIELDS UINT_MAX

/* The fields of a message have the names of the file's lines. */
static void decode_lines(ProtobufCMessage *m, unsigned last, const char *text)
{
	for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
		char line[64];

		if (f->id > last || f->type != PROTOBUF_C_TYPE_UINT64)
			continue;
		snprintf(line, sizeof(line), "%s ", f->name);
		(void)field_number(text, line, "", (uint64_t *)((uint8_t *)m + f->offset));
	}
}

/* "254:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0"; of an idle disk only the first word. */
static void decode_disk(struct metrics *m, const char *line)
{
	Qemubox__Metrics__IoEntry *d = &m->disks[m->io.n_usage];
	const struct {
		const char *word;
		uint64_t *value;
	} counts[] = {
		{ " rbytes=", &d->rbytes },
		{ " wbytes=", &d->wbytes },
		{ " rios=", &d->rios },
		{ " wios=", &d->wios },
	};
	unsigned major, minor;

	if (sscanf(line, "%9u:%9u", &major, &minor) != 2)
		return;
	qemubox__metrics__io_entry__init(d);
	d->major = major;
	d->minor = minor;
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		(void)field_number(line, NULL, counts[i].word, counts[i].value);
	m->list[m->io.n_usage++] = d;
}

static void decode_disks(struct metrics *m, const char *text)
{
	while (text && m->io.n_usage < METRICS_DISKS_MAX) {
		decode_disk(m, text);
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
}

void metrics_init(struct metrics *m)
{
	qemubox__metrics__metrics__init(&m->message);
	qemubox__metrics__pids__init(&m->pids);
	qemubox__metrics__cpu__init(&m->cpu);
	qemubox__metrics__memory__init(&m->memory);
	qemubox__metrics__memory_events__init(&m->memory_events);
	qemubox__metrics__io__init(&m->io);
	m->message.pids = &m->pids;
	m->message.cpu = &m->cpu;
	m->message.memory = &m->memory;
	m->message.memory_events = &m->memory_events;
	m->message.io = &m->io;
	m->io.usage = m->list;
	m->memory.usage_limit = m->memory.swap_limit = UINT64_MAX;
}

static const char *const files[] = {
	"pids.current",	   "pids.max",	       "cpu.stat",	"memory.stat",
	"memory.current",  "memory.max",       "memory.peak",	"memory.swap.current",
	"memory.swap.max", "memory.swap.peak", "memory.events", "io.stat",
};

void metrics_decode(struct metrics *m, const char *file, const char *text)
{
	const struct {
		const char *file;
		uint64_t *value; /* its only number; "max" leaves what metrics_init() has set */
	} numbers[] = {
		{ "pids.current", &m->pids.current },
		{ "pids.max", &m->pids.limit },
		{ "memory.current", &m->memory.usage },
		{ "memory.max", &m->memory.usage_limit },
		{ "memory.peak", &m->memory.max_usage },
		{ "memory.swap.current", &m->memory.swap_usage },
		{ "memory.swap.max", &m->memory.swap_limit },
		{ "memory.swap.peak", &m->memory.swap_max_usage },
	};

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (!strcmp(file, numbers[i].file))
			(void)field_number(text, NULL, "", numbers[i].value);
	if (!strcmp(file, "cpu.stat"))
		decode_lines(&m->cpu.base, ALL_FIELDS, text);
	else if (!strcmp(file, "memory.stat"))
		decode_lines(&m->memory.base, MEMORY_STAT_LAST, text);
	else if (!strcmp(file, "memory.events"))
		decode_lines(&m->memory_events.base, ALL_FIELDS, text);
	else if (!strcmp(file, "io.stat"))
		decode_disks(m, text);
}

static int read_files(struct metrics *m, const struct container *c, struct qbx_err *err)
{
	_cleanup_close_ int dirfd = -1;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), CGROUP_ROOT "%s", c->cgroup);
	dirfd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return err_sys(err, errno, "open the cgroup of container %s", c->id);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_free_ char *text = NULL;
		struct qbx_err unread = { 0 };
		size_t len;

		/* Which files there are depends on the kernel. */
		if (io_read_file(dirfd, files[i], TEXT_MAX, &text, &len, &unread) == 0)
			metrics_decode(m, files[i], text);
		else if (unread.sys != ENOENT)
			return *err = unread, -1;
	}
	return 0;
}

void container_stats(struct container *c, struct ttrpc_call *call)
{
	Qemubox__Task__StatsResponse r = QEMUBOX__TASK__STATS_RESPONSE__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	_cleanup_free_ uint8_t *packed = NULL;
	_cleanup_free_ struct metrics *m = malloc(sizeof(*m));
	struct qbx_err err = { 0 };

	if (!m) {
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "stats: out of memory");
		return;
	}
	metrics_init(m);
	if (read_files(m, c, &err) < 0) {
		ttrpc_fail_err(call, &err);
		return;
	}
	any.value.len = qemubox__metrics__metrics__get_packed_size(&m->message);
	any.value.data = packed = malloc(any.value.len);
	if (!packed) {
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "stats: out of memory");
		return;
	}
	qemubox__metrics__metrics__pack(&m->message, packed);
	any.type_url = (char *)METRICS_TYPE;
	r.stats = &any;
	ttrpc_reply(call, &r.base);
}
