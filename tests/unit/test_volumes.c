/* SPDX-License-Identifier: Apache-2.0 */
/* "fs.volumes", and the specification that goes with it */
#include "unit.h"

#include <string.h>

#include "json.h"
#include "volumes.h"

#define SHARE                                                                                      \
	"{\"kind\":\"share\",\"mount\":1,\"source\":\"/srv\",\"destination\":\"/data\",\"dev\":5," \
	"\"ino\":-2,\"readonly\":true,\"recursive\":false}"

static json_t *parse(const char *text)
{
	json_t *j = json_loads(text, 0, NULL);

	assert_non_null(j);
	return j;
}

static void an_element_is_read_and_written(void **state)
{
	json_auto_t *list = parse("[7," SHARE "]"), *again = NULL;
	struct qbx_err err = { 0 };
	struct volume v;

	(void)state;
	assert_int_equal(volume_read(list, 1, &v, &err), 0);
	assert_int_equal(v.kind, VOLUME_SHARE);
	assert_int_equal(v.index, 1);
	assert_string_equal(v.path, "volumes/1");
	assert_string_equal(v.source, "/srv");
	assert_string_equal(v.destination, "/data");
	assert_int_equal(v.dev, 5);
	assert_true(v.ino == (uint64_t)-2); /* JSON has no more than 63 bits */
	assert_true(v.readonly);
	assert_false(v.recursive);
	again = volume_to_json(&v);
	assert_true(json_equal(again, json_array_get(list, 1)));
	assert_int_equal(volume_read(list, 0, &v, &err), -1);
}

static void refuses(const char *from, const char *to, const char *why)
{
	_cleanup_free_ char *text = NULL;
	struct qbx_err err = { 0 };
	struct volume v;
	json_auto_t *list = NULL;
	const char *at = strstr(SHARE, from);

	assert_non_null(at);
	assert_true(asprintf(&text, "[%.*s%s%s]", (int)(at - SHARE), SHARE, to, at + strlen(from)) >
		    0);
	list = parse(text);
	assert_int_equal(volume_read(list, 0, &v, &err), -1);
	assert_int_equal(err.code, EX_DATAERR);
	if (!strstr(err.msg, why))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, why);
}

static void what_is_none_is_refused(void **state)
{
	json_auto_t *many = json_array();
	struct qbx_err err = { 0 };
	struct volume v;

	(void)state;
	refuses("share", "socket", "kind \"socket\"");
	refuses("\"kind\"", "\"kin\"", "kind");
	refuses("/srv", "srv", "not one");
	refuses("/data", "data", "not one");
	refuses("\"mount\":1", "\"mount\":-1", "not one");
	refuses("\"dev\":5", "\"dev\":\"5\"", "integer");
	refuses("true", "1", "true or false");
	for (size_t i = 0; i <= VOLUMES_MAX; i++)
		json_array_append_new(many, parse(SHARE));
	assert_int_equal(volume_read(many, 0, &v, &err), -1);
	assert_non_null(strstr(err.msg, "65 volumes"));
}

static void paths_of_volumes_are_known(void **state)
{
	static const char *const are[] = { "volumes/0", "volumes/63", "files/7", "disks/1",
					   "disk:vol0" };
	static const char *const are_not[] = {
		"",	      "volumes",    "volumes/",	    "/volumes/0",
		"volumes/x",  "volumes/0/", "volumes/../0", "volumes/0/../..",
		"volumes/-1", "files/1234", "rootfs/0",	    "volumesx0"
	};
	char path[VOLUMES_PATH_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(are); i++)
		assert_true(volume_is_path(are[i]));
	for (size_t i = 0; i < ARRAY_SIZE(are_not); i++)
		if (volume_is_path(are_not[i]))
			fail_msg("%s", are_not[i]);
	volume_path(VOLUME_FILE, VOLUMES_MAX - 1, path);
	assert_true(volume_is_path(path));
}

static void a_specification_names_what_the_guest_has(void **state)
{
	static const char given[] =
		"{\"x\":1,\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\"},"
		"{\"destination\":\"/data\",\"source\":\"/srv\",\"options\":[\"ro\",\"nosuid\"]},"
		"{\"destination\":\"/more\",\"type\":\"none\",\"source\":\"/"
		"m\",\"options\":[\"rbind\"]}]}";
	json_auto_t *volumes = parse("[" SHARE "]"), *wanted = NULL, *got = NULL;
	_cleanup_free_ char *text = strdup(given);
	struct qbx_err err = { 0 };
	size_t len = strlen(text);

	(void)state;
	json_array_append_new(volumes, json_deep_copy(json_array_get(volumes, 0)));
	json_object_set_new(json_array_get(volumes, 1), "mount", json_integer(2));
	json_object_set_new(json_array_get(volumes, 1), "destination", json_string("/more"));
	assert_int_equal(volumes_place_text(&text, &len, volumes, false, &err), 0);
	assert_int_equal(len, strlen(text));
	got = parse(text);
	wanted = parse("{\"x\":1,\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\"},"
		       "{\"destination\":\"/data\",\"type\":\"bind\",\"source\":\"volumes/0\","
		       "\"options\":[\"ro\",\"nosuid\",\"bind\"]},"
		       "{\"destination\":\"/more\",\"type\":\"bind\",\"source\":\"volumes/1\","
		       "\"options\":[\"rbind\"]}]}");
	assert_true(json_equal(got, wanted));
}

