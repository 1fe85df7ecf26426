// SPDX-License-Identifier: ISC
/*
 * What SCRAM keys look like from outside: the first answer of a server shows iterations and salt, also for a name that nobody has. Names
 * are as old as their passwords and come from other systems, so that an answer with today's iterations for whoever is nobody would tell
 * who is somebody. What is shown for nobody is therefore taken from what there is, as often as it is there, and always the same for the
 * same name.
 */
#ifndef AUTH_SCRAM_FORMS_H
#define AUTH_SCRAM_FORMS_H

#include "auth/scheme.h"

enum scram_digest { SCRAM_SHA_1, SCRAM_SHA_256, SCRAM_DIGESTS };

struct scram_form {
	unsigned iterations; /* 0: there are no keys of that digest */
	unsigned salt_length;
};
/* Of one login, both: who asks for both must not learn more. */
struct scram_shape {
	struct scram_form form[SCRAM_DIGESTS];
	uint32_t count; /* logins that have it */
};

enum { SCRAM_SHAPES = 64 };
/* Zeroed: nothing was seen yet. What is beyond SCRAM_SHAPES different ones is not counted. */
struct scram_forms {
	unsigned count;
	struct scram_shape
		shape[SCRAM_SHAPES]; /* in an order that does not depend on that of the logins */
};

/* By what is stored of a password; of one login. Where stored plain text takes the place of keys iterations are 0, and the salt has a length. */
struct scram_shape scram_shape_of(struct slice stored);
/* Count `logins` more that have it. `plain`: stored plain text counts, and keys are made of it with `iterations`. */
void scram_forms_add(struct scram_forms *forms, const struct scram_shape *shape, uint32_t logins,
	bool plain, unsigned iterations);

/* What makes the choice for one name: bits that are the same each time, and that nobody can guess. */
struct scram_lot {
	uint32_t shape, form[SCRAM_DIGESTS];
};
/*
 * The form of nobody's keys; of those that a login with no keys of that digest is given when it has other ones (`known`). When nothing was
 * seen it is {0, 0}.
 */
struct scram_form scram_forms_pick(const struct scram_forms *forms, enum scram_digest digest,
	const struct scram_lot *lot, bool known);

#endif
