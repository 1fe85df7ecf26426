// SPDX-License-Identifier: ISC
/* Sessions and waiting clients of the SMTP front. See pool.h. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "service/log.h"
#include "smtpd/pool_impl.h"

/*
 * Sessions that are kept ready beyond those that are busy: as many as had clients at the same time of late, at least one (so a port
 * that nobody comes to keeps one), and half as many again as are busy, so that a burst finds some.
 */
enum {
	POOL_SPARE = 4, /* of the first, at most */
	POOL_SPARE_MOST = 20, /* of both */
	POOL_HOUSEKEEPING = 1000, /* ms */
	POOL_LOOK = 100 /* ms between looks who makes room, while somebody waits */
};

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
	session->since = loop_now(pool->loop);
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
	return pool->full ||
	       (uint64_t)(pool->busy + pool->waiting) * 10 > (uint64_t)pool->settings.sessions * 8;
}

/* Tell the spawner how many sessions are missing, when that has changed. */
static void want(struct pool *pool)
{
	unsigned target = pool->busy + pool->waiting + (pool->draining ? 0 : spare(pool)),
		 here = pool->busy + pool->idle, crowd = 0;
	struct message message = { .type = MESSAGE_POOL_WANT };
	uint32_t total;

	if (target > pool->settings.sessions)
		target = pool->settings.sessions;
	if (target <= here)
		pool->full = false;
	total = pool->received + (target > here ? target - here : 0);
	if ((total == pool->told && pool->waiting == pool->told_waiting) ||
		!link_channel(&pool->link))
		return;
	(void)waiting_next(pool, &crowd);
	message.pool_want = (struct message_pool_want){
		.count = total, .waiting = pool->waiting, .crowd = crowd
	};
	if (!channel_send(&pool->link.channel, &message))
		return;
	pool->told = total;
	pool->told_waiting = pool->waiting;
}

/* Once a turn. */
static void pool_work(struct deferred *deferred)
{
	struct pool *pool = deferred->context;

	make_room(pool);
	want(pool);
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
	loop_defer(pool->loop, &pool->work);
	maybe_done(pool);
}

/* ---- Sessions ---------------------------------------------------------------------------------------------------------- */

static void session_drop(struct pooled *session)
{
	channel_close(&session->channel);
	free(session);
}

static void set_standing(struct pooled *session, enum client_standing standing)
{
	bool known = standing >= CLIENT_KNOWN;

	if (known != (session->standing >= CLIENT_KNOWN))
		front_trust(session->pool->front, session->address, known);
	session->standing = standing;
}

static void release_client(struct pool *pool, struct pooled *session)
{
	busy_remove(pool, session);
	close(session->client);
	session->client = -1;
	session->leaving = 0;
	set_standing(session, CLIENT_STRANGER);
	front_release(pool->front, session->address);
}

/* False: the session has gone; the client is still the caller's. */
static bool give(struct pool *pool, struct pooled *session, int fd,
	const struct front_client *client, const struct tls_info *tls)
{
	struct message message = { .type = MESSAGE_SESSION_CLIENT, .fd_count = 1, .fds = { fd } };
	struct message ready;
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
	if (tls) {
		tls_pass_info(tls, &ready);
		if (!channel_send(&session->channel, &ready))
			return false;
	}
	if (!channel_send(&session->channel, &message))
		return false;
	session->serial = to->serial;
	memcpy(session->address, client->address, sizeof(session->address));
	front_network(pool->front, client->address, session->network);
	session->client = fd;
	busy_add(pool, session);
	if (client->local)
		set_standing(session, CLIENT_KNOWN);
	return true;
}

