// SPDX-License-Identifier: ISC
/* Sessions and waiting clients of the SMTP front. See pool.h. */
#include "smtpd/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "service/log.h"

/*
 * Sessions that are kept ready beyond those that are busy: as many as had clients at the same time of late, at least one (so a port
 * that nobody comes to keeps one), and half as many again as are busy, so that a burst finds some.
 */
enum {
	POOL_SPARE = 4, /* of the first, at most */
	POOL_SPARE_MOST = 20, /* of both */
	POOL_HOUSEKEEPING = 1000 /* ms */
};

struct pooled {
	struct channel channel;
	struct pool *pool;
	struct pooled *below, *above; /* in the idle stack, or among the busy ones */
	bool busy;
	bool retiring; /* its spawner is gone: no more clients */
	pid_t pid;
	uint32_t serial; /* of its client */
	int64_t since; /* idle since */
	char address[64];
};

struct waiting {
	struct waiting *next;
	int fd;
	int64_t deadline;
	struct front_client client;
};

struct pool {
	struct service *service;
	struct loop *loop;
	struct pool_settings settings;
	struct front *front;
	struct link link;
	struct pooled *idle_top, *idle_bottom, *busy_list;
	unsigned idle, busy;
	struct waiting *waiting_head, *waiting_tail;
	unsigned waiting;
	unsigned peak,
		peak_before; /* clients at the same time, in this max_idle and the one before */
	int64_t peak_since; /* when this one began */
	uint32_t received,
		told; /* sessions that came from this spawner, and that it was asked for, in all */
	uint32_t serial;
	struct deferred want;
	struct timer housekeeping;
	bool draining, done;
	void (*drained)(void *context);
	void *context;
};

