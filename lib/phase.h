/* SPDX-License-Identifier: Apache-2.0 */
/* phase.h - where the time went: the t_us object of qbx-json(7) */
#ifndef QBX_PHASE_H
#define QBX_PHASE_H

#include <jansson.h>

#include "io.h"

/* Marks are differences: each phase is the time since the mark before it. */
struct phases {
	json_t *t_us; /* {"name": microseconds}, owned until phase_take() */
	unsigned long long last;
};

static inline void phase_begin(struct phases *p)
{
	p->t_us = json_object();
	p->last = io_now_us();
}

/** phase_mark() - the phase that ends now is called @name. */
static inline void phase_mark(struct phases *p, const char *name)
{
	unsigned long long now = io_now_us();

	json_object_set_new(p->t_us, name, json_integer((json_int_t)(now - p->last)));
	p->last = now;
}

/**
 * phase_split() - of what ends now the last @us are phase @part, and the rest is more of phase @name
 */
static inline void phase_split(struct phases *p, const char *name, const char *part,
			       unsigned long long us)
{
	unsigned long long now = io_now_us();
	json_int_t before = json_integer_value(json_object_get(p->t_us, name));
	json_int_t rest = (json_int_t)(now - p->last - us);

	json_object_set_new(p->t_us, name, json_integer(before + rest));
	json_object_set_new(p->t_us, part, json_integer((json_int_t)us));
	p->last = now;
}

/** phase_take() - the object; the caller owns it. */
static inline json_t *phase_take(struct phases *p)
{
	json_t *t = p->t_us;

	p->t_us = NULL;
	return t;
}

#endif
