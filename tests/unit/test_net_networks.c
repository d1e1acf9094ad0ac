/* SPDX-License-Identifier: Apache-2.0 */
/* Which networks a document may ask for, and in what words. */
#include "unit.h"

#include <stdlib.h>

#include "qbx-net/address.c"
#include "qbx-net/capability.c"
#include "qbx-net/conf.c"
#include "qbx-net/networks.c"

static void nets_free(struct lease *l)
{
	for (size_t i = 0; i < l->nnets; i++)
		attachment_free(&l->nets[i]);
}

static int take(const char *doc, struct lease *l, struct qbx_err *err)
{
	json_auto_t *j = json_loads(doc, 0, NULL);
	int rc;

	memset(l, 0, sizeof(*l));
	memset(err, 0, sizeof(*err));
	assert_non_null(j);
	rc = networks_take(l, j, err);
	for (size_t i = 0; i < l->nnets; i++) /* borrowed of what goes now */
		l->nets[i].wanted = l->nets[i].wanted ? "set" : NULL;
	return rc;
}

static void one_is_the_default_and_none_is_none(void **state)
{
	_cleanup_(nets_free) struct lease l;
	struct qbx_err err;

	(void)state;
	assert_int_equal(take("{}", &l, &err), 0);
	assert_int_equal(l.nnets, 1);
	assert_string_equal(l.nets[0].ifname, "net0");
	assert_string_equal(l.nets[0].name, "eth0");
	assert_null(l.nets[0].wanted);
	assert_int_equal(take("{\"network\":\"none\",\"networks\":[{}]}", &l, &err), 0);
	assert_int_equal(l.nnets, 0);
	assert_int_equal(take("{\"networks\":[]}", &l, &err), 0);
	assert_int_equal(l.nnets, 0);
	assert_int_equal(take("{\"network\":\"wifi\"}", &l, &err), -1);
}

static void entries_get_names_by_their_place(void **state)
{
	_cleanup_(nets_free) struct lease l;
	struct qbx_err err;

	(void)state;
	assert_int_equal(
		take("{\"networks\":[{},{\"name\":\"b\",\"ifname\":\"net7\"},{},{}]}", &l, &err),
		0);
	assert_int_equal(l.nnets, 4);
	assert_string_equal(l.nets[0].ifname, "net0");
	assert_string_equal(l.nets[0].name, "eth0");
	assert_string_equal(l.nets[1].ifname, "net7");
	assert_non_null(l.nets[1].wanted);
	assert_string_equal(l.nets[1].name, "net7");
	assert_string_equal(l.nets[3].ifname, "net3");
	assert_string_equal(l.nets[3].name, "eth3");
}

static void every_capability_is_taken(void **state)
{
	_cleanup_(nets_free) struct lease l;
	struct qbx_err err;

	(void)state;
	assert_int_equal(
		take("{\"networks\":[{\"mac\":\"02:00:00:00:00:AA\",\"ips\":[\"10.1.0.2\",\"fd00::"
		     "2/64\"],"
		     "\"ipRanges\":[[{\"subnet\":\"10.1.2.0/"
		     "24\",\"rangeStart\":\"10.1.2.3\",\"rangeEnd\":"
		     "\"10.1.2.9\",\"gateway\":\"10.1.2.1\"}]],\"portMappings\":[{\"hostPort\":"
		     "8080,"
		     "\"containerPort\":80,\"protocol\":\"tcp\",\"hostIP\":\"192.0.2.1\"}],"
		     "\"bandwidth\":"
		     "{\"ingressRate\":2048,\"ingressBurst\":1600},\"infinibandGUID\":"
		     "\"c2:11:22:33:44:55:66:77\",\"deviceID\":\"0000:04:00.5\",\"dns\":{"
		     "\"servers\":"
		     "[\"192.0.2.53\"],\"searches\":[\"a.example\"],\"options\":[\"ndots:5\"]},"
		     "\"aliases\":[\"db\"],\"cgroupPath\":\"/a/b\",\"args\":{\"K8S_POD\":\"p "
		     "q\",\"E\":\"\"}}]}",
		     &l, &err),
		0);
	assert_int_equal(json_object_size(l.nets[0].caps), 10);
	assert_int_equal(json_object_size(l.nets[0].args), 2);
	assert_string_equal(json_string_value(json_object_get(l.nets[0].caps, "mac")),
			    "02:00:00:00:00:aa");
}

