// SPDX-License-Identifier: ISC
/*
 * tlsd - speaks TLS for the servers and clients of the suite. It gets the peer's socket, does the handshake (keyd signs), gives back one end
 * of a socket pair with the plain text and the facts, and passes bytes on both ways. It owns nothing: no key, no file, no password.
 */
#include <openssl/async.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/share.h"
#include "config/config.h"
#include "service/figures.h"
#include "service/log.h"
#include "service/peers.h"
#include "service/refuse.h"
#include "tls/connection.h"
#include "tls/facts.h"
#include "tls/tlsd_cell.h"

enum {
	MAX_SERVERS = 4000,
	OWN_CONNECTIONS = 4, /* of a server that no other can keep it from */
	OWN_HANDSHAKES = 2,
	TIMEOUT_MOST = 600000 /* ms */
};

struct tlsd {
	struct service *service;
	struct config *config;
	struct tls_world world;
	struct tls_server *servers;
	struct peers peers;
	unsigned connection_count;
	struct share_pool connections, handshakes;
	struct share_bounds connection_bounds, handshake_bounds;
};

/* A front or a session that has its clients speak TLS, or a client that speaks it with a server of others. */
struct tls_server {
	struct channel channel;
	struct tlsd *tlsd;
	enum service_id from;
	struct tls_connection *handshaking; /* the youngest first */
	struct tls_connection *set_up;
	struct share connections, handshakes;
	struct tls_server *next, **at;
};

static void end_when_drained(struct tlsd *tlsd)
{
	if (service_draining(tlsd->service) && !tlsd->peers.count && !tlsd->connection_count)
		service_end(tlsd->service, EX_OK);
}

/* --- connections --- */

static void give_handshake(struct tls_connection *connection)
{
	struct tlsd *tlsd = connection->world->context;

	share_give(&tlsd->handshakes, connection->server ? &connection->server->handshakes : NULL,
		connection->handshake_place);
	connection->handshake_place = SHARE_NONE;
}

static void connection_ended(struct tls_connection *connection)
{
	struct tlsd *tlsd = connection->world->context;

	give_handshake(connection);
	share_give(&tlsd->connections, connection->server ? &connection->server->connections : NULL,
		connection->place);
	figures_set(FIGURE_tls_now, --tlsd->connection_count);
	end_when_drained(tlsd);
}

static void move(struct tls_connection *connection, struct tls_connection **list)
{
	*connection->at = connection->next;
	if (connection->next)
		connection->next->at = connection->at;
	connection->next = *list;
	connection->at = list;
	if (connection->next)
		connection->next->at = &connection->next;
	*list = connection;
}

static void connection_answer(struct tls_connection *connection, const struct message *ready)
{
	give_handshake(connection);
	if (!connection->server)
		return;
	move(connection, &connection->server->set_up);
	channel_send(&connection->server->channel, ready);
}

static void refuse(struct tls_server *server, uint32_t serial, const char *reason)
{
	struct message answer = { .type = MESSAGE_TLS_READY };

	figures_add(FIGURE_tls_failed, 1);
	answer.tls_ready.serial = serial;
	answer.tls_ready.status = TLS_FAILED;
	answer.tls_ready.reason = slice_from(reason);
	channel_send(&server->channel, &answer);
}

/* Where one place more is to come from: the server itself when it has all that it may have, else the one that has borrowed most. */
static struct tls_server *who_makes_room(struct tls_server *server)
{
	struct tlsd *tlsd = server->tlsd;
	struct tls_server *most = server;

	if (server->handshakes.own + server->handshakes.borrowed >= tlsd->handshake_bounds.most)
		return server;
	for (struct tls_server *other = tlsd->servers; other; other = other->next)
		if (other->handshakes.borrowed > most->handshakes.borrowed)
			most = other;
	return most;
}

