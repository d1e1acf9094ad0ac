/* SPDX-License-Identifier: Apache-2.0 */
/* config.c - where things are */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

#define CONFIG_FILE "/etc/qemubox/config.json"

/* One row a setting: its key in the file, its variable, its default, where it goes. */
static const struct setting {
	const char *key, *env, *fallback;
	size_t offset;
} settings[] = {
	{ "share_dir", "QEMUBOX_SHARE_DIR", "/usr/share/qemubox",
	  offsetof(struct config, share_dir) },
	{ "run_dir", "QEMUBOX_RUN_DIR", "/run/qemubox", offsetof(struct config, run_dir) },
	{ "state_dir", "QEMUBOX_STATE_DIR", "/var/lib/qemubox",
	  offsetof(struct config, state_dir) },
	{ "log_dir", "QEMUBOX_LOG_DIR", "/var/log/qemubox", offsetof(struct config, log_dir) },
	{ "qemu_path", "QEMUBOX_QEMU_PATH", NULL, offsetof(struct config, qemu_path) },
	{ "cni_conf_dir", "QEMUBOX_CNI_CONF_DIR", "/etc/cni/net.d",
	  offsetof(struct config, cni_conf_dir) },
	{ "cni_bin_dir", "QEMUBOX_CNI_BIN_DIR", "/opt/cni/bin:/usr/lib/cni",
	  offsetof(struct config, cni_bin_dir) },
	{ "cni_cache_dir", "QEMUBOX_CNI_CACHE_DIR", "/var/lib/cni",
	  offsetof(struct config, cni_cache_dir) },
	{ "cni_network", "QEMUBOX_CNI_NETWORK", NULL, offsetof(struct config, cni_network) },
	{ "accel", "QEMUBOX_ACCEL", "kvm", offsetof(struct config, accel) },
	{ "vsock", "QEMUBOX_VSOCK", "auto", offsetof(struct config, vsock) },
	{ "machine", "QEMUBOX_MACHINE", "microvm", offsetof(struct config, machine) },
	{ "relax", "QEMUBOX_RELAX", "", offsetof(struct config, relax) },
	{ "writable", "QEMUBOX_WRITABLE", "disk", offsetof(struct config, writable) },
};

/* The same of whole numbers, with their bounds. */
static const struct number {
	const char *key, *env;
	unsigned fallback, min, max;
	size_t offset;
} numbers[] = {
	{ "vcpus_max", "QEMUBOX_VCPUS_MAX", 0, 0, 64, offsetof(struct config, vcpus_max) },
	{ "memory_mib", "QEMUBOX_MEMORY_MIB", 512, 128, 1u << 20,
	  offsetof(struct config, memory_mib) },
	{ "memory_max_mib", "QEMUBOX_MEMORY_MAX_MIB", 0, 0, 1u << 20,
	  offsetof(struct config, memory_max_mib) },
	{ "uid_first", "QEMUBOX_UID_FIRST", 1879048192, 1000, 4000000000,
	  offsetof(struct config, uid_first) },
	{ "uid_count", "QEMUBOX_UID_COUNT", 65536, 1, 1u << 20,
	  offsetof(struct config, uid_count) },
	{ "console_max_kib", "QEMUBOX_CONSOLE_MAX_KIB", 256, 16, 1u << 20,
	  offsetof(struct config, console_max_kib) },
	{ "writable_mib", "QEMUBOX_WRITABLE_MIB", 10240, CONFIG_WRITABLE_MIN_MIB,
	  CONFIG_WRITABLE_MAX_MIB, offsetof(struct config, writable_mib) },
};

static const char **slot(struct config *cfg, const struct setting *s)
{
	return (const char **)((char *)cfg + s->offset);
}

static unsigned *number_slot(struct config *cfg, const struct number *n)
{
	return (unsigned *)((char *)cfg + n->offset);
}

static int set_number(struct config *cfg, const struct number *n, const char *what,
		      json_int_t value, struct qbx_err *err)
{
	if (value < n->min || value > n->max)
		return err_code(err, EX_CONFIG,
				"%s: %" JSON_INTEGER_FORMAT " is not between %u and %u", what,
				value, n->min, n->max);
	*number_slot(cfg, n) = (unsigned)value;
	return 0;
}

