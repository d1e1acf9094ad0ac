/* SPDX-License-Identifier: Apache-2.0 */
/* config.c - where things are */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>

#include "json.h"

#define CONFIG_FILE "/etc/qemubox/config.json"

/* One row a setting: its key in the file, its variable, its default, where it goes. */
static const struct setting {
	const char *key, *env, *fallback;
	size_t offset;
} settings[] = {
	{ "share_dir", "QEMUBOX_SHARE_DIR", "/usr/share/qemubox", offsetof(struct config, share_dir) },
	{ "run_dir", "QEMUBOX_RUN_DIR", "/run/qemubox", offsetof(struct config, run_dir) },
	{ "state_dir", "QEMUBOX_STATE_DIR", "/var/lib/qemubox", offsetof(struct config, state_dir) },
	{ "log_dir", "QEMUBOX_LOG_DIR", "/var/log/qemubox", offsetof(struct config, log_dir) },
	{ "qemu_path", "QEMUBOX_QEMU_PATH", NULL, offsetof(struct config, qemu_path) },
	{ "cni_conf_dir", "QEMUBOX_CNI_CONF_DIR", "/etc/cni/net.d",
	  offsetof(struct config, cni_conf_dir) },
	{ "cni_bin_dir", "QEMUBOX_CNI_BIN_DIR", "/opt/cni/bin:/usr/lib/cni",
	  offsetof(struct config, cni_bin_dir) },
	{ "cni_network", "QEMUBOX_CNI_NETWORK", NULL, offsetof(struct config, cni_network) },
	{ "accel", "QEMUBOX_ACCEL", "kvm", offsetof(struct config, accel) },
	{ "vsock", "QEMUBOX_VSOCK", "auto", offsetof(struct config, vsock) },
};

static const char **slot(struct config *cfg, const struct setting *s)
{
	return (const char **)((char *)cfg + s->offset);
}

static int take_file(struct config *cfg, const char *path, struct qbx_err *err)
{
	const char *key;
	json_t *value;

	json_object_foreach(cfg->file, key, value) {
		const struct setting *found = NULL;

		for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
			if (!strcmp(settings[i].key, key))
				found = &settings[i];
		if (!found)
			return err_code(err, EX_CONFIG, "%s: unknown key \"%s\"", path, key);
		if (!json_is_string(value))
			return err_code(err, EX_CONFIG, "%s: \"%s\" must be a string", path, key);
		*slot(cfg, found) = json_string_value(value);
	}
	return 0;
}

/* @value must be one of the three words; @what names its source. */
static int check_choice(const char *what, const char *value, const char *a, const char *b,
			const char *c, struct qbx_err *err)
{
	if (!strcmp(value, a) || !strcmp(value, b) || !strcmp(value, c))
		return 0;
	return err_code(err, EX_CONFIG, "%s: \"%s\" is none of %s, %s, %s", what, value, a, b, c);
}

int config_load(struct config *cfg, struct qbx_err *err)
{
	const char *path = getenv("QEMUBOX_CONFIG");
	const char *debug = getenv("QEMUBOX_SHIM_DEBUG");

	memset(cfg, 0, sizeof(*cfg));
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		*slot(cfg, &settings[i]) = settings[i].fallback;
	cfg->file = json_read_file(AT_FDCWD, path ? path : CONFIG_FILE, err);
	if (!cfg->file && (path || err->sys != ENOENT)) {
		err->code = EX_CONFIG;
		return -1;
	}
	err_forget(err);
	if (cfg->file && take_file(cfg, path ? path : CONFIG_FILE, err) < 0) {
		config_free(cfg);
		return -1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		const char *value = getenv(settings[i].env);

		if (value && value[0])
			*slot(cfg, &settings[i]) = value;
	}
	cfg->debug = debug && debug[0] && strcmp(debug, "0") && strcmp(debug, "false");
	if (check_choice("accel", cfg->accel, "kvm", "tcg", "auto", err) < 0 ||
	    check_choice("vsock", cfg->vsock, "auto", "vhost-vsock", "vhost-user", err) < 0) {
		config_free(cfg);
		return -1;
	}
	return 0;
}

void config_free(struct config *cfg)
{
	json_decref(cfg->file);
	cfg->file = NULL;
}
