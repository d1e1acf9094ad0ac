/* SPDX-License-Identifier: Apache-2.0 */
/* conf.c - find a CNI network configuration and check it */
#include "conf.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "io.h"
#include "json.h"
#include "log.h"

#define CONF_FILE_MAX (1u << 20)
#define CONF_PLUGINS_MAX 32

/* Oldest first: of "cniVersions" the last one here that it names is taken. */
static const char *const versions[] = { "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0" };

static int known_version(const char *v)
{
	for (int i = 0; v && i < (int)ARRAY_SIZE(versions); i++)
		if (!strcmp(versions[i], v))
			return i;
	return -1;
}

/* The names of networks and plugins: what the specification allows, which is never a path. */
static bool plain_name(const char *s)
{
	if (!s || !isalnum((unsigned char)s[0]))
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("._-", *s))
			return false;
	return true;
}

bool conf_knows(const char *version)
{
	return known_version(version) >= 0;
}

unsigned conf_version_bit(const char *version)
{
	int k = known_version(version);

	return k < 0 ? 0 : 1u << k;
}

void conf_speak(struct conf *conf, unsigned set)
{
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++)
		if (set & 1u << i)
			conf->version = versions[i];
}

bool conf_says(const struct conf *conf, const char *flag)
{
	const json_t *j = json_object_get(conf->list, flag);
	const char *text = json_string_value(j);

	return json_is_true(j) || (text && !strcasecmp(text, "true"));
}

/* What "cniVersion" and, since 1.1.0, "cniVersions" allow. */
static int choose_version(struct conf *conf, struct qbx_err *err)
{
	json_t *said = json_object_get(conf->list, "cniVersion"), *v;
	size_t i;

	conf->versions = conf_version_bit(json_string_value(said));
	json_array_foreach (json_object_get(conf->list, "cniVersions"), i, v)
		conf->versions |= conf_version_bit(json_string_value(v));
	if (!conf->versions) {
		err_code(err, EX_CONFIG, "%s: \"cniVersion\" %s is none that is spoken here",
			 conf->path, json_is_string(said) ? json_string_value(said) : "(missing)");
		return err_hint(err, "set it to one of %s to %s", versions[0],
				versions[ARRAY_SIZE(versions) - 1]);
	}
	conf_speak(conf, conf->versions);
	return 0;
}

/* A file with one plugin's configuration is a list of one. */
static json_t *as_list(json_t *j)
{
	json_t *version = json_object_get(j, "cniVersion"), *name = json_object_get(j, "name");
	json_t *list;

	if (json_object_get(j, "plugins") || !json_object_get(j, "type"))
		return j;
	list = json_pack("{s:O*, s:O*, s:[O]}", "cniVersion", version, "name", name, "plugins", j);
	json_decref(j);
	return list;
}

/* Its type, and that of what it gets addresses from, if it says one. */
static int check_plugin(const struct conf *conf, size_t i, struct qbx_err *err)
{
	const char *ipam = conf_ipam(conf, i);

	if (!plain_name(conf_type(conf, i)))
		return err_code(err, EX_CONFIG, "%s: plugin %zu has no \"type\" that CNI allows",
				conf->path, i + 1);
	if (ipam && !plain_name(ipam))
		return err_code(err, EX_CONFIG,
				"%s: the \"ipam\" of plugin %zu has no \"type\" that CNI allows",
				conf->path, i + 1);
	return 0;
}

static int check_list(struct conf *conf, struct qbx_err *err)
{
	json_t *plugins = json_object_get(conf->list, "plugins");

	conf->name = json_string_value(json_object_get(conf->list, "name"));
	if (!plain_name(conf->name))
		return err_code(err, EX_CONFIG, "%s: the network has no \"name\" that CNI allows",
				conf->path);
	if (json_array_size(plugins) == 0 || json_array_size(plugins) > CONF_PLUGINS_MAX)
		return err_code(err, EX_CONFIG, "%s: \"plugins\" must be an array of 1 to %d",
				conf->path, CONF_PLUGINS_MAX);
	for (size_t i = 0; i < conf_count(conf); i++)
		if (check_plugin(conf, i, err) < 0)
			return -1;
	return choose_version(conf, err);
}

int conf_take(struct conf *conf, json_t *j, const char *path, struct qbx_err *err)
{
	memset(conf, 0, sizeof(*conf));
	snprintf(conf->path, sizeof(conf->path), "%s", path);
	conf->list = as_list(j);
	if (!conf->list)
		return err_sys(err, ENOMEM, "%s", path);
	if (check_list(conf, err) < 0) {
		conf_free(conf);
		return -1;
	}
	return 0;
}

void conf_free(struct conf *conf)
{
	json_decref(conf->list);
	memset(conf, 0, sizeof(*conf));
}

size_t conf_count(const struct conf *conf)
{
	return json_array_size(json_object_get(conf->list, "plugins"));
}

