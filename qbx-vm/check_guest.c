/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_guest.c - are kernel and initrd there, and do they belong together?
 *
 * guest/manifest.sh writes down the digests of the two that were made together and the version of the
 * protocol that they speak. Only this check reads that: a start would not be worth hashing 25 MB for,
 * and a guest of another protocol is refused when it says hello.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "check.h"
#include "io.h"
#include "json.h"
#include "sha256.h"
#include "vm.h"

#define MANIFEST_FILE "kernel/qemubox-guest.json"
#define IMAGE_MAX (512u << 20) /* bytes of a kernel or an initrd */
#define INSTALL_HINT "\"make guest install\" puts kernel, initrd and manifest there"

/* What the manifest says; strings are borrowed from its JSON. */
struct manifest {
	int version, protocol;
	const char *kernel, *release, *initrd, *crun; /* kernel and initrd: their SHA-256 */
};

static int manifest_read(const json_t *j, struct manifest *m, struct qbx_err *err)
{
	json_error_t je;

	if (json_unpack_ex((json_t *)j, &je, 0, "{s:i, s:i, s:{s:s, s:s}, s:{s:s, s:s}}", "guest",
			   &m->version, "protocol", &m->protocol, "kernel", "sha256", &m->kernel,
			   "release", &m->release, "initrd", "sha256", &m->initrd, "crun",
			   &m->crun) < 0)
		return err_code(err, EX_UNAVAILABLE, MANIFEST_FILE ": %s", je.text);
	if (m->version != 1)
		return err_code(err, EX_UNAVAILABLE, MANIFEST_FILE ": \"guest\" is %d, not 1",
				m->version);
	if (m->protocol != (int)GUEST_PROTOCOL)
		return err_code(err, EX_UNAVAILABLE,
				"the guest speaks version %d of the guest protocol, this qbx-vm %u",
				m->protocol, GUEST_PROTOCOL);
	return 0;
}

/* Is the file at @path the one with that digest? */
static int compare(const char *path, const char *digest, struct qbx_err *err)
{
	_cleanup_free_ char *bytes = NULL;
	char hex[SHA256_HEX_LEN + 1];
	size_t len;

	if (io_read_file(AT_FDCWD, path, IMAGE_MAX, &bytes, &len, err) < 0)
		return -1;
	sha256_hex(bytes, len, hex);
	if (strcmp(hex, digest) == 0)
		return 0;
	return err_code(err, EX_UNAVAILABLE,
			"%s is not the one of " MANIFEST_FILE
			": kernel and initrd do not belong together",
			path);
}

/* Return: 0, 1 with @err if there is no manifest to tell, or -1 with @err. */
static int belong_together(const struct config *cfg, const char *kernel, const char *initrd,
			   char *detail, struct qbx_err *err)
{
	_cleanup_close_ int dirfd = open(cfg->share_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct manifest m;
	json_auto_t *j = NULL;

	if (dirfd < 0)
		return err_sys(err, errno, "open %s", cfg->share_dir);
	j = json_read_file(dirfd, MANIFEST_FILE, err);
	if (!j)
		return err->sys == ENOENT ? 1 : -1;
	if (manifest_read(j, &m, err) < 0 || compare(kernel, m.kernel, err) < 0 ||
	    compare(initrd, m.initrd, err) < 0)
		return -1;
	snprintf(detail, CHECK_DETAIL_MAX, "Linux %.64s with crun %.64s", m.release, m.crun);
	return 0;
}

enum finding check_guest(const struct config *cfg, char *detail, struct qbx_err *err)
{
	char kernel[PATH_MAX], initrd[PATH_MAX];
	int rc;

	if (plan_find_guest(kernel, initrd, cfg, err) < 0)
		return FINDING_MISSING;
	rc = belong_together(cfg, kernel, initrd, detail, err);
	if (rc == 0)
		return FINDING_OK;
	if (rc > 0)
		err_wrap(err, "whether kernel and initrd belong together is not known");
	err_hint(err, INSTALL_HINT);
	return rc > 0 ? FINDING_DEGRADED : FINDING_MISSING;
}
