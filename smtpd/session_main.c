// SPDX-License-Identifier: ISC
/*
 * smtpd-session - keeps SMTP session processes ready for the fronts.
 *
 * A front says how many sessions it wants; for each the spawner takes a connection to directoryd and one to cleanup from its
 * stock (asked of master beforehand, so that a fork waits for nobody), forks, and sends the front the other end of the new
 * session's channel. A session serves max_use clients one after the other, holds no file and can reach nobody but its three
 * peers. It ends when its front closes the channel, when a peer is lost, or when it is used up.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "mail/date.h"
#include "os/os.h"
#include "service/dismissed.h"
#include "service/figures.h"
#include "service/log.h"
#include "service/spawner.h"
#include "ipc/channel.h"
#include "smtpd/logins.h"
#include "smtpd/session_run.h"
#include "smtpd/smtpd_session_cell.h"

enum {
	SESSIONS_MOST = 1000, /* whatever maxproc says */
	STOCK_SPARE = 4, /* connections of each kind kept beyond what is wanted now */
	STOCK_MOST = 64, /* in stock and asked for */
	STOCK_RETRY = 100, /* ms */
	QUICK_DEATH = 1000, /* ms: a session that fails within this will fail again */
	RETRY_AFTER_DEATH = 1000, /* ms */
	FRONTS_MOST = 64,
	NAME_TIMEOUT = 100, /* ms for one packet on a new connection */
	KEEP_TIME = 500, /* ms before a front that had nothing to give is asked again */
	RENEWALS_MOST = 32, /* connections that a session may ask for anew in its life */
	END_GRACE = 2000 /* ms */
};

/* Connections to one kind of peer, ready for the next session. */
struct stock {
	struct pool *pool;
	enum service_id service;
	int fds[STOCK_MOST];
	unsigned count, asked;
	unsigned needs; /* sessions that wait for one of these */
	unsigned spare; /* kept beyond what is wanted now */
	bool on_demand; /* only for sessions that ask: no client waits for it at the start of one */
};

struct front_peer {
	struct channel channel;
	struct pool *pool;
	int config; /* snapshot its sessions work by; -1 until it is told */
	uint32_t sent; /* sessions it got */
	unsigned wanted; /* and still wants */
	unsigned waiting, crowd; /* its clients that wait for one, as in POOL_WANT */
	unsigned sessions; /* that it has */
	unsigned giving; /* of these, what it was asked to give up */
	bool told_full; /* since it wanted the last time */
	int64_t kept; /* when it had none to give, loop time */
};

struct pool {
	struct service *service;
	struct spawner *spawner;
	char host[256]; /* where myhostname is not set */
	unsigned limit;
	struct stock directory, cleanup, tls, auth;
	struct link
		watch; /* authd tells who logs in; without it no session gets a connection to authd */
	uint32_t sessions; /* numbered so far */
	struct front_peer *fronts[FRONTS_MOST];
	unsigned front_count;
	struct timer retry, again;
	struct deferred work;
	struct dismissed dismissed;
};

/* What the spawner keeps of a session: the connections it waits for. */
struct served {
	struct pool *pool;
	struct front_peer *front; /* whose clients it serves; NULL: it has gone */
	unsigned needs; /* bits NEED_... */
	unsigned renewals;
	uint32_t number; /* authd's name for it */
	struct logins logins;
};
enum { NEED_DIRECTORY = 1, NEED_CLEANUP = 2, NEED_TLS = 4, NEED_AUTH = 8 };

static unsigned need_of(enum service_id service)
{
	return service == SERVICE_DIRECTORY ? NEED_DIRECTORY
	       : service == SERVICE_CLEANUP ? NEED_CLEANUP
	       : service == SERVICE_TLSD    ? NEED_TLS
	       : service == SERVICE_AUTH    ? NEED_AUTH
					    : 0;
}

