/* SPDX-License-Identifier: Apache-2.0 */
/* plan.c - --dry-run: what would be done, as the shell commands that do the same */
#include <errno.h>
#include <string.h>

#include "cni.h"
#include "conf.h"
#include "join.h"
#include "lease.h"
#include "networks.h"

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

/* @in: the command that enters the namespace */
static void print_redirect(const char *in, const char *from, const char *to)
{
	printf("%s tc qdisc add dev %s ingress\n", in, from);
	printf("%s tc filter add dev %s parent ffff: protocol all prio 1 "
	       "u32 match u32 0 0 action mirred egress redirect dev %s\n",
	       in, from, to);
}

static int finish(struct qbx_err *err)
{
	return fflush(stdout) ? err_sys(err, errno, "write standard output") : 0;
}

static int plan_network(const struct join *j, size_t i, struct qbx_err *err)
{
	const struct attachment *at = &j->lease->nets[i];
	const struct chain chain = join_chain(j, i);
	const char *ns = j->key;
	char tap[IFNAMSIZ], in[BOX_KEY_MAX + 16];

	snprintf(in, sizeof(in), "ip netns exec %s", ns);
	snprintf(tap, sizeof(tap), "tap%u", (unsigned)i);
	printf("# network %s, CNI %s, of %s; each result is the next one's prevResult\n",
	       at->conf.name, at->conf.version, at->conf.path);
	for (size_t p = 0; p < conf_count(&at->conf); p++)
		if (print_call(&chain, p, "ADD", NULL, err) < 0)
			return -1;
	printf("# CNI cache %s/results/%s-%s-%s\n", j->cfg->cni_cache_dir, at->conf.name, j->key,
	       at->ifname);
	printf("# unless the chain made a TAP itself\n");
	printf("ip netns exec %s ip tuntap add dev %s mode tap vnet_hdr%s\n", ns, tap,
	       j->lease->queues > 1 ? " multi_queue" : "");
	if (j->lease->queues > 1)
		printf("%s tc qdisc add dev %s root noqueue\n", in, tap);
	printf("ip -n %s link set %s addrgenmode none mtu MTU-OF-%s up\n", ns, tap, at->ifname);
	print_redirect(in, at->ifname, tap);
	print_redirect(in, tap, at->ifname);
	return 0;
}

int plan_add(const struct join *j, struct qbx_err *err)
{
	printf("# lease %s/leases/%s.json\n", j->cfg->state_dir, j->key);
	if (j->lease->given)
		printf("# each Ethernet interface that is up in %s gets a TAP beside it, and is "
		       "redirected to that and back\n",
		       j->path);
	if (j->lease->owned)
		printf("ip netns add %s\nip -n %s link set lo up\n", j->key, j->key);
	for (size_t i = 0; i < j->lease->nnets; i++)
		if (plan_network(j, i, err) < 0)
			return -1;
	return finish(err);
}

/* What the chain of the @i-th network made. */
static int plan_undo(const struct join *j, size_t i, struct qbx_err *err)
{
	const struct chain chain = join_chain(j, i);
	const struct attachment *at = chain.at;

	if (!at->conf.list)
		return 0;
	for (size_t p = at->started; p-- > 0;)
		if (print_call(&chain, p, "DEL", at->result, err) < 0)
			return -1;
	printf("rm -f %s/results/%s-%s-%s\n", j->cfg->cni_cache_dir, at->conf.name, j->key,
	       at->ifname);
	return 0;
}

int plan_del(const struct join *j, struct qbx_err *err)
{
	for (size_t i = j->lease->nnets; i-- > 0;) {
		const struct attachment *at = &j->lease->nets[i];

		if (!at->conf.list) {
			printf("nsenter --net=%s ip link del %s\n", j->path, at->tap);
			if (at->ifname[0])
				printf("nsenter --net=%s tc qdisc del dev %s ingress\n", j->path,
				       at->ifname);
			continue;
		}
		if (at->tap[0])
			printf("ip -n %s link del %s\n", j->key, at->tap);
		if (plan_undo(j, i, err) < 0)
			return -1;
	}
	if (j->lease->owned)
		printf("ip netns del %s\n", j->key);
	printf("rm -f %s/leases/%s.json\n", j->cfg->state_dir, j->key);
	return finish(err);
}

static void plan_adopted(const char *in, const json_t *link)
{
	const char *nic = json_string_value(json_object_get(link, "ifname"));
	const char *tap = json_string_value(json_object_get(link, "tap"));

	printf("%s ip link set %s mtu %lld\n", in, tap,
	       (long long)json_integer_value(json_object_get(link, "mtu")));
	printf("%s tc qdisc del dev %s ingress\n", in, tap);
	print_redirect(in, nic, tap);
	print_redirect(in, tap, nic);
}

int plan_sync(const struct join *j, const json_t *links, struct qbx_err *err)
{
	char in[PATH_MAX + 16];
	json_t *link;
	size_t i;

	snprintf(in, sizeof(in), "nsenter --net=%s", j->path);
	printf("# lease %s/leases/%s.json\n", j->cfg->state_dir, j->key);
	json_array_foreach ((json_t *)links, i, link)
		plan_adopted(in, link);
	for (i = j->lease->nnets; i-- > 0;)
		if (plan_undo(j, i, err) < 0)
			return -1;
	return finish(err);
}

int plan_gc(const struct conf *conf, size_t i, const json_t *valid, const struct config *cfg,
	    struct qbx_err *err)
{
	const struct attachment at = { .conf = *conf };
	const struct chain chain = { .at = &at, .bin_dir = cfg->cni_bin_dir };

	return print_call(&chain, i, "GC", valid, err);
}
