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

#include "auth/authd_cell.h"
#include "auth/outside.h"
#include "auth/parts.h"
#include "auth/penalty.h"
#include "auth/tickets.h"
#include "auth/turns.h"
#include "auth/usage.h"
#include "auth/visits.h"
#include "base/buffer.h"
#include "base/map.h"
#include "base/share.h"
#include "config/config.h"
#include "config/place.h"
#include "os/os.h"
#include "service/log.h"
#include "service/service.h"

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

struct authd {
	struct service *service;
	struct config *config;
	struct parts parts;
	struct outside *outside;
	struct workers *workers;
	struct turns turns; /* what waits for a worker */
	struct penalties *penalties;
	struct credentials *visits_database; /* NULL: last logins are not written */
	struct visits *visits;
	struct tickets *tickets;
	struct usage *usage; /* NULL: usage.db could not be opened */
	struct timer expire;
	unsigned attempts, peers;
	struct share_pool places; /* for exchanges, beyond OWN_ATTEMPTS of each connection */
	struct share_bounds bounds;
	uint64_t next_front;
	struct timer drain, check;
	int64_t leave_by; /* ms; 0: whenever it is quiet */
};

struct auth_peer {
	struct channel channel;
	struct authd *authd;
	enum service_id from;
	struct ticket_holder holder; /* of the tickets it gets */
	struct map attempts; /* serial -> struct attempt * */
	struct share share;
	struct attempt *idle_first,
		**idle_end; /* whose clients are asked for more, longest first */
};

struct attempt {
	struct job job; /* first: finished() gets it */
	struct authd *authd;
	struct auth_peer *peer; /* NULL: nobody waits for the result any more */
	uint32_t serial;
	enum share_place place;
	struct turn turn; /* for a worker */
	bool busy; /* it waits for a worker, or one has it */
	bool cancelled; /* and the peer wants to hear no more of it; it counts until the worker gives it back */
	struct attempt *idle_next, **idle_at; /* while its client is asked for more */
};

static struct attempt *attempt_of(struct turn *turn)
{
	return (struct attempt *)((char *)turn - offsetof(struct attempt, turn));
}

static int64_t now_of(const struct authd *authd)
{
	return loop_now(service_loop(authd->service));
}

/* --- attempts --- */

static struct slice serial_key(const uint32_t *serial)
{
	return slice_of(serial, sizeof(*serial));
}

static void idle_add(struct attempt *attempt)
{
	struct auth_peer *peer = attempt->peer;

	attempt->idle_next = NULL;
	attempt->idle_at = peer->idle_end;
	*peer->idle_end = attempt;
	peer->idle_end = &attempt->idle_next;
}

static void idle_remove(struct attempt *attempt)
{
	if (!attempt->idle_at)
		return;
	*attempt->idle_at = attempt->idle_next;
	if (attempt->idle_next)
		attempt->idle_next->idle_at = attempt->idle_at;
	else
		attempt->peer->idle_end = attempt->idle_at;
	attempt->idle_at = NULL;
}

static void attempt_free(struct attempt *attempt)
{
	attempt->authd->attempts--;
	idle_remove(attempt);
	if (attempt->peer)
		map_remove(&attempt->peer->attempts, serial_key(&attempt->serial));
	share_give(&attempt->authd->places, attempt->peer ? &attempt->peer->share : NULL,
		attempt->place);
	exchange_free(&attempt->job.exchange);
	free(attempt);
}

static void send_result(struct auth_peer *peer, uint32_t serial, enum auth_status status,
	const char *reason, int64_t delay)
{
	struct message result = { .type = MESSAGE_AUTH_RESULT };

	result.auth_result.delay = (uint32_t)delay;
	result.auth_result.serial = serial;
	result.auth_result.status = status;
	result.auth_result.reason = slice_from(reason);
	channel_send(&peer->channel, &result);
}

