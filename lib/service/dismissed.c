// SPDX-License-Identifier: ISC
/* Users whose sessions were ended. See dismissed.h. */
#include "service/dismissed.h"

bool dismissed_names(const struct message_sessions_order *order, const char *login, const char *app)
{
	struct slice logins = order->logins, name;

	if (order->app.length && !slice_equal(order->app, slice_from(app)))
		return false;
	if (logins.length == 0)
		return true;
	while (slice_split(&logins, '\0', &name))
		if (name.length && slice_equal(name, slice_from(login)))
			return true;
	return false;
}

void dismissed_note(struct dismissed *dismissed, const struct message_sessions_order *order)
{
	struct slice logins = order->logins, name;

	dismissed->order = order->order;
	while (slice_split(&logins, '\0', &name)) {
		unsigned place = dismissed->next % DISMISSED_MOST;

		if (name.length == 0 ||
			!slice_to_string(name, dismissed->users[place].login,
				sizeof(dismissed->users[place].login)) ||
			!slice_to_string(order->app, dismissed->users[place].app,
				sizeof(dismissed->users[place].app)))
			continue;
		if (dismissed->next >= DISMISSED_MOST &&
			dismissed->users[place].order > dismissed->forgotten)
			dismissed->forgotten = dismissed->users[place].order;
		dismissed->users[place].order = order->order;
		dismissed->next++;
	}
}

bool dismissed_since(
	const struct dismissed *dismissed, const char *login, const char *app, uint32_t order)
{
	if (order < dismissed->forgotten)
		return true;
	for (unsigned i = 0; i < DISMISSED_MOST; i++)
		if (dismissed->users[i].order > order &&
			strcmp(dismissed->users[i].login, login) == 0 &&
			(!dismissed->users[i].app[0] || strcmp(dismissed->users[i].app, app) == 0))
			return true;
	return false;
}
