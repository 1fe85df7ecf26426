// SPDX-License-Identifier: ISC
/* EXTERNAL: the client's certificate. */
#ifndef AUTH_MECH_EXTERNAL_H
#define AUTH_MECH_EXTERNAL_H

#include "auth/mech.h"

/* Of struct mech. */
bool mech_external_step(struct exchange *exchange);

#endif
