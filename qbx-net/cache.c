/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache.c - what other CNI runtimes look attachments up in
 *
 * One file an attachment below cni_cache_dir, results/NETWORK-CONTAINER-IFNAME. Source of the format:
 * "cniCacheV1" in libcni/api.go of the CNI project. Whoever collects a network's garbage takes what
 * has no entry for dead, so an attachment without its entry is none. Undoing goes by the lease and does
 * without.
 *
 * As libcni does it, an entry is not written beside and renamed: its readers pass over what does not
 * parse, but would take a temporary file for one more.
 */
#include "cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "conf.h"
#include "io.h"
#include "json.h"
#include "networks.h"
#include "step.h"

#define KIND "cniCacheV1"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* RFC 4648, section 4. Return: malloc'ed text, or NULL without memory. */
static char *base64_encode(const char *text, size_t len)
{
	const unsigned char *in = (const unsigned char *)text;
	char *out = calloc((len + 2) / 3 + 1, 4), *o = out;

	if (!out)
		return NULL;
	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		unsigned v = (unsigned)in[i] << 16;

		if (n > 1)
			v |= (unsigned)in[i + 1] << 8;
		if (n > 2)
			v |= in[i + 2];
		*o++ = digits[v >> 18];
		*o++ = digits[v >> 12 & 63];
		*o++ = n > 1 ? digits[v >> 6 & 63] : '=';
		*o++ = n > 2 ? digits[v & 63] : '=';
	}
	*o = '\0';
	return out;
}

/* Return: malloc'ed text with a NUL after it, or NULL if it is none or there is no memory. */
static char *base64_decode(const char *text, size_t *len)
{
	size_t n = strlen(text), pad = 0;
	_cleanup_free_ char *out = n % 4 ? NULL : malloc(n / 4 * 3 + 1);
	unsigned v = 0;

	while (pad < 2 && pad < n && text[n - 1 - pad] == '=')
		pad++;
	if (!out)
		return NULL;
	*len = 0;
	for (size_t i = 0; i < n; i++) {
		const char *digit = i < n - pad ? strchr(digits, text[i]) : digits;

		if (!digit)
			return NULL;
		v = v << 6 | (unsigned)(digit - digits);
		if (i % 4 != 3)
			continue;
		out[(*len)++] = (char)(v >> 16 & 0xff);
		out[(*len)++] = (char)(v >> 8 & 0xff);
		out[(*len)++] = (char)(v & 0xff);
	}
	*len -= pad;
	out[*len] = '\0';
	return take_ptr(out);
}

static int entry_path(const struct config *cfg, const char *key, const struct attachment *at,
		      char path[PATH_MAX], struct qbx_err *err)
{
	if (snprintf(path, PATH_MAX, "%s/results/%s-%s-%s", cfg->cni_cache_dir, at->conf.name, key,
		     at->ifname) >= PATH_MAX)
		return err_sys(err, ENAMETOOLONG, "CNI cache entry of %s", key);
	return 0;
}

static json_t *args_pairs(const json_t *args)
{
	json_t *pairs, *value;
	const char *key;

	if (json_object_size(args) == 0)
		return NULL;
	pairs = json_array();
	json_object_foreach ((json_t *)args, key, value)
		json_array_append_new(pairs, json_pack("[s, O]", key, value));
	return pairs;
}

static json_t *entry_of(const char *key, const char *netns, const struct attachment *at)
{
	_cleanup_free_ char *conf = json_dumps(at->conf.list, JSON_COMPACT);
	_cleanup_free_ char *config = conf ? base64_encode(conf, strlen(conf)) : NULL;

	if (!config)
		return NULL;
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o*, s:O*, s:O*}", "kind", KIND,
			 "containerId", key, "config", config, "ifName", at->ifname, "networkName",
			 at->conf.name, "netns", netns, "cniArgs", args_pairs(at->args),
			 "capabilityArgs", json_object_size(at->caps) ? at->caps : NULL, "result",
			 at->result);
}

static int open_entry(const struct config *cfg, const char *path, struct qbx_err *err)
{
	const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC;
	char dir[PATH_MAX];
	int fd = open(path, flags, 0600);

	if (fd < 0 && errno == ENOENT) {
		snprintf(dir, sizeof(dir), "%s/results", cfg->cni_cache_dir);
		if (io_mkdirs(dir, 0700, err) < 0)
			return -1;
		fd = open(path, flags, 0600);
	}
	return fd < 0 ? err_sys(err, errno, "create %s", path) : fd;
}

