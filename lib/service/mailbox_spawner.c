// SPDX-License-Identifier: ISC
/* Redeeming tickets and forking mailbox sessions. See mailbox_spawner.h. */
#include "service/mailbox_spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/map.h"
#include "os/os.h"
#include "service/dismissed.h"
#include "service/log.h"

enum { REQUESTS_MAX = 10000 /* handovers that wait for authd or directoryd */ };

struct peer_channel {
	struct channel channel;
	struct mailbox_spawner *spawner;
	struct peer who;
	struct peer_channel *next;
};

/* A session from handover to end: first a request, then a running child. */
struct record {
	struct mailbox_session session;
	struct mailbox_spawner *spawner;
	uint32_t question; /* serial of the question in flight */
	uint32_t order; /* the last one that authd knew when it vouched for the user */
	int client_fd;
};

struct mailbox_spawner {
	struct service *service;
	const struct mailbox_spawner_config *config;
	void *context;
	struct spawner *children;
	struct link auth, directory;
	struct map requests; /* by question serial, of struct record */
	uint32_t next_question;
	struct peer_channel *peers;
	struct dismissed dismissed;
	bool draining, fast;
};

static void record_free(struct record *record)
{
	if (record->client_fd >= 0)
		close(record->client_fd);
	buffer_free(&record->session.input);
	buffer_free(&record->session.state);
	free(record);
}

static void answer_front(
	struct mailbox_session *session, enum auth_status status, pid_t pid, const char *reason)
{
	struct message message = { .type = MESSAGE_HANDOVER_ANSWER };

	if (!session->front)
		return;
	message.handover_answer.serial = session->serial;
	message.handover_answer.status = (uint8_t)status;
	message.handover_answer.pid = (uint32_t)pid;
	message.handover_answer.reason = slice_from(reason);
	channel_send(session->front, &message);
}

static void refuse(struct record *record, const char *reason)
{
	answer_front(&record->session, AUTH_TEMPORARY, 0, reason);
	record_free(record);
}

static bool is_front(enum service_id id)
{
	return id == SERVICE_IMAPD || id == SERVICE_POP3D || id == SERVICE_MANAGESIEVED;
}

/* A front that drains too may still have clients who log in, or who sleep: none of them is dropped for a reload. */
static void maybe_end(struct mailbox_spawner *spawner)
{
	if (!spawner->draining || spawner_count(spawner->children) || spawner->requests.count)
		return;
	for (struct peer_channel *peer = spawner->peers; peer && !spawner->fast;
		peer = peer->next) {
		if (is_front(peer->who.from))
			return;
	}
	service_end(spawner->service, EX_OK);
}

/* "domain/user": relative, no empty part, none that begins with a dot, nothing unprintable. */
static bool account_is_sane(const char *account)
{
	struct slice rest = slice_from(account), part;

	if (rest.length == 0 || rest.length > MAX_PATH_TEXT || account[rest.length - 1] == '/')
		return false;
	while (slice_split(&rest, '/', &part)) {
		if (part.length == 0 || part.data[0] == '.')
			return false;
		for (size_t i = 0; i < part.length; i++) {
			if ((unsigned char)part.data[i] < 0x20 || part.data[i] == 0x7f)
				return false;
		}
	}
	return true;
}

