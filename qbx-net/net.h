/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.h - what the files of qbx-net share
 *
 * Theory of Operation
 *
 * A box has a network namespace of its own, /run/netns/<key>, and joins any of a few networks. Each
 * one's CNI chain puts an interface in it, net0 say, and qbx-net a TAP beside that, for the VM:
 * whatever arrives on one is sent out of the other before the namespace's own stack sees it, so the
 * guest takes the place, and the MAC, of net0. In the guest it is eth0; in the namespace that name is
 * left to others, who may fill it too.
 *
 * The lease is what undoing needs. It is on disk before the first thing is made, and grows before
 * each plugin starts; so whenever this process dies, the lease names all that there may be. Undoing
 * is the same code after a failed add, in del, and before an add that finds what a killed one left.
 */
#ifndef QBX_NET_H
#define QBX_NET_H

#include <jansson.h>
#include <limits.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <stdbool.h>

#include "box.h"
#include "cli.h"
#include "config.h"
#include "err.h"
#include "phase.h"
#include "proc.h"
#include "step.h"

#define NET_LINKS_MAX 4u /* networks of a box: as many as qbx-vm gives a guest interfaces */
#define NET_ATTACHED_MAX (2 * NET_LINKS_MAX) /* in a lease: what is new, and what it replaces */
#define NET_ROUTES_MAX 64u		     /* of an interface: as many as qbx-vm tells a guest */
#define NETNS_DIR "/run/netns"		     /* where ip-netns(8) and others look */
#define NETNS_PATH_MAX (sizeof(NETNS_DIR "/") + BOX_KEY_MAX)

/* main.c */
struct net_opts {
	const char *plugin_timeout; /* seconds, as given; NULL for the default */
	const char *network;	    /* name; NULL for the default, or for none */
	const char *owner;	    /* pid, as given, or NULL */
	bool json;
};

extern struct net_opts net_opts;

/** net_plugin_timeout() - deadline of one plugin call in ms. Return: it, or -1 with @err. */
int net_plugin_timeout(struct qbx_err *err) _must_check_;

/* Each in a file of its name. */
extern const struct cli_verb verb_add, verb_check, verb_del, verb_gc, verb_list, verb_ready,
	verb_status, verb_sync;

/* conf.c */

/*
 * A network configuration list, checked: at least one plugin, each with a type that is a plain file
 * name, and so is its IPAM plugin's. Format: "Network configuration format" of the CNI specification, 0.3.0 to 1.1.0.
 */
struct conf {
	json_t *list;	     /* owned; NULL: there is no network */
	const char *name;    /* borrowed from list */
	const char *version; /* the one to speak; static */
	unsigned versions;   /* set of those that it allows */
	char path[PATH_MAX]; /* the file it came from */
};

/**
 * conf_find() - the network to join: the first file by name in cni_conf_dir, or the one called
 * @name
 * @name: cfg->cni_network, or NULL for the first
 * Return: 0 with conf->list NULL when there is no configuration at all, or -1 with @err
 * (EX_CONFIG).
 */
int conf_find(const struct config *cfg, const char *name, struct conf *conf,
	      struct qbx_err *err) _must_check_;

/**
 * conf_take() - check a list, or wrap a single plugin's configuration into one; takes @j
 * @path: the file it came from, for the error text
 */
int conf_take(struct conf *conf, json_t *j, const char *path, struct qbx_err *err) _must_check_;

/** conf_knows() - is it a version of CNI that is spoken here? */
bool conf_knows(const char *version);

/** conf_version_bit() - what stands for a version in a set; 0 for one that is not spoken here. */
unsigned conf_version_bit(const char *version);

/** conf_speak() - speak the newest of a set, which is not empty. */
void conf_speak(struct conf *conf, unsigned versions);

/** conf_says() - is a flag of the list set, as libcni reads it: true or "true"? */
bool conf_says(const struct conf *conf, const char *flag);

/** conf_free() - also fit for _cleanup_(conf_free). */
void conf_free(struct conf *conf);

size_t conf_count(const struct conf *conf);		  /* plugins in the chain */
const char *conf_type(const struct conf *conf, size_t i); /* the i-th one's type */
const char *conf_ipam(const struct conf *conf, size_t i); /* its IPAM plugin's type, or NULL */

/* networks.c, capability.c: no system calls */