const char *conf_type(const struct conf *conf, size_t i)
{
	json_t *plugins = json_object_get(conf->list, "plugins");

	return json_string_value(json_object_get(json_array_get(plugins, i), "type"));
}

const char *conf_ipam(const struct conf *conf, size_t i)
{
	json_t *plugins = json_object_get(conf->list, "plugins");
	json_t *ipam = json_object_get(json_array_get(plugins, i), "ipam");
	const char *type = json_string_value(json_object_get(ipam, "type"));

	return type && type[0] ? type : NULL;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_plugin_conf(const struct dirent *e)
{
	const char *dot = strrchr(e->d_name, '.');

	return dot && !strcmp(dot, ".conf");
}

static int add_plugin(json_t *list, const char *dir, const char *file, struct qbx_err *err)
{
	json_t *plugins = json_object_get(list, "plugins"), *plugin;
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s", dir, file) >= (int)sizeof(path))
		return err_sys(err, ENAMETOOLONG, "open %s", file);
	plugin = json_read_file(AT_FDCWD, path, err);
	if (!plugin) {
		err->code = EX_CONFIG;
		return -1;
	}
	if (json_array_append_new(plugins, plugin) < 0)
		return err_code(err, EX_CONFIG, "%s: its list of plugins is none", path);
	return 0;
}

/*
 * Since 1.1.0 a list is continued by the files *.conf in NAME/ beside it, by name, unless it says
 * "loadOnlyInlinedPlugins".
 */
static int add_folder(json_t *list, const char *dir, struct qbx_err *err)
{
	const char *name = json_string_value(json_object_get(list, "name"));
	const struct conf asked = { .list = list };
	char path[PATH_MAX];
	struct dirent **files;
	int n, rc = 0;

	if (json_object_get(list, "type") || !plain_name(name) ||
	    conf_says(&asked, "loadOnlyInlinedPlugins") ||
	    snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return 0;
	n = scandir(path, &files, is_plugin_conf, by_name);
	if (n < 0)
		return errno == ENOENT || errno == ENOTDIR
			       ? 0
			       : err_sys(err, errno, "look for plugins in %s", path);
	if (n > 0 && !json_object_get(list, "plugins"))
		json_object_set_new(list, "plugins", json_array());
	for (int i = 0; i < n; i++) {
		if (rc == 0)
			rc = add_plugin(list, path, files[i]->d_name, err);
		free(files[i]);
	}
	free(files);
	return rc;
}

static int conf_load(struct conf *conf, const char *dir, const char *file, struct qbx_err *err)
{
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX];
	size_t len;
	json_t *j;

	if (snprintf(path, sizeof(path), "%s/%s", dir, file) >= (int)sizeof(path))
		return err_sys(err, ENAMETOOLONG, "open %s", file);
	if (io_read_file(AT_FDCWD, path, CONF_FILE_MAX, &text, &len, err) < 0)
		return -1;
	j = json_parse(text, len, path, err);
	if (!j) {
		err->code = EX_CONFIG;
		return -1;
	}
	if (add_folder(j, dir, err) < 0) {
		json_decref(j);
		return -1;
	}
	return conf_take(conf, j, path, err);
}

static int is_conf(const struct dirent *e)
{
	static const char *const ends[] = { ".conf", ".conflist", ".json" };
	const char *dot = strrchr(e->d_name, '.');

	for (size_t i = 0; dot && i < ARRAY_SIZE(ends); i++)
		if (!strcmp(dot, ends[i]))
			return 1;
	return 0;
}

/* A broken file that is in the way of a network by name is passed over, aloud. */
static int conf_search(const char *dir, struct dirent **files, int n, const char *name,
		       struct conf *conf, struct qbx_err *err)
{
	for (int i = 0; i < n; i++) {
		struct qbx_err broken = { 0 };

		if (conf_load(conf, dir, files[i]->d_name, &broken) < 0) {
			log_warn("%s", broken.msg);
			continue;
		}
		if (!strcmp(conf->name, name))
			return 0;
		conf_free(conf);
	}
	err_code(err, EX_CONFIG, "no CNI network \"%s\" in %s", name, dir);
	return err_hint(err, "see cni_network in qemubox.conf(5)");
}

int conf_find(const struct config *cfg, const char *name, struct conf *conf, struct qbx_err *err)
{
	const char *dir = cfg->cni_conf_dir;
	struct dirent **files;
	int n = scandir(dir, &files, is_conf, by_name), rc;

	memset(conf, 0, sizeof(*conf));
	if (n < 0 && errno != ENOENT)
		return err_sys(err, errno, "look for CNI configurations in %s", dir);
	if (name)
		rc = conf_search(dir, files, n, name, conf, err);
	else
		rc = n > 0 ? conf_load(conf, dir, files[0]->d_name, err) : 0;
	for (int i = 0; i < n; i++)
		free(files[i]);
	if (n >= 0)
		free(files);
	return rc;
}