/* Whoever has been at it longest gives up his place: a crowd that stalls keeps nobody out who gets on with it. */
static void make_room(struct tls_server *server)
{
	struct tls_server *giver = who_makes_room(server);
	struct tls_connection *oldest = NULL;

	/* A place of another's own would be none for this one. */
	for (struct tls_connection *c = giver->handshaking; c; c = c->next)
		if (giver == server || c->handshake_place == SHARE_BORROWED)
			oldest = c;
	if (oldest)
		connection_fail(oldest, "too many TLS handshakes, and this one took longest");
}

/* Both places or none. */
static const char *take_places(
	struct tls_server *server, enum share_place *connection, enum share_place *handshake)
{
	struct tlsd *tlsd = server->tlsd;

	*handshake = share_take(&tlsd->handshakes, &server->handshakes, &tlsd->handshake_bounds);
	if (*handshake == SHARE_NONE) {
		make_room(server);
		*handshake =
			share_take(&tlsd->handshakes, &server->handshakes, &tlsd->handshake_bounds);
	}
	if (*handshake == SHARE_NONE)
		return "too many TLS handshakes";
	*connection =
		share_take(&tlsd->connections, &server->connections, &tlsd->connection_bounds);
	if (*connection != SHARE_NONE)
		return NULL;
	share_give(&tlsd->handshakes, &server->handshakes, *handshake);
	return "too many TLS connections";
}

static bool take_wanted(
	struct tls_server *server, struct message *message, struct tls_wanted wanted)
{
	struct tlsd *tlsd = server->tlsd;
	int fd = message_take_fd(message, 0);
	enum share_place place, handshake_place;
	struct tls_connection *connection;
	char reason[200] = "";
	const char *full;

	if (fd < 0)
		return false;
	if (wanted.timeout_ms == 0 || wanted.timeout_ms > TIMEOUT_MOST)
		wanted.timeout_ms = TIMEOUT_MOST;
	full = take_places(server, &place, &handshake_place);
	if (full) {
		log_warning("TLS: %s: a connection of %s is refused", full,
			service_id_name(server->from));
		close(fd);
		refuse(server, wanted.serial, full);
		return true;
	}
	connection = connection_new(
		&tlsd->world, &server->handshaking, &wanted, fd, reason, sizeof(reason));
	if (!connection) {
		share_give(&tlsd->handshakes, &server->handshakes, handshake_place);
		share_give(&tlsd->connections, &server->connections, place);
		log_warning("TLS: %s: %s", service_id_name(server->from), reason);
		refuse(server, wanted.serial, reason);
		return true;
	}
	connection->server = server;
	connection->place = place;
	connection->handshake_place = handshake_place;
	figures_set(FIGURE_tls_now, ++tlsd->connection_count);
	return true;
}

/* --- servers --- */

static bool take_cancel(struct tls_server *server, const struct message *message)
{
	for (struct tls_connection *c = server->handshaking; c; c = c->next)
		if (connection_serial(c) == message->tls_cancel.serial) {
			connection_drop(c);
			return true;
		}
	/* It is ready already: the answer is on its way, and its end of the pair will be closed. */
	return true;
}

/* Connections that are set up may be with sessions that live on. */
static void forget_server(struct tls_server *server)
{
	struct tlsd *tlsd = server->tlsd;

	while (server->handshaking)
		connection_drop(server->handshaking);
	while (server->set_up) {
		server->set_up->server = NULL;
		move(server->set_up, &tlsd->world.unowned);
	}
	*server->at = server->next;
	if (server->next)
		server->next->at = server->at;
	tlsd->peers.count--;
	free(server);
	end_when_drained(tlsd);
}

static void server_closed(struct channel *channel, const char *why)
{
	forget_server(channel->context);
}

static void receive(struct channel *channel, struct message *message)
{
	struct tls_server *server = channel->context;

	/* Servers take clients in and clients go out: neither has any use for the other. */
	if (message->type == MESSAGE_TLS_ACCEPT && server->from != SERVICE_SMTP &&
		take_wanted(server, message, wanted_by_server(&message->tls_accept)))
		return;
	if (message->type == MESSAGE_TLS_CONNECT && server->from == SERVICE_SMTP &&
		take_wanted(server, message, wanted_by_client(&message->tls_connect)))
		return;
	if (message->type != MESSAGE_TLS_CANCEL || !take_cancel(server, message))
		service_refuse(channel, service_id_name(server->from), message);
}