static const char *reason_of(enum auth_status status)
{
	switch (status) {
	case AUTH_OK:
		return "";
	case AUTH_FAILED:
		return "authentication failed";
	case AUTH_NO_MECHANISM:
		return "no such mechanism";
	case AUTH_BAD:
		return "malformed authentication exchange";
	case AUTH_REFUSED:
		return "too many failures, try again later";
	default:
		return "temporary authentication failure";
	}
}

static void log_end(const struct attempt *attempt, enum auth_status status)
{
	const struct exchange *exchange = attempt->job.exchange;
	static const char *const WORDS[] = { [AUTH_TEMPORARY] = "temporary failure",
		[AUTH_OK] = "ok",
		[AUTH_FAILED] = "failed",
		[AUTH_NO_MECHANISM] = "no such mechanism",
		[AUTH_BAD] = "malformed",
		[AUTH_REFUSED] = "refused: too many failures (auth_failure_account_limit)" };
	const char *note = status == AUTH_OK ? "" : exchange_note(exchange);
	bool app = status == AUTH_OK && exchange_app(exchange)[0];

	log_info("auth: user=<%s> service=%s mech=%s rip=%s%s%s%s %s%s%s%s",
		exchange_login(exchange), exchange_service(exchange), exchange_mechanism(exchange),
		exchange_client(exchange), app ? " app=<" : "", app ? exchange_app(exchange) : "",
		app ? ">" : "", WORDS[status], note[0] ? " (" : "", note, note[0] ? ")" : "");
}

static bool has_tickets(const struct auth_peer *peer)
{
	for (int i = 0; i < SERVED_COUNT; i++)
		if (SERVED[i].front == peer->from)
			return SERVED[i].redeemer != SERVICE_COUNT;
	return false;
}

/* What a good end earns. A ticket that cannot be had is a failure of ours, not of the client's. */
static bool issue_ticket(const struct attempt *attempt, unsigned char ticket[TICKET_BYTES])
{
	struct authd *authd = attempt->authd;

	return !has_tickets(attempt->peer) ||
	       tickets_issue(authd->tickets, loop_now(service_loop(authd->service)),
		       &attempt->peer->holder, exchange_service(attempt->job.exchange),
		       exchange_login(attempt->job.exchange), ticket);
}

/* Where the user is known from, and what is shown of his last login. */
static void note_visit(struct authd *authd, const struct exchange *exchange)
{
	const char *client = exchange_client(exchange);
	struct credentials_visit visit = { .time = os_now() / 1000000 };

	penalties_good(authd->penalties, now_of(authd), client, exchange_login(exchange));
	penalty_network(client, visit.network);
	if (authd->visits &&
		slice_to_string(
			slice_from(exchange_login(exchange)), visit.login, sizeof(visit.login)) &&
		slice_to_string(slice_from(client), visit.address, sizeof(visit.address)) &&
		slice_to_string(slice_from(exchange_service(exchange)), visit.service,
			sizeof(visit.service)))
		visits_note(authd->visits, &visit);
}

/* Counts what happened, and says what becomes of it. `*delay`: ms that the client has to wait for it. A good password is
 * refused like a wrong one while the account is. */
static enum auth_status judge(
	const struct attempt *attempt, enum auth_status status, int64_t *delay)
{
	const char *login = exchange_login(attempt->job.exchange);
	const char *client = exchange_client(attempt->job.exchange);
	struct penalties *penalties = attempt->authd->penalties;
	int64_t now = now_of(attempt->authd);
	char network[PENALTY_NETWORK_TEXT];

	if (status != AUTH_OK && status != AUTH_FAILED)
		return status;
	if (penalties_account_refused(penalties, now, client, login)) {
		*delay = penalties_longest_delay(penalties);
		return AUTH_REFUSED;
	}
	if (status == AUTH_OK) {
		note_visit(attempt->authd, attempt->job.exchange);
		return status;
	}
	*delay = penalties_failed(penalties, now, client, login);
	penalty_network(client, network);
	turns_suspect(&attempt->authd->turns, network);
	return status;
}

