// SPDX-License-Identifier: ISC
/*
 * Tickets against a model: four bytes an action (what, which front, which ticket or how much time, a bit to spoil). A ticket is
 * good exactly when the model says so, and then for its own login.
 */
#include <stdio.h>
#include <stdlib.h>

#include "auth/tickets.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIFETIME = 20, MOST = 256 };
static const char *const SERVICES[] = { "imap", "pop3", "sieve", "smtp" };

struct issued {
	unsigned char secret[TICKET_BYTES];
	struct ticket_user user;
	unsigned service, front;
	int64_t until;
	bool spent;
};

static struct issued issued[MOST];
static unsigned count;

static void issue(struct tickets *tickets, int64_t now, unsigned front, unsigned service)
{
	struct ticket_holder holder = { front, 100 + front };
	struct issued *one = &issued[count];

	if (count == MOST)
		return;
	*one = (struct issued){ .service = service, .front = front, .until = now + LIFETIME };
	snprintf(one->user.login, sizeof(one->user.login), "user%u@example.org", count);
	snprintf(one->user.app, sizeof(one->user.app), "app%u", count % 3);
	if (!tickets_issue(tickets, now, &holder, SERVICES[service], &one->user, one->secret))
		abort();
	count++;
}

static void redeem(
	struct tickets *tickets, int64_t now, unsigned front, unsigned which, unsigned spoil)
{
	struct issued *one = &issued[count ? which % count : 0];
	struct slice secret = slice_of(one->secret, TICKET_BYTES);
	unsigned char other[TICKET_BYTES];
	unsigned service = (one->service + (spoil >> 6)) % 4;
	bool good, expected;
	struct ticket_user user = { 0 };

	if (!count)
		return;
	memcpy(other, one->secret, TICKET_BYTES);
	if (spoil & 32) {
		other[spoil % TICKET_BYTES] ^= 1;
		secret = slice_of(other, spoil & 16 ? TICKET_BYTES - 1 : TICKET_BYTES);
	}
	good = tickets_redeem(
		tickets, now, 100 + front, slice_from(SERVICES[service]), secret, &user);
	expected = !(spoil & 32) && !one->spent && now < one->until && service == one->service &&
		   front == one->front;
	if (good != expected || (good && (strcmp(user.login, one->user.login) != 0 ||
						 strcmp(user.app, one->user.app) != 0)))
		abort();
	one->spent = one->spent || !(spoil & 32);
}

static void revoke(struct tickets *tickets, unsigned front)
{
	tickets_revoke(tickets, front);
	for (unsigned i = 0; i < count; i++)
		issued[i].spent = issued[i].spent || issued[i].front == front;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tickets *tickets = tickets_new(LIFETIME);
	unsigned left = 0;
	int64_t now = 0;

	count = 0;
	for (size_t i = 0; i + 4 <= size; i += 4) {
		unsigned front = data[i + 1] % 4;

		switch (data[i] % 8) {
		case 0:
			now += data[i + 2];
			break;
		case 1:
			revoke(tickets, front);
			break;
		case 2:
		case 3:
		case 4:
			issue(tickets, now, front, data[i + 2] % 4);
			break;
		default:
			redeem(tickets, now, front, data[i + 2], data[i + 3]);
		}
	}
	tickets_expire(tickets, now);
	for (unsigned i = 0; i < count; i++)
		left += !issued[i].spent && now < issued[i].until;
	if (tickets_count(tickets) != left)
		abort();
	tickets_free(&tickets);
	return 0;
}