static struct stock *stock_of(struct pool *pool, enum service_id service)
{
	return service == SERVICE_DIRECTORY ? &pool->directory
	       : service == SERVICE_CLEANUP ? &pool->cleanup
	       : service == SERVICE_TLSD    ? &pool->tls
					    : &pool->auth;
}

/* ---- Connections to sessions ------------------------------------------------------------------------------------------ */

/* What the session asked for; `fd` -1: it cannot be had. */
static void answer_peer(struct stock *stock, struct session_child *child, int fd)
{
	struct message answer = {
		.type = MESSAGE_POOL_PEER_ANSWER, .fd_count = fd >= 0, .fds = { fd }
	};
	struct served *served = child->context;

	answer.pool_peer_answer.service = (uint8_t)stock->service;
	channel_send(&child->channel, &answer);
	served->needs &= ~need_of(stock->service);
	stock->needs--;
}

static void refuse_peer(void *context, struct session_child *child)
{
	struct stock *stock = context;
	struct served *served = child->context;

	if (served->needs & need_of(stock->service))
		answer_peer(stock, child, -1);
}

/* ---- The stock of connections ---------------------------------------------------------------------------------------- */

static unsigned wanted_in_all(const struct pool *pool)
{
	unsigned wanted = 0, running = spawner_count(pool->spawner);

	for (unsigned i = 0; i < pool->front_count; i++)
		wanted += pool->fronts[i]->wanted;
	return wanted < pool->limit - running ? wanted : pool->limit - running;
}

static void stock_connected(struct service *service, void *context, int fd, const char *reason)
{
	struct stock *stock = context;

	stock->asked--;
	if (fd >= 0 && stock->count < STOCK_MOST) {
		stock->fds[stock->count++] = fd;
		loop_defer(service_loop(service), &stock->pool->work);
		return;
	}
	if (fd >= 0)
		close(fd);
	log_debug("no connection to %s: %s", service_id_name(stock->service), reason ? reason : "");
	if (stock->on_demand)
		spawner_each(stock->pool->spawner, refuse_peer, stock);
	else if (!stock->pool->retry.place)
		loop_timer_start(service_loop(service), &stock->pool->retry, STOCK_RETRY);
}

static void stock_fill(struct stock *stock)
{
	struct pool *pool = stock->pool;
	unsigned target = stock->needs;

	if (!service_draining(pool->service))
		target += stock->spare;
	if (!service_draining(pool->service) && !stock->on_demand)
		target += wanted_in_all(pool);

	if (target > STOCK_MOST)
		target = STOCK_MOST;
	/* What fails at once is not asked for again in this turn. */
	for (unsigned have = stock->count + stock->asked; have < target; have++) {
		if (!stock->on_demand && pool->retry.place)
			return;
		stock->asked++;
		service_connect(pool->service, stock->service, stock_connected, stock);
	}
}

/* A connection from the stock that is still alive; -1 when there is none. */
static int stock_take(struct stock *stock)
{
	while (stock->count) {
		struct pollfd look = { .fd = stock->fds[--stock->count], .events = POLLIN };

		if (poll(&look, 1, 0) == 0)
			return look.fd;
		close(look.fd);
	}
	return -1;
}

static void stock_drop(struct stock *stock)
{
	while (stock->count)
		close(stock->fds[--stock->count]);
}

/* ---- Sessions --------------------------------------------------------------------------------------------------------- */

static bool tell_front(struct front_peer *front, pid_t pid, int fd)
{
	struct message message = { .type = MESSAGE_POOL_SESSION, .fd_count = 1, .fds = { fd } };

	message.pool_session.pid = (uint32_t)pid;
	return channel_send(&front->channel, &message);
}

static bool take_peers(struct pool *pool, struct session_seed *seed)
{
	seed->directory = stock_take(&pool->directory);
	if (seed->directory < 0)
		return false;
	seed->cleanup = stock_take(&pool->cleanup);
	if (seed->cleanup >= 0)
		return true;
	/* Back to the place it came from. */
	pool->directory.fds[pool->directory.count++] = seed->directory;
	return false;
}

