/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upper.c - an ext4 image that comes with a root file system, to have what is written
 *
 * From containerd 2.2 on a snapshotter may hand one over as a mount before the last, whose upper directory
 * is then "upper" in it, with overlayfs's own "work" beside that.
 */
#include <errno.h>
#include <string.h>

#include "fs.h"
#include "template.h"

/* "{{ mount N }}/NAME", of an ext4 image. Return: 1 with @index; 0 if @text is no template; or -1. */
static int take_ext4(const struct rootfs *r, const char *text, const char *name, unsigned *index,
		     struct qbx_err *err)
{
	const char *rest = text;
	struct template t;
	int ret = template_take(&rest, &t, err);

	if (ret <= 0)
		return ret < 0 ? err_wrap(err, "rootfs") : 0;
	if (t.first != t.last || t.first + 1 >= r->n || strcmp(r->v[t.first].type, "ext4") != 0 ||
	    strcmp(rest, name) != 0)
		return err_code(err, EX_DATAERR, "rootfs: \"%.80s\": not %s in an ext4 before it",
				text, name + 1);
	*index = t.first;
	return 1;
}

/* What the directory @text is to be, where an option says so. */
static int take_owner(struct upper *u, const struct rootfs_mount *m, const char *text,
		      struct qbx_err *err)
{
	struct template_mkdir d;

	for (const char **o = m->options; *o; o++) {
		int r = template_mkdir(*o, &d, err);

		if (r < 0)
			return err_wrap(err, "rootfs");
		if (r == 0 || d.path_len != strlen(text) || memcmp(d.path, text, d.path_len) != 0)
			continue;
		u->owner = (struct dir_owner){ .mode = d.mode, .uid = d.uid, .gid = d.gid };
	}
	return 0;
}

static int take_upper(struct upper *u, const struct rootfs *r, const char *text, bool format,
		      struct qbx_err *err)
{
	const struct rootfs_mount *m = &r->v[r->n - 1];
	int ret = format ? take_ext4(r, text, "/upper", &u->index, err) : 0;

	if (ret <= 0) /* a directory of the host's is writable.c's */
		return ret;
	u->image = r->v[u->index].source;
	u->owner = (struct dir_owner){ .mode = 0755 };
	if (u->image[0] != '/')
		return err_code(err, EX_DATAERR, "rootfs: source \"%s\" is not an absolute path",
				u->image);
	return take_owner(u, m, text, err);
}

static int check_work(const struct upper *u, const struct rootfs *r, const char *text,
		      struct qbx_err *err)
{
	unsigned index = 0;
	int ret = take_ext4(r, text, "/work", &index, err);

	if (ret < 0)
		return -1;
	if (ret != (u->image != NULL) || (ret && index != u->index))
		return err_code(err, EX_DATAERR,
				"rootfs: workdir \"%.80s\" is not where upperdir is", text);
	return 0;
}

int upper_find(struct upper *u, const struct rootfs *r, struct qbx_err *err)
{
	const struct rootfs_mount *m = &r->v[r->n - 1];
	bool format;
	const char *type = rootfs_type(m->type, &format);

	if (!strcmp(type, "bind") && format) {
		u->alone = true;
		return take_upper(u, r, m->source, format, err);
	}
	if (strcmp(type, "overlay") != 0)
		return 0;
	for (const char **o = m->options; *o; o++)
		if (!strncmp(*o, "upperdir=", 9) && take_upper(u, r, *o + 9, format, err) < 0)
			return -1;
	for (const char **o = m->options; *o; o++)
		if (!strncmp(*o, "workdir=", 8) && format && check_work(u, r, *o + 8, err) < 0)
			return -1;
	return 0;
}
