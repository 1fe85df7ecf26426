// SPDX-License-Identifier: ISC
/*
 * directoryd - answers "who is this address and where does it go?" for smtpd, cleanup, qmgr and the spawners of sessions.
 *
 * One process, one loop, no waiting: everything is opened before it is confined, each answer takes some microseconds. What needs a
 * SQL server is asked for at proxymap, and the question is put aside until the answer comes (waiting.h). Of
 * tables that change it knows by their descriptors; then it ends, and master starts one that opens the new ones.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/buffer.h"
#include "config/config.h"
#include "config/place.h"
#include "directory/answer.h"
#include "directory/directoryd_cell.h"
#include "directory/lookup_tables.h"
#include "directory/waiting.h"
#include "service/figures.h"
#include "service/log.h"
#include "service/peers.h"
#include "service/refuse.h"
#include "table/table_sql.h"

enum {
	CHECK_TABLES = 1000, /* ms between looks at the tables */
	MAX_PEERS = 4000
};

struct directoryd {
	struct service *service;
	struct config *config;
	struct directory *directory;
	struct waiting *waiting;
	struct link proxymap; /* opened with the first question that needs it */
	bool linked;
	struct buffer lookup_tables, accounts;
	struct timer check;
	struct deferred turn_end;
	bool in_turn;
	struct peers peers;
};

struct peer_channel {
	struct channel channel;
	struct directoryd *daemon;
};

/* --- the settings --- */

#define TEXT(name) .name = config_text(config, PARAM_##name)

static void add_lookup_tables(void *context, const char *name, const char *tables)
{
	struct buffer *all = context;

	if (tables)
		buffer_add_text(all, tables);
	else
		all->failed = true;
}

static bool open_directory(struct directoryd *daemon)
{
	const struct config *config = daemon->config;
	char error[600];
	struct directory_settings settings = {
		TEXT(myorigin),
		TEXT(recipient_delimiter),
		TEXT(mydestination),
		TEXT(virtual_alias_domains),
		TEXT(virtual_mailbox_domains),
		TEXT(relay_domains),
		TEXT(virtual_alias_maps),
		TEXT(virtual_mailbox_maps),
		TEXT(local_recipient_maps),
		TEXT(relay_recipient_maps),
		TEXT(transport_maps),
		TEXT(local_transport),
		TEXT(virtual_transport),
		TEXT(relay_transport),
		TEXT(default_transport),
		TEXT(relayhost),
		TEXT(parent_domain_matches_subdomains),
		.login_realm = config_text(config, PARAM_auth_default_realm),
		.folder = config_text(config, PARAM_config_directory),
		.virtual_mailbox_limit = config_int(config, PARAM_virtual_mailbox_limit),
		.recursion_limit =
			(unsigned)config_int(config, PARAM_virtual_alias_recursion_limit),
		.expansion_limit =
			(unsigned)config_int(config, PARAM_virtual_alias_expansion_limit),
		.append_at_myorigin = config_bool(config, PARAM_append_at_myorigin),
	};

	daemon->lookup_tables = buffer_limited(MAX_LOOKUP_TABLES);
	lookup_tables_each(config, add_lookup_tables, &daemon->lookup_tables);
	buffer_printf(&daemon->accounts, "%s/directory/accounts.db",
		service_path(daemon->service, CELL_DATA));
	settings.accounts = buffer_text(&daemon->accounts);
	settings.lookup_tables = buffer_text(&daemon->lookup_tables);
	if (!settings.accounts || !settings.lookup_tables) {
		log_error("too many tables in restrictions");
		return false;
	}
	daemon->directory = directory_open(&settings, error, sizeof(error));
	if (!daemon->directory)
		log_error("cannot open tables: %s", error);
	return daemon->directory != NULL;
}

/* --- peers --- */

static void end_turn(struct deferred *deferred)
{
	((struct directoryd *)deferred->context)->in_turn = false;
}

static void begin_turn(struct directoryd *daemon)
{
	if (daemon->in_turn)
		return;
	daemon->in_turn = true;
	directory_turn(daemon->directory, loop_now(service_loop(daemon->service)));
	loop_defer(service_loop(daemon->service), &daemon->turn_end);
}

static void send_answer(void *context, const struct message *answer)
{
	channel_send(context, answer);
}

static void forget_peer(struct peer_channel *peer)
{
	struct directoryd *daemon = peer->daemon;

	waiting_forget_peer(daemon->waiting, peer);
	free(peer);
	daemon->peers.count--;
}

static void peer_closed(struct channel *channel, const char *why)
{
	forget_peer(channel->context);
}

/* Without SQL tables nothing has to wait. */
static bool answer(
	struct directoryd *daemon, struct peer_channel *peer, const struct message *question)
{
	if (sql_tables_far())
		return waiting_answer(
			daemon->waiting, peer, question, loop_now(service_loop(daemon->service)));
	return directory_answer(daemon->directory, question, send_answer, &peer->channel);
}