static bool start_session(struct pool *pool, struct front_peer *front)
{
	struct session_seed seed = { .host = pool->host, .config = front->config };
	int ends[2], keep[4];
	struct session_start start = {
		.keep = keep, .keep_count = 4, .run = session_run, .argument = &seed
	};
	struct session_child *child = NULL;
	struct served *served = calloc(1, sizeof(*served));

	if (!served || !take_peers(pool, &seed)) {
		free(served);
		return false;
	}
	served->pool = pool;
	served->front = front;
	served->number = ++pool->sessions ? pool->sessions : ++pool->sessions;
	if (channel_pair(ends)) {
		keep[0] = seed.front = ends[1];
		keep[1] = seed.directory;
		keep[2] = seed.cleanup;
		keep[3] = seed.config;
		child = spawner_start(pool->spawner, &start, served);
		if (child)
			tell_front(front, child->pid, ends[0]);
		else
			log_warning("cannot start a session: %s", strerror(errno));
		close(ends[0]);
		close(ends[1]);
	}
	close(seed.directory);
	close(seed.cleanup);
	if (!child) {
		free(served);
		return false;
	}
	front->sessions++;
	front->wanted--;
	front->sent++;
	return true;
}

/* Before the session has it, so that it cannot take another's name. */
static bool name_session(const struct served *served, int fd)
{
	struct message message = { .type = MESSAGE_AUTH_SESSION };

	message.auth_session.number = served->number;
	return channel_sync_send(fd, &message, loop_monotonic() + NAME_TIMEOUT);
}

/* Give a session the connection it waits for; stays noted when the stock has none. */
static void give_peer(void *context, struct session_child *child)
{
	struct stock *stock = context;
	struct served *served = child->context;
	unsigned need = need_of(stock->service);
	int fd = -1;

	if ((served->needs & need) &&
		(stock->service != SERVICE_AUTH || link_channel(&served->pool->watch)))
		fd = stock_take(stock);
	if (fd < 0)
		return;
	if (stock->service != SERVICE_AUTH || name_session(served, fd))
		answer_peer(stock, child, fd);
	close(fd);
}

static void serve_on_demand(struct pool *pool, struct stock *stock)
{
	if (stock->needs)
		spawner_each(pool->spawner, give_peer, stock);
	stock_fill(stock);
}

/* ---- When there are no more --------------------------------------------------------------------------------------------- */

/* At most so many of those that the front wants. */
static void start_for(struct front_peer *front, unsigned most)
{
	struct pool *pool = front->pool;

	while (most-- && front->wanted && front->config >= 0 &&
		spawner_count(pool->spawner) < pool->limit && start_session(pool, front))
		continue;
}

/* The front with most sessions, if it will still have no fewer than `front`, or that one has none at all, and did not say lately that it has none to give. */
static struct front_peer *who_gives(const struct front_peer *front)
{
	const struct pool *pool = front->pool;
	int64_t now = loop_now(service_loop(pool->service));
	struct front_peer *most = NULL;

	for (unsigned i = 0; i < pool->front_count; i++) {
		struct front_peer *other = pool->fronts[i];

		if (other == front || (other->kept && now - other->kept < KEEP_TIME) ||
			other->sessions - other->giving <=
				(most ? most->sessions - most->giving
				      : front->sessions + (front->sessions > 0)))
			continue;
		most = other;
	}
	return most;
}

/* Places for as many as wait: from the front that has most, in the end from among its own clients. */
static void find_room(struct front_peer *front, unsigned missing)
{
	struct message give = { .type = MESSAGE_POOL_GIVE }, full = { .type = MESSAGE_POOL_FULL };
	struct front_peer *other;

	give.pool_give.crowd = front->crowd;
	while (missing && (other = who_gives(front))) {
		other->giving++;
		channel_send(&other->channel, &give);
		missing--;
	}
	/* Strangers that have just come will have had their chance then. */
	if (missing && !front->pool->again.place)
		loop_timer_start(
			service_loop(front->pool->service), &front->pool->again, KEEP_TIME);
	if (!missing || front->told_full)
		return;
	front->told_full = true;
	channel_send(&front->channel, &full);
}

