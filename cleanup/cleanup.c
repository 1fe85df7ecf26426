// SPDX-License-Identifier: ISC
/*
 * cleanup - takes messages from SMTP sessions, pickup and bounce, makes them presentable, and puts them in the queue.
 *
 * It is the only process that creates queue files. It parses message headers, never bodies, and never talks to the network.
 * "250" in SMTP means that the file written here, and its name, are on disk.
 */
#include "cleanup/cleanup.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "cleanup/cleanup_cell.h"
#include "config/place.h"
#include "mail/date.h"
#include "os/os.h"
#include "service/log.h"
#include "service/refuse.h"

static void peer_reap(struct deferred *deferred)
{
	struct peer_channel *peer = deferred->context;
	struct cleanup *c = peer->cleanup;

	*peer->place = peer->next;
	if (peer->next)
		peer->next->place = peer->place;
	free(peer);
	c->peers--;
	loop_defer(service_loop(c->service), &c->settle);
}

/* The struct stays until the end of the turn: the channel's own deferred call may still be queued. */
static void peer_gone(struct peer_channel *peer)
{
	transaction_abandon(peer);
	loop_defer(service_loop(peer->cleanup->service), &peer->reap);
}

static void peer_closed(struct channel *channel, const char *why)
{
	struct peer_channel *peer = channel->context;

	log_debug("%s: %s", service_id_name(peer->from), why);
	peer_gone(peer);
}

static bool dispatch(struct peer_channel *peer, const struct message *message)
{
	switch (message->type) {
	case MESSAGE_CLEANUP_BEGIN:
		return transaction_begin(peer, &message->cleanup_begin);
	case MESSAGE_CLEANUP_RECIPIENT:
		return transaction_recipient(peer, &message->cleanup_recipient);
	case MESSAGE_CLEANUP_CONTENT:
		return transaction_content(peer, &message->cleanup_content);
	case MESSAGE_CLEANUP_END:
		return transaction_end(peer, &message->cleanup_end);
	default:
		return false;
	}
}

static void peer_receive(struct channel *channel, struct message *message)
{
	struct peer_channel *peer = channel->context;

	if (!dispatch(peer, message))
		service_refuse(channel, service_id_name(peer->from), message);
}

static void take_peer(struct service *service, void *context, int fd, const struct peer *who)
{
	struct cleanup *c = context;
	struct peer_channel *peer = c->peers < CLEANUP_PEERS ? calloc(1, sizeof(*peer)) : NULL;

	if (!peer) {
		log_warning(
			"too many connections: one from %s is refused", service_id_name(who->from));
		close(fd);
		return;
	}
	peer->cleanup = c;
	peer->from = who->from;
	peer->reap = (struct deferred){ .run = peer_reap, .context = peer };
	if (!channel_open(
		    &peer->channel, service_loop(service), fd, peer_receive, peer_closed, peer)) {
		free(peer);
		return;
	}
	peer->next = c->peer_list;
	peer->place = &c->peer_list;
	if (peer->next)
		peer->next->place = &peer->next;
	c->peer_list = peer;
	c->peers++;
}

/* End the process when it drains and nothing is left to do. */
static void settle(struct deferred *deferred)
{
	struct cleanup *c = deferred->context;

	if (c->draining && !c->transactions && (c->fast || !c->peers))
		service_end(c->service, EX_OK);
}

/* What is with a sync thread is finished in any case; its sender waits for the answer. */
static void drain(struct service *service, void *context, bool fast)
{
	struct cleanup *c = context;
	struct peer_channel *next;

	c->draining = true;
	c->fast = c->fast || fast;
	for (struct peer_channel *peer = c->peer_list; peer; peer = next) {
		bool busy = false;

		next = peer->next;
		for (struct transaction *t = peer->transactions; t; t = t->peer_next)
			busy = busy || t->ended;
		if (fast && !busy && channel_is_open(&peer->channel)) {
			channel_close(&peer->channel);
			peer_gone(peer);
		}
	}
	loop_defer(service_loop(service), &c->settle);
}