static void serve_waiting(struct pool *pool)
{
	unsigned crowd;

	while (pool->waiting && pool->idle_top) {
		struct pooled *session = pool->idle_top;
		struct waiting *next = waiting_next(pool, &crowd);

		idle_remove(pool, session);
		if (!give(pool, session, next->fd, &next->client, next->tls)) {
			session_drop(session);
			continue;
		}
		waiting_forget(pool, next);
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

/* Its word is worth one place, its own. */
static void session_standing(struct pooled *session, unsigned standing)
{
	if (session->busy && standing > (unsigned)session->standing)
		set_standing(session, standing > CLIENT_KNOWN ? CLIENT_KNOWN : standing);
}

static void session_received(struct channel *channel, struct message *message)
{
	struct pooled *session = channel->context;

	if (message->type == MESSAGE_SESSION_DONE)
		session_done(session, &message->session_done);
	else if (message->type == MESSAGE_SESSION_RATE)
		session_rate(session, &message->session_rate);
	else if (message->type == MESSAGE_SESSION_STANDING)
		session_standing(session, message->session_standing.standing);
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
	session->client = -1;
	if (!channel_open(
		    &session->channel, pool->loop, fd, session_received, session_closed, session)) {
		free(session);
		return;
	}
	idle_push(pool, session);
	serve_waiting(pool);
}

static void drop_idle(struct pool *pool, struct pooled *session)
{
	idle_remove(pool, session);
	session_drop(session);
	changed(pool);
}

/* One session for another front, in favour of somebody of that crowd; false: there is none that could be given. */
static bool give_up_one(struct pool *pool, unsigned crowd)
{
	if (!pool->idle_bottom)
		return room_for_others(pool, crowd);
	drop_idle(pool, pool->idle_bottom);
	return true;
}

/* ---- The spawner -------------------------------------------------------------------------------------------------------- */

static void spawner_received(struct channel *channel, struct message *message)
{
	struct link *link = channel->context;
	struct pool *pool = link->context;

	switch (message->type) {
	case MESSAGE_POOL_FULL:
		pool->full = true;
		changed(pool);
		return;
	case MESSAGE_POOL_GIVE:
		if (!give_up_one(pool, message->pool_give.crowd)) {
			struct message keep = { .type = MESSAGE_POOL_KEEP };

			channel_send(channel, &keep);
		}
		return;
	case MESSAGE_POOL_SESSION:
		break;
	default:
		log_warning("smtpd-session sent %s", message_name(message->type));
		return;
	}
	pool->received++;
	pool->full = false;
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
	pool->received = pool->told = pool->told_waiting = 0;
	pool->full = false;
	changed(pool);
}

static void drop_all_idle(struct pool *pool)
{
	while (pool->idle_top)
		drop_idle(pool, pool->idle_top);
}

/* It was replaced or it died: its sessions finish their clients and go, so that it can end and the new one's are used. */
static void spawner_down(struct link *link)
{
	struct pool *pool = link->context;

	for (struct pooled *session = pool->busy_list; session; session = session->below)
		session->retiring = true;
	drop_all_idle(pool);
}

/* ---- Time --------------------------------------------------------------------------------------------------------------- */

static void pool_housekeeping(struct timer *timer)
{
	struct pool *pool = timer->context;
	int64_t now = loop_now(pool->loop);

	while (pool->waiting && pool->waiting_head->deadline <= now)
		waiting_refuse(pool, "All server ports are busy");
	forget_peak(pool, now);
	while (pool->idle > spare(pool) && now - pool->idle_bottom->since >= pool->settings.idle)
		drop_idle(pool, pool->idle_bottom);
	loop_timer_start(
		pool->loop, &pool->housekeeping, pool->waiting ? POOL_LOOK : POOL_HOUSEKEEPING);
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
	pool->work = (struct deferred){ .run = pool_work, .context = pool };
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

void pool_serve(
	struct pool *pool, int fd, const struct front_client *client, const struct tls_info *tls)
{
	while (pool->idle_top && !pool->waiting) {
		struct pooled *session = pool->idle_top;

		idle_remove(pool, session);
		if (give(pool, session, fd, client, tls)) {
			changed(pool);
			return;
		}
		session_drop(session);
	}
	waiting_add(pool, fd, client, tls);
	if (pool->housekeeping.place && pool->waiting == 1)
		loop_timer_start(pool->loop, &pool->housekeeping, POOL_LOOK);
	changed(pool);
}

void pool_drain(struct pool *pool, bool fast)
{
	pool->draining = true;
	if (!pool->waiting)
		drop_all_idle(pool);
	while (fast && pool->waiting)
		waiting_refuse(pool, "Service shutting down");
	while (fast && pool->busy_list) {
		struct pooled *session = pool->busy_list;

		release_client(pool, session);
		session_drop(session);
	}
	changed(pool);
}
