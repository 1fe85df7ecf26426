// SPDX-License-Identifier: ISC
/* Users whose sessions were ended. See dismissed.h. */
#include "service/dismissed.h"

bool dismissed_names(struct slice logins, const char *login)
{
	struct slice name;

	if (logins.length == 0)
		return true;
	while (slice_split(&logins, '\0', &name))
		if (name.length && slice_equal(name, slice_from(login)))
			return true;
	return false;
}

void dismissed_note(struct dismissed *dismissed, uint32_t order, struct slice logins)
{
	struct slice name;

	dismissed->order = order;
	while (slice_split(&logins, '\0', &name)) {
		unsigned place = dismissed->next % DISMISSED_MOST;

		if (name.length == 0 || !slice_to_string(name, dismissed->users[place].login,
						sizeof(dismissed->users[place].login)))
			continue;
		if (dismissed->next >= DISMISSED_MOST &&
			dismissed->users[place].order > dismissed->forgotten)
			dismissed->forgotten = dismissed->users[place].order;
		dismissed->users[place].order = order;
		dismissed->next++;
	}
}

bool dismissed_since(const struct dismissed *dismissed, const char *login, uint32_t order)
{
	if (order < dismissed->forgotten)
		return true;
	for (unsigned i = 0; i < DISMISSED_MOST; i++)
		if (dismissed->users[i].order > order &&
			strcmp(dismissed->users[i].login, login) == 0)
			return true;
	return false;
}