void pool_refuse(int fd, const char *text)
{
	if (send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("a refusal was not read");
	close(fd);
}

/* ---- Lists ------------------------------------------------------------------------------------------------------------ */

static void idle_push(struct pool *pool, struct pooled *session)
{
	session->above = NULL;
	session->below = pool->idle_top;
	*(pool->idle_top ? &pool->idle_top->above : &pool->idle_bottom) = session;
	pool->idle_top = session;
	session->since = loop_now(pool->loop);
	pool->idle++;
}

static void idle_remove(struct pool *pool, struct pooled *session)
{
	*(session->above ? &session->above->below : &pool->idle_top) = session->below;
	*(session->below ? &session->below->above : &pool->idle_bottom) = session->above;
	session->above = session->below = NULL;
	pool->idle--;
}

static void busy_add(struct pool *pool, struct pooled *session)
{
	session->busy = true;
	session->above = NULL;
	session->below = pool->busy_list;
	if (pool->busy_list)
		pool->busy_list->above = session;
	pool->busy_list = session;
	pool->busy++;
}

static void busy_remove(struct pool *pool, struct pooled *session)
{
	session->busy = false;
	*(session->above ? &session->above->below : &pool->busy_list) = session->below;
	if (session->below)
		session->below->above = session->above;
	session->above = session->below = NULL;
	pool->busy--;
}

static struct waiting *waiting_take(struct pool *pool)
{
	struct waiting *first = pool->waiting_head;

	pool->waiting_head = first->next;
	if (!pool->waiting_head)
		pool->waiting_tail = NULL;
	pool->waiting--;
	return first;
}

static void waiting_refuse(struct pool *pool, const char *why)
{
	struct waiting *first = waiting_take(pool);
	char text[400];

	snprintf(text, sizeof(text), "421 4.3.2 %s %s\r\n", pool->settings.host, why);
	log_warning("no session for %s: %s", first->client.address, why);
	pool_refuse(first->fd, text);
	front_release(pool->front, first->client.address);
	free(first);
}

/* ---- How many ---------------------------------------------------------------------------------------------------------- */

static unsigned spare(const struct pool *pool)
{
	unsigned recent = pool->peak > pool->peak_before ? pool->peak : pool->peak_before,
		 ready = recent < 1            ? 1
			 : recent < POOL_SPARE ? recent
					       : POOL_SPARE,
		 count = ready + pool->busy / 2;

	return count < POOL_SPARE_MOST ? count : POOL_SPARE_MOST;
}

static void note_peak(struct pool *pool)
{
	if (pool->busy + pool->waiting > pool->peak)
		pool->peak = pool->busy + pool->waiting;
}

static void forget_peak(struct pool *pool, int64_t now)
{
	if (now - pool->peak_since < pool->settings.idle)
		return;
	pool->peak_before = pool->peak;
	pool->peak = pool->busy + pool->waiting;
	pool->peak_since = now;
}

/* Many are busy: sessions shorten their timeouts (the front's part of what Postfix calls stress). */
static bool stressed(const struct pool *pool)
{
	return (uint64_t)(pool->busy + pool->waiting) * 10 > (uint64_t)pool->settings.sessions * 8;
}

/* Once a turn: tell the spawner how many sessions are missing, when that has changed. */
static void pool_want(struct deferred *deferred)
{
	struct pool *pool = deferred->context;
	unsigned target = pool->busy + pool->waiting + (pool->draining ? 0 : spare(pool)),
		 here = pool->busy + pool->idle;
	struct message message = { .type = MESSAGE_POOL_WANT };
	uint32_t total;

	if (target > pool->settings.sessions)
		target = pool->settings.sessions;
	total = pool->received + (target > here ? target - here : 0);
	if (total == pool->told || !link_channel(&pool->link))
		return;
	message.pool_want.count = total;
	if (channel_send(&pool->link.channel, &message))
		pool->told = total;
}

static void maybe_done(struct pool *pool)
{
	if (!pool->draining || pool->done || pool->busy || pool->waiting)
		return;
	pool->done = true;
	pool->drained(pool->context);
}

static void changed(struct pool *pool)
{
	note_peak(pool);
	loop_defer(pool->loop, &pool->want);
	maybe_done(pool);
}

/* ---- Sessions ---------------------------------------------------------------------------------------------------------- */

static void session_drop(struct pooled *session)
{
	channel_close(&session->channel);
	free(session);
}

static void release_client(struct pool *pool, struct pooled *session)
{
	busy_remove(pool, session);
	front_release(pool->front, session->address);
}

/* False: the session has gone; the client is still the caller's. */
static bool give(
	struct pool *pool, struct pooled *session, int fd, const struct front_client *client)
{
	struct message message = { .type = MESSAGE_SESSION_CLIENT, .fd_count = 1, .fds = { fd } };
	struct message_session_client *to = &message.session_client;

	*to = (struct message_session_client){ .serial = ++pool->serial,
		.client_address = slice_from(client->address),
		.client_port = client->port,
		.local_address = slice_from(client->local_address),
		.local_port = client->local_port,
		.entry = slice_head(slice_from(pool->settings.entry), 64),
		.local = client->local,
		.uid = client->uid,
		.stress = stressed(pool) };
	if (!channel_send(&session->channel, &message))
		return false;
	session->serial = to->serial;
	memcpy(session->address, client->address, sizeof(session->address));
	busy_add(pool, session);
	close(fd);
	return true;
}

static void serve_waiting(struct pool *pool)
{
	while (pool->waiting && pool->idle_top) {
		struct pooled *session = pool->idle_top;
		struct waiting *first = pool->waiting_head;

		idle_remove(pool, session);
		if (!give(pool, session, first->fd, &first->client)) {
			session_drop(session);
			continue;
		}
		free(waiting_take(pool));
	}
	changed(pool);
}

static void session_done(struct pooled *session, const struct message_session_done *done)
{
	struct pool *pool = session->pool;

	if (!session->busy || done->serial != session->serial) {
		log_warning("session %d is done with a client it does not have", (int)session->pid);
		return;
	}
	release_client(pool, session);
	if (done->last || session->retiring || (pool->draining && !pool->waiting))
		session_drop(session);
	else
		idle_push(pool, session);
	serve_waiting(pool);
}

static void session_rate(struct pooled *session, const struct message_session_rate *rate)
{
	struct pool *pool = session->pool;
	struct message answer = { .type = MESSAGE_SESSION_RATE_ANSWER };
	unsigned limit = rate->what == RATE_MESSAGE     ? pool->settings.message_rate
			 : rate->what == RATE_RECIPIENT ? pool->settings.recipient_rate
			 : rate->what == RATE_AUTH      ? pool->settings.auth_rate
							: 0;

	answer.session_rate_answer.serial = rate->serial;
	answer.session_rate_answer.refuse =
		session->busy && front_rate(pool->front, session->address, rate->what, limit);
	channel_send(&session->channel, &answer);
}

static void session_received(struct channel *channel, struct message *message)
{
	struct pooled *session = channel->context;

	if (message->type == MESSAGE_SESSION_DONE)
		session_done(session, &message->session_done);
	else if (message->type == MESSAGE_SESSION_RATE)
		session_rate(session, &message->session_rate);
	else
		log_warning("session %d sent %s", (int)session->pid, message_name(message->type));
}

static void session_closed(struct channel *channel, const char *why)
{
	struct pooled *session = channel->context;
	struct pool *pool = session->pool;

	if (session->busy) {
		log_warning("session %d ended while it served %s: %s", (int)session->pid,
			session->address, why);
		release_client(pool, session);
	} else {
		idle_remove(pool, session);
	}
	free(session);
	changed(pool);
}

static void session_add(struct pool *pool, int fd, pid_t pid)
{
	struct pooled *session = calloc(1, sizeof(*session));

	if (!session) {
		close(fd);
		return;
	}
	session->pool = pool;
	session->pid = pid;
	if (!channel_open(
		    &session->channel, pool->loop, fd, session_received, session_closed, session)) {
		free(session);
		return;
	}
	idle_push(pool, session);
	serve_waiting(pool);
}

/* ---- The spawner -------------------------------------------------------------------------------------------------------- */

static void spawner_received(struct channel *channel, struct message *message)
{
	struct link *link = channel->context;
	struct pool *pool = link->context;

	if (message->type != MESSAGE_POOL_SESSION) {
		log_warning("smtpd-session sent %s", message_name(message->type));
		return;
	}
	pool->received++;
	/* No descriptor was free for it: it ends by itself, and another is asked for when it is needed. */
	if (message->fd_count != 1) {
		changed(pool);
		return;
	}
	session_add(pool, message_take_fd(message, 0), (pid_t)message->pool_session.pid);
}

static void spawner_up(struct link *link)
{
	struct pool *pool = link->context;
	struct message message = { .type = MESSAGE_POOL_CONFIG,
		.fd_count = 1,
		.fds = { service_snapshot_fd(pool->service) } };

	if (!channel_send(&link->channel, &message))
		log_warning("sessions cannot be told their configuration");
	pool->received = pool->told = 0;
	changed(pool);
}

static void drop_idle(struct pool *pool)
{
	while (pool->idle_top) {
		struct pooled *session = pool->idle_top;

		idle_remove(pool, session);
		session_drop(session);
	}
}

/* It was replaced or it died: its sessions finish their clients and go, so that it can end and the new one's are used. */
static void spawner_down(struct link *link)
{
	struct pool *pool = link->context;

	for (struct pooled *session = pool->busy_list; session; session = session->below)
		session->retiring = true;
	drop_idle(pool);
}

/* ---- Time --------------------------------------------------------------------------------------------------------------- */

static void pool_housekeeping(struct timer *timer)
{
	struct pool *pool = timer->context;
	int64_t now = loop_now(pool->loop);

	while (pool->waiting && pool->waiting_head->deadline <= now)
		waiting_refuse(pool, "All server ports are busy");
	forget_peak(pool, now);
	while (pool->idle > spare(pool) && now - pool->idle_bottom->since >= pool->settings.idle) {
		struct pooled *session = pool->idle_bottom;

		idle_remove(pool, session);
		session_drop(session);
	}
	loop_timer_start(pool->loop, &pool->housekeeping, POOL_HOUSEKEEPING);
	changed(pool);
}

/* ---- From outside ------------------------------------------------------------------------------------------------------- */

struct pool *pool_open(struct service *service, const struct pool_settings *settings,
	void (*drained)(void *context), void *context)
{
	struct pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	*pool = (struct pool){ .service = service,
		.loop = service_loop(service),
		.settings = *settings,
		.drained = drained,
		.context = context };
	pool->want = (struct deferred){ .run = pool_want, .context = pool };
	pool->housekeeping = (struct timer){ .fire = pool_housekeeping, .context = pool };
	loop_timer_start(pool->loop, &pool->housekeeping, POOL_HOUSEKEEPING);
	link_open(&pool->link, service, SERVICE_SMTPD_SESSION, spawner_received, spawner_up,
		spawner_down, pool);
	return pool;
}

void pool_set_front(struct pool *pool, struct front *front)
{
	pool->front = front;
}

void pool_serve(struct pool *pool, int fd, const struct front_client *client)
{
	struct waiting *last;

	while (pool->idle_top && !pool->waiting) {
		struct pooled *session = pool->idle_top;

		idle_remove(pool, session);
		if (give(pool, session, fd, client)) {
			changed(pool);
			return;
		}
		session_drop(session);
	}
	last = calloc(1, sizeof(*last));
	if (!last) {
		pool_refuse(fd, "421 4.3.2 Error: out of memory\r\n");
		front_release(pool->front, client->address);
		return;
	}
	*last = (struct waiting){
		.fd = fd, .client = *client, .deadline = loop_now(pool->loop) + pool->settings.wait
	};
	*(pool->waiting_tail ? &pool->waiting_tail->next : &pool->waiting_head) = last;
	pool->waiting_tail = last;
	pool->waiting++;
	changed(pool);
}

void pool_drain(struct pool *pool, bool fast)
{
	pool->draining = true;
	if (!pool->waiting)
		drop_idle(pool);
	while (fast && pool->waiting)
		waiting_refuse(pool, "Service shutting down");
	while (fast && pool->busy_list) {
		struct pooled *session = pool->busy_list;

		release_client(pool, session);
		session_drop(session);
	}
	changed(pool);
}
