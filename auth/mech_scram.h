// SPDX-License-Identifier: ISC
/* SCRAM-SHA-1, SCRAM-SHA-256 and their -PLUS forms. */
#ifndef AUTH_MECH_SCRAM_H
#define AUTH_MECH_SCRAM_H

#include "auth/mech.h"

/* Of struct mech. */
bool mech_scram_step(struct exchange *exchange);
void mech_scram_free(struct exchange *exchange);

#endif