/* Clients wait, and all sessions are there that may be: one port's crowd must not keep out who comes to another. */
static void share_out(struct pool *pool)
{
	unsigned coming = 0;

	if (spawner_count(pool->spawner) < pool->limit)
		return;
	for (unsigned i = 0; i < pool->front_count; i++)
		coming += pool->fronts[i]->giving;
	for (unsigned i = 0; i < pool->front_count; i++) {
		struct front_peer *front = pool->fronts[i];
		unsigned missing = front->waiting < front->wanted ? front->waiting : front->wanted;
		unsigned here = missing < coming ? missing : coming;

		coming -= here;
		if (missing > here)
			find_room(front, missing - here);
	}
}

/* Start what is wanted as far as the stock allows, and see to the stock. Runs at the end of a turn, once for all requests. */
static void pool_work(struct deferred *deferred)
{
	struct pool *pool = deferred->context;

	/* Not held up when others cannot be had. */
	serve_on_demand(pool, &pool->tls);
	serve_on_demand(pool, &pool->auth);
	if (pool->retry.place)
		return;
	/* Clients are waiting for these. */
	if (pool->directory.needs)
		spawner_each(pool->spawner, give_peer, &pool->directory);
	if (pool->cleanup.needs)
		spawner_each(pool->spawner, give_peer, &pool->cleanup);
	for (unsigned i = 0; i < pool->front_count; i++)
		start_for(pool->fronts[i], pool->fronts[i]->waiting);
	for (unsigned i = 0; i < pool->front_count; i++)
		start_for(pool->fronts[i], pool->fronts[i]->wanted);
	share_out(pool);
	stock_fill(&pool->directory);
	stock_fill(&pool->cleanup);
	figures_set(FIGURE_sessions_now, spawner_count(pool->spawner));
}

static void pool_retry(struct timer *timer)
{
	struct pool *pool = timer->context;

	pool_work(&pool->work);
}

static void maybe_end(struct pool *pool)
{
	if (service_draining(pool->service) && spawner_count(pool->spawner) == 0)
		service_end(pool->service, EX_OK);
}

static void session_ended(void *context, struct session_child *child, int status)
{
	struct pool *pool = context;
	struct loop *loop = service_loop(pool->service);
	struct served *served = child->context;

	if (served->front) {
		served->front->sessions--;
		served->front->giving -= served->front->giving > 0;
	}
	pool->directory.needs -= !!(served->needs & NEED_DIRECTORY);
	pool->cleanup.needs -= !!(served->needs & NEED_CLEANUP);
	pool->tls.needs -= !!(served->needs & NEED_TLS);
	pool->auth.needs -= !!(served->needs & NEED_AUTH);
	free(served);
	/* What failed at once will fail again: a pause between attempts keeps the machine for others. */
	if (status != 0 && loop_now(loop) - child->started < QUICK_DEATH)
		loop_timer_start(loop, &pool->retry, RETRY_AFTER_DEATH);
	else if (!pool->retry.place)
		loop_defer(loop, &pool->work);
	maybe_end(pool);
}

/* A peer of the session was replaced: it goes on with the new one. */
static void session_needs(struct session_child *child, enum service_id service)
{
	struct served *served = child->context;
	struct pool *pool = served->pool;
	struct stock *stock = stock_of(pool, service);
	unsigned need = need_of(service);

	if (served->needs & need)
		return;
	/* No peer is started again so often: this one gathers connections. Without an answer it ends. */
	if (served->renewals++ >= RENEWALS_MOST) {
		log_warning("session %d asks for too many connections", (int)child->pid);
		return;
	}
	served->needs |= need;
	stock->needs++;
	/* From the first client on that wants it there are some for those who come. */
	if (stock->on_demand)
		stock->spare = STOCK_SPARE;
	loop_defer(service_loop(pool->service), &pool->work);
}

