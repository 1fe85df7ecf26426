// SPDX-License-Identifier: ISC
/*
 * An SMTP session in memory: what the client sends, what it gets, a directory, a cleanup and a clock. For the unit tests and
 * the fuzz targets. What a real peer would not stand for ends the process at once.
 */
#ifndef TESTS_SMTP_WORLD_H
#define TESTS_SMTP_WORLD_H

#include "smtpd/session.h"

struct world_entry {
	const char *key, *value; /* value NULL: the lookup fails for the time being */
};

struct world {
	struct session_settings settings;
	struct session session;
	struct session_client client;

	struct buffer in; /* from the client, read from in_at on */
	size_t in_at, step; /* bytes given at one read; 0 all */
	int64_t read_takes; /* ms that each read takes */
	bool stalls; /* at the end of `in`: nothing more comes, instead of end of file */
	struct buffer out;
	unsigned writes;
	int64_t now, slept;
	enum client_standing standing; /* that the front knows of */
	bool dismissed; /* reads fail once the input is over */

	/* cleanup */
	uint32_t serial;
	bool begun, ended;
	unsigned recipients, begins, failed, delivered;
	char sender[MAX_ADDRESS + 1], protocol[17], name[257], address[65], helo[513], origin[2001],
		last_recipient[MAX_ADDRESS + 1], prepend[MAX_PREPEND + 1],
		redirect[MAX_ADDRESS + 1], tls[1025];
	bool held;
	uint8_t last_notify;
	uint32_t flags;
	struct buffer content; /* of the message in hand, or of the last one */
	unsigned cleanup_code; /* 250 by default */
	bool cleanup_dead;

	/* directory: local parts "one" and "two" at example.test exist, "later" cannot be told, other names do not exist */
	enum message_type asked;
	uint32_t asked_serial;
	char question[MAX_ADDRESS + 1], tables[1025];
	bool directory_dead;
	const struct world_entry *entries; /* what lookups find; key NULL ends */
	unsigned lookups;

	/* tlsd */
	bool tls_dead, tls_trusted;
	const char *tls_fails; /* why handshakes fail */
	const char *tls_subject; /* of the client's certificate; NULL: it has none */
	unsigned handshakes;

	/* authd: PLAIN and LOGIN; one@example.test and two@example.test log in with "secret", "later" gets no answer for now */
	bool auth_dead, auth_dies /* at the first response */, auth_secured,
		auth_outlasts /* the client has to make room before it answers */;
	unsigned offers, cancels;
	uint32_t auth_serial;
	unsigned auth_step; /* of LOGIN: 1 wants the name, 2 the password; 0 nothing is under way */
	char auth_name[321], auth_password[65];
	enum auth_status auth_status;
	struct message_auth_usage usage; /* the last question, and what is said to all */
	struct message_auth_usage_answer usage_answer;
	unsigned usages;
	const char *auth_final; /* what comes with a success; NULL: nothing */
	uint32_t auth_delay; /* ms that a failure costs */
	char login[MAX_LOGIN + 1]; /* that cleanup was told */

	/* directory: everybody owns the address that is his login; of others this is said */
	enum owner_status owner;
	unsigned owner_questions;
	char owner_login[MAX_LOGIN + 1];

	/* when a peer is dead */
	bool can_renew;
	unsigned renewals;

	/* front */
	bool over_rate;
	unsigned rates[4];
};

void world_open(struct world *world);
/* Settings may be changed between world_open and this. */
/* A certificate is there; before world_connect. */
void world_has_tls(struct world *world, enum tls_level level);
void world_connect(struct world *world, const char *address);
void world_close(struct world *world);
/* Give input and serve commands until all of it is used or the session ends. Returns the replies since the last call. */
const char *world_say(struct world *world, const char *text);
const char *world_send(struct world *world, const void *data, size_t length);
/* The first digits of the last reply line of the last world_say: 250. */
unsigned world_code(const struct world *world);
/* Serve the whole of `input` in reads of `step` bytes to the end of the connection. */
void world_run(struct world *world, const void *input, size_t length, size_t step);

#endif
