// SPDX-License-Identifier: ISC
/*
 * imapd-session - the spawner of IMAP sessions and the hub of change notices. It forks a session for each login that authd vouches
 * for, confined to that login's mailbox folder. Fronts, delivery, the POP3 spawner and an older self are its peers.
 */
#include "config/place.h"
#include "imapd/spawn.h"

#include <stdio.h>
#include <sysexits.h>

#include "imapd/imapd_session_cell.h"
#include "mail/date.h"
#include "mail/mime.h"
#include "os/os.h"
#include "service/log.h"

static void take_peer(struct service *service, void *context, int fd, const struct peer *who)
{
	mailbox_spawner_peer(((struct hub *)context)->spawner, fd, who);
}

static void newer_says(struct channel *channel, struct message *message)
{
	struct link *link = channel->context;

	if (message->type == MESSAGE_NOTICE)
		hub_notice(link->context, message->notice.account, message->notice.mailbox, channel,
			NULL);
}

/* The new spawner gets all notices now: have them passed on, for the clients that stay here. */
static void newer_up(struct link *link)
{
	struct message message = { .type = MESSAGE_NOTICE_ALL };

	channel_send(&link->channel, &message);
}

static void drain(struct service *service, void *context, bool fast)
{
	struct hub *hub = context;

	if (!fast && !hub->replaced) {
		hub->replaced = true;
		link_open(&hub->newer, service, SERVICE_IMAPD_SESSION, newer_says, newer_up, NULL,
			hub);
	}
	mailbox_spawner_drain(hub->spawner, fast);
}

static void sessions(
	struct service *service, void *context, const struct message_sessions_order *order)
{
	mailbox_spawner_sessions(((struct hub *)context)->spawner, order);
}

static void read_settings(struct hub *hub, const struct config *c)
{
	hub->settings = (struct session_settings){
		.command_limit = (size_t)config_int(c, PARAM_imap_max_command_size),
		.literal_limit = (uint64_t)config_int(c, PARAM_imap_literal_limit),
		.timeout = config_time(c, PARAM_imap_timeout),
		.hibernate_timeout = config_time(c, PARAM_imap_hibernate_timeout),
		.keepalive_interval = config_time(c, PARAM_imap_idle_notify_interval),
	};
	session_child_settings = &hub->settings;
}

/* What sessions will need and cannot load once they are confined. */
static void preload(void)
{
	mime_preload_charsets();
	date_local_zone(os_now() / 1000000);
}

int main(int argc, char **argv)
{
	static const struct service_hooks HOOKS = {
		.peer = take_peer, .sessions = sessions, .drain = drain
	};
	struct hub hub = { .service = service_start("imapd-session", argc, argv),
		.listeners = vector_of(sizeof(struct channel *), 64) };
	struct cell cell = CELL_IMAPD_SESSION;
	struct config *config = config_open(service_snapshot(hub.service));
	char log_format[160];
	struct mailbox_spawner_config how = { .protocol = "imap",
		.log_format = log_format,
		.run = session_child,
		.child_says = hub_child_says,
		.front_says = hub_front_says,
		.peer_gone = hub_peer_gone,
		.peer_says = hub_peer_says,
		.started = hub_started,
		.ended = hub_ended,
		.sleepers = hub_sleepers };

	if (!config) {
		log_error("the configuration snapshot cannot be read");
		return EX_SOFTWARE;
	}
	snprintf(log_format, sizeof(log_format), "%s/imap(%%s)",
		config_text(config, PARAM_syslog_name));
	config_place(hub.service, config);
	cell.memory = (uint64_t)config_int(config, PARAM_imap_session_memory_limit);
	read_settings(&hub, config);
	preload();
	foreign_open(&hub, (unsigned)config_int(config, PARAM_imap_watch_limit));
	service_enter(hub.service, &cell);
	hub.spawner = mailbox_spawner_open(hub.service, &how, &hub);
	if (!hub.spawner)
		return EX_OSERR;
	return service_run(hub.service, &HOOKS, &hub);
}
