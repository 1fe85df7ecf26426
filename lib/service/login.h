// SPDX-License-Identifier: ISC
/*
 * What the IMAP and POP3 fronts share between greeting and trust: the exchange with authd, and handing the client over to the
 * session spawner. The protocol's own words stay in the front.
 *
 *	login_begin -> (challenge -> login_continue)* -> accepted -> login_hand_over -> served ... ended
 *	                                              -> failed
 */
#ifndef SERVICE_LOGIN_H
#define SERVICE_LOGIN_H

#include "base/map.h"
#include "service/front.h"
#include "service/mechanisms.h"

enum login_state {
	LOGIN_NONE,
	LOGIN_AUTHENTICATING,
	LOGIN_ACCEPTED,
	LOGIN_HANDING_OVER,
	LOGIN_SERVED
};

/* One client; embedded in the front's own struct. Zeroed before first use. */
struct login_client {
	enum login_state state;
	uint32_t serial;
	int fd; /* the client's socket; the front's, read at login_hand_over only */
	struct front_client peer;
	bool secured; /* nobody can listen: TLS, or this machine's own line */
	struct slice
		seal; /* what tlsd sealed about the connection; the front's, read at login_begin only */
	bool certificate; /* the client showed one */
	char mechanism[33];
	char login[MAX_LOGIN +
		   1]; /* set from `accepted` on, and for `failed` who it claimed to be; for the log, trust in it is authd's and the spawner's */
	char ticket[MAX_TICKET];
	size_t ticket_length;
	int64_t delay; /* ms, set when `failed` is called: the client is to wait so long for the answer */
	int64_t pid; /* of the session, from `served` on */
	void *context; /* the front's */
};

struct login_hooks {
	/* authd asks for more: send `challenge` (raw bytes) in the protocol's way. */
	void (*challenge)(struct login_client *client, struct slice challenge);
	/* The name and password are right. `final` (raw) goes with success where the mechanism has it. Call login_hand_over. */
	void (*accepted)(struct login_client *client, struct slice final);
	/* They are not (AUTH_FAILED), or authd does not offer or understand it, refuses for a while (AUTH_REFUSED), or cannot tell now (AUTH_TEMPORARY). */
	void (*failed)(struct login_client *client, enum auth_status status, const char *reason);
	/* A session serves the client now: the front closes its own descriptor and keeps the struct until `ended`. */
	void (*served)(struct login_client *client);
	/* No session could be had; the client is the front's again (state LOGIN_NONE). */
	void (*refused)(struct login_client *client, const char *reason);
	/* The session has ended: front_release and free. */
	void (*ended)(struct login_client *client);
	/* Any other message of the spawner (HIBERNATE, WAKE); NULL when there are none. */
	void (*spawner_says)(void *context, struct message *message);
	/* The spawner went away: its sleepers cannot be woken any more. May be NULL. */
	void (*spawner_gone)(void *context);
};

struct login;
/* `protocol` is what authd binds tickets to ("imap"). NULL when memory is out. */
struct login *login_open(struct service *service, const char *protocol, enum service_id spawner,
	const struct login_hooks *hooks, void *context);

/* Append what may be offered to this client of `configured` (auth_mechanisms), each behind `before`; `plaintext`: also those that show the
 * password. False when memory is out. */
MUST_CHECK bool login_offers(const struct login_client *client, const char *configured,
	bool plaintext, const char *before, struct buffer *out);
/* Would this mechanism show the password? What is none does not. */
bool login_shows_password(struct slice mechanism);
/* False: it cannot be asked now (no authd); nothing was begun. `initial.data` NULL: no initial response. */
MUST_CHECK bool login_begin(struct login *login, struct login_client *client, const char *mechanism,
	struct slice initial);
void login_continue(struct login *login, struct login_client *client, struct slice response);
/* The client gave up or went away: no hook is called for it any more until the next login_begin. For a client that is being handed
 * over or served this forgets it: `ended` will not come. */
void login_cancel(struct login *login, struct login_client *client);
/* `tag` and `input` (bytes read behind the login command) go to the session. */
void login_hand_over(
	struct login *login, struct login_client *client, struct slice tag, struct slice input);
/* To the spawner, as RESUME; false when there is none now. */
bool login_tell_spawner(struct login *login, const struct message *message);
/* A name as the client gave it, for user=<...> in a log line: cut to `size`, and without what would let it look like the rest of the
 * line to those who read logs. */
void login_name_for_log(struct slice name, char *text, size_t size);
/* Who has that serial; NULL when nobody has. For what only one protocol's spawner says. */
struct login_client *login_find(struct login *login, uint32_t serial);
/* Count a client under a serial of its own although it never logged in here (a sleeper that came by HIBERNATE). */
bool login_adopt(struct login *login, struct login_client *client);

#endif
