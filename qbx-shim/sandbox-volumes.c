/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox-volumes.c - what a VM has of the host's files */
#include <errno.h>

#include "proc.h"
#include "sandbox.h"

/* As it ends when QEMU does, that may be the reason: QEMU gets the time to say so. */
static void on_virtiofsd_end(void *arg, uint32_t events)
{
	struct sandbox *s = arg;

	(void)events;
	loop_remove(s->virtiofsd_watch);
	s->virtiofsd_watch = NULL;
	s->volumes_gone = true;
	sandbox_suspect(s, "virtiofsd, which it has its volumes from, ended");
}

int sandbox_watch_volumes(struct sandbox *s, struct qbx_err *err)
{
	const json_t *j = json_object_get(json_object_get(s->box.doc, "vm"), "virtiofsd");
	struct proc_id id;

	if (!j)
		return 0;
	if (proc_from_json(j, &id, err) < 0)
		return -1;
	s->virtiofsd = proc_open(&id);
	if (s->virtiofsd < 0)
		return err_sys(err, errno, "virtiofsd (pid %d)", (int)id.pid);
	s->virtiofsd_watch =
		loop_add_fd(s->shim->loop, s->virtiofsd, EPOLLIN, on_virtiofsd_end, s, err);
	return s->virtiofsd_watch ? 0 : -1;
}

void sandbox_forget_volumes(struct sandbox *s)
{
	loop_remove(s->virtiofsd_watch);
	s->virtiofsd_watch = NULL;
	if (s->virtiofsd >= 0)
		close(take_fd(&s->virtiofsd));
}
