/* SPDX-License-Identifier: Apache-2.0 */
/* plan.c - --dry-run: what would be done, as the shell commands that do the same */
#include <errno.h>
#include <string.h>

#include "net.h"

/* @text in single quotes, so that a shell takes it for one word. */
static void print_quoted(const char *text)
{
	putchar('\'');
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*text);
	}
	putchar('\'');
}

static int print_call(const struct chain *chain, size_t i, const char *command, const json_t *prev,
		      struct qbx_err *err)
{
	_cleanup_(cni_call_free) struct cni_call call = { 0 };
	_cleanup_free_ char *input = NULL;

	if (cni_prepare(chain, i, command, prev, &call, err) < 0)
		return -1;
	input = json_dumps(call.input, JSON_COMPACT);
	if (!input)
		return err_sys(err, ENOMEM, "plan");
	printf("printf %%s ");
	print_quoted(input);
	printf(" | env -i");
	for (size_t e = 0; call.env[e]; e++) {
		putchar(' ');
		print_quoted(call.env[e]);
	}
	putchar(' ');
	print_quoted(call.path);
	putchar('\n');
	return 0;
}

static void print_redirect(const char *netns, const char *from, const char *to)
{
	printf("ip netns exec %s tc qdisc add dev %s ingress\n", netns, from);
	printf("ip netns exec %s tc filter add dev %s parent ffff: protocol all prio 1 "
	       "u32 match u32 0 0 action mirred egress redirect dev %s\n",
	       netns, from, to);
}

static int finish(struct qbx_err *err)
{
	return fflush(stdout) ? err_sys(err, errno, "write standard output") : 0;
}

int plan_add(const struct chain *chain, const struct config *cfg, bool owned, struct qbx_err *err)
{
	const char *ns = chain->id;
	size_t n = conf_count(chain->conf);

	printf("# lease %s/leases/%s.json\n", cfg->state_dir, chain->id);
	if (owned)
		printf("ip netns add %s\nip -n %s link set lo up\n", ns, ns);
	if (n > 0)
		printf("# network %s, CNI %s, of %s; each result is the next one's prevResult\n",
		       chain->conf->name, chain->conf->version, chain->conf->path);
	for (size_t i = 0; i < n; i++)
		if (print_call(chain, i, "ADD", NULL, err) < 0)
			return -1;
	if (n > 0) {
		printf("# unless the chain made a TAP itself\n");
		printf("ip netns exec %s ip tuntap add dev " NET_TAP " mode tap vnet_hdr\n", ns);
		printf("ip -n %s link set " NET_TAP " addrgenmode none mtu MTU-OF-" NET_IFNAME
		       " up\n",
		       ns);
		print_redirect(ns, NET_IFNAME, NET_TAP);
		print_redirect(ns, NET_TAP, NET_IFNAME);
	}
	return finish(err);
}

int plan_del(const struct chain *chain, const struct config *cfg, const struct lease *l,
	     struct qbx_err *err)
{
	if (l->tap)
		printf("ip -n %s link del " NET_TAP "\n", chain->id);
	for (size_t i = l->started; i-- > 0;)
		if (print_call(chain, i, "DEL", l->result, err) < 0)
			return -1;
	if (l->owned)
		printf("ip netns del %s\n", chain->id);
	printf("rm -f %s/leases/%s.json\n", cfg->state_dir, chain->id);
	return finish(err);
}
