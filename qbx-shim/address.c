/* SPDX-License-Identifier: Apache-2.0 */
/* address.c - the socket on which containerd finds a shim */
#include "address.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "io.h"
#include "json.h"
#include "sha256.h"

#define BACKLOG 128

/* In the order in which they are looked for. */
static const char *const group_annotations[] = {
	"io.containerd.runc.v2.group",
	"io.kubernetes.cri.sandbox-id",
};

static const char *group_of(const json_t *config, const char *id)
{
	json_t *annotations = json_object_get(config, "annotations");

	for (size_t i = 0; i < ARRAY_SIZE(group_annotations); i++) {
		const char *group =
			json_string_value(json_object_get(annotations, group_annotations[i]));

		if (group && group[0])
			return group;
	}
	return id;
}

/* Go joins the parts with filepath.Join, which drops doubled and trailing slashes. */
static void join(char *to, size_t size, const char *a, const char *b, const char *c)
{
	const char *parts[] = { a, b, c };
	size_t len = 0;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		for (const char *p = parts[i]; *p && len + 2 < size; p++)
			if (*p != '/' || len == 0 || to[len - 1] != '/')
				to[len++] = *p;
		if (i + 1 < ARRAY_SIZE(parts) && len > 0 && to[len - 1] != '/')
			to[len++] = '/';
	}
	while (len > 1 && to[len - 1] == '/')
		len--;
	to[len] = '\0';
}

int address_make(struct sockaddr_un *un, const char *dir, const struct flags *f, const char *bundle,
		 struct qbx_err *err)
{
	char path[PATH_MAX], name[3 * PATH_MAX], hex[SHA256_HEX_LEN + 1];
	struct qbx_err ignored = { 0 };
	json_auto_t *config = NULL;
	int n;

	snprintf(path, sizeof(path), "%s/config.json", bundle);
	config = json_read_file(AT_FDCWD, path, &ignored);
	join(name, sizeof(name), f->address ? f->address : "", f->namespace,
	     group_of(config, f->id));
	sha256_hex(name, strlen(name), hex);

	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	n = snprintf(un->sun_path, sizeof(un->sun_path), "%s/%s", dir ? dir : ADDRESS_DIR, hex);
	if (n >= (int)sizeof(un->sun_path))
		return err_sys(err, ENAMETOOLONG, "socket in %s", dir);
	return 0;
}

bool address_alive(const struct sockaddr_un *un)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return false;
	return connect(fd, (const struct sockaddr *)un, sizeof(*un)) == 0 || errno == EAGAIN;
}

static int make_dir(const struct sockaddr_un *un, struct qbx_err *err)
{
	char dir[sizeof(un->sun_path)];

	memcpy(dir, un->sun_path, sizeof(dir));
	*strrchr(dir, '/') = '\0';
	return io_mkdirs(dir, 0711, err);
}

int address_listen(const struct sockaddr_un *un, struct qbx_err *err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const struct sockaddr *sa = (const struct sockaddr *)un;

	if (fd < 0)
		return err_sys(err, errno, "make a socket");
	if (make_dir(un, err) < 0)
		return -1;
	/* The socket file takes the mode of the socket that is bound to it. */
	if (fchmod(fd, 0600) < 0)
		return err_sys(err, errno, "protect %s", un->sun_path);
	if (bind(fd, sa, sizeof(*un)) < 0) {
		if (errno != EADDRINUSE || address_alive(un))
			return err_sys(err, errno, "bind %s", un->sun_path);
		if (unlink(un->sun_path) < 0 && errno != ENOENT)
			return err_sys(err, errno, "remove dead socket %s", un->sun_path);
		if (bind(fd, sa, sizeof(*un)) < 0)
			return err_sys(err, errno, "bind %s", un->sun_path);
	}
	if (listen(fd, BACKLOG) < 0) {
		err_sys(err, errno, "listen on %s", un->sun_path);
		unlink(un->sun_path);
		return -1;
	}
	return take_fd(&fd);
}
