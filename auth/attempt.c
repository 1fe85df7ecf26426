// SPDX-License-Identifier: ISC
/* Attempts to log in, from the first message to the result. See attempt.h. */
#include "auth/attempt.h"

#include <stdio.h>
#include <stdlib.h>

#include "os/os.h"
#include "service/log.h"

static struct attempt *attempt_of(struct turn *turn)
{
	return (struct attempt *)((char *)turn - offsetof(struct attempt, turn));
}

struct slice attempt_key(const uint32_t *serial)
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
		map_remove(&attempt->peer->attempts, attempt_key(&attempt->serial));
	share_give(&attempt->authd->places, attempt->peer ? &attempt->peer->share : NULL,
		attempt->place);
	exchange_free(&attempt->step.exchange);
	free(attempt);
}

void attempt_answer(struct auth_peer *peer, uint32_t serial, enum auth_status status,
	const char *reason, int64_t delay)
{
	struct message result = { .type = MESSAGE_AUTH_RESULT };

	result.auth_result.delay = (uint32_t)delay;
	result.auth_result.serial = serial;
	result.auth_result.status = status;
	result.auth_result.reason = slice_from(reason);
	channel_send(&peer->channel, &result);
}

const char *attempt_reason(enum auth_status status)
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

/* "refused" is said with the limit that was reached. */
static const char *const END_WORDS[] = { [AUTH_TEMPORARY] = "temporary failure",
	[AUTH_OK] = "ok",
	[AUTH_FAILED] = "failed",
	[AUTH_NO_MECHANISM] = "no such mechanism",
	[AUTH_BAD] = "malformed",
	[AUTH_REFUSED] = "refused: too many failures" };
static const char *const LIMITS[] = { [PENALTY_NONE] = "",
	[PENALTY_NETWORK] = "auth_failure_network_limit",
	[PENALTY_ACCOUNT] = "auth_failure_account_limit" };

static void log_line(const struct attempt *attempt, const char *word, const char *limit,
	const char *app, const char *note)
{
	const struct exchange *exchange = attempt->step.exchange;

	log_info("auth: user=<%s> service=%s mech=%s rip=%s%s%s%s %s%s%s%s%s%s%s",
		exchange_login(exchange), exchange_service(exchange), exchange_mechanism(exchange),
		exchange_client(exchange), app[0] ? " app=<" : "", app, app[0] ? ">" : "", word,
		limit[0] ? " (" : "", limit, limit[0] ? ")" : "", note[0] ? " (" : "", note,
		note[0] ? ")" : "");
}

static void log_end(const struct attempt *attempt, enum auth_status status)
{
	const struct exchange *exchange = attempt->step.exchange;
	const char *limit = status == AUTH_REFUSED ? LIMITS[attempt->refusal] : "";

	if (status == AUTH_OK)
		log_line(attempt, END_WORDS[status], limit, exchange_app(exchange), "");
	else
		log_line(attempt, END_WORDS[status], limit, "",
			attempt->proved ? "the password was good" : exchange_note(exchange));
}

/* Nobody hears the end; what was tried is in the log nevertheless. */
static void log_left(const struct attempt *attempt, enum auth_status status)
{
	if (status == AUTH_OK)
		log_line(attempt, "left", "", "", "the password was good");
	else if (attempt->judged)
		log_end(attempt, status);
}

/* What a good end earns. A ticket that cannot be had is a failure of ours, not of the client's. */
static bool issue_ticket(const struct attempt *attempt, unsigned char ticket[TICKET_BYTES])
{
	const struct exchange *exchange = attempt->step.exchange;
	struct ticket_user user;

	return slice_to_string(
		       slice_from(exchange_login(exchange)), user.login, sizeof(user.login)) &&
	       slice_to_string(slice_from(exchange_app(exchange)), user.app, sizeof(user.app)) &&
	       tickets_issue(attempt->authd->tickets, authd_now(attempt->authd),
		       &attempt->peer->holder, exchange_service(exchange), &user, ticket);
}

