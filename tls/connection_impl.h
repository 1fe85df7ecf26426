// SPDX-License-Identifier: ISC
/* Between connection_new.c (the beginning), connection.c (handshake) and connection_pump.c (afterwards). */
#ifndef TLS_CONNECTION_IMPL_H
#define TLS_CONNECTION_IMPL_H

#include "tls/connection.h"

struct handshake {
	uint32_t serial;
	struct signing signing;
	struct certificate_set *set;
	char service[17], address[65];
	uint16_t port;
	bool waits_for_set;
	bool opens; /* a TLS_CONNECT */
	bool needs_trusted; /* a client without a certificate that checks out is turned away */
	enum tls_check check;
	char *fingerprints;
};
void handshake_free(struct handshake *handshake);

/* What is waited for. */
void connection_tcp_ready(struct watch *watch, uint32_t events);
void connection_plain_ready(struct watch *watch, uint32_t events);
void connection_time_over(struct timer *timer);
void connection_signed(struct signing *signing);
void connection_close_watch(struct watch *watch);

/*
 * The handshake is done, `plain` is open: move bytes from here on. Messages of the handshake that come later (new keys, RFC 8446
 * 4.6.3) are one turn each.
 */
void connection_pump_begin(struct tls_connection *connection);
void connection_pump(struct tls_connection *connection);
/* What is held is wiped and freed. */
void held_release(struct held *held);
/* Close and free; tells the world. */
void connection_end(struct tls_connection *connection);
/* Wait for these events; 0: for none (nothing is asked of epoll, which would go on telling of a hang-up). False: it was ended. */
bool connection_wait(struct tls_connection *connection, struct watch *watch, uint32_t events);

#endif
