/* SPDX-License-Identifier: Apache-2.0 */
/* prepare: make disks of the mounts in "rootfs" */
#include <errno.h>

#include "json.h"
#include "resolve.h"

static int make_fs(struct prep *p, const struct config *cfg, const struct box *box, json_t **fs,
		   struct qbx_err *err)
{
	_cleanup_(disks_free) struct disks disks = { 0 };

	if (prep_resolve(p, cfg, box, err) < 0)
		return -1;
	if (merge_layers(&p->cache, &p->layers, &disks, err) < 0)
		return -1;
	phase_mark(&p->t, "merge");
	if (writable_make(&p->writable, &p->cache, err) < 0)
		return -1;
	phase_mark(&p->t, "writable");
	if (!p->cache.dry_run && lease_write(&p->cache, box->key, disks.files, err) < 0)
		return -1;
	*fs = doc_fs(&disks, take_ptr(p->process), p->readonly, &p->writable, err);
	return *fs ? 0 : -1;
}

static int emit(struct cli *cli, struct box *box, json_t *fs, struct prep *p, struct qbx_err *err)
{
	if (volumes_add(fs, box, err) < 0) {
		json_decref(fs);
		return err_wrap(err, "box %s", box->key);
	}
	if (cli->dry_run) {
		volumes_plan(json_object_get(fs, "volumes"));
		json_decref(fs);
		return fflush(stdout) ? err_sys(err, errno, "write standard output") : 0;
	}
	json_object_set_new(fs, "t_us", phase_take(&p->t));
	if (json_object_set_new(box->doc, "fs", fs) < 0)
		return err_sys(err, ENOMEM, "write the document");
	if (json_dumpb(box->doc, NULL, 0, JSON_COMPACT) >= JSON_FILE_MAX)
		return err_code(err, EX_DATAERR, "the document would be larger than %u bytes",
				JSON_FILE_MAX);
	return cli_emit(box->doc, err);
}

static int prepare(struct cli *cli, struct qbx_err *err)
{
	_cleanup_(box_free) struct box box = { 0 };
	struct prep p = { .cache.fd = -1 };
	_cleanup_close_ int lock = -1;
	json_t *fs;
	int r;

	phase_begin(&p.t);
	r = cli_read_box(cli, &box, err);
	if (r == 0)
		r = cache_open(&p.cache, cli, err);
	if (r == 0 && !cli->dry_run) {
		lock = lease_lock(&p.cache, false, err);
		r = lock < 0 ? -1 : 0;
	}
	if (r == 0)
		r = make_fs(&p, &cli->cfg, &box, &fs, err);
	if (r == 0)
		r = emit(cli, &box, fs, &p, err);
	prep_free(&p);
	return r;
}

const struct cli_verb prepare_verb = {
	.name = "prepare",
	.help = "make disks of the mounts in \"rootfs\" and add the \"fs\" key",
	.run = prepare,
};
