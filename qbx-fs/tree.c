/* SPDX-License-Identifier: Apache-2.0 */
/* tree.c - records of a tree: which ones may be acted on */
#include "tree.h"

#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

static int bad(struct qbx_err *err, const char *what)
{
	return err_code(err, EX_DATAERR, "what the container wrote cannot be read: %s", what);
}

/* The modes that each type of record may have. */
static bool mode_fits(const struct tree_head *h)
{
	uint32_t type = h->mode & S_IFMT;

	if (h->mode & ~(S_IFMT | 07777u))
		return false;
	switch (h->type) {
	case TREE_DIR:
		return type == S_IFDIR;
	case TREE_FILE:
		return type == S_IFREG;
	case TREE_SYMLINK:
		return type == S_IFLNK;
	case TREE_NODE:
		return type == S_IFCHR || type == S_IFBLK || type == S_IFIFO || type == S_IFSOCK;
	default:
		return h->mode == 0;
	}
}

int tree_check_head(const struct tree_head *h, struct qbx_err *err)
{
	bool has_data = h->type == TREE_SYMLINK || h->type == TREE_XATTR || h->type == TREE_DATA ||
			h->type == TREE_FAILED;
	bool has_name = (h->type >= TREE_DIR && h->type <= TREE_XATTR) && h->type != TREE_UP;

	if (h->type < TREE_DIR || h->type > TREE_FAILED)
		return bad(err, "a record of no type");
	if (!mode_fits(h) || h->mtime_ns > 999999999 || h->major > 0xfff || h->minor > 0xfffff)
		return bad(err, "a record that cannot be");
	if (h->name_len > (h->type == TREE_XATTR ? EXT4FS_XATTR_NAME_MAX - 1 : EXT4FS_NAME_MAX) ||
	    (h->name_len > 0 && !has_name))
		return bad(err, "a name of a wrong length");
	if (h->len > TREE_CHUNK_MAX || (h->len > 0 && !has_data))
		return bad(err, "data of a wrong length");
	if (h->size > INT64_MAX - TREE_CHUNK_MAX)
		return bad(err, "a size that cannot be");
	return 0;
}

static bool name_fits(const struct tree_record *r)
{
	const char *name = r->name;

	if (strlen(name) != r->h.name_len)
		return false;
	switch (r->h.type) {
	case TREE_DIR:
	case TREE_FILE:
	case TREE_SYMLINK:
	case TREE_NODE:
	case TREE_LINK:
		return !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
		       (name[0] || r->h.type == TREE_DIR);
	case TREE_XATTR:
		return name[0] != '\0';
	default:
		return true;
	}
}

int tree_check(const struct tree_record *r, struct qbx_err *err)
{
	if (tree_check_head(&r->h, err) < 0)
		return -1;
	if (!name_fits(r))
		return bad(err, "a name that cannot be");
	if (r->h.type == TREE_SYMLINK && (r->h.len == 0 || r->h.len >= EXT4FS_BLOCK ||
					  strlen((const char *)r->data) != r->h.len))
		return bad(err, "a symbolic link to nowhere");
	return 0;
}
