// SPDX-License-Identifier: ISC
/* Between greeting and trust. See login.h. */
#include "service/login.h"

#include <stdlib.h>

#include "service/figures.h"
#include "service/log.h"

struct login {
	struct service *service;
	const char *protocol;
	const struct login_hooks *hooks;
	void *context;
	struct link auth, spawner;
	struct map clients; /* by serial, of struct login_client */
	uint32_t next_serial;
};

static struct slice serial_key(const uint32_t *serial)
{
	return slice_of(serial, sizeof(*serial));
}

struct login_client *login_find(struct login *login, uint32_t serial)
{
	return map_get(&login->clients, serial_key(&serial));
}

static struct login_client *client_of(struct login *login, uint32_t serial, enum login_state state)
{
	struct login_client *client = map_get(&login->clients, serial_key(&serial));

	return client && client->state == state ? client : NULL;
}

static void forget(struct login *login, struct login_client *client)
{
	if (client->serial)
		map_remove(&login->clients, serial_key(&client->serial));
	client->serial = 0;
	client->state = LOGIN_NONE;
}

void login_name_for_log(struct slice name, char *text, size_t size)
{
	size_t length = name.length < size - 1 ? name.length : size - 1;

	for (size_t i = 0; i < length; i++) {
		char c = name.data[i];

		text[i] = c == '<' || c == '>' || (unsigned char)c < ' ' || c == 0x7f ? '?' : c;
	}
	text[length] = '\0';
}

bool login_adopt(struct login *login, struct login_client *client)
{
	/* Zero means "none", and a number still in use would mix two clients up. */
	do
		client->serial = ++login->next_serial;
	while (client->serial == 0 || map_get(&login->clients, serial_key(&client->serial)));
	if (map_put(&login->clients, serial_key(&client->serial), client))
		return true;
	client->serial = 0;
	return false;
}

static void auth_result(struct login *login, struct message_auth_result *result)
{
	struct login_client *client = client_of(login, result->serial, LOGIN_AUTHENTICATING);
	char reason[256];

	if (!client)
		return;
	if (result->status != AUTH_OK || result->ticket.length == 0 ||
		!slice_to_string(result->login, client->login, sizeof(client->login))) {
		enum auth_status status =
			result->status == AUTH_OK ? AUTH_TEMPORARY : result->status;

		if (!slice_to_string(result->reason, reason, sizeof(reason)))
			reason[0] = '\0';
		figures_add(FIGURE_logins_failed, 1);
		forget(login, client);
		client->delay = result->delay;
		if (!slice_to_string(result->login, client->login, sizeof(client->login)))
			client->login[0] = '\0';
		login->hooks->failed(client, status, reason);
		return;
	}
	memcpy(client->ticket, result->ticket.data, result->ticket.length);
	client->ticket_length = result->ticket.length;
	client->state = LOGIN_ACCEPTED;
	login->hooks->accepted(client, result->final);
}

static void auth_receive(struct channel *channel, struct message *message)
{
	struct login *login = ((struct link *)channel->context)->context;
	struct login_client *client;

	switch (message->type) {
	case MESSAGE_AUTH_CHALLENGE:
		client = client_of(login, message->auth_challenge.serial, LOGIN_AUTHENTICATING);
		if (client)
			login->hooks->challenge(client, message->auth_challenge.challenge);
		break;
	case MESSAGE_AUTH_RESULT:
		auth_result(login, &message->auth_result);
		break;
	default:
		log_warning("authd sent %s", message_name(message->type));
	}
}

struct lost {
	struct login *login;
	enum login_state state;
	struct login_client *found;
};

static bool find_lost(void *context, struct slice key, void *value)
{
	struct lost *lost = context;
	struct login_client *client = value;

	if (client->state == lost->state)
		lost->found = client;
	return lost->found == NULL;
}

/* One at a time, because the hooks may cancel and free others. */
static struct login_client *next_lost(struct login *login, enum login_state state)
{
	struct lost lost = { login, state, NULL };

	map_each(&login->clients, find_lost, &lost);
	return lost.found;
}

static void auth_down(struct link *link)
{
	struct login *login = link->context;
	struct login_client *client;

	while ((client = next_lost(login, LOGIN_AUTHENTICATING))) {
		forget(login, client);
		client->delay = 0;
		login->hooks->failed(client, AUTH_TEMPORARY, "authentication service went away");
	}
}

static void handed_over(struct login *login, struct message_handover_answer *answer)
{
	struct login_client *client = client_of(login, answer->serial, LOGIN_HANDING_OVER);
	char reason[256];

	if (!client)
		return;
	if (answer->status == AUTH_OK) {
		client->state = LOGIN_SERVED;
		/* A sleeper that is woken was counted when it came. */
		figures_add(FIGURE_logins, client->pid == 0);
		client->pid = answer->pid;
		login->hooks->served(client);
		return;
	}
	if (!slice_to_string(answer->reason, reason, sizeof(reason)))
		reason[0] = '\0';
	forget(login, client);
	login->hooks->refused(client, reason);
}

