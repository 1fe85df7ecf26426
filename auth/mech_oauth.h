// SPDX-License-Identifier: ISC
/* OAUTHBEARER and XOAUTH2. */
#ifndef AUTH_MECH_OAUTH_H
#define AUTH_MECH_OAUTH_H

#include "auth/mech.h"

/* Of struct mech. */
bool mech_oauth_step(struct exchange *exchange);

#endif
