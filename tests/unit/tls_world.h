// SPDX-License-Identifier: ISC
/*
 * tlsd and keyd as they are built, in their cells, with the test in the places of master, of the servers and clients of the suite, and of
 * their peers. One world for each test program.
 */
#ifndef TESTS_TLS_WORLD_H
#define TESTS_TLS_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <sys/types.h>

#include "base/buffer.h"
#include "ipc/channel.h"
#include "sandbox/cell.h"
#include "service/tls_seal.h"

enum { PATIENCE = 8000 /* ms */ };

struct daemon {
	pid_t pid;
	int control;
};
struct world {
	char folder[64], programs[400];
	struct buffer set, client_set;
	int snapshot, figures, log;
	struct daemon tlsd, keyd;
	int server, client; /* connections to tlsd of a front, and of a client of other servers */
	unsigned watched;
	bool introduced; /* tlsd has its keyd */
	unsigned char seal_key[TLS_SEAL_KEY];
};
extern struct world world;

int64_t deadline(void);
/* For cmocka_run_group_tests: certificates "rsa.pem", "ec.pem" and "ed.pem", self-signed, each named as its file. */
int make_world(void **state);
int remove_world(void **state);

/* `settings` are lines of main.cf. */
void start_all(const char *settings);
void stop_all(void);
/* A new connection to tlsd, of `service`. */
int server_of_tlsd(enum service_id service);

/* Connected TCP sockets on loopback. */
void tcp_pair(int ends[2]);
/* TLS_ACCEPT of a new connection; its peer's end. */
int begin(uint32_t serial, const char *alpn, struct slice set);
/* The same of a server that wants that of its clients' certificates. */
int begin_wanting(uint32_t serial, const char *alpn, struct slice set,
	enum tls_client_certificate certificate);
/* TLS_READY's descriptor, or -1. */
int take_ready(struct message *ready, struct buffer *space);
int take_ready_from(int channel, struct message *ready, struct buffer *space);

#endif
