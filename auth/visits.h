// SPDX-License-Identifier: ISC
/*
 * Good logins on their way into credentials.db: gathered in memory, and written together by a thread of their own, so that no
 * login waits for the disk. A user is written at most once in an interval for each network he comes from.
 */
#ifndef AUTH_VISITS_H
#define AUTH_VISITS_H

#include "auth/credentials_visits.h"
#include "base/loop.h"

enum { VISITS_MOST = 10000 /* gathered in one interval; what is beyond is not written */ };

struct visits;
/* `credentials` is the thread's from now on, and stays the caller's. `interval` in ms. NULL with errno. */
struct visits *visits_open(struct loop *loop, struct credentials *credentials, int64_t interval);
void visits_note(struct visits *visits, const struct credentials_visit *visit);
/* Writes what is left, and ends the thread. */
void visits_close(struct visits **visits);

#endif
