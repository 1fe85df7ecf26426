// SPDX-License-Identifier: ISC
/*
 * Sessions of users, listed and ended by order of a command. Commands come by run/control, which belongs to whoever started master,
 * and is open to nobody else; no process of the suite may connect to anything. An order goes to all generations: to authd first,
 * so that nobody who is still logging in slips through, then to the spawners, which answer when those concerned have gone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "master/master.h"
#include "service/log.h"

enum {
	CLIENTS_MOST = 32, /* commands at the same time */
	ORDER_LIMIT = 15000, /* ms for all answers */
	BACKLOG = 64
};

/* In which turn a service is asked. */
enum turn { TURN_AUTH, TURN_SPAWNERS, TURNS };
static const struct {
	enum service_id service;
	enum turn turn;
} ASKED[] = {
	{ SERVICE_AUTH, TURN_AUTH },
	{ SERVICE_IMAPD_SESSION, TURN_SPAWNERS },
	{ SERVICE_POP3D_SESSION, TURN_SPAWNERS },
	{ SERVICE_SMTPD_SESSION, TURN_SPAWNERS },
};

/* A command, with one order at a time. */
struct sessions_client {
	struct channel channel;
	struct master *master;
	struct sessions_client *next;
	uint32_t order; /* 0: none is under way */
	uint8_t action;
	struct buffer logins;
	char app[MAX_APP + 1];
	enum turn turn;
	struct vector awaited; /* of pid_t */
	unsigned count;
	struct timer limit;
};

static void finish(struct sessions_client *client)
{
	struct message message = { .type = MESSAGE_SESSIONS_DONE };

	message.sessions_done.count = client->count;
	message.sessions_done.silent = (uint32_t)client->awaited.count;
	channel_send(&client->channel, &message);
	loop_timer_stop(&client->limit);
	vector_clear(&client->awaited);
	client->order = 0;
}

static void too_late(struct timer *timer)
{
	struct sessions_client *client = timer->context;

	log_warning("%u processes did not answer an order about sessions",
		(unsigned)client->awaited.count);
	finish(client);
}

/* A process that is still starting has no session yet. */
static void ask_entry(struct sessions_client *client, const struct entry *entry)
{
	struct message message = { .type = MESSAGE_SESSIONS_ORDER };

	message.sessions_order.order = client->order;
	message.sessions_order.action = client->action;
	message.sessions_order.logins = buffer_slice(&client->logins);
	message.sessions_order.app = slice_from(client->app);
	for (size_t i = 0; i < entry->processes.count; i++) {
		struct process *process = entry_process(entry, i);
		pid_t *place =
			process->state == PROCESS_STARTING ? NULL : vector_add(&client->awaited);

		if (place) {
			*place = process->pid;
			channel_send(&process->control, &message);
		}
	}
}

static void ask(struct sessions_client *client)
{
	struct master *master = client->master;

	for (struct generation *g = generation_newest(master); g; g = g->former)
		for (unsigned i = 0; i < g->count; i++)
			for (size_t k = 0; k < sizeof(ASKED) / sizeof(ASKED[0]); k++)
				if (ASKED[k].service == g->entries[i].id &&
					ASKED[k].turn == client->turn)
					ask_entry(client, &g->entries[i]);
}

/* Everybody of this turn has answered, or there was nobody. */
static void go_on(struct sessions_client *client)
{
	while (client->awaited.count == 0 && client->turn + 1 < TURNS) {
		client->turn++;
		ask(client);
	}
	if (client->awaited.count == 0)
		finish(client);
}

static void receive(struct channel *channel, struct message *message)
{
	struct sessions_client *client = channel->context;
	const struct message_sessions_order *order = &message->sessions_order;
	bool ends = order->action == SESSIONS_END;

	buffer_clear(&client->logins);
	if (message->type != MESSAGE_SESSIONS_ORDER || client->order ||
		!(ends ? order->logins.length > 0 : order->action == SESSIONS_LIST) ||
		!slice_to_string(order->app, client->app, sizeof(client->app)) ||
		!buffer_add(&client->logins, order->logins)) {
		log_warning("a command sent %s out of place", message_name(message->type));
		channel_close(channel);
		client->channel.closed(channel, "out of place");
		return;
	}
	client->order = ++client->master->orders;
	client->action = order->action;
	client->count = 0;
	client->turn = ends ? TURN_AUTH : TURN_SPAWNERS;
	loop_timer_start(client->master->loop, &client->limit, ORDER_LIMIT);
	ask(client);
	go_on(client);
}

