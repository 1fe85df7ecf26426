// SPDX-License-Identifier: ISC
/*
 * One connection of tlsd: the handshake with the peer, then bytes both ways between its socket and one end of a pair. Nothing is kept
 * while nothing is under way but the SSL object and this struct.
 *
 * Most are a server's, with its clients; what is said here of "client" and "server" holds the other way round where a client of the suite
 * has asked for TLS with a server of others (TLS_CONNECT).
 */
#ifndef TLS_CONNECTION_H
#define TLS_CONNECTION_H

#include "base/share.h"
#include "tls/certificates.h"
#include "tls/context.h"
#include "tls/sessions.h"

enum {
	CONNECTION_CHUNK = 16 * 1024, /* one record's plain text, at most */
	CONNECTION_BURST = 8, /* chunks one way before others have their turn */
	CONNECTION_LOGIN = 64 * 1024, /* bytes at a client's beginning, among which passwords are */
	CONNECTION_FLUSH = 30000, /* ms for what a server that has gone has written */
	CONNECTION_LINGER = 2000, /* ms for the client's end after ours */
	CONNECTION_KEY_UPDATES = 32 /* of the client, without a byte of data between them */
};

struct tls_server;
/* What all connections share. */
struct tls_world {
	struct loop *loop;
	struct signer *signer;
	struct certificates certificates;
	struct contexts contexts;
	struct sessions sessions; /* of TLS_CONNECT */
	const unsigned char *seal_key;
	struct tls_connection *unowned; /* of servers that have gone */
	/* A connection is over, its server may have gone before. */
	void (*ended)(struct tls_connection *connection);
	/* Its handshake is over, well or not: the answer for the server. */
	void (*answer)(struct tls_connection *connection, const struct message *ready);
	void *context;
	char chunk[CONNECTION_CHUNK];
};

struct handshake;
/* Bytes that could not be passed on yet. */
struct held {
	char *data;
	uint32_t offset, length;
};
struct tls_connection {
	struct tls_world *world;
	struct tls_server *server; /* NULL: it has gone */
	struct tls_connection *next, **at; /* in a list of its server's */
	SSL *ssl;
	struct watch tcp, plain; /* plain.fd -1 while the handshake goes on */
	struct timer timer;
	struct handshake *handshake; /* NULL once it is done */
	struct buffer session_key; /* of TLS_CONNECT: what its session is kept under */
	struct held in, out;
	enum share_place place; /* among the connections */
	enum share_place handshake_place;
	unsigned forgotten; /* bytes of the client that were wiped when they had been passed on */
	unsigned key_updates; /* since the client's last byte */
	bool in_stalled; /* nothing is read of the client before it takes what TLS itself has to answer */
	bool in_ended; /* nothing more comes from the client */
	bool out_ended; /* nothing more comes from the server */
	bool lingering; /* our end was sent */
};

/*
 * Begin a handshake as `wanted` says, on `fd`, which is taken over in any case. NULL with `reason` when that cannot be. The answer comes
 * through the world, never from inside.
 */
struct tls_connection *connection_new(struct tls_world *world, struct tls_connection **list,
	const struct tls_wanted *wanted, int fd, char *reason, size_t size);
uint32_t connection_serial(const struct tls_connection *connection);
/* The server does not want it any more, or has gone: no answer, everything closed. For those whose handshake goes on. */
void connection_drop(struct tls_connection *connection);
/* Likewise, and the server is told why. */
void connection_fail(struct tls_connection *connection, const char *reason);
/* Chains have come: those that wait for them go on. */
void connections_wake(struct tls_connection *list);
/* cert_cb of all contexts. */
int connection_choose(SSL *ssl, void *unused);
/* new_session of all contexts: a server has sent a ticket. */
int connection_new_session(SSL *ssl, SSL_SESSION *session);

#endif