struct login_notice {
	struct pool *pool;
	const struct message_auth_login *login;
};

static void note_login(void *context, struct session_child *child)
{
	const struct login_notice *notice = context;
	const struct message_auth_login *login = notice->login;
	struct served *served = child->context;
	struct pool *pool = notice->pool;
	char name[MAX_LOGIN + 1] = "", app[MAX_APP + 1] = "";

	if (served->number != login->number)
		return;
	if (!logins_add(&served->logins, login, os_now()) ||
		!slice_to_string(login->login, name, sizeof(name)) ||
		!slice_to_string(login->app, app, sizeof(app))) {
		log_warning("session %d logs in too often: it is ended", (int)child->pid);
		kill(child->pid, SIGKILL);
	} else if (dismissed_since(&pool->dismissed, name, app, login->order)) {
		spawner_dismiss(pool->spawner, child, pool->dismissed.order);
	}
}

/* authd knows who is there, whatever the session makes of it. */
static void watch_received(struct channel *channel, struct message *message)
{
	struct pool *pool = ((struct link *)channel->context)->context;
	struct login_notice notice = { pool, &message->auth_login };

	if (message->type == MESSAGE_AUTH_LOGIN)
		spawner_each(pool->spawner, note_login, &notice);
	else
		log_warning("authd sent %s", message_name(message->type));
}

static void watch_up(struct link *link)
{
	struct message message = { .type = MESSAGE_AUTH_WATCH };
	struct pool *pool = link->context;

	channel_send(&link->channel, &message);
	channel_push(&link->channel);
	loop_defer(service_loop(pool->service), &pool->work);
}

static void session_said(struct channel *channel, struct message *message)
{
	struct session_child *child = channel->context;

	if (message->type == MESSAGE_POOL_PEER && need_of(message->pool_peer.service))
		session_needs(child, message->pool_peer.service);
	else
		log_warning("a session sent %s", message_name(message->type));
}

/* ---- Users ------------------------------------------------------------------------------------------------------------ */

static bool concerns(const struct message_sessions_order *order, struct session_child *child)
{
	const struct served *served = child->context;

	return logins_concerned(&served->logins, order);
}

struct listing {
	const struct message_sessions_order *order;
	unsigned count;
};

static void list_session(void *context, struct session_child *child)
{
	struct listing *listing = context;
	const struct served *served = child->context;
	struct message_sessions_row row;
	unsigned at = 0;

	while (logins_next(&served->logins, listing->order, &at, &row)) {
		row.pid = (uint32_t)child->pid;
		service_tell_session(served->pool->service, &row);
		listing->count++;
	}
}

static void pool_sessions(
	struct service *service, void *context, const struct message_sessions_order *order)
{
	struct pool *pool = context;
	struct listing listing = { .order = order };

	if (order->action == SESSIONS_END) {
		dismissed_note(&pool->dismissed, order);
		spawner_dismiss_some(pool->spawner, order, concerns, 0);
		return;
	}
	spawner_each(pool->spawner, list_session, &listing);
	service_sessions_done(service, order->order, listing.count);
}

/* ---- Fronts ----------------------------------------------------------------------------------------------------------- */

static void front_received(struct channel *channel, struct message *message)
{
	struct front_peer *front = channel->context;
	int32_t wanted;

	if (message->type == MESSAGE_POOL_CONFIG && message->fd_count == 1) {
		os_close(&front->config);
		front->config = message_take_fd(message, 0);
		loop_defer(service_loop(front->pool->service), &front->pool->work);
		return;
	}
	if (message->type == MESSAGE_POOL_KEEP) {
		front->giving -= front->giving > 0;
		front->kept = loop_now(service_loop(front->pool->service));
		loop_defer(service_loop(front->pool->service), &front->pool->work);
		return;
	}
	if (message->type != MESSAGE_POOL_WANT) {
		log_warning("smtpd sent %s", message_name(message->type));
		return;
	}
	wanted = (int32_t)(message->pool_want.count - front->sent);
	front->wanted = wanted < 0 ? 0 : wanted < SESSIONS_MOST ? (unsigned)wanted : SESSIONS_MOST;
	front->waiting = message->pool_want.waiting;
	front->crowd = message->pool_want.crowd;
	front->told_full = false;
	loop_defer(service_loop(front->pool->service), &front->pool->work);
}

