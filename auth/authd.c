// SPDX-License-Identifier: ISC
/*
 * authd - checks who somebody is. Fronts bring SASL exchanges; a good one earns a ticket, which the spawner of the sessions
 * redeems here itself, so that a front cannot open a mailbox by lying.
 *
 * The loop never hashes: the steps of exchanges run in a few threads. It is the only process that reads credentials.db.
 */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "auth/attempt.h"
#include "auth/authd_cell.h"
#include "auth/lookups_link.h"
#include "base/buffer.h"
#include "config/config.h"
#include "config/place.h"
#include "os/os.h"
#include "service/log.h"

enum {
	CHECK_PARTS = 1000 /* ms: whether files of the back ends were replaced */,
	EXPIRE_USAGE = 3600000, /* ms */
	DRAIN_LOOK = 200 /* ms */,
	LEAVE_LIMIT = 10000 /* ms that what is in hand keeps a changed file waiting */,
	SEAL_LIFETIME = 300 /* s from a TLS handshake to the end of what its facts are good for */,
	MAX_PEERS = 4000,
	OWN_ATTEMPTS = 8 /* exchanges of a connection that no other can keep it from */
};

/* Who may ask for which service, and who redeems its tickets (SERVICE_COUNT: nobody, there are none). */
static const struct {
	enum service_id front;
	const char *service;
	enum service_id redeemer;
} SERVED[] = {
	{ SERVICE_IMAPD, "imap", SERVICE_IMAPD_SESSION },
	{ SERVICE_POP3D, "pop3", SERVICE_POP3D_SESSION },
	{ SERVICE_MANAGESIEVED, "sieve", SERVICE_MANAGESIEVED },
	{ SERVICE_SMTPD_SESSION, "smtp", SERVICE_COUNT },
};
enum { SERVED_COUNT = sizeof(SERVED) / sizeof(SERVED[0]) };

static bool has_tickets(enum service_id from)
{
	for (int i = 0; i < SERVED_COUNT; i++)
		if (SERVED[i].front == from)
			return SERVED[i].redeemer != SERVICE_COUNT;
	return false;
}

/* --- messages: each returns false when the peer broke the rules --- */

static bool may_ask(const struct auth_peer *peer, struct slice service)
{
	for (int i = 0; i < SERVED_COUNT; i++)
		if (SERVED[i].front == peer->from &&
			slice_equal(service, slice_from(SERVED[i].service)))
			return true;
	return false;
}

/*
 * What tlsd sealed about the client's connection; false when there is no TLS, or somebody made it up. The seal is of the handshake:
 * whoever waits longer than that before he logs in does so without the facts.
 */
static bool unseal(
	struct authd *authd, const struct message_auth_begin *begin, struct tls_facts *facts)
{
	const unsigned char *key = service_seal_key(authd->service);

	if (begin->tls.length == 0)
		return false;
	if (key && tls_unseal(begin->tls, key, begin->service, begin->client_address, os_now(),
			   (int64_t)SEAL_LIFETIME * 1000000, facts))
		return true;
	log_warning("auth: facts about a TLS connection of %.*s do not hold",
		SLICE_ARG(begin->client_address));
	return false;
}

/* Nobody would know where its logins are. */
static bool is_nameless(const struct auth_peer *peer)
{
	return !peer->has_tickets && !peer->session;
}