/* A box and one network that it joins, or has joined. */
struct attachment {
	const char *wanted;    /* the network's name in the document, borrowed; NULL: the default */
	char ifname[IFNAMSIZ]; /* of what the chain makes (CNI_IFNAME), or we adopt */
	char name[IFNAMSIZ];   /* in the guest */
	char tap[IFNAMSIZ];    /* there may be a TAP of ours of this name; "": not yet */
	json_t *caps, *args;   /* capability arguments, CNI_ARGS: objects, or NULL; owned */
	struct conf conf;      /* as it was at add; list NULL: an interface that was adopted */
	size_t started;	       /* this many plugins of the chain may have run */
	json_t *result;	       /* of the last that finished, or NULL; owned */
	unsigned undone;       /* set of plugins whose DEL has succeeded; not written down */
	bool adopted;	       /* somebody else's, as a document says; not written down */
	char nic[18]; /* MAC that the VM was started with at that TAP; "": the interface's */
};

/** attachment_free() - also fit for _cleanup_(attachment_free). */
void attachment_free(struct attachment *at);

struct lease;
struct lease_lock;

/**
 * networks_take() - which networks a document wants, into l->nets, without their configurations
 * Format: "networks" in qbx-json(7).
 * Return: 0, or -1 with @err (EX_DATAERR).
 */
int networks_take(struct lease *l, const json_t *doc, struct qbx_err *err) _must_check_;

/**
 * capability_take() - a capability argument of that name into the object @caps, checked
 * Return: 1, 0 if no capability has that name, or -1 with @err (EX_DATAERR).
 */
int capability_take(json_t *caps, const char *name, json_t *value,
		    struct qbx_err *err) _must_check_;

/** capability_declared() - does a plugin's configuration say that it takes it? */
bool capability_declared(const json_t *plugin, const char *name);

/**
 * capability_check() - does the network do what was asked of it?
 * What no plugin declares and nobody would miss (names, and what only some hosts know) is passed over,
 * as libcni does with all.
 * Return: 0, or -1 with @err (EX_CONFIG).
 */
int capability_check(const struct attachment *at, struct qbx_err *err) _must_check_;

/* cni.c */

/* How the plugins of a chain are called. All borrowed. */
struct chain {
	const struct attachment *at;
	const char *bin_dir;	       /* colon-separated */
	const char *id;		       /* CNI_CONTAINERID; NULL: it is not about a box */
	const char *netns;	       /* NULL: gone, which DEL allows */
	int timeout_ms;		       /* of one call */
	const struct lease_lock *lock; /* where the plugin that runs is written down, or NULL */
};

#define CNI_ENV_MAX 8

/* One call of one plugin, ready to be run or shown. */
struct cni_call {
	const char *command, *type;
	char path[PATH_MAX];	    /* the program */
	char *env[CNI_ENV_MAX + 1]; /* owned, NULL-terminated */
	json_t *input;		    /* owned; its standard input */
};

/**
 * cni_prepare() - find the plugin and put its call together
 * @command: "ADD", "DEL", "CHECK", "STATUS", "GC" or "VERSION"
 * @prev: result of the plugin before it (ADD) or of the last one (DEL, CHECK), or the attachments that
 * are valid (GC); borrowed; or NULL
 * Return: 0, or -1 with @err (EX_UNAVAILABLE when the program is missing).
 */
int cni_prepare(const struct chain *chain, size_t i, const char *command, const json_t *prev,
		struct cni_call *call, struct qbx_err *err) _must_check_;

/** cni_call_free() - also fit for _cleanup_(cni_call_free). */
void cni_call_free(struct cni_call *call);

/* What came of an ADD. */
struct cni_added {
	json_t *result;		   /* new reference, or NULL */
	bool refused;		   /* the plugin itself said that it failed */
	unsigned long long ran_us; /* the plugin's own time */
};

/** cni_add() - ADD the i-th plugin. Return: 0, or -1 with @err. */
int cni_add(const struct chain *chain, size_t i, const json_t *prev, struct cni_added *added,
	    struct qbx_err *err) _must_check_;

/** cni_del() - DEL the i-th plugin. Return: 0, or -1 with @err. */
int cni_del(const struct chain *chain, size_t i, const json_t *last,
	    struct qbx_err *err) _must_check_;

/** cni_check() - CHECK the i-th plugin. Return: 0, or -1 with @err: what it found. */
int cni_check(const struct chain *chain, size_t i, struct qbx_err *err) _must_check_;

/**
 * cni_network() - STATUS or GC of the i-th plugin: of a network, and not of a box
 * @attachments: those that are valid, for GC, borrowed; or NULL
 * Return: 0, or -1 with @err.
 */