/* A session that asks for itself might keep quiet about who is there: its spawner hears it from us. False: it cannot be told, so nobody logs in. */
static bool tell_spawner(const struct attempt *attempt)
{
	const struct exchange *exchange = attempt->step.exchange;
	struct message message = { .type = MESSAGE_AUTH_LOGIN };
	const struct auth_peer *peer = attempt->peer;
	struct auth_peer *spawner = attempt->authd->watchers;

	while (spawner && spawner->holder.front != peer->holder.front)
		spawner = spawner->next_watcher;
	if (!spawner) {
		log_warning(
			"auth: no spawner is there for a login to %s", service_id_name(peer->from));
		return false;
	}
	message.auth_login = (struct message_auth_login){ .number = peer->session,
		.login = slice_from(exchange_login(exchange)),
		.app = slice_from(exchange_app(exchange)),
		.client_address = slice_from(exchange_client(exchange)),
		.order = attempt->authd->dismissed.order };
	if (!channel_send(&spawner->channel, &message))
		return false;
	channel_push(&spawner->channel);
	return true;
}

/* Where the user is known from, and what is shown of his last login. */
static void note_visit(struct authd *authd, const struct exchange *exchange)
{
	const char *client = exchange_client(exchange);
	struct credentials_visit visit = { .time = os_now() / 1000000 };

	penalties_good(authd->penalties, authd_now(authd), client, exchange_login(exchange));
	penalty_network(client, visit.network);
	if (authd->visits &&
		slice_to_string(
			slice_from(exchange_login(exchange)), visit.login, sizeof(visit.login)) &&
		slice_to_string(slice_from(client), visit.address, sizeof(visit.address)) &&
		slice_to_string(slice_from(exchange_service(exchange)), visit.service,
			sizeof(visit.service)))
		visits_note(authd->visits, &visit);
}

/* The client's network failed, and waits behind the others from now on. */
static void suspect(const struct attempt *attempt)
{
	char network[PENALTY_NETWORK_TEXT];

	penalty_network(exchange_client(attempt->step.exchange), network);
	turns_suspect(&attempt->authd->turns, network);
}

static bool network_refused(const struct attempt *attempt)
{
	return penalties_network_refused(attempt->authd->penalties, authd_now(attempt->authd),
		exchange_client(attempt->step.exchange));
}

/* Asked when the answer is due, not when it began: many can begin before the first of them fails. */
static enum penalty_refusal refusal_of(const struct attempt *attempt)
{
	if (network_refused(attempt))
		return PENALTY_NETWORK;
	return penalties_account_refused(attempt->authd->penalties, authd_now(attempt->authd),
		       exchange_client(attempt->step.exchange),
		       exchange_login(attempt->step.exchange))
		       ? PENALTY_ACCOUNT
		       : PENALTY_NONE;
}

/*
 * Counts what happened, and says what becomes of it; the second time there is nothing to count any more. A good password is refused like a
 * wrong one while the network or the account is; with the account, the try counts for the network all the same.
 */
static enum auth_status judge(struct attempt *attempt, enum auth_status status)
{
	struct penalties *penalties = attempt->authd->penalties;
	const char *client = exchange_client(attempt->step.exchange);
	int64_t now = authd_now(attempt->authd);

	if (attempt->judged || (status != AUTH_OK && status != AUTH_FAILED))
		return status;
	attempt->judged = true;
	attempt->refusal = refusal_of(attempt);
	if (attempt->refusal == PENALTY_NETWORK) {
		attempt->delay = penalties_longest_delay(penalties);
		return AUTH_REFUSED;
	}
	if (attempt->refusal == PENALTY_NONE && status == AUTH_OK) {
		attempt->proved = true;
		return status;
	}
	attempt->delay = attempt->refusal == PENALTY_ACCOUNT
				 ? penalties_refused(penalties, now, client)
				 : penalties_failed(penalties, now, client,
					   exchange_login(attempt->step.exchange));
	suspect(attempt);
	return attempt->refusal == PENALTY_ACCOUNT ? AUTH_REFUSED : status;
}

/* What is left to wait. The delay runs from the client's words, so that it does not hear how long its password took: a hash of another
 * server may be quicker or slower than the one that is computed for nobody. */
static int64_t delay_left(const struct attempt *attempt)
{
	int64_t taken = authd_now(attempt->authd) - attempt->asked;

	return taken < attempt->delay ? attempt->delay - taken : 0;
}