static void receive(struct channel *channel, struct message *question)
{
	struct peer_channel *peer = channel->context;

	begin_turn(peer->daemon);
	figures_add(FIGURE_lookups, 1);
	if (!answer(peer->daemon, peer, question))
		service_refuse(channel, "a peer", question);
}

static void take_peer(struct service *service, void *context, int fd, const struct peer *who)
{
	struct directoryd *daemon = context;
	struct peer_channel *peer = peers_take(&daemon->peers, service, fd, who);

	if (peer)
		peer->daemon = daemon;
}

/* --- tables of SQL servers --- */

static void hear_proxymap(struct channel *channel, struct message *message)
{
	struct link *link = channel->context;
	struct directoryd *daemon = link->context;
	const struct message_proxymap_answer *told = &message->proxymap_answer;

	if (message->type == MESSAGE_PROXYMAP_ANSWER)
		waiting_told(daemon->waiting, told->serial,
			told->status == TABLE_FOUND || told->status == TABLE_NOT_FOUND
				? (enum table_status)told->status
				: TABLE_ERROR,
			told->value, loop_now(service_loop(daemon->service)));
}

static void lose_proxymap(struct link *link)
{
	struct directoryd *daemon = link->context;

	waiting_lost(daemon->waiting, loop_now(service_loop(daemon->service)));
}

static bool ask_proxymap(void *context, uint32_t serial, const char *spec, struct slice key)
{
	struct directoryd *daemon = context;
	struct message message = { .type = MESSAGE_PROXYMAP_ASK };

	if (!daemon->linked) {
		daemon->linked = true;
		link_open(&daemon->proxymap, daemon->service, SERVICE_PROXYMAP, hear_proxymap, NULL,
			lose_proxymap, daemon);
	}
	message.proxymap_ask.serial = serial;
	message.proxymap_ask.table = slice_from(spec);
	message.proxymap_ask.key = key;
	return link_send(&daemon->proxymap, &message);
}

static void send_to_peer(void *context, void *peer, const struct message *answer)
{
	channel_send(&((struct peer_channel *)peer)->channel, answer);
}

static bool prepare_waiting(struct directoryd *daemon)
{
	const struct waiting_hooks hooks = { .ask = ask_proxymap,
		.send = send_to_peer,
		.context = daemon,
		.patience = 2 * config_time(daemon->config, PARAM_sql_timeout) };

	daemon->waiting = waiting_new(&hooks);
	sql_tables_through(waiting_lookup, daemon->waiting);
	return daemon->waiting != NULL;
}

/* --- changes --- */

/* What waits is put off: whoever asked tries again later. */
static void end(struct directoryd *daemon)
{
	waiting_expire(daemon->waiting, INT64_MAX);
	service_end(daemon->service, EX_OK);
}

static void drain(struct service *service, void *context, bool fast)
{
	end(context);
}

static void check_tables(struct timer *timer)
{
	struct directoryd *daemon = timer->context;
	const char *changed = directory_changed(daemon->directory);

	directory_check_accounts(daemon->directory);
	waiting_expire(daemon->waiting, loop_now(service_loop(daemon->service)));
	if (!changed) {
		loop_timer_start(service_loop(daemon->service), timer, CHECK_TABLES);
		return;
	}
	/* Answers are given in the turn of their question: what is in hand now is done when the loop ends. */
	log_info("table of %s has changed -- restarting", changed);
	end(daemon);
}

int main(int argc, char **argv)
{
	static const struct service_hooks hooks = { .peer = take_peer, .drain = drain };
	static struct directoryd daemon;
	int status;

	if (argc > 1 && strcmp(argv[1], "--check") == 0)
		return lookup_tables_check();
	daemon.service = service_start("directoryd", argc, argv);
	daemon.config = config_open(service_snapshot(daemon.service));
	if (!daemon.config) {
		log_error("the configuration snapshot cannot be read");
		return EX_SOFTWARE;
	}
	config_place(daemon.service, daemon.config);
	if (!prepare_waiting(&daemon) || !open_directory(&daemon))
		return EX_CONFIG;
	waiting_directory(daemon.waiting, daemon.directory);
	daemon.peers = (struct peers){ .most = MAX_PEERS,
		.size = sizeof(struct peer_channel),
		.receive = receive,
		.closed = peer_closed };
	service_enter(daemon.service, &CELL_DIRECTORYD);
	daemon.turn_end = (struct deferred){ .run = end_turn, .context = &daemon };
	daemon.check = (struct timer){ .fire = check_tables, .context = &daemon };
	loop_timer_start(service_loop(daemon.service), &daemon.check, CHECK_TABLES);
	status = service_run(daemon.service, &hooks, &daemon);
	/* A log left behind would be taken for that of a backup which somebody puts in the file's place. */
	directory_close(&daemon.directory);
	if (daemon.linked)
		link_close(&daemon.proxymap);
	waiting_free(&daemon.waiting);
	return status;
}