static void bad_ones_are_named(void **state)
{
	static const struct {
		const char *networks, *says;
	} bad[] = {
		{ "{}", "\"networks\" must be an array of at most 4" },
		{ "[{},{},{},{},{}]", "\"networks\" must be an array of at most 4" },
		{ "[7]", "entry 1: an object is wanted" },
		{ "[{},{\"nam\":1}]", "entry 2: unknown key \"nam\"" },
		{ "[{\"name\":7}]", "\"name\" must be" },
		{ "[{\"name\":\"\"}]", "\"name\" must be" },
		{ "[{\"ifname\":\"\"}]", "\"ifname\" must be" },
		{ "[{\"ifname\":\"lo\"}]", "\"ifname\" must be" },
		{ "[{\"ifname\":\"tap1\"}]", "\"ifname\" must be" },
		{ "[{\"ifname\":\"a/b\"}]", "\"ifname\" must be" },
		{ "[{\"ifname\":\"..\"}]", "\"ifname\" must be" },
		{ "[{\"ifname\":\"sixteen-letters-\"}]", "\"ifname\" must be" },
		{ "[{\"ifname\":\"eth1\"},{}]", "entry 2: the interface eth1 is taken" },
		{ "[{\"ifname\":\"net1\"},{}]", "entry 2: the interface net1 is taken" },
		{ "[{\"mac\":\"01:00:00:00:00:01\"}]", "\"mac\" must be" },
		{ "[{\"mac\":7}]", "\"mac\" must be" },
		{ "[{\"ips\":\"10.1.0.2\"}]", "\"ips\" must be" },
		{ "[{\"ips\":[\"10.1.0.2/33\"]}]", "\"ips\" must be" },
		{ "[{\"ipRanges\":[{\"subnet\":\"10.1.0.0/24\"}]}]", "\"ipRanges\" must be" },
		{ "[{\"ipRanges\":[[{}]]}]", "\"ipRanges\" must be" },
		{ "[{\"ipRanges\":[[{\"subnet\":\"10.1.0.0/24\",\"x\":1}]]}]",
		  "\"ipRanges\" must be" },
		{ "[{\"portMappings\":[{\"hostPort\":0,\"containerPort\":80,\"protocol\":\"tcp\"}]}"
		  "]",
		  "\"portMappings\" must be" },
		{ "[{\"portMappings\":[{\"hostPort\":80,\"containerPort\":80,\"protocol\":\"icmp\"}"
		  "]}]",
		  "\"portMappings\" must be" },
		{ "[{\"portMappings\":[{\"hostPort\":80}]}]", "\"portMappings\" must be" },
		{ "[{\"bandwidth\":{\"ingressRate\":-1}}]", "\"bandwidth\" must be" },
		{ "[{\"bandwidth\":{\"rate\":1}}]", "\"bandwidth\" must be" },
		{ "[{\"infinibandGUID\":\"c2:11:22:33:44:55:66\"}]", "\"infinibandGUID\" must be" },
		{ "[{\"infinibandGUID\":\"c2:11:22:33:44:55:66:7:\"}]",
		  "\"infinibandGUID\" must be" },
		{ "[{\"deviceID\":\"a b\"}]", "\"deviceID\" must be" },
		{ "[{\"dns\":{\"servers\":[\"x\"]}}]", "\"dns\" must be" },
		{ "[{\"aliases\":[\"a b\"]}]", "\"aliases\" must be" },
		{ "[{\"args\":[]}]", "\"args\" must be" },
		{ "[{\"args\":{\"a-b\":\"c\"}}]", "\"args\": a name" },
		{ "[{\"args\":{\"a\":7}}]", "\"args\": a name" },
		{ "[{\"args\":{\"a\":\"b;c=d\"}}]", "\"args\": a name" },
		{ "[{\"args\":{\"a\":\"b\\n\"}}]", "\"args\": a name" },
	};
	struct qbx_err err;
	struct lease l;
	char doc[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(doc, sizeof(doc), "{\"networks\":%s}", bad[i].networks);
		assert_int_equal(take(doc, &l, &err), -1);
		assert_int_equal(err.code, EX_DATAERR);
		if (!strstr(err.msg, bad[i].says))
			fail_msg("%s: %s", doc, err.msg);
		nets_free(&l);
	}
}

/* What would be missed has to be taken by some plugin; the rest goes by. */
static void a_network_has_to_do_what_is_asked(void **state)
{
	_cleanup_(nets_free) struct lease l;
	struct attachment *at = &l.nets[0];
	struct qbx_err err;
	json_t *list =
		json_loads("{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"a\"},"
			   "{\"type\":\"b\",\"capabilities\":{\"mac\":true,\"ips\":false}}]}",
			   0, NULL);

	(void)state;
	assert_int_equal(
		take("{\"networks\":[{\"mac\":\"02:00:00:00:00:01\",\"aliases\":[\"a\"]}]}", &l,
		     &err),
		0);
	assert_int_equal(conf_take(&at->conf, list, "/etc/x", &err), 0);
	assert_int_equal(capability_check(at, &err), 0);
	json_object_set_new(at->caps, "ips", json_array());
	assert_int_equal(capability_check(at, &err), -1);
	assert_int_equal(err.code, EX_CONFIG);
	assert_non_null(strstr(err.msg, "no plugin takes \"ips\""));
	assert_non_null(strstr(err.hint, "/etc/x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_is_the_default_and_none_is_none),
		cmocka_unit_test(entries_get_names_by_their_place),
		cmocka_unit_test(every_capability_is_taken),
		cmocka_unit_test(bad_ones_are_named),
		cmocka_unit_test(a_network_has_to_do_what_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
