/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox-network.c - somebody else has run CNI on the VM's namespace after the VM was there
 *
 * ctr run --cni does between Create and Start, on /proc/PID/ns/net, and so do nerdctl's hooks. What they
 * made is then what the box has: qbx-net sync finds it, and the guest is told.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "io.h"
#include "log.h"
#include "netmsg.h"
#include "sandbox.h"

#define DEV_MAX (256u << 10) /* bytes of /proc/PID/net/dev */
#define SET_MS 30000u	     /* for the guest to change its interfaces */

static const struct helper_spec net_sync = { "qbx-net", "sync", NULL, 0, 60000, 1 };

struct sync {
	struct sandbox *sandbox;
	sandbox_done_fn *done;
	void *arg;
};

static void over(struct sync *sync, const struct qbx_err *err)
{
	sandbox_done_fn *done = sync->done;
	void *arg = sync->arg;

	free(sync);
	done(arg, err);
}

/* ---- is there any news? ---- */

static bool is_known(const json_t *net, const char *name)
{
	json_t *links = json_object_get(net, "links"), *link;
	size_t i;

	if (!strcmp(name, "lo"))
		return true;
	json_array_foreach (links, i, link) {
		const char *tap = json_string_value(json_object_get(link, "tap"));
		const char *ifname = json_string_value(json_object_get(link, "ifname"));

		if ((tap && !strcmp(tap, name)) || (ifname && !strcmp(ifname, name)))
			return true;
	}
	return false;
}

/* Format: proc_pid_net(5), "dev": two lines of headings, then "name: numbers". */
static bool has_news(const struct sandbox *s)
{
	const json_t *net = json_object_get(s->box.doc, "net");
	_cleanup_free_ char *text = NULL;
	struct qbx_err err = { 0 };
	char path[40], *save, *line;
	size_t len;

	if (!json_is_true(json_object_get(net, "owned")) ||
	    json_array_size(json_object_get(net, "links")) == 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/net/dev", (int)s->pid);
	if (io_read_file(AT_FDCWD, path, DEV_MAX, &text, &len, &err) < 0) {
		log_debug("%s: %s", s->box.key, err.msg);
		return false;
	}
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *name = line + strspn(line, " "), *colon = strchr(name, ':');

		if (!colon)
			continue;
		*colon = '\0';
		if (!is_known(net, name))
			return true;
	}
	return false;
}

/* ---- what there is goes to the guest ---- */

static void on_set(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		   const char *message)
{
	struct qbx_err err = { .stage = "guest" };
	struct sync *sync = arg;
	struct sandbox *s = sync->sandbox;

	(void)reply;
	if (code == TTRPC_OK) {
		over(sync, NULL);
		return;
	}
	if (code == TTRPC_CANCELLED || code == TTRPC_UNAVAILABLE || s->state != SANDBOX_UP) {
		free(sync);
		if (s->state == SANDBOX_UP)
			sandbox_suspect(s, message);
		return;
	}
	err_code(&err, EX_UNAVAILABLE, "the network cannot be changed: %s", message);
	over(sync, &err);
}

static int tell_guest(struct sync *sync, struct qbx_err *err)
{
	Qemubox__Guest__V1__SetNetworkRequest r = QEMUBOX__GUEST__V1__SET_NETWORK_REQUEST__INIT;
	_cleanup_(netmsg_free) struct netmsg net = { 0 };
	struct sandbox *s = sync->sandbox;

	if (!s->control)
		return err_code(err, EX_UNAVAILABLE, "the guest cannot be reached");
	if (netmsg_make(&net, json_object_get(s->box.doc, "net"), err) < 0)
		return -1;
	r.n_links = net.n_links;
	r.links = net.links;
	r.n_nameservers = net.n_nameservers;
	r.nameservers = net.nameservers;
	r.n_search = net.n_search;
	r.search = net.search;
	ttrpc_request(s->control, GUEST_SERVICE, "SetNetwork", &r.base, SET_MS,
		      &qemubox__guest__v1__set_network_response__descriptor, on_set, sync);
	return 0;
}

static void on_synced(void *arg, json_t *doc, const struct qbx_err *err)
{
	struct qbx_err own = { .stage = "qbx-shim" };
	struct sync *sync = arg;
	struct sandbox *s = sync->sandbox;

	s->helpers--;
	if (s->state != SANDBOX_UP) {
		free(sync);
		if (s->state == SANDBOX_STOPPING)
			sandbox_down_when_idle(s);
		return;
	}
	if (err || sandbox_merge(s, doc, "net", &own) < 0 || tell_guest(sync, &own) < 0)
		over(sync, err ? err : &own);
}

int sandbox_sync(struct sandbox *s, sandbox_done_fn *done, void *arg, struct qbx_err *err)
{
	struct sync *sync;

	if (!has_news(s))
		return 1;
	sync = malloc(sizeof(*sync));
	if (!sync)
		return err_sys(err, ENOMEM, "look at the network");
	*sync = (struct sync){ s, done, arg };
	if (helper_run(&s->shim->jobs, &net_sync, s->box.doc, on_synced, sync, err) < 0) {
		free(sync);
		return -1;
	}
	s->helpers++;
	return 0;
}