static void session_ended(struct login *login, uint32_t serial)
{
	struct login_client *client = client_of(login, serial, LOGIN_SERVED);

	if (!client)
		return;
	forget(login, client);
	login->hooks->ended(client);
}

static void spawner_receive(struct channel *channel, struct message *message)
{
	struct login *login = ((struct link *)channel->context)->context;

	switch (message->type) {
	case MESSAGE_HANDOVER_ANSWER:
		handed_over(login, &message->handover_answer);
		break;
	case MESSAGE_SESSION_ENDED:
		session_ended(login, message->session_ended.serial);
		break;
	default:
		if (login->hooks->spawner_says)
			login->hooks->spawner_says(login->context, message);
		else
			log_warning("spawner sent %s", message_name(message->type));
	}
}

static void spawner_down(struct link *link)
{
	struct login *login = link->context;
	struct login_client *client;

	while ((client = next_lost(login, LOGIN_HANDING_OVER))) {
		forget(login, client);
		login->hooks->refused(client, "session service went away");
	}
	/* Sessions end with their spawner, and nobody will say so any more. */
	while ((client = next_lost(login, LOGIN_SERVED))) {
		forget(login, client);
		login->hooks->ended(client);
	}
	if (login->hooks->spawner_gone)
		login->hooks->spawner_gone(login->context);
}

struct login *login_open(struct service *service, const char *protocol, enum service_id spawner,
	const struct login_hooks *hooks, void *context)
{
	struct login *login = calloc(1, sizeof(*login));

	if (!login)
		return NULL;
	login->service = service;
	login->protocol = protocol;
	login->hooks = hooks;
	login->context = context;
	link_open(&login->auth, service, SERVICE_AUTH, auth_receive, NULL, auth_down, login);
	link_open(&login->spawner, service, spawner, spawner_receive, NULL, spawner_down, login);
	return login;
}

bool login_begin(struct login *login, struct login_client *client, const char *mechanism,
	struct slice initial)
{
	struct message message = { .type = MESSAGE_AUTH_BEGIN };
	struct message_auth_begin *begin = &message.auth_begin;

	if (client->state != LOGIN_NONE || !login_adopt(login, client))
		return false;
	if (!slice_to_string(slice_from(mechanism), client->mechanism, sizeof(client->mechanism)))
		client->mechanism[0] = '\0';
	client->state = LOGIN_AUTHENTICATING;
	begin->serial = client->serial;
	begin->service = slice_from(login->protocol);
	begin->mechanism = slice_from(client->mechanism);
	begin->has_initial = initial.data != NULL;
	begin->initial = initial;
	begin->client_address = slice_from(client->peer.address);
	begin->local_address = slice_from(client->peer.local_address);
	begin->secured = client->secured;
	begin->tls = client->seal;
	/* Just after a start or a reload authd may not have been introduced yet: the question waits for it. */
	if (link_send(&login->auth, &message))
		return true;
	forget(login, client);
	return false;
}

void login_continue(struct login *login, struct login_client *client, struct slice response)
{
	struct channel *channel = link_channel(&login->auth);
	struct message message = { .type = MESSAGE_AUTH_CONTINUE };

	if (client->state != LOGIN_AUTHENTICATING)
		return;
	message.auth_continue.serial = client->serial;
	message.auth_continue.response = response;
	if (channel && channel_send(channel, &message))
		return;
	login_cancel(login, client);
	client->delay = 0;
	login->hooks->failed(client, AUTH_BAD, "response too long");
}

void login_cancel(struct login *login, struct login_client *client)
{
	struct channel *channel = link_channel(&login->auth);
	struct message message = { .type = MESSAGE_AUTH_CANCEL };

	if (client->state == LOGIN_AUTHENTICATING && channel) {
		message.auth_cancel.serial = client->serial;
		channel_send(channel, &message);
	}
	forget(login, client);
}

void login_hand_over(
	struct login *login, struct login_client *client, struct slice tag, struct slice input)
{
	struct message message = { .type = MESSAGE_HANDOVER, .fd_count = 1 };
	struct message_handover *handover = &message.handover;

	client->state = LOGIN_HANDING_OVER;
	message.fds[0] = client->fd;
	handover->serial = client->serial;
	handover->ticket = slice_of(client->ticket, client->ticket_length);
	handover->tag = tag;
	handover->input = input;
	handover->client_address = slice_from(client->peer.address);
	handover->client_port = client->peer.port;
	handover->local_address = slice_from(client->peer.local_address);
	if (link_send(&login->spawner, &message))
		return;
	forget(login, client);
	login->hooks->refused(client, "session service is not there");
}

bool login_tell_spawner(struct login *login, const struct message *message)
{
	struct channel *channel = link_channel(&login->spawner);

	return channel && channel_send(channel, message);
}