int cni_network(const struct conf *conf, size_t i, const char *command, const json_t *attachments,
		const char *bin_dir, int timeout_ms, struct qbx_err *err) _must_check_;

/** cni_version() - what the i-th plugin answers to VERSION; new, or NULL with @err. */
json_t *cni_version(const struct conf *conf, size_t i, const char *bin_dir, int timeout_ms,
		    struct qbx_err *err) _must_check_;

/* result.c: no system calls; everything from a plugin passes here */

/**
 * result_link() - what a result says of the guest's interface
 * @id: container id; an interface whose sandbox it is stands for the guest's own side of a TAP
 * Return: new {"name", "addresses", "routes"}, with "mac" where the result has it, or NULL with
 * @err.
 */
json_t *result_link(const json_t *result, const char *ifname, const char *id,
		    struct qbx_err *err) _must_check_;

/** result_dns() - new {"nameservers", "search"}, or NULL with @err. */
json_t *result_dns(const json_t *result, struct qbx_err *err) _must_check_;

/** result_join_dns() - what @more has and @dns has not goes to its end, as far as there is room. */
void result_join_dns(json_t *dns, const json_t *more);

/** result_drop_routes() - remove @link's routes to where one of @links goes already. */
void result_drop_routes(json_t *link, const json_t *links);

/** result_inside() - names of interfaces in a sandbox, borrowed from @result. Return: how many. */
size_t result_inside(const json_t *result, const char **names, size_t max);

/**
 * result_error() - the error of a plugin that failed, in one line of ASCII
 * @status: its exit status
 * @out, @errout: what it printed, NUL-terminated, or NULL
 * Return: -1, always, with @err: the plugin's own message, else its standard error.
 */
int result_error(int status, const char *out, size_t out_len, const char *errout,
		 struct qbx_err *err);

/** result_ascii() - @text into @buf as one line of printable ASCII, cut to fit. Return: @buf. */
char *result_ascii(char *buf, size_t size, const char *text);

/* convert.c: no system calls */

/**
 * result_convert() - a result in the version that is spoken, which is what it says then
 * Return: 0, or -1 with @err (EX_UNAVAILABLE) if it is of a version that is not known.
 */
int result_convert(json_t *result, const char *version, struct qbx_err *err) _must_check_;

/* version.c */

/**
 * version_settle() - decide the version to speak; asks the plugins only if there is a choice
 * Return: 0, or -1 with @err.
 */
int version_settle(struct conf *conf, const char *bin_dir, int timeout_ms,
		   struct qbx_err *err) _must_check_;

/* What a namespace is, whatever its path is by now; ino 0: any. */
struct netns_id {
	unsigned long long dev, ino;
};

/* lease.c: /var/lib/qemubox/leases/<key>.json */
struct lease {
	bool owned;	 /* the namespace is of our making */
	bool standin;	 /* it is one of standin.c by now */
	unsigned queues; /* of each of the VM's interfaces, where its TAP can have several */
	char *given;	 /* path of one that somebody else has made and filled, or NULL; owned */
	struct netns_id given_id;
	struct attachment nets[NET_ATTACHED_MAX];
	size_t nnets;
	struct proc_id owner; /* the process it is made for; pid 0: none */
	json_t *net;	      /* what add answered, or NULL while it had not; owned */
};

/** lease_free() - also fit for _cleanup_(lease_free). */
void lease_free(struct lease *l);

/**
 * lease_read() - what is remembered of a box
 * Return: 1, 0 if there is none, or -1 with @err.
 */
int lease_read(const struct config *cfg, const char *key, struct lease *l,
	       struct qbx_err *err) _must_check_;

/** lease_write() - the lease of a box, in place of what there was. Return: 0, or -1 with @err. */
int lease_write(const struct config *cfg, const char *key, const struct lease *l,
		struct qbx_err *err) _must_check_;

/** lease_append() - the same where this process has written one: for a lease that grows, and cheaper. */
int lease_append(const struct config *cfg, const char *key, const struct lease *l,
		 struct qbx_err *err) _must_check_;
int lease_remove(const struct config *cfg, const char *key, struct qbx_err *err) _must_check_;

/*
 * Held while a box's network changes; its file exists only that long. With it goes a share of the
 * directory, of which who wants that no network changes takes all (lease_lock_all()).
 */
struct lease_lock {
	int fd, dirfd;
	char path[PATH_MAX];
};

