// SPDX-License-Identifier: ISC
/*
 * The IMAP front: one process for all clients that have no session: those who have not logged in yet, and those who sleep in
 * IDLE. It owns nothing; what a client sends here is read with bounds of a few kilobytes.
 *
 *	imapd.c          main, accepting, drain
 *	conn.c           a client's input before login: lines, literals, output, end
 *	conn_commands.c  CAPABILITY NOOP LOGOUT ID LOGIN AUTHENTICATE
 *	conn_login.c     what authd and the session spawner answer
 *	conn_tls.c       STARTTLS, and the handshake before the greeting
 *	sleepers.c       hibernated clients
 */
#ifndef IMAPD_FRONT_H
#define IMAPD_FRONT_H

#include "base/arena.h"
#include "config/config.h"
#include "imapd/parse.h"
#include "service/login.h"
#include "service/tls.h"

enum {
	CONN_INPUT_LIMIT =
		8 *
		1024, /* bytes of one command before login, literals included, and of what is read ahead */
	CONN_OUTPUT_LIMIT = 16 * 1024, /* bytes that a client has not taken */
	CONN_ARENA_LIMIT = 32 * 1024,
	CONN_LITERALS = 4, /* in one command */
	CONN_BAD_LIMIT = 20, /* commands that make no sense */
	CONN_USER_SHOWN = 128 /* bytes of the user name in log lines */
};

enum conn_state {
	CONN_LOGIN, /* its input is read */
	CONN_TLS, /* tlsd is asked, or will be when the last reply in clear has gone */
	CONN_AUTH, /* authd is asked */
	CONN_DELAY, /* a refusal waits */
	CONN_HANDOVER, /* the spawner is asked */
	CONN_SESSION, /* a session has it; it is kept to be counted */
	CONN_ASLEEP,
	CONN_RESUMING /* the spawner is asked to wake it */
};

/* What is needed until login. */
struct prelogin {
	struct buffer in, out;
	struct arena arena;
	size_t promised; /* bytes of `in` for which a literal was asked for already */
	bool sasl; /* the next line is a SASL response */
	bool running; /* its input is being handled further up the stack */
	unsigned failures, bad;
	char tag[257], user[CONN_USER_SHOWN + 1];
	const char *refusal; /* to be said after the delay */
	struct tls_handshake handshake;
	struct tls_info *tls; /* NULL: it speaks in clear */
};
/* What is kept of a sleeping client: one block of memory. */
struct sleeper {
	uint16_t state_length, tag_length;
	uint8_t ticket_length;
	char bytes[]; /* state, tag, ticket */
};

struct imap_front;
struct conn {
	struct imap_front *front;
	struct conn *next, **previous;
	enum conn_state state;
	bool plaintext; /* passwords may be sent */
	struct watch watch; /* watch.fd is -1 in CONN_SESSION */
	struct timer timer;
	struct prelogin *pre;
	struct sleeper *sleeper;
	int64_t since; /* loop time of accept */
	struct login_client client;
};

struct imap_front {
	struct service *service;
	struct loop *loop;
	struct config *config;
	struct front *front;
	struct login *login;
	struct conn *conns;
	int64_t login_timeout, keepalive_interval; /* ms */
	unsigned max_failures;
	const char *mechanisms; /* auth_mechanisms */
	bool disable_plaintext;
	const char *plaintext_networks; /* where that does not hold */
	struct tls_settings tls;
	struct tls_link *tlsd; /* NULL: no TLS */
};

/* --- imapd.c --- */
/* Forget the connection, close its descriptor. */
void conn_close(struct conn *conn);

/* --- conn.c --- */
/* Greet, and read; where TLS comes first, after the handshake. */
void conn_begin(struct conn *conn);
/* It may speak now. */
void conn_greet(struct conn *conn);
/* Its input is read from `fd` from now on. False: it cannot be watched. */
MUST_CHECK bool conn_watch(struct conn *conn, int fd);
/* Go on with input that was read already, and then with what comes. */
void conn_continue(struct conn *conn);
void conn_forget_prelogin(struct conn *conn);
void conn_say(struct conn *conn, const char *text);
/* "TAG text" CR LF. */
void conn_reply(struct conn *conn, const char *text);
/* Log how it ended and close. `bye` is said first as "* BYE" unless NULL. */
void conn_end(struct conn *conn, const char *why, const char *bye);

/* --- conn_commands.c --- */
/*
 * A whole command without its last line end. LOGOUT only marks the end: `true` means the connection is to be closed.
 */
MUST_CHECK bool conn_command(struct conn *conn, struct slice command);
void conn_say_capabilities(struct conn *conn);

/* --- conn_login.c --- */
extern const struct login_hooks CONN_LOGIN_HOOKS;
void conn_login(struct conn *conn, struct slice user, struct slice password);
/* `initial.data` NULL: no initial response. */
void conn_authenticate(struct conn *conn, struct slice mechanism, struct slice initial);
/* The client's line in a SASL exchange. */
void conn_sasl_line(struct conn *conn, struct slice line);

/* --- conn_tls.c --- */
bool conn_offers_tls(const struct conn *conn);
/* Give the client to tlsd: nothing it said counts any more. With TLS it goes on, or is greeted. */
void conn_start_tls(struct conn *conn);
/* ", TLS" for log lines, or how far the handshake is. */
const char *conn_tls_words(const struct conn *conn);

/* --- sleepers.c --- */
void sleeper_spawner_says(void *context, struct message *message);
void sleeper_wake(struct conn *conn);
/* A session has it again. */
void sleeper_resumed(struct conn *conn);
/* "* BYE text" to a client that sleeps, and close. */
void sleeper_end(struct conn *conn, const char *text);

#endif
