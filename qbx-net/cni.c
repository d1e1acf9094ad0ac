/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cni.c - call a CNI plugin
 *
 * Source of the protocol: "Execution Protocol" and "Deriving execution configuration from plugin
 * configuration" in the CNI specification.
 */
#include "cni.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "conf.h"
#include "json.h"
#include "lease.h"
#include "log.h"
#include "networks.h"
#include "proc.h"
#include "result.h"
#include "step.h"

#define PLUGIN_OUTPUT_MAX (256u << 10)
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static int find_program(const char *dirs, const char *type, char path[PATH_MAX],
			struct qbx_err *err)
{
	const char *d = dirs;

	while (*d) {
		size_t len = strcspn(d, ":");
		struct stat st;
		int n = snprintf(path, PATH_MAX, "%.*s/%s", (int)len, d, type);

		if (len && n < PATH_MAX && stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
		    access(path, X_OK) == 0)
			return 0;
		d += len + (d[len] == ':');
	}
	err_code(err, EX_UNAVAILABLE, "CNI plugin \"%s\" is in none of %s", type, dirs);
	return err_hint(err, "install it, or set cni_bin_dir in qemubox.conf(5)");
}

/*
 * The plugin that a plugin gets its addresses from is found by that one, too late for a good word. What
 * undoes goes on without.
 */
static int find_ipam(const struct chain *chain, size_t i, const char *command, struct qbx_err *err)
{
	const char *type = conf_ipam(&chain->at->conf, i);
	char path[PATH_MAX];

	if (!type || !strcmp(command, "DEL") || !strcmp(command, "GC") ||
	    !strcmp(command, "VERSION"))
		return 0;
	if (find_program(chain->bin_dir, type, path, err) == 0)
		return 0;
	return err_wrap(err, "IPAM of CNI plugin \"%s\"", conf_type(&chain->at->conf, i));
}

static int set_env(struct cni_call *call, const char *name, const char *value)
{
	size_t n = 0;

	while (call->env[n])
		n++;
	if (n >= CNI_ENV_MAX)
		BUG("CNI_ENV_MAX");
	return asprintf(&call->env[n], "%s=%s", name, value) < 0 ? -1 : 0;
}

/* CNI_ARGS, "K=V;K=V", of what networks_take() let pass. */
static int set_args(struct cni_call *call, const json_t *args)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_fclose_ FILE *f = NULL;
	const char *key, *between = "";
	size_t len;
	json_t *value;

	if (json_object_size(args) == 0)
		return 0;
	f = open_memstream(&text, &len);
	if (!f)
		return -1;
	json_object_foreach ((json_t *)args, key, value) {
		fprintf(f, "%s%s=%s", between, key, json_string_value(value));
		between = ";";
	}
	if (fflush(f))
		return -1;
	return set_env(call, "CNI_ARGS", text);
}

/* No more than the protocol names, and the PATH that plugins find iptables in. */
static int make_env(const struct chain *chain, struct cni_call *call)
{
	const char *path = getenv("PATH");

	if (set_env(call, "CNI_COMMAND", call->command) < 0 ||
	    (chain->id && set_env(call, "CNI_CONTAINERID", chain->id) < 0) ||
	    (chain->id && set_env(call, "CNI_IFNAME", chain->at->ifname) < 0) ||
	    set_env(call, "CNI_PATH", chain->bin_dir) < 0 || set_args(call, chain->at->args) < 0 ||
	    (chain->netns && set_env(call, "CNI_NETNS", chain->netns) < 0))
		return -1;
	return set_env(call, "PATH", path && path[0] ? path : DEFAULT_PATH);
}

/* Exactly those capability arguments that the plugin declares. Return: 0, or -1 without memory. */
static int give_capabilities(json_t *input, const json_t *plugin, const json_t *caps)
{
	json_auto_t *given = json_object();
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)caps, name, value)
		if (capability_declared(plugin, name) && json_object_set(given, name, value) < 0)
			return -1;
	json_object_del(input, "capabilities");
	return json_object_size(given) ? json_object_set(input, "runtimeConfig", given) : 0;
}