/** lease_lock() - wait for and take the lock of a box. Return: 0, or -1 with @err. */
int lease_lock(const struct config *cfg, const char *key, struct lease_lock *lock,
	       struct qbx_err *err) _must_check_;

/** lease_try_lock() - the same without waiting. Return: 1, 0 if it is taken, or -1 with @err. */
int lease_try_lock(const struct config *cfg, const char *key, struct lease_lock *lock,
		   struct qbx_err *err) _must_check_;

/** lease_lock_all() - wait for all boxes' locks. Return: descriptor that holds them, or -1. */
int lease_lock_all(const struct config *cfg, struct qbx_err *err) _must_check_;

/** lease_busy() - does somebody hold the lock of a box? */
bool lease_busy(const struct config *cfg, const char *key);

/** lease_box() - the box of a key, which need not end with a NUL. Return: 0, or -1 if it is none. */
int lease_box(const char *key, size_t len, struct box *box) _must_check_;

/** lease_unlock() - also fit for _cleanup_(lease_unlock). */
void lease_unlock(struct lease_lock *lock);

/* orphan.c */

/** orphan_note() - write down which plugin runs. Return: 0, or -1 with errno. */
int orphan_note(const struct lease_lock *lock, pid_t pid) _must_check_;

/** orphan_end() - end what the plugin of a killed holder has started; waits until it has gone. */
void orphan_end(const struct lease_lock *lock, const char *key);

/* life.c */
enum life { LIFE_BUSY, LIFE_USED, LIFE_KEPT, LIFE_DEAD };

const char *life_name(enum life life);

/**
 * life_of() - is a lease still wanted? Its lock is free, or held by the caller.
 * @why: set to the reason, in words
 */
enum life life_of(const struct config *cfg, const char *key, const struct lease *l,
		  const char **why);

/* status.c */

/**
 * status_report() - what is known of a box, as qbx-net(8) has it; without "why" if that is nothing
 * Return: new reference, or NULL with @err.
 */
json_t *status_report(const struct config *cfg, const struct box *box,
		      struct qbx_err *err) _must_check_;

/* list.c */
typedef int leases_fn(void *arg, const struct box *box, struct qbx_err *err);

/** leases_each() - @fn for each box that has a lease, or what is left of one, until it fails. */
int leases_each(const struct config *cfg, leases_fn *fn, void *arg,
		struct qbx_err *err) _must_check_;

/* cache.c: results of all CNI runtimes of this host, by cni_cache_dir */

/**
 * cache_write() - the entry of an attachment whose chain has run, in @netns
 * Return: 0, or -1 with @err.
 */
int cache_write(const struct config *cfg, const char *key, const char *netns,
		const struct attachment *at, struct qbx_err *err) _must_check_;

/** cache_remove() - Return: 0 (also when absent), or -1 with @err. */
int cache_remove(const struct config *cfg, const char *key, const struct attachment *at,
		 struct qbx_err *err) _must_check_;

/** cache_parse() - one entry; new, or NULL if it is none that libcni would count. */
json_t *cache_parse(const char *text, size_t len) _must_check_;

/** cache_read() - a new array of all entries, of anybody, by name; what is none is not there. */
json_t *cache_read(const struct config *cfg, struct qbx_err *err) _must_check_;

/**
 * cache_attachment() - an entry as what DEL needs, as if the whole chain had run
 * Return: 0 with @at to be freed, or -1 if it does not say enough.
 */
int cache_attachment(const json_t *entry, struct attachment *at) _must_check_;

/* turn.c */

/**
 * turn_take() - wait until it is our turn to join the networks of @l
 * Return: descriptor to close when they are joined, or -1 if nobody needs to wait for us.
 */
int turn_take(const struct config *cfg, const struct lease *l);

/* netns.c: the only place that changes the namespace of this process, and always back */

/** netns_path() - where the namespace of a box is. Return: @path. */
const char *netns_path(char path[NETNS_PATH_MAX], const char *key);

/** netns_create() - a new namespace, lo up, mounted at @path. Return: 0, or -1 and undone. */
int netns_create(const char *path, struct qbx_err *err) _must_check_;

/** netns_open() - Return: descriptor that the caller closes, or -1 with @err (err->sys ENOENT). */
int netns_open(const char *path, struct qbx_err *err) _must_check_;

/** netns_is() - is it @ns that one finds at @path? Return: 0, or -1 with @err. */
int netns_is(const char *path, int ns, struct qbx_err *err) _must_check_;