/* The line is in the log before anybody can have the answer. */
static void attempt_end(struct attempt *attempt, enum auth_status status)
{
	struct auth_peer *peer = attempt->peer;
	struct message result = { .type = MESSAGE_AUTH_RESULT };
	unsigned char ticket[TICKET_BYTES];
	int64_t delay = 0;

	status = judge(attempt, status, &delay);
	if (status == AUTH_OK && !issue_ticket(attempt, ticket))
		status = AUTH_TEMPORARY;
	log_end(attempt, status);
	result.auth_result.login = slice_from(exchange_login(attempt->job.exchange));
	if (status == AUTH_OK) {
		result.auth_result.final = exchange_output(attempt->job.exchange);
		if (has_tickets(peer))
			result.auth_result.ticket = slice_of(ticket, sizeof(ticket));
	}
	result.auth_result.serial = attempt->serial;
	result.auth_result.status = status;
	result.auth_result.reason = slice_from(reason_of(status));
	result.auth_result.delay = (uint32_t)delay;
	channel_send(&peer->channel, &result);
	attempt_free(attempt);
}

/* Nobody hears the end, but a password that was tried is one that counts. */
static void attempt_end_unheard(struct attempt *attempt)
{
	int64_t delay;

	if (attempt->job.done && exchange_status(attempt->job.exchange) == AUTH_FAILED)
		(void)judge(attempt, AUTH_FAILED, &delay);
	attempt_free(attempt);
}

static void attempt_turn(void *context, struct turn *turn)
{
	struct authd *authd = context;

	workers_add(authd->workers, &attempt_of(turn)->job);
}

