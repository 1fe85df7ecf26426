// SPDX-License-Identifier: ISC
/* Who logged in in one session. See logins.h. */
#include "smtpd/logins.h"

#include "service/dismissed.h"

bool logins_add(struct logins *logins, const struct message_auth_login *login, int64_t now)
{
	unsigned i = 0;

	while (i < logins->count &&
		!(slice_equal(login->login, slice_from(logins->users[i].login)) &&
			slice_equal(login->app, slice_from(logins->users[i].app))))
		i++;
	if (i == LOGINS_MOST || login->login.length == 0 ||
		!slice_to_string(
			login->login, logins->users[i].login, sizeof(logins->users[i].login)) ||
		!slice_to_string(login->app, logins->users[i].app, sizeof(logins->users[i].app)) ||
		!slice_to_string(login->client_address, logins->users[i].client_address,
			sizeof(logins->users[i].client_address)))
		return false;
	logins->users[i].since = now;
	logins->count += i == logins->count;
	return true;
}

bool logins_next(const struct logins *logins, const struct message_sessions_order *order,
	unsigned *at, struct message_sessions_row *row)
{
	while (*at < logins->count) {
		unsigned i = (*at)++;

		if (!dismissed_names(order, logins->users[i].login, logins->users[i].app))
			continue;
		*row = (struct message_sessions_row){ .order = order->order,
			.service = SLICE("smtp"),
			.login = slice_from(logins->users[i].login),
			.app = slice_from(logins->users[i].app),
			.client_address = slice_from(logins->users[i].client_address),
			.since = logins->users[i].since };
		return true;
	}
	return false;
}

bool logins_concerned(const struct logins *logins, const struct message_sessions_order *order)
{
	struct message_sessions_row row;
	unsigned at = 0;

	return logins_next(logins, order, &at, &row);
}
