// SPDX-License-Identifier: ISC
/* Clients that wait for a session, and who makes room for them. See pool.h and places.h. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "service/log.h"
#include "smtpd/pool_impl.h"

enum {
	LEAVE_MOST = 2000, /* ms in which a session lets go of a client who was cut off */
	WAITING_FAIR = 1000 /* ms that the first may wait before the last goes before him */
};

void pool_refuse(int fd, const char *text)
{
	if (send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("a refusal was not read");
	close(fd);
}

/* ---- Who waits -------------------------------------------------------------------------------------------------------- */

static void waiting_free(struct waiting *waiting)
{
	free(waiting->tls);
	free(waiting);
}

static struct waiting *waiting_new(const struct tls_info *tls)
{
	struct waiting *waiting = calloc(1, sizeof(*waiting));

	if (!waiting || !tls)
		return waiting;
	waiting->tls = malloc(sizeof(*tls));
	if (!waiting->tls) {
		free(waiting);
		return NULL;
	}
	*waiting->tls = *tls;
	return waiting;
}

void waiting_add(
	struct pool *pool, int fd, const struct front_client *client, const struct tls_info *tls)
{
	struct waiting *last = waiting_new(tls);

	if (!last) {
		pool_refuse(fd, "421 4.3.2 Error: out of memory\r\n");
		front_release(pool->front, client->address);
		return;
	}
	last->fd = fd;
	last->client = *client;
	last->deadline = loop_now(pool->loop) + pool->settings.wait;
	front_network(pool->front, client->address, last->network);
	*(pool->waiting_tail ? &pool->waiting_tail->next : &pool->waiting_head) = last;
	pool->waiting_tail = last;
	pool->waiting++;
}

/*
 * Whoever comes alone, or nearly so, before those who come in a crowd; of several the first that came, and the last when the first waits for
 * long: more come than can be served then, and each would wait as long as he bears it.
 */
struct waiting *waiting_next(const struct pool *pool, unsigned *crowd)
{
	struct waiting *next = NULL;
	bool last = pool->waiting_head && pool->waiting_head->deadline - loop_now(pool->loop) <
						  pool->settings.wait - WAITING_FAIR;

	for (struct waiting *w = pool->waiting_head; w; w = w->next) {
		unsigned count = w->client.local ? 0 : front_crowd(pool->front, w->network);

		if (next && (last ? count > *crowd : count >= *crowd))
			continue;
		next = w;
		*crowd = count;
	}
	return next;
}

void waiting_forget(struct pool *pool, struct waiting *waiting)
{
	struct waiting **at = &pool->waiting_head, *before = NULL;

	for (; *at != waiting; at = &(*at)->next)
		before = *at;
	*at = waiting->next;
	if (pool->waiting_tail == waiting)
		pool->waiting_tail = before;
	pool->waiting--;
	waiting_free(waiting);
}

void waiting_refuse(struct pool *pool, const char *why)
{
	struct waiting *first = pool->waiting_head;
	char text[400];

	snprintf(text, sizeof(text), "421 4.3.2 %s %s\r\n", pool->settings.host, why);
	log_warning("no session for %s: %s", first->client.address, why);
	pool_refuse(first->fd, text);
	front_release(pool->front, first->client.address);
	waiting_forget(pool, first);
}

/* ---- Who makes room ---------------------------------------------------------------------------------------------------- */

static struct place place_of(const struct pool *pool, const struct pooled *session)
{
	return (struct place){ .standing = session->standing,
		.crowd = front_crowd(pool->front, session->network),
		.since = session->since };
}

/* The busy session whose client goes first, in favour of somebody of that crowd; NULL when none does. */
static struct pooled *who_goes(const struct pool *pool, unsigned crowd)
{
	int64_t now = loop_now(pool->loop);
	struct pooled *first = NULL;
	struct place first_place = { 0 };

	for (struct pooled *session = pool->busy_list; session; session = session->below) {
		struct place place;

		if (session->leaving || session->standing >= CLIENT_KNOWN)
			continue;
		place = place_of(pool, session);
		if (!place_yields(&place, crowd, now) ||
			(first && !place_goes_first(&place, &first_place)))
			continue;
		first = session;
		first_place = place;
	}
	return first;
}

/* The session hears of it at once, whatever it waits for: the client, authd, or until he may have his answer. */
static void cut_off(struct pool *pool, struct pooled *session)
{
	struct message message = { .type = MESSAGE_SESSION_LEAVE };
	int64_t now = loop_now(pool->loop);

	log_info("all sessions are busy: %s[%s] makes room after %lld ms without %s",
		front_client_name(session->address), session->address,
		(long long)(now - session->since),
		session->standing == CLIENT_SENDS ? "an end" : "a login or a recipient");
	session->leaving = now;
	front_rate(pool->front, session->address, CLIENTS_CUT_OFF, UINT32_MAX);
	message.session_leave.serial = session->serial;
	channel_send(&session->channel, &message);
	channel_push(&session->channel);
	shutdown(session->client, SHUT_RDWR);
}

/* Sessions that are about to be free. One that does not let go is not counted on any more. */
static unsigned leaving(const struct pool *pool)
{
	int64_t now = loop_now(pool->loop);
	unsigned count = 0;

	for (const struct pooled *session = pool->busy_list; session; session = session->below)
		count += session->leaving && !session->retiring &&
			 now - session->leaving < LEAVE_MOST;
	return count;
}

void make_room(struct pool *pool)
{
	unsigned crowd = 0, expected;
	struct pooled *session;

	if (!pool->waiting || (!pool->full && pool->busy + pool->idle < pool->settings.sessions))
		return;
	expected = leaving(pool);
	if (!waiting_next(pool, &crowd))
		return;
	for (; expected < pool->waiting && (session = who_goes(pool, crowd)); expected++)
		cut_off(pool, session);
}

bool room_for_others(struct pool *pool, unsigned crowd)
{
	struct pooled *session = who_goes(pool, crowd);

	if (!session)
		return false;
	session->retiring = true;
	cut_off(pool, session);
	return true;
}
