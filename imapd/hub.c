// SPDX-License-Identifier: ISC
/*
 * Who has sessions or sleepers here, and who is told what. A session can watch and report its own account only: which one that is
 * comes from its channel, never from its words.
 */
#include "imapd/spawn.h"

#include <stdlib.h>

#include "os/os.h"
#include "service/dismissed.h"
#include "service/log.h"

/* Made when missing; NULL when memory is out. drop_account frees it once nobody uses it. */
static struct account *account_of(struct hub *hub, const struct mailbox_session *session)
{
	struct slice path = slice_from(session->account);
	struct account *account = map_get(&hub->accounts, path);

	if (account)
		return account;
	account = calloc(1, sizeof(*account));
	if (!account)
		return NULL;
	account->path = slice_dup(path);
	if (account->path && map_put(&hub->accounts, path, account))
		return account;
	free(account->path);
	free(account);
	return NULL;
}

static void drop_account(struct hub *hub, struct account *account)
{
	if (account->sessions || account->sleepers)
		return;
	map_remove(&hub->accounts, slice_from(account->path));
	free(account->path);
	free(account);
}

/* What a session has selected (empty: nothing), and whether it waits there in IDLE. */
static void child_watches(struct live *live, struct slice mailbox, bool idle)
{
	char *before = live->watches;
	bool was_idle = live->idle;

	live->watches = mailbox.length ? slice_dup(mailbox) : NULL;
	live->idle = idle && live->watches;
	/* The new one first: a folder that stays watched loses no event. */
	if (live->idle)
		foreign_watch(live->hub, live->account, slice_from(live->watches));
	if (was_idle)
		foreign_unwatch(live->hub, live->account, slice_from(before));
	free(before);
}

void hub_started(void *context, struct mailbox_session *session)
{
	struct hub *hub = context;
	struct account *account = account_of(hub, session);
	struct live *live = account ? calloc(1, sizeof(*live)) : NULL;

	/* Without memory for it the session runs, and is told nothing of others. */
	if (!live) {
		if (account)
			drop_account(hub, account);
		return;
	}
	*live = (struct live){
		.hub = hub, .account = account, .session = session, .next = account->sessions
	};
	account->sessions = live;
	session->context = live;
}

void hub_ended(void *context, struct mailbox_session *session)
{
	struct hub *hub = context;
	struct live *live = session->context;

	if (!live)
		return;
	for (struct live **at = &live->account->sessions; *at; at = &(*at)->next) {
		if (*at == live) {
			*at = live->next;
			break;
		}
	}
	child_watches(live, SLICE(""), false);
	drop_account(hub, live->account);
	free(live);
}

static struct slice ticket_of(const struct asleep *sleeper)
{
	return slice_of(sleeper->ticket, sizeof(sleeper->ticket));
}

static void forget_sleeper(struct hub *hub, struct asleep *sleeper)
{
	struct account *account = sleeper->account;

	for (struct asleep **at = &account->sleepers; *at; at = &(*at)->next) {
		if (*at == sleeper) {
			*at = sleeper->next;
			break;
		}
	}
	map_remove(&hub->tickets, ticket_of(sleeper));
	foreign_unwatch(hub, account, slice_from(sleeper->mailbox));
	free(sleeper);
	drop_account(hub, account);
}

struct by_front {
	const struct channel *front;
	uint32_t serial;
	bool any;
	struct asleep *found;
};

static bool match_front(void *context, struct slice key, void *value)
{
	struct by_front *by = context;
	struct asleep *sleeper = value;

	if (sleeper->front == by->front && (by->any || sleeper->serial == by->serial))
		by->found = sleeper;
	return by->found == NULL;
}

static struct asleep *find_sleeper(struct hub *hub, struct by_front by)
{
	map_each(&hub->tickets, match_front, &by);
	return by.found;
}

void hub_peer_gone(void *context, struct channel *peer, const struct peer *who)
{
	struct hub *hub = context;
	struct asleep *sleeper;

	while ((sleeper = find_sleeper(hub, (struct by_front){ .front = peer, .any = true })))
		forget_sleeper(hub, sleeper);
	for (size_t i = hub->listeners.count; i-- > 0;) {
		if (*(struct channel **)vector_at(&hub->listeners, i) == peer)
			vector_swap_out(&hub->listeners, i);
	}
}

static void wake(struct asleep *sleeper)
{
	struct message message = { .type = MESSAGE_WAKE, .wake.serial = sleeper->serial };

	if (sleeper->woken)
		return;
	sleeper->woken = true;
	channel_send(sleeper->front, &message);
}