/* --- whom it asks and tells --- */

static void directory_receive(struct channel *channel, struct message *message)
{
	struct link *link = channel->context;
	struct cleanup *c = link->context;
	struct transaction *answered = NULL;

	if (message->type == MESSAGE_DIRECTORY_EXPAND_ANSWER)
		answered = expand_receive(c, &message->directory_expand_answer);
	else if (message->type == MESSAGE_DIRECTORY_OWNER_ANSWER)
		answered = from_receive(c, &message->directory_owner_answer);
	else
		log_warning("directoryd sent %s", message_name(message->type));
	if (answered)
		transaction_advance(answered);
}

/* A new connection: whatever the old one did not answer is asked again. */
static void directory_up(struct link *link)
{
	expand_up(link->context);
	from_up(link->context);
}

static void ignore_message(struct channel *channel, struct message *message)
{
	log_warning("qmgr sent %s", message_name(message->type));
}

static void load_settings(struct cleanup *c)
{
	struct settings *s = &c->settings;
	const char *host = config_text(c->config, PARAM_myhostname);

	if (!host || !*host) {
		if (gethostname(s->host, sizeof(s->host) - 1) < 0 || !s->host[0])
			snprintf(s->host, sizeof(s->host), "localhost");
	} else {
		snprintf(s->host, sizeof(s->host), "%s", host);
	}
	s->origin = config_bool(c->config, PARAM_append_at_myorigin)
			    ? config_text(c->config, PARAM_myorigin)
			    : NULL;
	if (s->origin && !*s->origin)
		s->origin = s->host;
	s->message_size_limit = config_int(c->config, PARAM_message_size_limit);
	s->header_size_limit = config_int(c->config, PARAM_header_size_limit);
	s->hopcount_limit = config_int(c->config, PARAM_hopcount_limit);
	s->minfree = config_int(c->config, PARAM_queue_minfree);
	s->expansion_limit = config_int(c->config, PARAM_virtual_alias_expansion_limit);
}

static bool open_all(struct cleanup *c)
{
	char error[300];

	c->config = config_open(service_snapshot(c->service));
	if (!c->config) {
		log_error("configuration snapshot cannot be read");
		return false;
	}
	config_place(c->service, c->config);
	load_settings(c);
	if (!queue_open(
		    &c->queue, service_path(c->service, CELL_QUEUE), false, error, sizeof(error))) {
		log_error("cannot open the queue: %s", error);
		return false;
	}
	if (!sync_prepare(&c->sync, &c->queue)) {
		log_error("cannot open the queue's folders: %s", strerror(errno));
		return false;
	}
	/* The time zone is read now, while it may be. */
	date_local_zone(os_now() / 1000000);
	return true;
}

int main(int argc, char **argv)
{
	static const struct service_hooks hooks = { .peer = take_peer, .drain = drain };
	static struct cleanup c;
	unsigned removed;
	int status;

	c.service = service_start("cleanup", argc, argv);
	c.places.limit = CLEANUP_TRANSACTIONS;
	c.settle = (struct deferred){ .run = settle, .context = &c };
	if (!open_all(&c))
		return EX_CONFIG;
	/* The sync threads hardly allocate; arenas of their own would only take address space. */
	mallopt(M_ARENA_MAX, 1);
	service_enter(c.service, &CELL_CLEANUP);
	removed = queue_remove_unfinished(&c.queue);
	if (removed)
		log_info("removed %u unfinished queue files", removed);
	if (!sync_open(&c.sync, service_loop(c.service), transaction_synced, &c)) {
		log_error("cannot start threads: %s", strerror(errno));
		return EX_OSERR;
	}
	link_open(&c.directory, c.service, SERVICE_DIRECTORY, directory_receive, directory_up, NULL,
		&c);
	link_open(&c.qmgr, c.service, SERVICE_QMGR, ignore_message, NULL, NULL, &c);
	status = service_run(c.service, &hooks, &c);
	sync_close(&c.sync);
	return status;
}
