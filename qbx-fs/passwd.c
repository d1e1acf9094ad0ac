/* SPDX-License-Identifier: Apache-2.0 */
/* passwd.c - who is "USER[:GROUP]", by a container's own passwd and group files */
#include "passwd.h"

#include <string.h>

#define FIELDS 7	   /* of a passwd line; group has four */
#define ID_MAX 0xfffffffeu /* the one above means "no change" to the kernel */

/* A piece of a text that is not changed. */
struct slice {
	const char *p;
	size_t len;
};

static int slice_is(struct slice s, struct slice t)
{
	return s.len == t.len && !memcmp(s.p, t.p, s.len);
}

/* All of @s as a decimal id. Return: 1, or 0 if it is something else. */
static int to_id(struct slice s, uint32_t *id)
{
	uint64_t n = 0;

	if (s.len == 0 || s.len > 10)
		return 0;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return 0;
		n = n * 10 + (uint64_t)(s.p[i] - '0');
	}
	*id = (uint32_t)n;
	return n <= ID_MAX;
}

/* The next piece of @rest up to @end; 0 when there is none. */
static int cut(struct slice *rest, char end, struct slice *piece)
{
	const char *e;

	if (!rest->p)
		return 0;
	e = memchr(rest->p, end, rest->len);
	*piece = (struct slice){ rest->p, e ? (size_t)(e - rest->p) : rest->len };
	if (e)
		*rest = (struct slice){ e + 1, rest->len - piece->len - 1 };
	else
		*rest = (struct slice){ NULL, 0 };
	return 1;
}

static size_t split(struct slice line, struct slice f[FIELDS])
{
	size_t n = 0;

	while (n < FIELDS && cut(&line, ':', &f[n]))
		n++;
	return n;
}

/* The first line of @text whose name, or else id (3rd field), is @who. */
static int look_up(const char *text, struct slice who, struct slice f[FIELDS])
{
	struct slice rest = { text, strlen(text) }, line;
	uint32_t want = 0, id;
	int numeric = to_id(who, &want);

	while (cut(&rest, '\n', &line))
		if (split(line, f) >= 4 && slice_is(f[0], who))
			return 1;
	rest = (struct slice){ text, strlen(text) };
	while (numeric && cut(&rest, '\n', &line))
		if (split(line, f) >= 4 && to_id(f[2], &id) && id == want)
			return 1;
	return 0;
}

/* The groups that have @name among their members. */
static int add_groups(const char *text, struct slice name, struct passwd_user *u,
		      struct qbx_err *err)
{
	struct slice rest = { text, strlen(text) }, line, f[FIELDS], member;
	uint32_t gid;

	while (cut(&rest, '\n', &line)) {
		if (split(line, f) < 4 || !to_id(f[2], &gid))
			continue;
		while (cut(&f[3], ',', &member)) {
			if (!slice_is(member, name))
				continue;
			if (u->ngroups >= PASSWD_GROUPS_MAX)
				return err_code(err, EX_DATAERR,
						"the image's user is in more than %u groups",
						PASSWD_GROUPS_MAX);
			u->groups[u->ngroups++] = gid;
			break;
		}
	}
	return 0;
}

static int unknown(const char *what, struct slice who, struct qbx_err *err)
{
	err_code(err, EX_DATAERR, "the image's %s \"%.*s\" is not in its /etc/%s", what,
		 (int)(who.len < 80 ? who.len : 80), who.p,
		 strcmp(what, "user") ? "group" : "passwd");
	return err_hint(err, "give the %s as a number", what);
}

int passwd_needed(const char *spec)
{
	struct slice group = { spec, strlen(spec) }, user = { 0 };
	uint32_t id;

	if (!*spec)
		return 0;
	cut(&group, ':', &user);
	return !group.p || !to_id(user, &id) || !to_id(group, &id);
}

int passwd_resolve(const char *spec, const char *passwd, const char *group, struct passwd_user *u,
		   struct qbx_err *err)
{
	struct slice grp = { spec, strlen(spec) }, user = { 0 }, f[FIELDS];
	int found;

	memset(u, 0, sizeof(*u));
	if (!*spec)
		return 0;
	if (!passwd_needed(spec)) /* two numbers mean themselves, whatever the files say */
		passwd = group = "";
	cut(&grp, ':', &user); /* leaves what is behind the colon, or nothing */
	found = look_up(passwd, user, f);
	if (found ? !to_id(f[2], &u->uid) || !to_id(f[3], &u->gid) : !to_id(user, &u->uid))
		return unknown("user", user, err);
	if (!grp.p)
		return found ? add_groups(group, f[0], u, err) : 0;
	if (look_up(group, grp, f) ? to_id(f[2], &u->gid) : to_id(grp, &u->gid))
		return 0;
	return unknown("group", grp, err);
}
