/* SPDX-License-Identifier: Apache-2.0 */
/* setup.c - make the guest what the boot message says */
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "boot.h"
#include "io.h"

#define RESOLV_CONF "/etc/resolv.conf"

static int set_clock(int64_t ns, struct qbx_err *err)
{
	struct timespec now = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };

	if (ns == 0)
		return 0;
	if (clock_settime(CLOCK_REALTIME, &now) < 0)
		return err_sys(err, errno, "set the clock");
	return 0;
}

/* Credited: the bytes come from the host's own generator, which the guest has to trust anyway. */
static int add_entropy(const ProtobufCBinaryData *bytes, struct qbx_err *err)
{
	_cleanup_close_ int fd = open("/dev/random", O_RDWR | O_CLOEXEC);
	union {
		struct rand_pool_info pool;
		uint8_t room[sizeof(struct rand_pool_info) + BOOT_ENTROPY_MAX];
	} u = { .pool = { .entropy_count = (int)bytes->len * 8, .buf_size = (int)bytes->len } };

	if (bytes->len == 0)
		return 0;
	memcpy(u.room + offsetof(struct rand_pool_info, buf), bytes->data, bytes->len);
	if (fd < 0 || ioctl(fd, RNDADDENTROPY, &u) < 0)
		return err_sys(err, errno, "add entropy");
	return 0;
}

static int set_hostname(const char *name, struct qbx_err *err)
{
	if (name[0] && sethostname(name, strlen(name)) < 0)
		return err_sys(err, errno, "set the host name %s", name);
	return 0;
}

int resolv_conf_write(const struct network *net, struct qbx_err *err)
{
	_cleanup_free_ char *text = NULL;
	FILE *f;
	size_t len;

	if (net->n_nameservers == 0 && net->n_search == 0)
		return unlink(RESOLV_CONF) < 0 && errno != ENOENT
			       ? err_sys(err, errno, "remove " RESOLV_CONF)
			       : 0;
	f = open_memstream(&text, &len);
	if (!f)
		return err_sys(err, errno, "write " RESOLV_CONF);
	for (size_t i = 0; i < net->n_nameservers; i++)
		fprintf(f, "nameserver %s\n", net->nameservers[i]);
	if (net->n_search)
		fputs("search", f);
	for (size_t i = 0; i < net->n_search; i++)
		fprintf(f, " %s", net->search[i]);
	if (net->n_search)
		fputc('\n', f);
	if (fclose(f) != 0)
		return err_sys(err, errno, "write " RESOLV_CONF);
	return io_write_file(AT_FDCWD, RESOLV_CONF, 0644, text, len, err);
}

int setup(const Boot *boot, struct qbx_err *err)
{
	const struct network net = network_of_boot(boot);

	if (set_clock(boot->time_ns, err) < 0 || add_entropy(&boot->entropy, err) < 0 ||
	    set_hostname(boot->hostname, err) < 0 || resolv_conf_write(&net, err) < 0)
		return -1;
	return net_setup(&net, err);
}