static void attempt_finished(void *context, struct job *job)
{
	struct attempt *attempt = (struct attempt *)job;
	struct message challenge = { .type = MESSAGE_AUTH_CHALLENGE };

	attempt->busy = false;
	turns_done(&attempt->authd->turns, &attempt->turn);
	if (!attempt->peer || attempt->cancelled) {
		attempt_end_unheard(attempt);
		return;
	}
	if (!job->done) {
		challenge.auth_challenge.serial = attempt->serial;
		challenge.auth_challenge.challenge = exchange_output(job->exchange);
		channel_send(&attempt->peer->channel, &challenge);
		idle_add(attempt);
		return;
	}
	attempt_end(attempt, exchange_status(job->exchange));
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

/* From a network that failed lately, where most wait: it gives up its place to somebody from a network that did not. */
static bool drop_suspect(struct auth_peer *peer)
{
	struct authd *authd = peer->authd;
	struct turn *turn = turns_least(&authd->turns);
	struct attempt *attempt = turn ? attempt_of(turn) : NULL;

	if (!attempt || attempt->peer != peer)
		return false;
	log_end(attempt, AUTH_TEMPORARY);
	send_result(peer, attempt->serial, AUTH_REFUSED, reason_of(AUTH_REFUSED),
		penalties_longest_delay(authd->penalties));
	turns_remove(&authd->turns, turn);
	attempt_free(attempt);
	return true;
}

/* A place for an exchange. When there is none, guessers give up theirs, and then whose client has let authd wait longest: those
 * who crowd and those who stall keep nobody out. */
static enum share_place take_place(struct auth_peer *peer, bool suspect)
{
	struct authd *authd = peer->authd;
	enum share_place place = share_take(&authd->places, &peer->share, &authd->bounds);
	struct attempt *oldest = peer->idle_first;

	if (place == SHARE_NONE && !suspect && drop_suspect(peer))
		return share_take(&authd->places, &peer->share, &authd->bounds);
	if (place != SHARE_NONE || !oldest)
		return place;
	log_end(oldest, AUTH_TEMPORARY);
	send_result(peer, oldest->serial, AUTH_TEMPORARY, "too slow while others wait", 0);
	attempt_free(oldest);
	return share_take(&authd->places, &peer->share, &authd->bounds);
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

static bool is_suspect(const struct authd *authd, struct slice address)
{
	char client[65];

	return slice_to_string(address, client, sizeof(client)) &&
	       penalties_suspect(authd->penalties, now_of(authd), client);
}

static struct attempt *attempt_new(struct auth_peer *peer, const struct message_auth_begin *begin,
	const struct exchange_start *start)
{
	struct authd *authd = peer->authd;
	enum share_place place = take_place(peer, is_suspect(authd, begin->client_address));
	struct attempt *attempt = place == SHARE_NONE ? NULL : calloc(1, sizeof(*attempt));

	if (!attempt) {
		share_give(&authd->places, &peer->share, place);
		return NULL;
	}
	*attempt = (struct attempt){
		.authd = peer->authd, .peer = peer, .serial = begin->serial, .place = place
	};
	peer->authd->attempts++;
	attempt->job.exchange = exchange_new(start);
	if (attempt->job.exchange &&
		map_put(&peer->attempts, serial_key(&attempt->serial), attempt))
		return attempt;
	attempt_free(attempt);
	return NULL;
}

static bool run_step(struct attempt *attempt, bool has_input, struct slice input)
{
	struct authd *authd = attempt->authd;
	const char *client = exchange_client(attempt->job.exchange);
	char network[PENALTY_NETWORK_TEXT];

	idle_remove(attempt);
	if (!exchange_input(attempt->job.exchange, has_input, input))
		return false;
	penalty_network(client, network);
	attempt->busy = turns_add(&authd->turns, &attempt->turn, network,
		penalties_suspect(authd->penalties, now_of(authd), client));
	if (!attempt->busy)
		attempt_end(attempt, AUTH_TEMPORARY);
	return true;
}

/* Nobody wants to know the end: forget it, now or when the worker gives it back. */
static void abandon(struct attempt *attempt)
{
	if (attempt->busy && attempt->turn.running) {
		attempt->cancelled = true;
		return;
	}
	if (attempt->busy)
		turns_remove(&attempt->authd->turns, &attempt->turn);
	attempt_free(attempt);
}

/* Whoever guessed too much of late is not even looked at. */
static bool refuse_network(struct auth_peer *peer, const struct message_auth_begin *begin)
{
	struct penalties *penalties = peer->authd->penalties;
	char client[sizeof("") + 64];

	if (!slice_to_string(begin->client_address, client, sizeof(client)) ||
		!penalties_network_refused(penalties, now_of(peer->authd), client))
		return false;
	log_info("auth: user=<> service=%.*s mech=%.*s rip=%s refused: too many failures "
		 "(auth_failure_network_limit)",
		SLICE_ARG(begin->service), SLICE_ARG(begin->mechanism), client);
	send_result(peer, begin->serial, AUTH_REFUSED, reason_of(AUTH_REFUSED),
		penalties_longest_delay(penalties));
	return true;
}

static bool take_begin(struct auth_peer *peer, const struct message *message)
{
	const struct message_auth_begin *begin = &message->auth_begin;
	struct exchange_start start = { begin->service, begin->mechanism, begin->client_address,
		begin->local_address, begin->secured != 0, NULL };
	struct attempt *attempt;
	struct tls_facts facts;

	if (!may_ask(peer, begin->service) || map_get(&peer->attempts, serial_key(&begin->serial)))
		return false;
	if (unseal(peer->authd, begin, &facts))
		start.tls = &facts;
	if (!exchange_mechanism_known(&start)) {
		send_result(
			peer, begin->serial, AUTH_NO_MECHANISM, reason_of(AUTH_NO_MECHANISM), 0);
		return true;
	}
	if (refuse_network(peer, begin))
		return true;
	attempt = attempt_new(peer, begin, &start);
	if (!attempt) {
		log_warning("auth: too many exchanges in progress of one %s or of all "
			    "(auth_connection_exchange_limit, auth_exchange_limit) or no memory",
			service_id_name(peer->from));
		send_result(peer, begin->serial, AUTH_TEMPORARY, reason_of(AUTH_TEMPORARY), 0);
		return true;
	}
	return run_step(attempt, begin->has_initial != 0, begin->initial);
}

static bool take_continue(struct auth_peer *peer, const struct message *message)
{
	struct attempt *attempt =
		map_get(&peer->attempts, serial_key(&message->auth_continue.serial));

	/* The result may have crossed it on the way: that is no fault. */
	if (!attempt || attempt->cancelled)
		return true;
	return !attempt->busy && run_step(attempt, true, message->auth_continue.response);
}

static bool take_cancel(struct auth_peer *peer, const struct message *message)
{
	struct attempt *attempt =
		map_get(&peer->attempts, serial_key(&message->auth_cancel.serial));

	if (attempt)
		abandon(attempt);
	return true;
}

static bool take_redeem(struct auth_peer *peer, const struct message *message)
{
	const struct message_auth_redeem *asked = &message->auth_redeem;
	struct message answer = { .type = MESSAGE_AUTH_REDEEMED };
	struct authd *authd = peer->authd;
	char login[MAX_LOGIN + 1] = "";
	bool may = false;

	for (int i = 0; i < SERVED_COUNT; i++)
		may = may || (SERVED[i].redeemer == peer->from &&
				     slice_equal(asked->service, slice_from(SERVED[i].service)));
	if (!may)
		return false;
	answer.auth_redeemed.serial = asked->serial;
	answer.auth_redeemed.status = AUTH_FAILED;
	if (tickets_redeem(authd->tickets, loop_now(service_loop(authd->service)), asked->front,
		    asked->service, asked->ticket, login, sizeof(login))) {
		answer.auth_redeemed.status = AUTH_OK;
		answer.auth_redeemed.login = slice_from(login);
	} else {
		log_warning("auth: %s came with a ticket that is not good",
			service_id_name(peer->from));
	}
	channel_send(&peer->channel, &answer);
	return true;
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

	idle_remove(attempt);
	attempt->peer = NULL;
	map_remove(context, key);
	abandon(attempt);
	return true;
}

static void forget_peer(struct auth_peer *peer)
{
	struct authd *authd = peer->authd;

	map_each(&peer->attempts, abandon_each, &peer->attempts);
	map_free(&peer->attempts);
	tickets_revoke(authd->tickets, peer->holder.connection);
	authd->peers--;
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
	struct auth_peer *peer = authd->peers < MAX_PEERS ? calloc(1, sizeof(*peer)) : NULL;

	if (!peer) {
		log_warning("no room for another connection from %s", service_id_name(who->from));
		close(fd);
		return;
	}
	peer->authd = authd;
	peer->from = who->from;
	peer->idle_end = &peer->idle_first;
	peer->holder = (struct ticket_holder){ ++authd->next_front, (uint32_t)who->pid };
	authd->peers++;
	if (!channel_open(&peer->channel, service_loop(service), fd, receive, peer_closed, peer))
		forget_peer(peer);
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
	authd->leave_by = now_of(authd) + LEAVE_LIMIT;
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
	if (!authd->tickets || !authd->penalties || !authd->outside) {
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
	static const struct service_hooks hooks = { .peer = take_peer, .drain = drain };
	static struct authd authd;
	int status;

	authd.service = service_start("authd", argc, argv);
	/* Arenas of many threads would take address space, which the cell bounds. */
	mallopt(M_ARENA_MAX, 2);
	if (!open_all(&authd))
		return EX_CONFIG;
	open_usage(&authd);
	service_enter(authd.service, &CELL_AUTHD);
	turns_open(&authd.turns, authd.parts.count, attempt_turn, &authd);
	authd.workers = workers_open(service_loop(authd.service), authd.parts.backends,
		authd.parts.count, attempt_finished, &authd);
	if (!authd.workers) {
		log_error("cannot start threads: %s", strerror(errno));
		return EX_OSERR;
	}
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
	credentials_file_close(authd.parts.credentials);
	usage_close(&authd.usage);
	return status;
}
