// SPDX-License-Identifier: ISC
/*
 * What SCRAM keys of all logins look like (scram_forms.h), counted again and again by a thread of its own. It takes a five-hundredth of a
 * processor at most: where there are many logins, more time passes between two counts.
 */
#ifndef AUTH_SURVEY_H
#define AUTH_SURVEY_H

#include "auth/backend.h"
#include "auth/scram_forms.h"

struct survey;
/*
 * `backends` are its own from now on, and stay the caller's. Those that cannot be listed are counted by their sample
 * (backends_settings.sample), which is kept at `path`, a text that stays; NULL: nowhere. NULL when memory is out.
 */
struct survey *survey_new(struct backends *backends, const char *path);
/* Count in a thread from now on; waits a second at most for the first count. False with errno. */
MUST_CHECK bool survey_start(struct survey *survey);
/* As scram_forms_pick; {0, 0} before the first count, too. In any thread. */
struct scram_form survey_pick(
	struct survey *survey, enum scram_digest digest, const struct scram_lot *lot, bool known);
/* Ends the thread, and has the sample kept. */
void survey_free(struct survey **survey);

#endif