static bool take_begin(struct auth_peer *peer, const struct message *message)
{
	const struct message_auth_begin *begin = &message->auth_begin;
	struct exchange_start start = { begin->service, begin->mechanism, begin->client_address,
		begin->local_address, begin->secured != 0, NULL };
	struct attempt *attempt;
	struct tls_facts facts;

	if (!may_ask(peer, begin->service) || is_nameless(peer) ||
		map_get(&peer->attempts, attempt_key(&begin->serial)))
		return false;
	if (unseal(peer->authd, begin, &facts))
		start.tls = &facts;
	if (!exchange_mechanism_known(&start)) {
		attempt_answer(peer, begin->serial, AUTH_NO_MECHANISM,
			attempt_reason(AUTH_NO_MECHANISM), 0);
		return true;
	}
	if (attempt_refuse_network(peer, begin))
		return true;
	attempt = attempt_new(peer, begin, &start);
	if (!attempt) {
		log_warning("auth: too many exchanges in progress of one %s or of all "
			    "(auth_connection_exchange_limit, auth_exchange_limit) or no memory",
			service_id_name(peer->from));
		attempt_answer(
			peer, begin->serial, AUTH_TEMPORARY, attempt_reason(AUTH_TEMPORARY), 0);
		return true;
	}
	return attempt_run(attempt, begin->has_initial != 0, begin->initial);
}

static bool take_continue(struct auth_peer *peer, const struct message *message)
{
	struct attempt *attempt =
		map_get(&peer->attempts, attempt_key(&message->auth_continue.serial));

	/* The result may have crossed it on the way: that is no fault. */
	if (!attempt || attempt->cancelled)
		return true;
	return !attempt->busy && attempt_run(attempt, true, message->auth_continue.response);
}

static bool take_cancel(struct auth_peer *peer, const struct message *message)
{
	struct attempt *attempt =
		map_get(&peer->attempts, attempt_key(&message->auth_cancel.serial));

	if (attempt)
		attempt_abandon(attempt);
	return true;
}

static bool take_redeem(struct auth_peer *peer, const struct message *message)
{
	const struct message_auth_redeem *asked = &message->auth_redeem;
	struct message answer = { .type = MESSAGE_AUTH_REDEEMED };
	struct authd *authd = peer->authd;
	struct ticket_user user = { 0 };
	bool may = false;

	for (int i = 0; i < SERVED_COUNT; i++)
		may = may || (SERVED[i].redeemer == peer->from &&
				     slice_equal(asked->service, slice_from(SERVED[i].service)));
	if (!may)
		return false;
	answer.auth_redeemed.serial = asked->serial;
	answer.auth_redeemed.status = AUTH_FAILED;
	if (tickets_redeem(authd->tickets, loop_now(service_loop(authd->service)), asked->front,
		    asked->service, asked->ticket, &user)) {
		answer.auth_redeemed.status = AUTH_OK;
		answer.auth_redeemed.login = slice_from(user.login);
		answer.auth_redeemed.app = slice_from(user.app);
		answer.auth_redeemed.order = authd->dismissed.order;
	} else {
		log_warning("auth: %s came with a ticket that is not good",
			service_id_name(peer->from));
	}
	channel_send(&peer->channel, &answer);
	return true;
}

static bool take_session(struct auth_peer *peer, const struct message *message)
{
	if (peer->from != SERVICE_SMTPD_SESSION || peer->session || peer->watches)
		return false;
	peer->session = message->auth_session.number;
	return peer->session != 0;
}

static bool take_watch(struct auth_peer *peer, const struct message *message)
{
	if (peer->from != SERVICE_SMTPD_SESSION || peer->session || peer->watches)
		return false;
	peer->watches = true;
	peer->next_watcher = peer->authd->watchers;
	peer->authd->watchers = peer;
	return true;
}

static void forget_watcher(struct auth_peer *peer)
{
	struct auth_peer **at = &peer->authd->watchers;

	while (*at && *at != peer)
		at = &(*at)->next_watcher;
	if (*at)
		*at = peer->next_watcher;
}

static bool take_offer(struct auth_peer *peer, const struct message *message)
{
	struct message answer = { .type = MESSAGE_AUTH_OFFERED };
	struct buffer names = { 0 };

	if (!may_ask(peer, message->auth_offer.service))
		return false;
	answer.auth_offered.serial = message->auth_offer.serial;
	if (exchange_mechanisms(&names))
		answer.auth_offered.mechanisms = buffer_slice(&names);
	channel_send(&peer->channel, &answer);
	buffer_free(&names);
	return true;
}