/* What the runtime alone may say. */
static void drop_reserved(json_t *input)
{
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe(input, next, key,
				 value) if (!strncmp(key, "cni.dev/", strlen("cni.dev/")))
		json_object_del(input, key);
}

/* Return: 0, or -1 without memory. */
static int give_prev(json_t *input, const char *command, const char *version, const json_t *prev)
{
	json_t *p = (json_t *)prev;

	if (!prev)
		return 0;
	/* The specification has had both names. */
	if (!strcmp(command, "GC"))
		return json_object_set(input, "cni.dev/valid-attachments", p) < 0 ||
				       json_object_set(input, "cni.dev/attachments", p) < 0
			       ? -1
			       : 0;
	/* DEL learnt of prevResult in 0.4.0; no older plugin expects it there. */
	if (strcmp(command, "ADD") != 0 && strcmp(version, "0.4.0") < 0)
		return 0;
	return json_object_set(input, "prevResult", p);
}

static json_t *make_input(const struct chain *chain, size_t i, const char *command,
			  const json_t *prev)
{
	const struct conf *conf = &chain->at->conf;
	json_t *plugin = json_array_get(json_object_get(conf->list, "plugins"), i);
	json_t *input = json_copy(plugin);

	drop_reserved(input);
	if (!input || json_object_set_new(input, "name", json_string(conf->name)) < 0 ||
	    json_object_set_new(input, "cniVersion", json_string(conf->version)) < 0 ||
	    (chain->id && give_capabilities(input, plugin, chain->at->caps) < 0) ||
	    give_prev(input, command, conf->version, prev) < 0) {
		json_decref(input);
		return NULL;
	}
	return input;
}

int cni_prepare(const struct chain *chain, size_t i, const char *command, const json_t *prev,
		struct cni_call *call, struct qbx_err *err)
{
	memset(call, 0, sizeof(*call));
	call->command = command;
	call->type = conf_type(&chain->at->conf, i);
	if (find_program(chain->bin_dir, call->type, call->path, err) < 0 ||
	    find_ipam(chain, i, command, err) < 0)
		return -1;
	call->input = make_input(chain, i, command, prev);
	if (!call->input || make_env(chain, call) < 0) {
		cni_call_free(call);
		return err_sys(err, ENOMEM, "CNI plugin %s", conf_type(&chain->at->conf, i));
	}
	return 0;
}

void cni_call_free(struct cni_call *call)
{
	for (size_t i = 0; call->env[i]; i++)
		free(call->env[i]);
	json_decref(call->input);
	memset(call, 0, sizeof(*call));
}

static int born(void *arg, pid_t pid, struct qbx_err *err)
{
	const struct lease_lock *lock = arg;

	/* A full disk must not keep a plugin from undoing. */
	if (orphan_note(lock, pid) < 0)
		log_debug("write %s: %s", lock->path, strerror(errno));
	step("plugin-born", lock->path);
	(void)err;
	return 0;
}

/* Return: 0 with @o filled by a plugin that succeeded, or -1 with @err. */
static int run(const struct cni_call *call, const struct chain *chain, struct proc_output *o,
	       struct qbx_err *err)
{
	const char *argv[] = { call->path, NULL };
	/* A session of its own, so that its deadline also ends the plugins that it calls. */
	struct proc_spec spec = { .argv = argv,
				  .envp = (const char *const *)call->env,
				  .netns = -1,
				  .detach = 1,
				  .die_with_us = 1,
				  .born = chain->lock ? born : NULL,
				  .born_arg = (void *)chain->lock };
	_cleanup_free_ char *text = json_dumps(call->input, JSON_COMPACT);

