/* SPDX-License-Identifier: Apache-2.0 */
/*
 * etc.c - hosts, hostname and resolv.conf of a container
 *
 * An image cannot know them, so a runtime's users expect the runtime to. hosts(5), hostname(5),
 * resolv.conf(5).
 */
#include "etc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <limits.h>
#include <linux/openat2.h>
#include <net/if.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io.h"
#include "log.h"
#include "oci.h"

#define RESOLV_CONF "/etc/resolv.conf" /* of the guest, see setup() */

/* ---- what the specification brings ---- */

/* Is @path @top, or below it? Both are absolute; slashes may be doubled or end @top. */
static bool is_below(const char *path, const char *top)
{
	for (;;) {
		size_t n;

		path += strspn(path, "/");
		top += strspn(top, "/");
		n = strcspn(top, "/");
		if (n == 0)
			return true;
		if (strcspn(path, "/") != n || memcmp(path, top, n) != 0)
			return false;
		path += n;
		top += n;
	}
}

bool etc_covered(const json_t *mounts, const char *path)
{
	json_t *mount;
	size_t i;

	json_array_foreach ((json_t *)mounts, i, mount) {
		const char *on = json_string_value(json_object_get(mount, "destination"));

		if (on && is_below(path, on))
			return true;
	}
	return false;
}

/* ---- the files ---- */

static void name_of(const json_t *spec, char *name, size_t size)
{
	const char *said = json_string_value(json_object_get(spec, "hostname"));

	name[0] = '\0';
	if (said && said[0])
		snprintf(name, size, "%s", said);
	else if (gethostname(name, size) < 0)
		name[0] = '\0';
	name[strcspn(name, " \t\n#")] = '\0';
}

/* In place: by then it may be mounted. */
static int put(int dir, const char *file, const char *text, size_t len, struct qbx_err *err)
{
	_cleanup_close_ int fd =
		openat(dir, file, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);

	if (fd < 0 || io_write_all(fd, text, len) < 0)
		return err_sys(err, errno, "write %s", file);
	return 0;
}

/* A line for an address that others reach the container at. */
static void add_host(FILE *f, const struct ifaddrs *a, const char *name)
{
	const struct sockaddr *sa = a->ifa_addr;
	char text[INET6_ADDRSTRLEN];
	const void *bytes = NULL;

	if (!sa || a->ifa_flags & IFF_LOOPBACK)
		return;
	if (sa->sa_family == AF_INET)
		bytes = &((const struct sockaddr_in *)sa)->sin_addr;
	else if (sa->sa_family == AF_INET6 &&
		 !IN6_IS_ADDR_LINKLOCAL(&((const struct sockaddr_in6 *)sa)->sin6_addr))
		bytes = &((const struct sockaddr_in6 *)sa)->sin6_addr;
	if (bytes && inet_ntop(sa->sa_family, bytes, text, sizeof(text)))
		fprintf(f, "%s\t%s\n", text, name);
}

static int write_hosts(int dir, const char *name, struct qbx_err *err)
{
	_cleanup_free_ char *text = NULL;
	struct ifaddrs *all;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return err_sys(err, errno, "write hosts");
	fputs("127.0.0.1\tlocalhost\n"
	      "::1\tlocalhost ip6-localhost ip6-loopback\n"
	      "ff02::1\tip6-allnodes\n"
	      "ff02::2\tip6-allrouters\n",
	      f);
	if (getifaddrs(&all) < 0) {
		fclose(f);
		return err_sys(err, errno, "list addresses");
	}
	for (const struct ifaddrs *a = all; name[0] && a; a = a->ifa_next)
		add_host(f, a, name);
	freeifaddrs(all);
	if (fclose(f) != 0)
		return err_sys(err, errno, "write hosts");
	return put(dir, "hosts", text, len, err);
}

static int write_hostname(int dir, const char *name, struct qbx_err *err)
{
	char line[HOST_NAME_MAX + 2];
	int n = snprintf(line, sizeof(line), "%s\n", name);

	return put(dir, "hostname", line, (size_t)n, err);
}

/* Without name servers the image's own is as good as any. */
static int write_resolv_conf(int dir, struct qbx_err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;

	if (access(RESOLV_CONF, F_OK) < 0)
		return 0;
	if (io_read_file(AT_FDCWD, RESOLV_CONF, 65536, &text, &len, err) < 0)
		return -1;
	return put(dir, "resolv.conf", text, len, err);
}

/* ---- where they go ---- */

/*
 * Is there a file in the image to mount over, perhaps at the end of a symlink, or can there be one? Not
 * where the root file system cannot be written to.
 */
static bool has_place(int root, const char *path)
{
	struct open_how how = { .flags = O_RDONLY | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
				.mode = 0644,
				.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
	_cleanup_close_ int fd = -1;

	if (faccessat(root, "etc", F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		(void)mkdirat(root, "etc", 0755);
	fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
	if (fd < 0)
		log_debug("%s is left as it is: %s", path, strerror(errno));
	return fd >= 0;
}

static int add_mount(json_t *mounts, const char *dir, const char *path, struct qbx_err *err)
{
	json_t *mount = json_pack("{s:s, s:s, s:s+, s:[s]}", "destination", path, "type", "bind",
				  "source", dir, path, "options", "bind");

	return json_array_append_new(mounts, mount) < 0 ? oci_no_memory(err) : 0;
}

static int add_mounts(const char *dir, int etc, json_t *mounts, struct qbx_err *err)
{
	static const char *const paths[] = { "/etc/hosts", "/etc/hostname", "/etc/resolv.conf" };
	char rootfs[PATH_MAX];
	_cleanup_close_ int root = -1;

	snprintf(rootfs, sizeof(rootfs), "%s/rootfs", dir);
	root = open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_sys(err, errno, "open %s", rootfs);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		if (faccessat(etc, paths[i] + strlen("/etc/"), F_OK, 0) == 0 &&
		    !etc_covered(mounts, paths[i]) && has_place(root, paths[i]) &&
		    add_mount(mounts, dir, paths[i], err) < 0)
			return -1;
	return 0;
}

int etc_refresh(const char *dir, struct qbx_err *err)
{
	_cleanup_free_ char *name = NULL;
	_cleanup_close_ int etc = -1;
	char path[PATH_MAX];
	size_t len;

	snprintf(path, sizeof(path), "%s/etc", dir);
	etc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (etc < 0)
		return err_sys(err, errno, "open %s", path);
	if (io_read_file(etc, "hostname", HOST_NAME_MAX + 2, &name, &len, err) < 0)
		return -1;
	name[strcspn(name, "\n")] = '\0';
	return write_hosts(etc, name, err) < 0 ? -1 : write_resolv_conf(etc, err);
}

int etc_mount(const char *dir, json_t *spec, struct qbx_err *err)
{
	json_t *mounts;
	char name[HOST_NAME_MAX + 1], path[PATH_MAX];
	_cleanup_close_ int etc = -1;

	snprintf(path, sizeof(path), "%s/etc", dir);
	if (mkdir(path, 0755) < 0)
		return err_sys(err, errno, "create directory %s", path);
	etc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (etc < 0)
		return err_sys(err, errno, "open %s", path);
	name_of(spec, name, sizeof(name));
	if (write_hosts(etc, name, err) < 0 || write_hostname(etc, name, err) < 0 ||
	    write_resolv_conf(etc, err) < 0)
		return -1;
	mounts = json_object_get(spec, "mounts");
	if (!mounts) {
		mounts = json_array();
		if (json_object_set_new(spec, "mounts", mounts) < 0)
			return oci_no_memory(err);
	}
	return add_mounts(dir, etc, mounts, err);
}