static void take_peer(struct service *service, void *context, int fd, const struct peer *who)
{
	struct tlsd *tlsd = context;
	struct tls_server *server = peers_take(&tlsd->peers, service, fd, who);

	if (!server)
		return;
	server->tlsd = tlsd;
	server->from = who->from;
	server->next = tlsd->servers;
	server->at = &tlsd->servers;
	if (server->next)
		server->next->at = &server->next;
	tlsd->servers = server;
}

/* --- keyd --- */

static bool ask_keyd(void *context, const struct message *question)
{
	struct tlsd *tlsd = context;

	return link_send(&tlsd->world.certificates.keyd, question);
}

static void chains_known(void *context)
{
	struct tlsd *tlsd = context;

	for (struct tls_server *server = tlsd->servers; server; server = server->next)
		connections_wake(server->handshaking);
}

/* --- start and end --- */

static void drain(struct service *service, void *context, bool fast)
{
	struct tlsd *tlsd = context;

	/* Nothing is opened any more: their secrets go. */
	sessions_free(&tlsd->world.sessions);
	if (fast)
		service_end(service, EX_OK);
	else
		end_when_drained(tlsd);
}

static bool open_all(struct tlsd *tlsd)
{
	struct tls_world *world = &tlsd->world;

	tlsd->config = config_open(service_snapshot(tlsd->service));
	world->seal_key = service_seal_key(tlsd->service);
	if (!tlsd->config || !world->seal_key) {
		log_error("the configuration snapshot cannot be read");
		return false;
	}
	tlsd->connections.limit = (unsigned)config_int(tlsd->config, PARAM_tls_connection_limit);
	tlsd->handshakes.limit = (unsigned)config_int(tlsd->config, PARAM_tls_handshake_limit);
	tlsd->connection_bounds = (struct share_bounds){ .own = OWN_CONNECTIONS,
		.most = OWN_CONNECTIONS + tlsd->connections.limit };
	tlsd->handshake_bounds = (struct share_bounds){ .own = OWN_HANDSHAKES,
		.most = OWN_HANDSHAKES + tlsd->handshakes.limit * 3 / 4 };
	world->context = world->certificates.context = tlsd;
	world->ended = connection_ended;
	world->answer = connection_answer;
	world->loop = service_loop(tlsd->service);
	world->certificates.ready = chains_known;
	world->contexts.choose = connection_choose;
	world->contexts.new_session = connection_new_session;
	world->contexts.ticket_lifetime =
		config_time(tlsd->config, PARAM_smtpd_tls_session_cache_timeout) / 1000;
	memcpy(world->contexts.tickets.seal_key, world->seal_key, TLS_SEAL_KEY);
	world->contexts.tickets.period = world->contexts.ticket_lifetime;
	contexts_open(&world->contexts);
	world->signer = world->certificates.signer = signer_new(ask_keyd, tlsd);
	if (!world->signer) {
		log_error("OpenSSL does not take the provider of keyd's keys");
		return false;
	}
	return certificates_open(&world->certificates, tlsd->config);
}

int main(int argc, char **argv)
{
	static const struct service_hooks hooks = { .peer = take_peer, .drain = drain };
	static struct tlsd tlsd;

	if (argc == 3 && strcmp(argv[1], "--check") == 0)
		return OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) ? context_check(argv[2])
									   : EX_SOFTWARE;
	tlsd.service = service_start("tlsd", argc, argv);
	/* All that OpenSSL opens by name it has opened before the cell; it reads no configuration of its own. */
	if (!OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS |
				      OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
		    NULL) ||
		!open_all(&tlsd))
		return EX_CONFIG;
	tlsd.peers = (struct peers){ .most = MAX_SERVERS,
		.size = sizeof(struct tls_server),
		.receive = receive,
		.closed = server_closed };
	service_enter(tlsd.service, &CELL_TLSD);
	certificates_start(&tlsd.world.certificates, tlsd.service);
	return service_run(tlsd.service, &hooks, &tlsd);
}