/**
 * netns_open_given() - one that somebody else has made, by a path of any kind
 * @id: what it must be; filled in where it says "any"
 * Return: descriptor that the caller closes, or -1 with @err (err->sys ENOENT: gone, or another one).
 */
int netns_open_given(const char *path, struct netns_id *id, struct qbx_err *err) _must_check_;

/** netns_of() - the namespace of a lease; as netns_open(). */
int netns_of(const struct lease *l, const char *key, struct qbx_err *err) _must_check_;

/** netns_path_of() - where that is: @path, filled in, or the given one. */
const char *netns_path_of(const struct lease *l, const char *key, char path[NETNS_PATH_MAX]);

/** netns_remove() - unmount and unlink. Return: 0 (also when absent), or -1 with @err. */
int netns_remove(const char *path, struct qbx_err *err) _must_check_;

/** netns_socket() - a route netlink socket that stays in @ns; nl_socket_free(). NULL with @err. */
struct nl_sock *netns_socket(int ns, struct qbx_err *err) _must_check_;

/** netns_open_file() - open(2) @path while inside @ns. Return: descriptor, or -1 with @err. */
int netns_open_file(int ns, const char *path, int flags, struct qbx_err *err) _must_check_;

/* link.c: libnl with our errors */
static inline void cleanup_nl_sockp(struct nl_sock **s)
{
	if (*s)
		nl_socket_free(*s);
}

static inline void cleanup_linkp(struct rtnl_link **l)
{
	if (*l)
		rtnl_link_put(*l);
}

static inline void cleanup_nl_cachep(struct nl_cache **c)
{
	if (*c)
		nl_cache_free(*c);
}

/** link_get() - an interface by name; rtnl_link_put(). NULL with @err (err->sys ENODEV: none). */
struct rtnl_link *link_get(struct nl_sock *sock, const char *name,
			   struct qbx_err *err) _must_check_;

/** link_up() - set it up, with @mtu unless that is 0. Return: 0, or -1 with @err. */
int link_up(struct nl_sock *sock, struct rtnl_link *link, unsigned mtu,
	    struct qbx_err *err) _must_check_;

/** link_mac() - its hardware address as text. Return: @mac, "" if it has none of six bytes. */
const char *link_mac(struct rtnl_link *link, char mac[18]);

/** link_is_tap() - is it a TAP device (not a TUN)? */
bool link_is_tap(struct rtnl_link *link);

/* tap.c */

/**
 * tap_create() - a persistent TAP called @name in the namespace, up
 * @queues: of more than one, the kernel makes a device that can have up to 256
 * Frames carry a virtio-net header, so that offloads pass from one guest to another.
 * Return: the link, rtnl_link_put(), or NULL with @err.
 */
struct rtnl_link *tap_create(int ns, struct nl_sock *sock, const char *name, unsigned mtu,
			     unsigned queues, struct qbx_err *err) _must_check_;

/** tap_is_multiqueue() - has it to be opened queue by queue (IFF_MULTI_QUEUE), be it a single one? */
bool tap_is_multiqueue(struct rtnl_link *tap);

/** tap_tell_queues() - "queues" of a link of qbx-json(7), if @tap is such a one. Return: 0, or -1. */
int tap_tell_queues(json_t *link, struct rtnl_link *tap, unsigned queues) _must_check_;

/** tap_remove() - Return: 0 (also when absent), or -1 with @err. */
int tap_remove(int ns, const char *name, struct qbx_err *err) _must_check_;

/** tap_find() - the TAP that the chain itself made, by its result; NULL, without @err, for none. */
struct rtnl_link *tap_find(struct nl_sock *sock, const json_t *result);

/* redirect.c */

/** redirect_pair() - all that arrives on one goes out of the other, both ways. Return: 0, or -1. */
int redirect_pair(struct nl_sock *sock, struct rtnl_link *a, struct rtnl_link *b,
		  struct qbx_err *err) _must_check_;

/* join.c */

/* A box on its way to its networks. All borrowed. */
struct join {
	const struct config *cfg;
	const char *key, *path; /* path: of the namespace */
	struct lease *lease;
	struct phases *phases;
	const struct lease_lock *lock; /* held; NULL while nothing is changed */
	int ns;			       /* descriptor of the namespace */
	int timeout_ms;
};

/** join_chain() - how the plugins of the @i-th network are called. */
struct chain join_chain(const struct join *j, size_t i);

/**
 * join_network() - run the chain of the @i-th network, and see to a TAP
 * The lease is written before whatever is made. Undoing is the caller's.
 * Return: the guest's interface as the document has it, a new reference, or NULL with @err.
 */
