// SPDX-License-Identifier: ISC
/* Between connection.c (handshake) and connection_pump.c (afterwards). */
#ifndef TLS_CONNECTION_IMPL_H
#define TLS_CONNECTION_IMPL_H

#include "tls/connection.h"

/* The handshake is done, `plain` is open: move bytes from here on. */
void connection_pump(struct tls_connection *connection);
/* Close and free; tells the world. */
void connection_end(struct tls_connection *connection);
/* Wait for these events; 0: for none (nothing is asked of epoll, which would go on telling of a hang-up). False: it was ended. */
bool connection_wait(struct tls_connection *connection, struct watch *watch, uint32_t events);

#endif