int cache_write(const struct config *cfg, const char *key, const char *netns,
		const struct attachment *at, struct qbx_err *err)
{
	json_auto_t *entry = entry_of(key, netns, at);
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];

	if (!entry)
		return err_sys(err, ENOMEM, "CNI cache entry of %s", key);
	if (entry_path(cfg, key, at, path, err) < 0)
		return -1;
	fd = open_entry(cfg, path, err);
	if (fd < 0)
		return err_hint(err, "cni_cache_dir of qemubox.conf(5) is where");
	step("cache-file", path);
	if (json_write_fd(fd, entry, path, err) < 0)
		return -1;
	step("cache", path);
	return 0;
}

int cache_remove(const struct config *cfg, const char *key, const struct attachment *at,
		 struct qbx_err *err)
{
	char path[PATH_MAX];

	if (entry_path(cfg, key, at, path, err) < 0)
		return -1;
	if (unlink(path) < 0 && errno != ENOENT && errno != ENOTDIR)
		return err_sys(err, errno, "remove %s", path);
	step("cache-removed", path);
	return 0;
}

json_t *cache_parse(const char *text, size_t len)
{
	json_auto_t *entry = json_loadb(text, len, 0, NULL);
	static const char *const wanted[] = { "containerId", "networkName", "ifName" };
	const char *kind = json_string_value(json_object_get(entry, "kind"));

	if (!kind || strcmp(kind, KIND) != 0)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		const char *s = json_string_value(json_object_get(entry, wanted[i]));

		if (!s || !s[0])
			return NULL;
	}
	return take_ptr(entry);
}

static json_t *read_entry(int dirfd, const char *name)
{
	_cleanup_free_ char *text = NULL;
	struct qbx_err ignored = { 0 };
	size_t len;

	if (io_read_file(dirfd, name, JSON_FILE_MAX, &text, &len, &ignored) < 0)
		return NULL;
	return cache_parse(text, len);
}

json_t *cache_read(const struct config *cfg, struct qbx_err *err)
{
	json_auto_t *all = json_array();
	_cleanup_close_ int dir = -1;
	struct dirent **names;
	char path[PATH_MAX];
	int n;

	snprintf(path, sizeof(path), "%s/results", cfg->cni_cache_dir);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	n = dir < 0 ? -1 : scandirat(dir, ".", &names, NULL, alphasort);
	if (n < 0 && errno == ENOENT)
		return take_ptr(all);
	if (n < 0) {
		err_sys(err, errno, "list %s", path);
		return NULL;
	}
	for (int i = 0; i < n; i++) {
		json_t *entry = read_entry(dir, names[i]->d_name);

		if (entry)
			json_array_append_new(all, entry);
		free(names[i]);
	}
	free(names);
	return take_ptr(all);
}

static int take_pairs(struct attachment *at, const json_t *pairs)
{
	json_t *pair;
	size_t i;

	if (!pairs)
		return 0;
	at->args = json_object();
	json_array_foreach ((json_t *)pairs, i, pair) {
		const char *key = json_string_value(json_array_get(pair, 0));
		json_t *value = json_array_get(pair, 1);

		if (!key || !json_is_string(value) || json_object_set(at->args, key, value) < 0)
			return -1;
	}
	return 0;
}

int cache_attachment(const json_t *entry, struct attachment *at)
{
	const char *config = json_string_value(json_object_get(entry, "config"));
	const char *ifname = json_string_value(json_object_get(entry, "ifName"));
	json_t *caps = json_object_get(entry, "capabilityArgs"), *list;
	_cleanup_free_ char *text = NULL;
	struct qbx_err ignored = { 0 };
	const char *version;
	size_t len = 0;

	memset(at, 0, sizeof(*at));
	text = config && ifname && strlen(ifname) < IFNAMSIZ ? base64_decode(config, &len) : NULL;
	list = text ? json_parse(text, len, "config", &ignored) : NULL;
	if (!list || conf_take(&at->conf, list, "the CNI cache", &ignored) < 0)
		return -1;
	snprintf(at->ifname, sizeof(at->ifname), "%s", ifname);
	snprintf(at->name, sizeof(at->name), "%s", ifname);
	at->caps = json_is_object(caps) ? json_incref(caps) : NULL;
	at->result = json_incref(json_object_get(entry, "result"));
	at->started = conf_count(&at->conf);
	version = json_string_value(json_object_get(at->result, "cniVersion"));
	if (conf_knows(version))
		conf_speak(&at->conf, conf_version_bit(version));
	if (take_pairs(at, json_object_get(entry, "cniArgs")) == 0)
		return 0;
	attachment_free(at);
	return -1;
}