json_t *join_network(const struct join *j, size_t i, struct qbx_err *err) _must_check_;

/**
 * join_tap() - a TAP beside the interface of the @i-th network, whose place and MAC the guest takes
 * @link: the guest's interface, which is completed
 */
int join_tap(const struct join *j, size_t i, struct nl_sock *sock, json_t *link,
	     struct qbx_err *err) _must_check_;

/* adopt.c */

/**
 * adopt() - let the guest take the place of all that somebody else has put into the namespace
 * @links: gets one object an interface
 * The lease is written before whatever is made. Undoing is the caller's.
 */
int adopt(const struct join *j, json_t *links, struct qbx_err *err) _must_check_;

/* nic.c */

/**
 * nic_list() - the interfaces of a namespace that a guest can take the place of, by name
 * @nics: room for @max; nic_put()
 * @n: how many there are
 * Return: 0, or -1 with @err, also when there are more.
 */
int nic_list(struct nl_sock *sock, struct rtnl_link **nics, size_t max, size_t *n,
	     struct qbx_err *err) _must_check_;
void nic_put(struct rtnl_link **nics, size_t *n);

/** nic_fits() - is it of Ethernet, and does it do ARP? Return: 0, or -1 with @err. */
int nic_fits(struct rtnl_link *nic, struct qbx_err *err) _must_check_;

/**
 * nic_describe() - what is configured on one
 * Return: new {"name", "addresses", "routes", "neighbours"}, or NULL with @err.
 */
json_t *nic_describe(struct nl_sock *sock, struct rtnl_link *nic, struct qbx_err *err) _must_check_;

/* resolv.c */

/**
 * resolv_parse() - the name servers and the search list of a resolv.conf(5)
 * Servers that only the host itself reaches are left out. What is not understood is passed over.
 * Return: new {"nameservers", "search"}.
 */
json_t *resolv_parse(const char *text, size_t len) _must_check_;

/** resolv_host() - the same of this host's resolvers; empty if there are none to be had. */
json_t *resolv_host(void) _must_check_;

/* standin.c */

/**
 * standin_create() - a namespace at @path that looks, to a plugin, like the one that has gone
 * The lease then owns it. Not having it is no error: DEL must do without.
 * Return: descriptor that the caller closes, or -1.
 */
int standin_create(const struct config *cfg, const char *key, const char *path, struct lease *l);

/** redirect_remove() - no more redirection from a link. Return: 0 (also when there is none), or -1. */
int redirect_remove(struct nl_sock *sock, const char *from, struct qbx_err *err) _must_check_;

/** redirect_is() - does all that arrives on @from go out of @to? */
bool redirect_is(struct nl_sock *sock, struct rtnl_link *from, struct rtnl_link *to);

/* inspect.c */

/** differs() - one more difference in @found, an array: {"about", "difference"}. */
void differs(json_t *found, const char *about, const char *fmt, ...) _printf_(3, 4);

/**
 * inspect_network() - one network of a box in the kernel
 * @sock: in its namespace
 * @said: the interface in the document, by add
 * @found: array that every difference is added to
 */
void inspect_network(struct nl_sock *sock, const struct attachment *at, const json_t *said,
		     const char *id, json_t *found);

/** standin_addresses() - how many addresses an attachment has been given. */
size_t standin_addresses(const struct attachment *at, const char *key);

/** standin_dress() - its interface again, with @n of its addresses from the @first on. */
void standin_dress(int ns, const struct attachment *at, const char *key, size_t first, size_t n);

/* undo.c */

/**
 * undo() - give everything back that @with->lease names, and then the lease
 * Goes on after a failure and reports the first one. The lease then stays, so that del can be tried
 * again: an address may still be taken.
 */
int undo(const struct join *with, struct qbx_err *err) _must_check_;

/**
 * undo_chain() - give back what the chain of the @i-th network made, and its cache entry
 * The lease is not written. Return: 0, or -1 with @err: what is first of several; others are said.
 */
int undo_chain(const struct join *j, size_t i, struct qbx_err *err) _must_check_;

/* plan.c: --dry-run */
int plan_add(const struct join *j, struct qbx_err *err) _must_check_;
int plan_del(const struct join *j, struct qbx_err *err) _must_check_;
int plan_sync(const struct join *j, const json_t *links, struct qbx_err *err) _must_check_;
int plan_gc(const struct conf *conf, size_t i, const json_t *valid, const struct config *cfg,
	    struct qbx_err *err) _must_check_;

#endif
