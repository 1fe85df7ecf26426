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

static void log_end(const struct attempt *attempt, enum auth_status status)
{
	const struct exchange *exchange = attempt->step.exchange;
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

/* Is the account refused to this client? A try counts for the network all the same, the good as the wrong. */
static bool refused_account(const struct attempt *attempt, int64_t *delay)
{
	const char *client = exchange_client(attempt->step.exchange);
	struct penalties *penalties = attempt->authd->penalties;
	int64_t now = authd_now(attempt->authd);

	if (!penalties_account_refused(
		    penalties, now, client, exchange_login(attempt->step.exchange)))
		return false;
	*delay = penalties_refused(penalties, now, client);
	suspect(attempt);
	return true;
}

/* Counts what happened, and says what becomes of it. `*delay`: ms that the client has to wait for it. A good password is
 * refused like a wrong one while the account is. */
static enum auth_status judge(
	const struct attempt *attempt, enum auth_status status, int64_t *delay)
{
	const char *login = exchange_login(attempt->step.exchange);
	const char *client = exchange_client(attempt->step.exchange);

	if (status != AUTH_OK && status != AUTH_FAILED)
		return status;
	if (refused_account(attempt, delay))
		return AUTH_REFUSED;
	if (status == AUTH_OK) {
		note_visit(attempt->authd, attempt->step.exchange);
		return status;
	}
	*delay = penalties_failed(
		attempt->authd->penalties, authd_now(attempt->authd), client, login);
	suspect(attempt);
	return status;
}

/* What is left to wait. The delay runs from the client's words, so that it does not hear how long its password took: a hash of another
 * server may be quicker or slower than the one that is computed for nobody. */
static int64_t delay_left(const struct attempt *attempt, int64_t delay)
{
	int64_t taken = authd_now(attempt->authd) - attempt->asked;

	return taken < delay ? delay - taken : 0;
}

/* The line is in the log before anybody can have the answer. */
static void attempt_end(struct attempt *attempt, enum auth_status status)
{
	struct auth_peer *peer = attempt->peer;
	struct message result = { .type = MESSAGE_AUTH_RESULT };
	unsigned char ticket[TICKET_BYTES];
	int64_t delay = 0;

	status = judge(attempt, status, &delay);
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
	result.auth_result.delay = (uint32_t)delay_left(attempt, delay);
	channel_send(&peer->channel, &result);
	attempt_free(attempt);
}

/* Nobody hears the end, but a password that was tried is one that counts; where the account is refused, a good one too. */
static void attempt_end_unheard(struct attempt *attempt)
{
	enum auth_status status = exchange_status(attempt->step.exchange);
	int64_t delay;

	if (attempt->step.done && status == AUTH_FAILED)
		(void)judge(attempt, AUTH_FAILED, &delay);
	else if (attempt->step.done && status == AUTH_OK)
		(void)refused_account(attempt, &delay);
	attempt_free(attempt);
}

void attempt_turn(void *context, struct turn *turn)
{
	struct authd *authd = context;

	threads_add(authd->threads, &attempt_of(turn)->step.job);
}

void attempt_finished(void *context, struct thread_job *job)
{
	struct attempt *attempt = (struct attempt *)job;
	struct message challenge = { .type = MESSAGE_AUTH_CHALLENGE };

	attempt->busy = false;
	turns_done(&attempt->authd->turns, &attempt->turn);
	if (!attempt->peer || attempt->cancelled) {
		attempt_end_unheard(attempt);
		return;
	}
	if (exchange_question(attempt->step.exchange).length && !attempt->step.done) {
		attempt->busy = attempt->asking = true;
		introspection_ask(attempt->authd->introspection, &attempt->inquiry,
			exchange_question(attempt->step.exchange));
		return;
	}
	if (!attempt->step.done) {
		challenge.auth_challenge.serial = attempt->serial;
		challenge.auth_challenge.challenge = exchange_output(attempt->step.exchange);
		channel_send(&attempt->peer->channel, &challenge);
		idle_add(attempt);
		return;
	}
	attempt_end(attempt, exchange_status(attempt->step.exchange));
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
	char client[sizeof("") + 64];

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
