// SPDX-License-Identifier: ISC
/* What a front offers to a client before it logs in. See login.h. */
#include "service/login.h"

bool login_offers(const struct login_client *client, const char *configured, bool plaintext,
	const char *before, struct buffer *out)
{
	const struct mechanism_situation situation = { .bindings = client->seal.length > 0,
		.certificate = client->certificate };

	return mechanisms_offer(
		configured, plaintext ? "" : "noplaintext", &situation, before, out);
}

bool login_shows_password(struct slice mechanism)
{
	unsigned traits;

	return mechanism_find(mechanism, &traits) && (traits & MECHANISM_PLAINTEXT);
}