/* --- what users send --- */

static bool take_usage(struct auth_peer *peer, const struct message *message)
{
	const struct message_auth_usage *asked = &message->auth_usage;
	const struct usage_limits limits = {
		.most = { [USAGE_HOUR] = { asked->message_hour, asked->recipient_hour },
			[USAGE_DAY] = { asked->message_day, asked->recipient_day } }
	};
	struct usage_verdict verdict = { .status = USAGE_TEMPORARY };
	struct message answer = { .type = MESSAGE_AUTH_USAGE_ANSWER };

	if (peer->from != SERVICE_SMTPD_SESSION)
		return false;
	if (peer->authd->usage)
		usage_take(peer->authd->usage, os_now() / 1000000, asked->login, asked->recipients,
			&limits, &verdict);
	answer.auth_usage_answer.serial = asked->serial;
	answer.auth_usage_answer.status = verdict.status;
	answer.auth_usage_answer.which = (uint8_t)(verdict.window * USAGE_KINDS + verdict.kind);
	answer.auth_usage_answer.limit = verdict.limit;
	answer.auth_usage_answer.wait = verdict.wait;
	channel_send(&peer->channel, &answer);
	return true;
}

static void expire_usage(struct timer *timer)
{
	struct authd *authd = timer->context;

	(void)usage_expire(authd->usage, os_now() / 1000000);
	loop_timer_start(service_loop(authd->service), timer, EXPIRE_USAGE);
}

/* Without it nobody whose mail is counted sends, but everybody logs in. */
static void open_usage(struct authd *authd)
{
	char path[1024], error[400] = "out of memory";

	snprintf(path, sizeof(path), "%s/auth/usage.db", service_path(authd->service, CELL_DATA));
	authd->usage = usage_open(path, error, sizeof(error));
	if (!authd->usage)
		log_error("what users send cannot be counted: %s", error);
}

/* --- peers --- */

static bool abandon_each(void *context, struct slice key, void *value)
{
	struct attempt *attempt = value;

	map_remove(context, key);
	attempt_orphan(attempt);
	return true;
}

static void forget_peer(struct auth_peer *peer)
{
	struct authd *authd = peer->authd;

	map_each(&peer->attempts, abandon_each, &peer->attempts);
	map_free(&peer->attempts);
	tickets_revoke(authd->tickets, peer->holder.connection);
	forget_watcher(peer);
	authd->peers.count--;
	free(peer);
}

static void peer_closed(struct channel *channel, const char *why)
{
	forget_peer(channel->context);
}

static void receive(struct channel *channel, struct message *message)
{
	static const struct {
		enum message_type type;
		bool (*take)(struct auth_peer *peer, const struct message *message);
	} TAKERS[] = {
		{ MESSAGE_AUTH_BEGIN, take_begin },
		{ MESSAGE_AUTH_CONTINUE, take_continue },
		{ MESSAGE_AUTH_CANCEL, take_cancel },
		{ MESSAGE_AUTH_REDEEM, take_redeem },
		{ MESSAGE_AUTH_OFFER, take_offer },
		{ MESSAGE_AUTH_SESSION, take_session },
		{ MESSAGE_AUTH_WATCH, take_watch },
		{ MESSAGE_AUTH_USAGE, take_usage },
	};
	struct auth_peer *peer = channel->context;
	bool good = false;

	for (size_t i = 0; i < sizeof(TAKERS) / sizeof(TAKERS[0]); i++)
		if (TAKERS[i].type == message->type)
			good = TAKERS[i].take(peer, message);
	if (good)
		return;
	log_warning("auth: %s sent %s out of place; connection closed", service_id_name(peer->from),
		message_name(message->type));
	channel_close(channel);
	forget_peer(peer);
}