	if (!text)
		return err_sys(err, ENOMEM, "run %s", call->path);
	if (proc_run(&spec, text, strlen(text), PLUGIN_OUTPUT_MAX, chain->timeout_ms, o, err) < 0) {
		if (err->sys == ETIMEDOUT)
			err_code(err, EX_TEMPFAIL, "no end after %d s", chain->timeout_ms / 1000);
		else if (!err->sys)
			err->code = EX_UNAVAILABLE;
		return -1;
	}
	step(call->command, call->type);
	if (o->status != 0)
		return result_error(o->status, o->out, o->out_len, o->err, err);
	return 0;
}

int cni_add(const struct chain *chain, size_t i, const json_t *prev, struct cni_added *added,
	    struct qbx_err *err)
{
	_cleanup_(cni_call_free) struct cni_call call = { 0 };
	_cleanup_(proc_output_free) struct proc_output o = { 0 };

	*added = (struct cni_added){ 0 };
	if (cni_prepare(chain, i, "ADD", prev, &call, err) < 0)
		return -1;
	if (run(&call, chain, &o, err) < 0) {
		added->refused = o.status > 0 && o.status < 128;
		return err_wrap(err, "CNI plugin %s: ADD failed", call.type);
	}
	added->ran_us = o.ran_us;
	added->result = json_parse(o.out ? o.out : "", o.out_len, "its result", err);
	if (!added->result || result_convert(added->result, chain->at->conf.version, err) < 0) {
		json_decref(take_ptr(added->result));
		err->code = EX_UNAVAILABLE;
		return err_wrap(err, "CNI plugin %s: ADD failed", call.type);
	}
	return 0;
}

/* A command whose answer is that it succeeded. */
static int tell(const struct chain *chain, size_t i, const char *command, const json_t *prev,
		struct qbx_err *err)
{
	_cleanup_(cni_call_free) struct cni_call call = { 0 };
	_cleanup_(proc_output_free) struct proc_output o = { 0 };

	if (cni_prepare(chain, i, command, prev, &call, err) < 0)
		return -1;
	if (run(&call, chain, &o, err) < 0)
		return err_wrap(err, "CNI plugin %s: %s failed", call.type, command);
	return 0;
}

int cni_del(const struct chain *chain, size_t i, const json_t *last, struct qbx_err *err)
{
	return tell(chain, i, "DEL", last, err);
}

int cni_check(const struct chain *chain, size_t i, struct qbx_err *err)
{
	return tell(chain, i, "CHECK", chain->at->result, err);
}

int cni_network(const struct conf *conf, size_t i, const char *command, const json_t *attachments,
		const char *bin_dir, int timeout_ms, struct qbx_err *err)
{
	const struct attachment at = { .conf = *conf };
	const struct chain chain = { .at = &at, .bin_dir = bin_dir, .timeout_ms = timeout_ms };

	return tell(&chain, i, command, attachments, err);
}

json_t *cni_version(const struct conf *conf, size_t i, const char *bin_dir, int timeout_ms,
		    struct qbx_err *err)
{
	const struct attachment at = { .conf = *conf };
	const struct chain chain = { .at = &at, .bin_dir = bin_dir, .timeout_ms = timeout_ms };
	_cleanup_(cni_call_free) struct cni_call call = { 0 };
	_cleanup_(proc_output_free) struct proc_output o = { 0 };
	json_t *answer = NULL;

	if (cni_prepare(&chain, i, "VERSION", NULL, &call, err) < 0)
		return NULL;
	/* Nothing of the configuration: this is about the plugin alone. */
	json_decref(call.input);
	call.input = json_pack("{s:s}", "cniVersion", conf->version);
	if (call.input && run(&call, &chain, &o, err) == 0) {
		answer = json_parse(o.out ? o.out : "", o.out_len, "its answer", err);
		err->code = answer ? 0 : EX_UNAVAILABLE;
	}
	if (!answer)
		err_wrap(err, "CNI plugin %s: VERSION failed", call.type);
	return answer;
}