/* With what judge said. The line is in the log before anybody can have the answer. */
static void attempt_end(struct attempt *attempt, enum auth_status status)
{
	struct auth_peer *peer = attempt->peer;
	struct message result = { .type = MESSAGE_AUTH_RESULT };
	unsigned char ticket[TICKET_BYTES];

	if (status == AUTH_OK)
		note_visit(attempt->authd, attempt->step.exchange);
	/* What was looked up when it began need not hold any more. */
	if (status == AUTH_OK &&
		dismissed_since(&attempt->authd->dismissed, exchange_login(attempt->step.exchange),
			exchange_app(attempt->step.exchange), attempt->order))
		status = AUTH_TEMPORARY;
	if (status == AUTH_OK &&
		!(peer->has_tickets ? issue_ticket(attempt, ticket) : tell_spawner(attempt)))
		status = AUTH_TEMPORARY;
	log_end(attempt, status);
	result.auth_result.login = slice_from(exchange_login(attempt->step.exchange));
	if (status == AUTH_OK) {
		result.auth_result.final = exchange_output(attempt->step.exchange);
		if (peer->has_tickets)
			result.auth_result.ticket = slice_of(ticket, sizeof(ticket));
	}
	result.auth_result.serial = attempt->serial;
	result.auth_result.status = status;
	result.auth_result.reason = slice_from(attempt_reason(status));
	result.auth_result.delay = (uint32_t)delay_left(attempt);
	channel_send(&peer->channel, &result);
	attempt_free(attempt);
}

/* Without a look at what it brought. */
static void refuse_network(struct attempt *attempt)
{
	attempt->judged = true;
	attempt->refusal = PENALTY_NETWORK;
	attempt->delay = penalties_longest_delay(attempt->authd->penalties);
	attempt_end(attempt, AUTH_REFUSED);
}

/* Whoever waits from the network that this one is from, and is refused by now: no password of theirs is hashed. An exempt client may be
 * among them. */
static void refuse_waiting(const struct attempt *attempt)
{
	struct turns *turns = &attempt->authd->turns;
	char network[PENALTY_NETWORK_TEXT];
	struct turn *turn, *next;

	if (!network_refused(attempt))
		return;
	penalty_network(exchange_client(attempt->step.exchange), network);
	for (turn = turns_waiting(turns, network); turn; turn = next) {
		struct attempt *waiting = attempt_of(turn);

		next = turn->next;
		if (waiting->judged || !network_refused(waiting))
			continue;
		turns_remove(turns, turn);
		refuse_network(waiting);
	}
}

void attempt_turn(void *context, struct turn *turn)
{
	struct authd *authd = context;

	threads_add(authd->threads, &attempt_of(turn)->step.job);
}

static void send_challenge(struct attempt *attempt)
{
	struct message challenge = { .type = MESSAGE_AUTH_CHALLENGE };

	challenge.auth_challenge.serial = attempt->serial;
	challenge.auth_challenge.challenge = exchange_output(attempt->step.exchange);
	channel_send(&attempt->peer->channel, &challenge);
	idle_add(attempt);
}