/* Return: 0 (also if there is no such number), or -1 with @err. */
static int take_number(struct config *cfg, const char *path, const char *key, const json_t *value,
		       bool *found, struct qbx_err *err)
{
	char what[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		if (strcmp(numbers[i].key, key) != 0)
			continue;
		*found = true;
		if (!json_is_integer(value))
			return err_code(err, EX_CONFIG, "%s: \"%s\" must be a whole number", path,
					key);
		snprintf(what, sizeof(what), "%s: \"%s\"", path, key);
		return set_number(cfg, &numbers[i], what, json_integer_value(value), err);
	}
	return 0;
}

static int take_string(struct config *cfg, const char *path, const char *key, const json_t *value,
		       bool *found, struct qbx_err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		if (strcmp(settings[i].key, key) != 0)
			continue;
		*found = true;
		if (!json_is_string(value))
			return err_code(err, EX_CONFIG, "%s: \"%s\" must be a string", path, key);
		*slot(cfg, &settings[i]) = json_string_value(value);
	}
	return 0;
}

static int take_file(struct config *cfg, const char *path, struct qbx_err *err)
{
	const char *key;
	json_t *value;

	json_object_foreach (cfg->file, key, value) {
		bool found = false;

		if (take_string(cfg, path, key, value, &found, err) < 0 ||
		    take_number(cfg, path, key, value, &found, err) < 0)
			return -1;
		if (!found)
			return err_code(err, EX_CONFIG, "%s: unknown key \"%s\"", path, key);
	}
	return 0;
}

static int take_environment(struct config *cfg, struct qbx_err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		const char *value = getenv(settings[i].env);

		if (value && value[0])
			*slot(cfg, &settings[i]) = value;
	}
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		const char *value = getenv(numbers[i].env);
		long long n;
		char *end;

		if (!value || !value[0])
			continue;
		errno = 0;
		n = strtoll(value, &end, 10);
		if (errno || *end)
			return err_code(err, EX_CONFIG, "%s: \"%s\" is not a whole number",
					numbers[i].env, value);
		if (set_number(cfg, &numbers[i], numbers[i].env, n, err) < 0)
			return -1;
	}
	return 0;
}

/* @value must be one of @words, which are separated by ", "; @what names its source. */
static int check_choice(const char *what, const char *value, const char *words, struct qbx_err *err)
{
	size_t len = strlen(value);

	for (const char *p = words; *p; p += strcspn(p, " "), p += strspn(p, " "))
		if (len > 0 && strcspn(p, ", ") == len && !strncmp(p, value, len))
			return 0;
	return err_code(err, EX_CONFIG, "%s: \"%s\" is none of %s", what, value, words);
}

/* The same of a list of words, separated by commas. */
static int check_choices(const char *what, const char *list, const char *words, struct qbx_err *err)
{
	char word[32];

	for (const char *p = list; *p; p += strspn(p, ", ")) {
		size_t len = strcspn(p, ", ");

		snprintf(word, sizeof(word), "%.*s", (int)len, p);
		if (check_choice(what, word, words, err) < 0)
			return -1;
		p += len;
	}
	return 0;
}

int config_load(struct config *cfg, struct qbx_err *err)
{
	const char *path = getenv("QEMUBOX_CONFIG");
	const char *debug = getenv("QEMUBOX_SHIM_DEBUG");

	memset(cfg, 0, sizeof(*cfg));
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		*slot(cfg, &settings[i]) = settings[i].fallback;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		*number_slot(cfg, &numbers[i]) = numbers[i].fallback;
	cfg->file = json_read_file(AT_FDCWD, path ? path : CONFIG_FILE, err);
	if (!cfg->file && (path || err->sys != ENOENT)) {
		err->code = EX_CONFIG;
		return -1;
	}
	err_forget(err);
	cfg->debug = debug && debug[0] && strcmp(debug, "0") && strcmp(debug, "false");
	if ((!cfg->file || take_file(cfg, path ? path : CONFIG_FILE, err) == 0) &&
	    take_environment(cfg, err) == 0 &&
	    check_choice("accel", cfg->accel, "kvm, tcg, auto", err) == 0 &&
	    check_choice("vsock", cfg->vsock, "auto, vhost-vsock, vhost-user", err) == 0 &&
	    check_choice("machine", cfg->machine, "microvm, q35", err) == 0 &&
	    check_choice("writable", cfg->writable, "disk, tmpfs", err) == 0 &&
	    check_choices("relax", cfg->relax, "uid, mounts, cgroup, seccomp", err) == 0)
		return 0;
	config_free(cfg);
	return -1;
}

void config_free(struct config *cfg)
{
	json_decref(cfg->file);
	cfg->file = NULL;
}
