// SPDX-License-Identifier: ISC
/* PLAIN, LOGIN, CRAM-MD5 and DIGEST-MD5, through libsasl2. */
#ifndef AUTH_MECH_SASL_H
#define AUTH_MECH_SASL_H

#include "auth/mech.h"

/* Once in a process, before it is confined and before there are threads. False with `error` filled. */
MUST_CHECK bool mech_sasl_open(char *error, size_t error_size);
/* Of struct mech. */
bool mech_sasl_step(struct exchange *exchange);
void mech_sasl_free(struct exchange *exchange);

#endif