static void take_peer(struct service *service, void *context, int fd, const struct peer *who)
{
	struct authd *authd = context;
	struct auth_peer *peer = peers_take(&authd->peers, service, fd, who);

	if (!peer)
		return;
	peer->authd = authd;
	peer->from = who->from;
	peer->has_tickets = has_tickets(who->from);
	peer->idle_end = &peer->idle_first;
	peer->holder = (struct ticket_holder){ ++authd->next_front, (uint32_t)who->pid };
}

/* --- users who have to go --- */

/* Spawners hear of it after us: who is not through with us by now does not get to a session. */
static void sessions(
	struct service *service, void *context, const struct message_sessions_order *order)
{
	struct authd *authd = context;

	if (order->action == SESSIONS_END) {
		dismissed_note(&authd->dismissed, order);
		tickets_dismiss(authd->tickets, order);
	}
	service_sessions_done(service, order->order, 0);
}

/* --- end --- */

static void look_whether_done(struct timer *timer)
{
	struct authd *authd = timer->context;
	int64_t now = loop_now(service_loop(authd->service));

	tickets_expire(authd->tickets, now);
	if ((authd->attempts == 0 && tickets_count(authd->tickets) == 0) ||
		(authd->leave_by && now >= authd->leave_by))
		service_end(authd->service, EX_OK);
	else
		loop_timer_start(service_loop(authd->service), timer, DRAIN_LOOK);
}

/* Whoever logs in at this moment gets to his session: exchanges are finished and tickets redeemed before the end. */
static void drain(struct service *service, void *context, bool fast)
{
	struct authd *authd = context;

	if (fast) {
		service_end(service, EX_OK);
		return;
	}
	authd->drain = (struct timer){ .fire = look_whether_done, .context = authd };
	look_whether_done(&authd->drain);
}

/* What the back ends read was replaced: the next process opens it, once nobody is between a ticket and his session. Where
 * somebody always is, he hears "try again later" once. */
static void check_parts(struct timer *timer)
{
	struct authd *authd = timer->context;
	const char *changed = parts_changed(&authd->parts);

	credentials_file_look(authd->parts.credentials);
	if (!changed) {
		loop_timer_start(service_loop(authd->service), timer, CHECK_PARTS);
		return;
	}
	log_info("auth: %s has changed -- restarting", changed);
	authd->leave_by = authd_now(authd) + LEAVE_LIMIT;
	drain(authd->service, authd, false);
}

/* --- start --- */

static struct penalty_limits limits_of(const struct config *config)
{
	return (struct penalty_limits){
		.delay = config_time(config, PARAM_auth_failure_delay),
		.delay_most = config_time(config, PARAM_auth_failure_delay_limit),
		.window = config_time(config, PARAM_auth_failure_window),
		.network = (unsigned)config_int(config, PARAM_auth_failure_network_limit),
		.account = (unsigned)config_int(config, PARAM_auth_failure_account_limit),
		.known = config_time(config, PARAM_auth_known_network_lifetime),
		.exempt = config_text(config, PARAM_auth_failure_exempt_clients),
	};
}

static void known_network(void *context, const struct credentials_visit *visit)
{
	struct authd *authd = context;
	int64_t age = os_now() / 1000000 - visit->time;

	penalties_good(authd->penalties, loop_monotonic() - 1000 * (age > 0 ? age : 0),
		visit->address, visit->login);
}

/*
 * A connection of their own, so that writing them is in no password's way. What cannot be read makes every network a new one, which
 * costs a delay at most.
 */
static bool open_visits(struct authd *authd)
{
	int64_t known = config_time(authd->config, PARAM_auth_known_network_lifetime);
	bool wanted = config_time(authd->config, PARAM_auth_last_login_interval) > 0;
	char error[400];

	if (wanted)
		authd->visits_database = credentials_file_connect(authd->parts.credentials);
	if (wanted && !authd->visits_database) {
		log_error("out of memory");
		return false;
	}
	credentials_file_look(authd->parts.credentials);
	if (wanted &&
		!credentials_visits_each(authd->visits_database, (os_now() / 1000 - known) / 1000,
			known_network, authd, error, sizeof(error)))
		log_warning("last logins cannot be read: %s", error);
	return true;
}