static void closed(struct channel *channel, const char *why)
{
	struct sessions_client *client = channel->context, **at = &client->master->sessions_clients;

	while (*at != client)
		at = &(*at)->next;
	*at = client->next;
	client->master->sessions_client_count--;
	loop_timer_stop(&client->limit);
	vector_free(&client->awaited);
	buffer_free(&client->logins);
	free(client);
}

static void accepted(struct acceptor *acceptor, int fd, const struct sockaddr_storage *from)
{
	struct master *master = acceptor->context;
	struct sessions_client *client;
	struct ucred who;
	socklen_t length = sizeof(who);

	/* The socket's mode says the same; this holds also when somebody changed it. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length) < 0 ||
		(who.uid != 0 && who.uid != geteuid())) {
		log_warning("refused: orders about sessions by uid %u", (unsigned)who.uid);
		close(fd);
		return;
	}
	client = master->sessions_client_count < CLIENTS_MOST ? calloc(1, sizeof(*client)) : NULL;
	if (!client) {
		close(fd);
		return;
	}
	client->master = master;
	client->awaited = vector_of(sizeof(pid_t), 0);
	client->limit = (struct timer){ .fire = too_late, .context = client };
	if (!channel_open(&client->channel, master->loop, fd, receive, closed, client)) {
		free(client);
		return;
	}
	client->next = master->sessions_clients;
	master->sessions_clients = client;
	master->sessions_client_count++;
}

static bool await_no_more(struct sessions_client *client, pid_t pid)
{
	for (size_t i = 0; i < client->awaited.count; i++) {
		if (*(pid_t *)vector_at(&client->awaited, i) != pid)
			continue;
		vector_swap_out(&client->awaited, i);
		return true;
	}
	return false;
}

static bool is_awaited(const struct sessions_client *client, pid_t pid)
{
	for (size_t i = 0; i < client->awaited.count; i++)
		if (*(const pid_t *)vector_at(&client->awaited, i) == pid)
			return true;
	return false;
}

bool sessions_said(struct process *process, const struct message *message)
{
	bool row = message->type == MESSAGE_SESSIONS_ROW, asked = false;
	uint32_t order = row ? message->sessions_row.order : message->sessions_done.order;
	struct sessions_client *client = process->master->sessions_clients;

	for (size_t i = 0; i < sizeof(ASKED) / sizeof(ASKED[0]); i++)
		asked = asked || ASKED[i].service == process->entry->id;
	while (client && (client->order != order || !is_awaited(client, process->pid)))
		client = client->next;
	/* The command went away meanwhile, or waits no more. */
	if (!client || !asked)
		return asked;
	if (row) {
		channel_send(&client->channel, message);
	} else {
		client->count += message->sessions_done.count;
		if (await_no_more(client, process->pid))
			go_on(client);
	}
	return true;
}

void sessions_forget(struct process *process)
{
	for (struct sessions_client *client = process->master->sessions_clients; client;
		client = client->next) {
		/* Sessions end with their spawner. */
		if (client->order && await_no_more(client, process->pid))
			go_on(client);
	}
}

bool sessions_open(struct master *master, char *path, size_t size)
{
	struct sockaddr_un where = { .sun_family = AF_UNIX };
	int fd;

	snprintf(path, size, "%s/run/control", master->settings.instance);
	if (!slice_to_string(slice_from(path), where.sun_path, sizeof(where.sun_path))) {
		errno = ENAMETOOLONG;
		return false;
	}
	unlink(path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* master's umask lets nobody else in from the first moment. */
	if (fd >= 0 && bind(fd, (struct sockaddr *)&where, sizeof(where)) == 0 &&
		chmod(path, 0600) == 0 && listen(fd, BACKLOG) == 0 &&
		acceptor_start(&master->control, master->loop, fd, "run/control", accepted, master))
		return true;
	if (fd >= 0)
		close(fd);
	return false;
}
