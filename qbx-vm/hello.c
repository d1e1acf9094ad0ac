/* SPDX-License-Identifier: Apache-2.0 */
/* hello.c - what the guest says first, and what it is answered: proto/guest.proto */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "guest.pb-c.h"
#include "netmsg.h"
#include "vm.h"

#define ENTROPY_LEN 64

int hello_decode(const uint8_t *buf, size_t len, struct hello *h, struct qbx_err *err)
{
	Qemubox__Guest__V1__Hello *m;
	int ret = 0;

	memset(h, 0, sizeof(*h));
	m = len <= GUEST_MESSAGE_MAX ? qemubox__guest__v1__hello__unpack(NULL, len, buf) : NULL;
	if (!m)
		return err_code(err, EX_DATAERR, "the guest's hello does not parse");
	if (m->version != GUEST_PROTOCOL) {
		ret = err_code(err, EX_DATAERR, "the guest speaks version %u, not %u", m->version,
			       GUEST_PROTOCOL);
		err_hint(err, "the initrd in QEMUBOX_SHARE_DIR/kernel is of another release");
	}
	h->boot_us = m->boot_us;
	h->cpus = m->cpus;
	h->memory_kib = m->memory_kib;
	snprintf(h->kernel, sizeof(h->kernel), "%s", m->kernel);
	err_clean(h->kernel);
	for (char *p = h->kernel; *p; p++)
		if ((unsigned char)*p > '~')
			*p = '?'; /* JSON would refuse what is not UTF-8 */
	qemubox__guest__v1__hello__free_unpacked(m, NULL);
	return ret;
}

static int pack(const Qemubox__Guest__V1__Boot *boot, uint8_t **buf, size_t *len,
		struct qbx_err *err)
{
	size_t n = qemubox__guest__v1__boot__get_packed_size(boot);
	uint32_t header = htonl((uint32_t)n);

	if (n > GUEST_MESSAGE_MAX)
		return err_code(err, EX_DATAERR, "the boot message has %zu bytes", n);
	*buf = malloc(sizeof(header) + n);
	if (!*buf)
		return err_sys(err, ENOMEM, "make the boot message");
	memcpy(*buf, &header, sizeof(header));
	qemubox__guest__v1__boot__pack(boot, *buf + sizeof(header));
	*len = sizeof(header) + n;
	return 0;
}

int hello_answer(const struct box *box, const uint8_t *token, uint8_t **buf, size_t *len,
		 struct qbx_err *err)
{
	Qemubox__Guest__V1__Boot boot = QEMUBOX__GUEST__V1__BOOT__INIT;
	_cleanup_(netmsg_free) struct netmsg net = { 0 };
	uint8_t entropy[ENTROPY_LEN];
	struct timespec now;

	if (getrandom(entropy, sizeof(entropy), 0) != sizeof(entropy))
		return err_sys(err, errno, "get random bytes");
	clock_gettime(CLOCK_REALTIME, &now);
	boot.token.data = (uint8_t *)token;
	boot.token.len = GUEST_TOKEN_LEN;
	boot.entropy.data = entropy;
	boot.entropy.len = sizeof(entropy);
	boot.time_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	boot.hostname = (char *)box->id;
	if (netmsg_make(&net, json_object_get(box->doc, "net"), err) < 0)
		return -1;
	boot.n_links = net.n_links;
	boot.links = net.links;
	boot.n_nameservers = net.n_nameservers;
	boot.nameservers = net.nameservers;
	boot.n_search = net.n_search;
	boot.search = net.search;
	return pack(&boot, buf, len, err);
}

int hello_refuse(const char *why, uint8_t **buf, size_t *len, struct qbx_err *err)
{
	Qemubox__Guest__V1__Boot boot = QEMUBOX__GUEST__V1__BOOT__INIT;

	boot.error = (char *)why;
	return pack(&boot, buf, len, err);
}