static void forget_front(void *context, struct session_child *child)
{
	struct served *served = child->context;

	if (served->front == context)
		served->front = NULL;
}

static void front_gone(struct channel *channel, const char *why)
{
	struct front_peer *front = channel->context;
	struct pool *pool = front->pool;

	for (unsigned i = 0; i < pool->front_count; i++) {
		if (pool->fronts[i] == front)
			pool->fronts[i] = pool->fronts[--pool->front_count];
	}
	spawner_each(pool->spawner, forget_front, front);
	os_close(&front->config);
	free(front);
}

static void pool_peer(struct service *service, void *context, int fd, const struct peer *peer)
{
	struct pool *pool = context;
	struct front_peer *front =
		pool->front_count < FRONTS_MOST ? calloc(1, sizeof(*front)) : NULL;

	if (!front || service_draining(service)) {
		free(front);
		close(fd);
		return;
	}
	front->pool = pool;
	front->config = -1;
	if (!channel_open(&front->channel, service_loop(service), fd, front_received, front_gone,
		    front)) {
		free(front);
		return;
	}
	pool->fronts[pool->front_count++] = front;
}

/* The fronts notice that their spawner is gone, turn to the new one, and let our sessions go when their clients have. */
static void pool_drain(struct service *service, void *context, bool fast)
{
	struct pool *pool = context;

	while (pool->front_count) {
		struct front_peer *front = pool->fronts[--pool->front_count];

		channel_close(&front->channel);
		os_close(&front->config);
		spawner_each(pool->spawner, forget_front, front);
		free(front);
	}
	stock_drop(&pool->directory);
	stock_drop(&pool->cleanup);
	stock_drop(&pool->tls);
	stock_drop(&pool->auth);
	if (fast)
		spawner_end_all(pool->spawner, END_GRACE);
	maybe_end(pool);
}

int main(int argc, char **argv)
{
	static const struct service_hooks HOOKS = {
		.peer = pool_peer, .sessions = pool_sessions, .drain = pool_drain
	};
	struct service *service = service_start("smtpd-session", argc, argv);
	struct pool pool = { .service = service, .host = "localhost" };

	gethostname(pool.host, sizeof(pool.host) - 1);
	pool.limit = service_max_sessions(service);
	if (pool.limit == 0 || pool.limit > SESSIONS_MOST)
		pool.limit = SESSIONS_MOST;
	pool.directory =
		(struct stock){ .pool = &pool, .service = SERVICE_DIRECTORY, .spare = STOCK_SPARE };
	pool.cleanup =
		(struct stock){ .pool = &pool, .service = SERVICE_CLEANUP, .spare = STOCK_SPARE };
	pool.tls = (struct stock){ .pool = &pool, .service = SERVICE_TLSD, .on_demand = true };
	pool.auth = (struct stock){ .pool = &pool, .service = SERVICE_AUTH, .on_demand = true };
	pool.retry = pool.again = (struct timer){ .fire = pool_retry, .context = &pool };
	pool.work = (struct deferred){ .run = pool_work, .context = &pool };
	/* For $localtime: the time zone is read now, while it may be. */
	date_local_zone(os_now() / 1000000);
	service_enter(service, &CELL_SMTPD_SESSION);
	pool.spawner = spawner_open(service, pool.limit, session_said, session_ended, &pool);
	if (!pool.spawner)
		return EX_OSERR;
	link_open(&pool.watch, service, SERVICE_AUTH, watch_received, watch_up, NULL, &pool);
	loop_defer(service_loop(service), &pool.work);
	return service_run(service, &HOOKS, &pool);
}