/* A password that was tried is one that counts, whether anybody hears how it ended, and before a challenge tells it. */
void attempt_finished(void *context, struct thread_job *job)
{
	struct attempt *attempt = (struct attempt *)job;
	struct exchange *exchange = attempt->step.exchange;
	bool done = attempt->step.done;
	enum auth_status status =
		judge(attempt, done ? exchange_status(exchange) : exchange_told(exchange));

	refuse_waiting(attempt);
	attempt->busy = false;
	turns_done(&attempt->authd->turns, &attempt->turn);
	if (!attempt->peer || attempt->cancelled) {
		log_left(attempt, status);
		attempt_free(attempt);
	} else if (done || status == AUTH_REFUSED) {
		attempt_end(attempt, status);
	} else if (exchange_question(exchange).length) {
		attempt->busy = attempt->asking = true;
		introspection_ask(attempt->authd->introspection, &attempt->inquiry,
			exchange_question(exchange));
	} else {
		send_challenge(attempt);
	}
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
	attempt_answer(peer, attempt->serial, AUTH_REFUSED, attempt_reason(AUTH_REFUSED),
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
	attempt_answer(peer, oldest->serial, AUTH_TEMPORARY, "too slow while others wait", 0);
	attempt_free(oldest);
	return share_take(&authd->places, &peer->share, &authd->bounds);
}

static bool is_suspect(const struct authd *authd, struct slice address)
{
	char client[65];

	return slice_to_string(address, client, sizeof(client)) &&
	       penalties_suspect(authd->penalties, authd_now(authd), client);
}

struct attempt *attempt_new(struct auth_peer *peer, const struct message_auth_begin *begin,
	const struct exchange_start *start)
{
	struct authd *authd = peer->authd;
	enum share_place place = take_place(peer, is_suspect(authd, begin->client_address));
	struct attempt *attempt = place == SHARE_NONE ? NULL : calloc(1, sizeof(*attempt));

	if (!attempt) {
		share_give(&authd->places, &peer->share, place);
		return NULL;
	}
	*attempt = (struct attempt){ .authd = authd,
		.peer = peer,
		.serial = begin->serial,
		.order = authd->dismissed.order,
		.place = place };
	peer->authd->attempts++;
	attempt->step.exchange = exchange_new(start);
	if (attempt->step.exchange &&
		map_put(&peer->attempts, attempt_key(&attempt->serial), attempt))
		return attempt;
	attempt_free(attempt);
	return NULL;
}

static void wait_for_turn(struct attempt *attempt)
{
	struct authd *authd = attempt->authd;
	const char *client = exchange_client(attempt->step.exchange);
	char network[PENALTY_NETWORK_TEXT];

	/* Who was told already how it ends hears the same at its end. */
	if (!attempt->judged && network_refused(attempt)) {
		refuse_network(attempt);
		return;
	}
	penalty_network(client, network);
	attempt->busy = turns_add(&authd->turns, &attempt->turn, network,
		penalties_suspect(authd->penalties, authd_now(authd), client));
	if (!attempt->busy)
		attempt_end(attempt, AUTH_TEMPORARY);
}

bool attempt_run(struct attempt *attempt, bool has_input, struct slice input)
{
	idle_remove(attempt);
	if (!exchange_input(attempt->step.exchange, has_input, input))
		return false;
	attempt->asked = authd_now(attempt->authd);
	wait_for_turn(attempt);
	return true;
}

void attempt_heard(struct inquiry *inquiry, bool answered, struct slice answer)
{
	struct attempt *attempt =
		(struct attempt *)((char *)inquiry - offsetof(struct attempt, inquiry));

	attempt->asking = false;
	exchange_answer(attempt->step.exchange, answered, answer);
	wait_for_turn(attempt);
}

/* Nobody wants to know the end: forget it, now or when the worker gives it back. */
void attempt_abandon(struct attempt *attempt)
{
	if (attempt->busy && attempt->turn.running) {
		attempt->cancelled = true;
		return;
	}
	if (attempt->asking)
		introspection_forget(&attempt->inquiry);
	else if (attempt->busy)
		turns_remove(&attempt->authd->turns, &attempt->turn);
	log_left(attempt, exchange_told(attempt->step.exchange));
	attempt_free(attempt);
}

void attempt_orphan(struct attempt *attempt)
{
	idle_remove(attempt);
	attempt->peer = NULL;
	attempt_abandon(attempt);
}

/* Whoever guessed too much of late is not even looked at. */
bool attempt_refuse_network(struct auth_peer *peer, const struct message_auth_begin *begin)
{
	struct penalties *penalties = peer->authd->penalties;
	char client[65];

	if (!slice_to_string(begin->client_address, client, sizeof(client)) ||
		!penalties_network_refused(penalties, authd_now(peer->authd), client))
		return false;
	log_info("auth: user=<> service=%.*s mech=%.*s rip=%s refused: too many failures "
		 "(auth_failure_network_limit)",
		SLICE_ARG(begin->service), SLICE_ARG(begin->mechanism), client);
	attempt_answer(peer, begin->serial, AUTH_REFUSED, attempt_reason(AUTH_REFUSED),
		penalties_longest_delay(penalties));
	return true;
}