static bool open_all(struct authd *authd)
{
	struct penalty_limits limits;
	char data[1024], error[400];

	authd->config = config_open(service_snapshot(authd->service));
	if (!authd->config) {
		log_error("the configuration snapshot cannot be read");
		return false;
	}
	limits = limits_of(authd->config);
	config_place(authd->service, authd->config);
	authd->places.limit = (unsigned)config_int(authd->config, PARAM_auth_exchange_limit);
	authd->bounds = (struct share_bounds){ .own = OWN_ATTEMPTS,
		.most = (unsigned)config_int(authd->config, PARAM_auth_connection_exchange_limit) };
	authd->tickets = tickets_new(config_time(authd->config, PARAM_auth_ticket_lifetime));
	authd->penalties = penalties_new(&limits);
	authd->outside = outside_open(authd->service, CELL_OUTSIDE_SASLAUTHD);
	authd->introspection = introspection_open(authd->service,
		config_time(authd->config, PARAM_auth_oauth_introspection_timeout), attempt_heard);
	/* Twice: for a connection and an answer, as directoryd has it. */
	authd->lookups =
		lookups_open(authd->service, 2 * config_time(authd->config, PARAM_sql_timeout));
	if (!authd->tickets || !authd->penalties || !authd->outside || !authd->introspection ||
		!authd->lookups) {
		log_error("out of memory");
		return false;
	}
	snprintf(data, sizeof(data), "%s/auth", service_path(authd->service, CELL_DATA));
	if (parts_open(&authd->parts, authd->config, data, outside_connect, authd->outside, error,
		    sizeof(error)))
		return open_visits(authd);
	log_error("%s", error);
	return false;
}

int main(int argc, char **argv)
{
	static const struct service_hooks hooks = {
		.peer = take_peer, .sessions = sessions, .drain = drain
	};
	static struct authd authd;
	int status;

	if (argc > 1 && strcmp(argv[1], "--check") == 0)
		return parts_check();
	authd.service = service_start("authd", argc, argv);
	/* Arenas of many threads would take address space, which the cell bounds. */
	mallopt(M_ARENA_MAX, 2);
	if (!open_all(&authd))
		return EX_CONFIG;
	open_usage(&authd);
	authd.dismissed.order = service_first_order(authd.service);
	authd.peers = (struct peers){ .most = MAX_PEERS,
		.size = sizeof(struct auth_peer),
		.receive = receive,
		.closed = peer_closed };
	service_enter(authd.service, &CELL_AUTHD);
	turns_open(&authd.turns, authd.parts.count, attempt_turn, &authd);
	authd.threads = threads_open(service_loop(authd.service),
		&(struct threads_hooks){ exchange_job_run, attempt_finished, &authd },
		(void *const *)authd.parts.backends, authd.parts.count);
	if (!authd.threads) {
		log_error("cannot start threads: %s", strerror(errno));
		return EX_OSERR;
	}
	if (!survey_start(authd.parts.survey))
		log_warning("logins are not counted again: %s", strerror(errno));
	authd.check = (struct timer){ .fire = check_parts, .context = &authd };
	loop_timer_start(service_loop(authd.service), &authd.check, CHECK_PARTS);
	authd.expire = (struct timer){ .fire = expire_usage, .context = &authd };
	if (authd.usage)
		loop_timer_start(service_loop(authd.service), &authd.expire, EXPIRE_USAGE);
	if (authd.visits_database)
		authd.visits = visits_open(service_loop(authd.service), authd.visits_database,
			config_time(authd.config, PARAM_auth_last_login_interval));
	status = service_run(authd.service, &hooks, &authd);
	visits_close(&authd.visits);
	survey_free(&authd.parts.survey);
	credentials_file_close(authd.parts.credentials);
	usage_close(&authd.usage);
	return status;
}