static void under_emulation_nothing_is_run_from_a_share(void **state)
{
	json_auto_t *volumes = parse("[" SHARE "," SHARE "]"), *spec = NULL;
	struct qbx_err err = { 0 };
	json_t *mounts;

	(void)state;
	json_object_set_new(json_array_get(volumes, 1), "mount", json_integer(0));
	json_object_set_new(json_array_get(volumes, 1), "kind", json_string("file"));
	spec = parse("{\"mounts\":[{\"destination\":\"/data\",\"source\":\"/f\"},"
		     "{\"destination\":\"/data\",\"source\":\"/srv\",\"options\":[\"exec\"]}]}");
	assert_int_equal(volumes_place(spec, volumes, true, &err), 0);
	mounts = json_object_get(spec, "mounts");
	assert_int_equal(json_array_size(json_object_get(json_array_get(mounts, 0), "options")), 1);
	assert_string_equal(json_string_value(json_array_get(
				    json_object_get(json_array_get(mounts, 1), "options"), 2)),
			    "noexec");
}

static void a_disk_is_mounted_or_is_a_device(void **state)
{
	json_auto_t *volumes = NULL, *spec = NULL, *wanted = NULL;
	struct qbx_err err = { 0 };
	struct volume v;
	json_t *disk, *block, *device;

	(void)state;
	volumes = parse("[" SHARE "," SHARE "," SHARE "]");
	disk = json_array_get(volumes, 0);
	block = json_array_get(volumes, 1);
	device = json_array_get(volumes, 2);
	json_object_set_new(disk, "kind", json_string("disk"));
	assert_int_equal(volume_read(volumes, 0, &v, &err), -1); /* of what type? */
	json_object_set_new(disk, "fstype", json_string("ext4"));
	json_object_set_new(block, "kind", json_string("block"));
	json_object_set_new(block, "mount", json_integer(0));
	json_object_set_new(device, "kind", json_string("block"));
	json_object_set_new(device, "device", json_integer(0));
	assert_int_equal(volume_read(volumes, 2, &v, &err), -1); /* mount and device */
	json_object_del(device, "mount");
	assert_int_equal(volume_read(volumes, 2, &v, &err), 0);
	assert_true(v.device && volume_is_disk(v.path));
	spec = parse("{\"mounts\":[{\"destination\":\"/data\",\"source\":\"/dev/b\"},"
		     "{\"destination\":\"/data\",\"type\":\"ext4\",\"source\":\"/i\","
		     "\"options\":[\"ro\",\"noload\",\"noatime\"]}],"
		     "\"linux\":{\"devices\":[{\"path\":\"/data\",\"type\":\"b\"}]}}");
	assert_int_equal(volumes_place(spec, volumes, true, &err), 0);
	wanted = parse("{\"mounts\":[{\"destination\":\"/data\",\"source\":\"disk:vol1\","
		       "\"type\":\"bind\",\"options\":[\"bind\"]},"
		       "{\"destination\":\"/data\",\"type\":\"bind\",\"source\":\"disks/0\","
		       "\"options\":[\"ro\",\"noatime\",\"bind\"]}],"
		       "\"linux\":{\"devices\":[{\"path\":\"/data\",\"type\":\"b\","
		       "\"source\":\"disk:vol2\"}]}}");
	assert_true(json_equal(spec, wanted));
}

static void shared_memory_is_the_guest_s(void **state)
{
	json_auto_t *volumes = parse("[" SHARE "]"), *spec = NULL, *wanted = NULL;
	struct qbx_err err = { 0 };
	struct volume v;

	(void)state;
	json_object_set_new(json_array_get(volumes, 0), "kind", json_string("shm"));
	json_object_set_new(json_array_get(volumes, 0), "readonly", json_false());
	json_object_set_new(json_array_get(volumes, 0), "size", json_integer(65536));
	assert_int_equal(volume_read(volumes, 0, &v, &err), 0);
	assert_int_equal(v.size, 65536);
	assert_false(volume_is_path(v.path));
	spec = parse("{\"mounts\":[{},{\"destination\":\"/data\",\"type\":\"bind\","
		     "\"source\":\"/run/x/shm\",\"options\":[\"rbind\",\"ro\"]}]}");
	assert_int_equal(volumes_place(spec, volumes, false, &err), 0);
	wanted = parse("{\"mounts\":[{},{\"destination\":\"/data\",\"type\":\"tmpfs\","
		       "\"source\":\"shm\",\"options\":[\"nosuid\",\"nodev\",\"noexec\","
		       "\"mode=1777\",\"size=65536\"]}]}");
	assert_true(json_equal(spec, wanted));
}

static void another_specification_is_noticed(void **state)
{
	json_auto_t *volumes = parse("[" SHARE "]"), *spec = parse("{\"mounts\":[{},{}]}");
	_cleanup_free_ char *text = strdup("{}");
	struct qbx_err err = { 0 };
	size_t len = 2;

	(void)state;
	assert_int_equal(volumes_place(spec, volumes, false, &err), -1);
	assert_non_null(strstr(err.msg, "no mount on /data as number 1"));
	assert_int_equal(volumes_place_text(&text, &len, volumes, false, &err), -1);
	assert_int_equal(volumes_place_text(&text, &len, NULL, true, &err), 0);
	assert_string_equal(text, "{}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_element_is_read_and_written),
		cmocka_unit_test(what_is_none_is_refused),
		cmocka_unit_test(paths_of_volumes_are_known),
		cmocka_unit_test(a_specification_names_what_the_guest_has),
		cmocka_unit_test(under_emulation_nothing_is_run_from_a_share),
		cmocka_unit_test(a_disk_is_mounted_or_is_a_device),
		cmocka_unit_test(shared_memory_is_the_guest_s),
		cmocka_unit_test(another_specification_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