static void tell_session(struct live *live, struct slice mailbox)
{
	struct message message = { .type = MESSAGE_NOTICE };

	message.notice.account = SLICE("");
	message.notice.mailbox = mailbox;
	live->notices++;
	channel_send(&live->session->child->channel, &message);
}

/* A session that made the index anew says so of no mailbox: that concerns all who have it open, and no sleeper. */
static void tell_account(struct account *account, struct slice mailbox, const struct live *sender)
{
	for (struct live *live = account->sessions; live; live = live->next) {
		if (live != sender && live->watches && !live->asleep &&
			(mailbox.length == 0 || slice_equal(mailbox, slice_from(live->watches))))
			tell_session(live, mailbox);
	}
	for (struct asleep *sleeper = account->sleepers; sleeper; sleeper = sleeper->next) {
		if (mailbox.length && slice_equal(mailbox, slice_from(sleeper->mailbox)))
			wake(sleeper);
	}
}

void hub_changed(struct account *account, struct slice mailbox)
{
	tell_account(account, mailbox, NULL);
}

void hub_notice(struct hub *hub, struct slice path, struct slice mailbox,
	const struct channel *from, const struct live *sender)
{
	struct account *account = map_get(&hub->accounts, path);
	struct message message = { .type = MESSAGE_NOTICE };
	struct channel *newer = hub->replaced ? link_channel(&hub->newer) : NULL;

	if (account) {
		foreign_told(account, mailbox);
		tell_account(account, mailbox, sender);
	}
	message.notice.account = path;
	message.notice.mailbox = mailbox;
	for (size_t i = 0; i < hub->listeners.count; i++) {
		struct channel *listener = *(struct channel **)vector_at(&hub->listeners, i);

		if (listener != from)
			channel_send(listener, &message);
	}
	/* What began here the newer spawner must hear; what it passed on to us it knows. */
	if (newer && sender)
		channel_send(newer, &message);
}

static struct asleep *new_sleeper(struct live *live)
{
	const struct mailbox_session *session = live->session;
	size_t length = live->watches ? strlen(live->watches) : 0,
	       address_length = strlen(session->client_address) + 1,
	       login_length = strlen(session->login) + 1, app_length = strlen(session->app) + 1;
	struct asleep *sleeper = calloc(
		1, sizeof(*sleeper) + length + 1 + address_length + login_length + app_length);
	char *room;

	if (!sleeper)
		return NULL;
	sleeper->account = live->account;
	sleeper->front = session->front;
	sleeper->serial = session->serial;
	sleeper->since = session->since;
	sleeper->quota = session->quota;
	room = sleeper->mailbox + length + 1;
	sleeper->client_address = memcpy(room, session->client_address, address_length);
	sleeper->login = memcpy(room + address_length, session->login, login_length);
	sleeper->app = memcpy(room + address_length + login_length, session->app, app_length);
	os_random(sleeper->ticket, sizeof(sleeper->ticket));
	if (length)
		memcpy(sleeper->mailbox, live->watches, length);
	if (!map_put(&live->hub->tickets, ticket_of(sleeper), sleeper)) {
		free(sleeper);
		return NULL;
	}
	sleeper->next = live->account->sleepers;
	live->account->sleepers = sleeper;
	foreign_watch(live->hub, live->account, slice_from(sleeper->mailbox));
	return sleeper;
}

/* Its user has to go: the front says so to the client, and from now on the ticket wakes nobody. */
static void end_sleeper(struct hub *hub, struct asleep *sleeper)
{
	struct message message = { .type = MESSAGE_SLEEPER_END,
		.sleeper_end.serial = sleeper->serial };

	channel_send(sleeper->front, &message);
	forget_sleeper(hub, sleeper);
}

struct named {
	struct hub *hub;
	const struct message_sessions_order *order;
	unsigned count;
};

static bool each_named(void *context, struct slice key, void *value)
{
	struct named *named = context;
	struct asleep *sleeper = value;
	const struct message_sessions_row row = { .order = named->order->order,
		.login = slice_from(sleeper->login),
		.app = slice_from(sleeper->app),
		.client_address = slice_from(sleeper->client_address),
		.since = sleeper->since };

	if (!dismissed_names(named->order, sleeper->login, sleeper->app))
		return true;
	named->count++;
	if (named->order->action == SESSIONS_END)
		end_sleeper(named->hub, sleeper);
	else
		mailbox_spawner_row(named->hub->spawner, &row);
	return true;
}

unsigned hub_sleepers(void *context, const struct message_sessions_order *order)
{
	struct named named = { .hub = context, .order = order };

	map_each(&named.hub->tickets, each_named, &named);
	return named.count;
}

