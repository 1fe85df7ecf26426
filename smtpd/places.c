// SPDX-License-Identifier: ISC
/* Who makes room for whom. See places.h. */
#include "smtpd/places.h"

bool place_yields(const struct place *place, unsigned crowd, int64_t now)
{
	int64_t age = now - place->since;

	switch (place->standing) {
	case CLIENT_STRANGER:
		return place->crowd > crowd || age >= PLACE_CHANCE;
	case CLIENT_SENDS:
		/* A server that sends a big message slowly is alone, or nearly so. */
		return place->crowd > crowd && age >= PLACE_SENDING;
	default:
		return false;
	}
}

bool place_goes_first(const struct place *a, const struct place *b)
{
	if (a->standing != b->standing)
		return a->standing < b->standing;
	return a->crowd != b->crowd ? a->crowd > b->crowd : a->since < b->since;
}
