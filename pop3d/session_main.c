// SPDX-License-Identifier: ISC
/*
 * pop3d-session - forks a confined session for each client that has logged in. It learns from authd itself whose ticket the front
 * brings, and from directoryd where that user's mail is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "config/config.h"
#include "config/place.h"
#include "pop3d/pop3d_session_cell.h"
#include "pop3d/session.h"
#include "service/log.h"

enum { POP3_OUT_MAX = 64 << 20 };

struct spawn {
	struct service *service;
	struct config *config;
	struct mailbox_spawner *spawner;
	struct link imap; /* the hub for change notices */
};

/* A damaged index is made anew on the way. */
static enum store_status open_inbox(struct pop3_session *session)
{
	enum store_status status =
		mailbox_open(session->store, SLICE("INBOX"), false, &session->mailbox);

	if (status == STORE_TEMPORARY && store_lost(session->store) &&
		store_reopen(session->store) == STORE_OK)
		status = mailbox_open(session->store, SLICE("INBOX"), false, &session->mailbox);
	if (status == STORE_OK && store_error(session->store)[0])
		log_warning("%s", store_error(session->store));
	return status;
}

/* In the child: everything until the greeting of the TRANSACTION state; false when there will be none. */
static bool open_mailbox(
	struct pop3_session *session, const struct mailbox_session *start, const char **refusal)
{
	struct mailbox_counts counts;
	enum store_status status = store_open(start->folder, true, start->quota, &session->store);

	*refusal = "-ERR [SYS/TEMP] Mailbox cannot be opened now";
	if (status == STORE_OK)
		status = store_pop3_lock(session->store);
	if (status == STORE_LOCKED)
		*refusal = "-ERR [IN-USE] Another POP3 session has the mailbox";
	if (status == STORE_OK)
		status = open_inbox(session);
	if (status != STORE_OK) {
		if (status != STORE_LOCKED)
			log_error("opening the mailbox: %s", store_error(session->store));
		return false;
	}
	session->entries = mailbox_entries(session->mailbox, &session->count);
	mailbox_counts(session->mailbox, &counts);
	session->uid_validity = counts.uid_validity;
	session->marks = calloc(session->count + 1, 1);
	for (uint32_t i = 0; i < session->count; i++)
		session->total_bytes += session->entries[i].size;
	return session->marks != NULL;
}

static int run(struct service *service, int channel_fd, struct mailbox_session *start)
{
	struct spawn *spawn = start->context;
	struct pop3_session session = { .client = start->client_fd,
		.channel = channel_fd,
		.timeout = config_time(spawn->config, PARAM_pop3_timeout),
		.in = start->input,
		.out = buffer_limited(POP3_OUT_MAX) };
	const char *refusal;
	int status = EX_TEMPFAIL;

	if (open_mailbox(&session, start, &refusal)) {
		pop3_reply(&session, "+OK Logged in.");
		status = pop3_serve(&session);
	} else {
		pop3_reply(&session, "%s", refusal);
		pop3_flush(&session);
	}
	mailbox_close(&session.mailbox);
	store_close(&session.store);
	return status == EX_TEMPFAIL
		       ? EX_OK
		       : status; /* the client was told; for the spawner it is an ordinary end */
}

static void started(void *context, struct mailbox_session *session)
{
	session->context = context;
}

/* A session says that it changed its own mailbox; whose that is, its channel says. */
static void child_says(void *context, struct mailbox_session *session, struct message *message)
{
	struct spawn *spawn = context;
	struct channel *imap = link_channel(&spawn->imap);

	if (message->type != MESSAGE_NOTICE) {
		log_warning("session of %s sent %s", session->login, message_name(message->type));
		return;
	}
	message->notice.account = slice_from(session->account);
	if (imap)
		channel_send(imap, message);
}

static void hub_says(struct channel *channel, struct message *message)
{
	log_debug("the hub sent %s", message_name(message->type));
}

static void peer(struct service *service, void *context, int fd, const struct peer *who)
{
	mailbox_spawner_peer(((struct spawn *)context)->spawner, fd, who);
}

static void drain(struct service *service, void *context, bool fast)
{
	mailbox_spawner_drain(((struct spawn *)context)->spawner, fast);
}

static void sessions(
	struct service *service, void *context, const struct message_sessions_order *order)
{
	mailbox_spawner_sessions(((struct spawn *)context)->spawner, order);
}

int main(int argc, char **argv)
{
	char log_format[160];
	const struct mailbox_spawner_config config = { .protocol = "pop3",
		.log_format = log_format,
		.run = run,
		.child_says = child_says,
		.started = started };
	const struct service_hooks hooks = { .peer = peer, .sessions = sessions, .drain = drain };
	struct service *service = service_start("pop3d-session", argc, argv);
	struct spawn spawn = { .service = service,
		.config = config_open(service_snapshot(service)) };

	if (!spawn.config)
		return EX_SOFTWARE;
	snprintf(log_format, sizeof(log_format), "%s/pop3(%%s)",
		config_text(spawn.config, PARAM_syslog_name));
	config_place(service, spawn.config);
	service_enter(service, &CELL_POP3D_SESSION);
	spawn.spawner = mailbox_spawner_open(service, &config, &spawn);
	if (!spawn.spawner)
		return EX_OSERR;
	link_open(&spawn.imap, service, SERVICE_IMAPD_SESSION, hub_says, NULL, NULL, &spawn);
	return service_run(service, &hooks, &spawn);
}