/* The session's client sleeps: pass descriptor and state to the front, with a ticket that only we understand. */
static void child_sleeps(struct live *live, struct message *message)
{
	struct message on = {
		.type = MESSAGE_HIBERNATE, .fd_count = 1, .fds = { message->fds[0] }
	};
	struct mailbox_session *session = live->session;
	uint32_t heard = message->hibernate.serial;
	struct asleep *sleeper;

	if (live->asleep || !session->front || message->fd_count != 1)
		return;
	sleeper = new_sleeper(live);
	if (!sleeper)
		return;
	on.hibernate = message->hibernate;
	on.hibernate.serial = session->serial;
	on.hibernate.ticket = ticket_of(sleeper);
	live->asleep = true;
	channel_send(session->front, &on);
	/* An order, or a notice, crossed the session's goodbye: what it was about has not been told. */
	if (session->child->dismissed)
		end_sleeper(live->hub, sleeper);
	else if (heard != live->notices)
		wake(sleeper);
	/* The client did not leave with this process. */
	session->front = NULL;
	channel_close(&session->child->channel);
}

void hub_child_says(void *context, struct mailbox_session *session, struct message *message)
{
	struct live *live = session->context;

	if (!live)
		return;
	switch (message->type) {
	case MESSAGE_NOTICE:
		hub_notice(live->hub, slice_from(live->account->path), message->notice.mailbox,
			NULL, live);
		break;
	case MESSAGE_NOTICE_WATCH:
		child_watches(live, message->notice_watch.mailbox, message->notice_watch.idle != 0);
		break;
	case MESSAGE_HIBERNATE:
		child_sleeps(live, message);
		break;
	default:
		log_warning("session of %s sent %s", session->login, message_name(message->type));
	}
}

static void refuse_resume(struct channel *front, uint32_t serial, const char *reason)
{
	struct message message = { .type = MESSAGE_HANDOVER_ANSWER };

	message.handover_answer.serial = serial;
	message.handover_answer.status = AUTH_TEMPORARY;
	message.handover_answer.reason = slice_from(reason);
	channel_send(front, &message);
}

/* Whose mailbox it is, and who logged in, comes from our own memory of the ticket. */
static void resume(struct hub *hub, struct channel *front, struct message *message)
{
	const struct message_resume *m = &message->resume;
	struct asleep *sleeper = map_get(&hub->tickets, m->ticket);
	struct mailbox_session session = { .serial = m->serial, .front = front }, *woken;

	if (!sleeper || sleeper->front != front || sleeper->serial != m->serial ||
		message->fd_count != 1) {
		refuse_resume(front, m->serial, "the resume ticket is not valid");
		return;
	}
	session.quota = sleeper->quota;
	session.since = sleeper->since;
	if (!slice_to_string(slice_from(sleeper->login), session.login, sizeof(session.login)) ||
		!slice_to_string(slice_from(sleeper->app), session.app, sizeof(session.app)) ||
		!slice_to_string(slice_from(sleeper->account->path), session.account,
			sizeof(session.account)) ||
		!slice_to_string(m->tag, session.tag, sizeof(session.tag)) ||
		!slice_to_string(m->client_address, session.client_address,
			sizeof(session.client_address)) ||
		!buffer_add(&session.state, m->state)) {
		refuse_resume(front, m->serial, "out of memory");
		return;
	}
	woken = mailbox_spawner_wake(hub->spawner, &session, message_take_fd(message, 0));
	/* Before the child says so itself: a change between now and then must reach it. */
	if (woken && woken->context)
		child_watches(woken->context, slice_from(sleeper->mailbox), true);
	forget_sleeper(hub, sleeper);
}

void hub_front_says(void *context, struct channel *front, struct message *message)
{
	struct hub *hub = context;
	struct asleep *sleeper;

	switch (message->type) {
	case MESSAGE_RESUME:
		resume(hub, front, message);
		break;
	case MESSAGE_SESSION_ENDED:
		sleeper = find_sleeper(hub, (struct by_front){ .front = front,
						    .serial = message->session_ended.serial });
		if (sleeper)
			forget_sleeper(hub, sleeper);
		break;
	default:
		log_warning("imapd sent %s", message_name(message->type));
	}
}

void hub_peer_says(
	void *context, struct channel *peer, const struct peer *who, struct message *message)
{
	struct hub *hub = context;
	struct channel **slot;

	if (message->type == MESSAGE_NOTICE) {
		hub_notice(hub, message->notice.account, message->notice.mailbox, peer, NULL);
	} else if (message->type == MESSAGE_NOTICE_ALL && who->from == SERVICE_IMAPD_SESSION) {
		slot = vector_add(&hub->listeners);
		if (slot)
			*slot = peer;
	} else {
		log_warning("%s sent %s", service_id_name(who->from), message_name(message->type));
	}
}
