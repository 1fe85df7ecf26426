// SPDX-License-Identifier: ISC
/* STARTTLS (RFC 9051 6.2.1), TLS from the first byte (RFC 8314). See front.h. */
#include "imapd/front.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

bool conn_offers_tls(const struct conn *conn)
{
	return tls_offered(&conn->front->tls) && !conn->client.peer.local && !conn->pre->tls;
}

const char *conn_tls_words(const struct conn *conn)
{
	if (conn->state == CONN_TLS)
		return ", TLS handshaking";
	return conn->pre && conn->pre->tls ? ", TLS" : "";
}

static void tls_failed(struct conn *conn, const char *reason)
{
	char why[300];

	snprintf(why, sizeof(why), "Connection closed: SSL_accept() failed: %s", reason);
	conn_end(conn, why, NULL);
}

static void tls_done(
	struct tls_handshake *handshake, int fd, const struct tls_info *info, const char *reason)
{
	struct conn *conn = handshake->context;

	if (fd < 0) {
		tls_failed(conn, reason);
		return;
	}
	conn->pre->tls = malloc(sizeof(*conn->pre->tls));
	if (!conn->pre->tls || !conn_watch(conn, fd)) {
		conn->watch.fd = fd;
		conn_close(conn);
		return;
	}
	*conn->pre->tls = *info;
	conn->client.certificate = conn->pre->tls->fingerprint[0] != 0;
	conn->client.seal = slice_of(conn->pre->tls->seal, conn->pre->tls->seal_length);
	conn->client.secured = conn->plaintext = true;
	conn->state = CONN_LOGIN;
	tls_log_established(&conn->front->tls, conn->client.peer.address, info);
	if (conn->front->tls.wrapper)
		conn_greet(conn);
	else
		conn_continue(conn);
}

void conn_start_tls(struct conn *conn)
{
	struct prelogin *l = conn->pre;
	bool good = l->out.length == 0 && conn->front->tlsd;

	l->handshake.done = tls_done;
	l->handshake.context = conn;
	l->promised = 0;
	loop_unwatch(&conn->watch);
	good = good && tls_start(conn->front->tlsd, &l->handshake, conn->watch.fd,
			       &conn->client.peer, l->in.data, &l->in.length);
	close(conn->watch.fd);
	conn->watch.fd = -1;
	/* A client that does not take "OK", or no tlsd: it cannot go on in clear after that. */
	if (!good)
		tls_failed(conn, "not available");
}