/* Each folder on the way is made; the mail directory itself must be there. */
static bool make_folder(const char *mail, const char *account, char *folder, size_t size)
{
	size_t at = strlen(mail) + 1;

	if ((size_t)snprintf(folder, size, "%s/%s", mail, account) >= size) {
		errno = ENAMETOOLONG;
		return false;
	}
	for (char *slash = strchr(folder + at, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (!os_mkdirat(AT_FDCWD, folder, 0700) && errno != EEXIST)
			return false;
		*slash = '/';
	}
	return os_mkdirat(AT_FDCWD, folder, 0700) || errno == EEXIST;
}

static int run_child(struct service *service, int channel_fd, void *argument)
{
	struct record *record = argument;

	record->session.client_fd = record->client_fd;
	if (service_session_folder(service) != record->session.folder)
		snprintf(record->session.folder, sizeof(record->session.folder), "%s",
			service_session_folder(service));
	return record->spawner->config->run(service, channel_fd, &record->session);
}

static struct mailbox_session *fork_session(struct record *record)
{
	struct mailbox_spawner *spawner = record->spawner;
	struct mailbox_session *session = &record->session;
	char name[MAX_LOGIN + 64];
	struct session_start start = { .log_name = name,
		.keep = &record->client_fd,
		.keep_count = 1,
		.folder = session->folder,
		.rights = CELL_READ | CELL_WRITE | CELL_CREATE | CELL_REMOVE | CELL_MOVE,
		.run = run_child,
		.argument = record };

	snprintf(name, sizeof(name), spawner->config->log_format, session->login);
	if (!make_folder(service_path(spawner->service, CELL_MAIL), session->account,
		    session->folder, sizeof(session->folder))) {
		log_error("mailbox folder of %s: %s", session->login, strerror(errno));
		refuse(record, "mailbox is not available");
		return NULL;
	}
	if (spawner->config->started)
		spawner->config->started(spawner->context, session);
	session->child = spawner_start(spawner->children, &start, record);
	if (!session->child) {
		log_error("session of %s: %s", session->login,
			errno == EAGAIN ? "too many sessions" : strerror(errno));
		if (spawner->config->ended)
			spawner->config->ended(spawner->context, session);
		refuse(record, "too many sessions");
		return NULL;
	}
	/* The client is the child's alone now. */
	os_close(&record->client_fd);
	buffer_free(&session->input);
	buffer_free(&session->state);
	answer_front(session, AUTH_OK, session->child->pid, "");
	return session;
}

struct mailbox_session *mailbox_spawner_wake(
	struct mailbox_spawner *spawner, struct mailbox_session *template, int client_fd)
{
	struct record *record = calloc(1, sizeof(*record));

	if (!record) {
		close(client_fd);
		return NULL;
	}
	record->session = *template;
	record->spawner = spawner;
	record->client_fd = client_fd;
	template->input = template->state = (struct buffer){ 0 };
	return fork_session(record);
}

static struct record *take_request(struct mailbox_spawner *spawner, uint32_t question)
{
	return map_remove(&spawner->requests, slice_of(&question, sizeof(question)));
}

static bool put_request(struct record *record)
{
	struct mailbox_spawner *spawner = record->spawner;

	record->question = ++spawner->next_question;
	return map_put(
		&spawner->requests, slice_of(&record->question, sizeof(record->question)), record);
}

static void ask_mailbox(struct record *record)
{
	struct message message = { .type = MESSAGE_DIRECTORY_MAILBOX };

	if (!put_request(record)) {
		refuse(record, "too many logins");
		return;
	}
	message.directory_mailbox.serial = record->question;
	message.directory_mailbox.login = slice_from(record->session.login);
	if (!link_send(&record->spawner->directory, &message)) {
		take_request(record->spawner, record->question);
		refuse(record, "directory service is not there");
	}
}

static void auth_receive(struct channel *channel, struct message *message)
{
	struct mailbox_spawner *spawner = ((struct link *)channel->context)->context;
	struct message_auth_redeemed *redeemed = &message->auth_redeemed;
	struct record *record = message->type == MESSAGE_AUTH_REDEEMED
					? take_request(spawner, redeemed->serial)
					: NULL;

	if (!record)
		return;
	if (redeemed->status != AUTH_OK ||
		!slice_to_string(
			redeemed->login, record->session.login, sizeof(record->session.login)) ||
		!slice_to_string(redeemed->app, record->session.app, sizeof(record->session.app))) {
		log_warning("a ticket was refused: client %s", record->session.client_address);
		refuse(record, "login is not valid any more");
		return;
	}
	record->order = redeemed->order;
	ask_mailbox(record);
}

static void directory_receive(struct channel *channel, struct message *message)
{
	struct mailbox_spawner *spawner = ((struct link *)channel->context)->context;
	struct message_directory_mailbox_answer *answer = &message->directory_mailbox_answer;
	struct record *record = message->type == MESSAGE_DIRECTORY_MAILBOX_ANSWER
					? take_request(spawner, answer->serial)
					: NULL;

	if (!record)
		return;
	if (answer->status != DIRECTORY_FOUND ||
		!slice_to_string(answer->mailbox, record->session.account,
			sizeof(record->session.account)) ||
		!account_is_sane(record->session.account)) {
		log_warning("no mailbox for login %s", record->session.login);
		refuse(record, "no mailbox");
		return;
	}
	if (dismissed_since(&spawner->dismissed, record->session.login, record->session.app,
		    record->order)) {
		log_info("%s logged in before such sessions of that user were ended",
			record->session.login);
		refuse(record, "login is not valid any more");
		return;
	}
	record->session.quota = answer->quota;
	fork_session(record);
}

static bool refuse_each(void *context, struct slice key, void *value)
{
	struct mailbox_spawner *spawner = context;
	struct record *record = value;

	take_request(spawner, record->question);
	refuse(record, "service went away");
	return true;
}

/* Questions in flight will not be answered: their clients are told to try again. */
static void link_down(struct link *link)
{
	struct mailbox_spawner *spawner = link->context;

	map_each(&spawner->requests, refuse_each, spawner);
	maybe_end(spawner);
}

static void take_handover(
	struct mailbox_spawner *spawner, struct channel *front, struct message *message)
{
	struct message_handover *handover = &message->handover;
	struct message question = { .type = MESSAGE_AUTH_REDEEM };
	struct record *record = calloc(1, sizeof(*record));
	struct mailbox_session *session;

	if (!record)
		return;
	record->spawner = spawner;
	record->client_fd = message_take_fd(message, 0);
	session = &record->session;
	session->serial = handover->serial;
	session->front = front;
	session->client_port = handover->client_port;
	session->since = os_now();
	buffer_add(&session->input, handover->input);
	if (record->client_fd < 0 ||
		!slice_to_string(handover->tag, session->tag, sizeof(session->tag)) ||
		!slice_to_string(handover->client_address, session->client_address,
			sizeof(session->client_address)) ||
		!slice_to_string(handover->local_address, session->local_address,
			sizeof(session->local_address)) ||
		spawner->fast || !put_request(record)) {
		refuse(record, "try again");
		return;
	}
	question.auth_redeem.serial = record->question;
	question.auth_redeem.service = slice_from(spawner->config->protocol);
	question.auth_redeem.front =
		(uint32_t)((const struct peer_channel *)front->context)->who.pid;
	question.auth_redeem.ticket = handover->ticket;
	if (!link_send(&spawner->auth, &question)) {
		take_request(spawner, record->question);
		refuse(record, "authentication service is not there");
	}
}

static void peer_receive(struct channel *channel, struct message *message)
{
	struct peer_channel *peer = channel->context;
	struct mailbox_spawner *spawner = peer->spawner;
	const struct mailbox_spawner_config *config = spawner->config;

	if (is_front(peer->who.from) && message->type == MESSAGE_HANDOVER)
		take_handover(spawner, channel, message);
	else if (is_front(peer->who.from) && config->front_says)
		config->front_says(spawner->context, channel, message);
	else if (!is_front(peer->who.from) && config->peer_says)
		config->peer_says(spawner->context, channel, &peer->who, message);
	else
		log_warning(
			"%s sent %s", service_id_name(peer->who.from), message_name(message->type));
}

static void forget_front_of(void *context, struct session_child *child)
{
	struct record *record = child->context;

	if (record->session.front == context)
		record->session.front = NULL;
}

static bool forget_front_in_request(void *context, struct slice key, void *value)
{
	struct record *record = value;

	if (record->session.front == context)
		record->session.front = NULL;
	return true;
}

static void peer_closed(struct channel *channel, const char *why)
{
	struct peer_channel *peer = channel->context, **at = &peer->spawner->peers;
	struct mailbox_spawner *spawner = peer->spawner;

	spawner_each(spawner->children, forget_front_of, channel);
	map_each(&spawner->requests, forget_front_in_request, channel);
	if (spawner->config->peer_gone)
		spawner->config->peer_gone(spawner->context, channel, &peer->who);
	while (*at != peer)
		at = &(*at)->next;
	*at = peer->next;
	free(peer);
	maybe_end(spawner);
}

void mailbox_spawner_peer(struct mailbox_spawner *spawner, int fd, const struct peer *who)
{
	struct peer_channel *peer = calloc(1, sizeof(*peer));

	if (!peer) {
		close(fd);
		return;
	}
	peer->spawner = spawner;
	peer->who = *who;
	if (!channel_open(&peer->channel, service_loop(spawner->service), fd, peer_receive,
		    peer_closed, peer)) {
		free(peer);
		return;
	}
	peer->next = spawner->peers;
	spawner->peers = peer;
}

static void child_receive(struct channel *channel, struct message *message)
{
	struct session_child *child = channel->context;
	struct record *record = child->context;
	const struct mailbox_spawner_config *config = record->spawner->config;

	if (config->child_says)
		config->child_says(record->spawner->context, &record->session, message);
	else
		log_warning("session sent %s", message_name(message->type));
}

static void child_ended(void *context, struct session_child *child, int status)
{
	struct mailbox_spawner *spawner = context;
	struct record *record = child->context;
	struct message message = { .type = MESSAGE_SESSION_ENDED };

	if (spawner->config->ended)
		spawner->config->ended(spawner->context, &record->session);
	if (record->session.front) {
		message.session_ended.serial = record->session.serial;
		channel_send(record->session.front, &message);
	}
	record_free(record);
	maybe_end(spawner);
}

struct mailbox_spawner *mailbox_spawner_open(
	struct service *service, const struct mailbox_spawner_config *config, void *context)
{
	struct mailbox_spawner *spawner = calloc(1, sizeof(*spawner));

	if (!spawner)
		return NULL;
	*spawner = (struct mailbox_spawner){ .service = service,
		.config = config,
		.context = context,
		.requests = { .limit = REQUESTS_MAX } };
	spawner->children = spawner_open(
		service, service_max_sessions(service), child_receive, child_ended, spawner);
	if (!spawner->children) {
		free(spawner);
		return NULL;
	}
	link_open(&spawner->auth, service, SERVICE_AUTH, auth_receive, NULL, link_down, spawner);
	link_open(&spawner->directory, service, SERVICE_DIRECTORY, directory_receive, NULL,
		link_down, spawner);
	return spawner;
}

void mailbox_spawner_drain(struct mailbox_spawner *spawner, bool fast)
{
	spawner->draining = true;
	spawner->fast = spawner->fast || fast;
	if (fast)
		spawner_end_all(spawner->children, 1000);
	maybe_end(spawner);
}

void mailbox_spawner_row(struct mailbox_spawner *spawner, const struct message_sessions_row *row)
{
	struct message_sessions_row whole = *row;

	whole.service = slice_from(spawner->config->protocol);
	service_tell_session(spawner->service, &whole);
}

static bool concerns(const struct message_sessions_order *order, struct session_child *child)
{
	const struct record *record = child->context;

	return dismissed_names(order, record->session.login, record->session.app);
}

struct listing {
	const struct message_sessions_order *order;
	unsigned count;
};

static void list_child(void *context, struct session_child *child)
{
	struct listing *listing = context;
	const struct record *record = child->context;
	const struct mailbox_session *session = &record->session;
	const struct message_sessions_row row = { .order = listing->order->order,
		.login = slice_from(session->login),
		.app = slice_from(session->app),
		.client_address = slice_from(session->client_address),
		.since = session->since,
		.pid = (uint32_t)child->pid };

	if (!concerns(listing->order, child))
		return;
	mailbox_spawner_row(record->spawner, &row);
	listing->count++;
}

void mailbox_spawner_sessions(
	struct mailbox_spawner *spawner, const struct message_sessions_order *order)
{
	struct listing listing = { .order = order };
	unsigned asleep = 0;

	if (order->action == SESSIONS_END)
		dismissed_note(&spawner->dismissed, order);
	if (spawner->config->sleepers)
		asleep = spawner->config->sleepers(spawner->context, order);
	if (order->action == SESSIONS_END) {
		spawner_dismiss_some(spawner->children, order, concerns, asleep);
		return;
	}
	spawner_each(spawner->children, list_child, &listing);
	service_sessions_done(spawner->service, order->order, listing.count + asleep);
}
