/* SPDX-License-Identifier: Apache-2.0 */
/* oci.h - members of an OCI specification: of the right type, or refused, or dropped with a line */
#ifndef QBX_INIT_OCI_H
#define QBX_INIT_OCI_H

#include <jansson.h>
#include <stdbool.h>

#include "err.h"

/** oci_refuse() - "OCI spec: @what @why", as the sender's mistake. Return: -1. */
int oci_refuse(struct qbx_err *err, const char *what, const char *why);

int oci_no_memory(struct qbx_err *err);

/**
 * oci_member() - a member that must be of a type if it is there at all
 * @out: borrowed; NULL when it is absent or null
 * Return: 0, or -1 with @err.
 */
int oci_member(json_t *o, const char *key, json_type type, json_t **out,
	       struct qbx_err *err) _must_check_;

/** oci_string() - the same of text; "" when it is absent. */
int oci_string(json_t *o, const char *key, const char **out, struct qbx_err *err) _must_check_;

/** oci_object() - the same of an object, which is made when it is absent. */
int oci_object(json_t *o, const char *key, json_t **out, struct qbx_err *err) _must_check_;

/**
 * oci_drop() - take a member out, with a line that says so unless it says nothing
 * @why: what the guest has, or does not have: "the guest has …"
 */
void oci_drop(json_t *o, const char *key, const char *why);

/**
 * oci_drop_unknown() - the same of all that are not in a list
 * @known: ended by NULL
 */
void oci_drop_unknown(json_t *o, const char *const *known);

#endif
