/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpus.c - how many processors a running VM has
 *
 * microvm has all of them from the start, and the guest takes them online and offline. A q35 machine
 * is given more, which the guest then takes online, and those that it has taken offline are pulled
 * out again.
 */
#include "guest.pb-c.h"
#include "resize.h"

/* What the guest says that it has online and present. */
struct census {
	unsigned online, present;
};

static int take_census(void *arg, const ProtobufCMessage *reply, struct qbx_err *err)
{
	const Qemubox__Guest__V1__SetCpusResponse *r =
		(const Qemubox__Guest__V1__SetCpusResponse *)reply;
	struct census *c = arg;

	*c = (struct census){ .online = r->online, .present = r->present };
	if (r->online == 0 || r->online > r->present || r->present > RESIZE_VCPUS_MAX)
		return err_code(err, EX_DATAERR,
				"the guest says that %u of %u processors are online", r->online,
				r->present);
	return 0;
}

static int bring_online(const struct resize *r, unsigned n, struct qbx_err *err)
{
	Qemubox__Guest__V1__SetCpusRequest request = QEMUBOX__GUEST__V1__SET_CPUS_REQUEST__INIT;
	struct census c = { 0 };

	request.online = n;
	if (ask_guest(r->cfg, &r->box, "SetCpus", &request.base,
		      &qemubox__guest__v1__set_cpus_response__descriptor, RESIZE_RPC_MS,
		      take_census, &c, err) < 0)
		return -1;
	if (c.online != n)
		return err_code(err, EX_TEMPFAIL,
				"the guest has %u processors online, not %u, and %u present",
				c.online, n, c.present);
	return 0;
}

/* Pulling out comes after the guest has let go, and may end with another one offline than was meant. */
static int set_q35(struct resize *r, unsigned n, struct qbx_err *err)
{
	if (n < r->vcpus && bring_online(r, n, err) < 0)
		return -1;
	if (plug_cpus(r, n, err) < 0)
		return -1;
	return bring_online(r, n, err);
}

int cpus_set(struct resize *r, unsigned n, struct qbx_err *err)
{
	if ((r->q35 ? set_q35(r, n, err) : bring_online(r, n, err)) < 0)
		return -1;
	r->vcpus = n;
	return 0;
}
