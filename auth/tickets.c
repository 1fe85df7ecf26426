// SPDX-License-Identifier: ISC
/* Tickets. See tickets.h. */
#include "auth/tickets.h"

#include <stdlib.h>

#include "base/map.h"
#include "os/os.h"
#include "service/dismissed.h"

struct ticket {
	struct ticket *next, *previous; /* in the order of issue, which is that of expiry */
	unsigned char secret[TICKET_BYTES];
	int64_t until;
	struct ticket_holder holder;
	char service[17];
	struct ticket_user user;
};

struct tickets {
	struct map by_secret; /* keyed hash: a guess learns nothing from the time a lookup takes */
	struct ticket *first, *last;
	int64_t lifetime;
};

struct tickets *tickets_new(int64_t lifetime)
{
	struct tickets *tickets = calloc(1, sizeof(*tickets));

	if (tickets) {
		tickets->lifetime = lifetime;
		tickets->by_secret.limit = TICKETS_MOST;
	}
	return tickets;
}

static void drop(struct tickets *tickets, struct ticket *ticket)
{
	*(ticket->previous ? &ticket->previous->next : &tickets->first) = ticket->next;
	*(ticket->next ? &ticket->next->previous : &tickets->last) = ticket->previous;
	map_remove(&tickets->by_secret, slice_of(ticket->secret, TICKET_BYTES));
	explicit_bzero(ticket, sizeof(*ticket));
	free(ticket);
}

void tickets_free(struct tickets **tickets)
{
	if (!*tickets)
		return;
	while ((*tickets)->first)
		drop(*tickets, (*tickets)->first);
	map_free(&(*tickets)->by_secret);
	free(*tickets);
	*tickets = NULL;
}

void tickets_expire(struct tickets *tickets, int64_t now)
{
	while (tickets->first && tickets->first->until <= now)
		drop(tickets, tickets->first);
}

bool tickets_issue(struct tickets *tickets, int64_t now, const struct ticket_holder *holder,
	const char *service, const struct ticket_user *user, unsigned char secret[TICKET_BYTES])
{
	struct ticket *ticket = calloc(1, sizeof(*ticket));

	tickets_expire(tickets, now);
	if (!ticket ||
		!slice_to_string(slice_from(service), ticket->service, sizeof(ticket->service))) {
		free(ticket);
		return false;
	}
	os_random(ticket->secret, TICKET_BYTES);
	ticket->until = now + tickets->lifetime;
	ticket->holder = *holder;
	ticket->user = *user;
	if (!map_put(&tickets->by_secret, slice_of(ticket->secret, TICKET_BYTES), ticket)) {
		free(ticket);
		return false;
	}
	ticket->previous = tickets->last;
	*(tickets->last ? &tickets->last->next : &tickets->first) = ticket;
	tickets->last = ticket;
	memcpy(secret, ticket->secret, TICKET_BYTES);
	return true;
}

bool tickets_redeem(struct tickets *tickets, int64_t now, uint32_t front, struct slice service,
	struct slice secret, struct ticket_user *user)
{
	struct ticket *ticket;
	bool good;

	tickets_expire(tickets, now);
	ticket = secret.length == TICKET_BYTES ? map_get(&tickets->by_secret, secret) : NULL;
	if (!ticket)
		return false;
	good = ticket->holder.front == front && slice_equal(service, slice_from(ticket->service));
	if (good)
		*user = ticket->user;
	drop(tickets, ticket);
	return good;
}

void tickets_revoke(struct tickets *tickets, uint64_t connection)
{
	for (struct ticket *ticket = tickets->first, *next; ticket; ticket = next) {
		next = ticket->next;
		if (ticket->holder.connection == connection)
			drop(tickets, ticket);
	}
}

void tickets_dismiss(struct tickets *tickets, const struct message_sessions_order *order)
{
	for (struct ticket *ticket = tickets->first, *next; ticket; ticket = next) {
		next = ticket->next;
		if (dismissed_names(order, ticket->user.login, ticket->user.app))
			drop(tickets, ticket);
	}
}

unsigned tickets_count(const struct tickets *tickets)
{
	return (unsigned)tickets->by_secret.count;
}
