// SPDX-License-Identifier: ISC
/*
 * The IMAP session spawner beside what it shares with POP3's (service/mailbox_spawner.h): who sleeps, and who is told of changes.
 *
 *	session_main.c  main, peers, drain
 *	hub.c           accounts with their sessions and sleepers; notices; hibernation
 *	foreign.c       changes by other programs below waiting clients
 *	session_child.c what a session process does
 */
#ifndef IMAPD_SPAWN_H
#define IMAPD_SPAWN_H

#include "base/map.h"
#include "config/config.h"
#include "imapd/session.h"
#include "service/mailbox_spawner.h"

enum { SPAWN_TICKET = 24 /* random bytes of a resume ticket */ };

/* Mailboxes that have sessions or sleepers here, of any number of logins: all of them are told of changes. */
struct account {
	char *path; /* below the mail directory; the key */
	struct live *sessions;
	struct asleep *sleepers;
	struct place *places; /* that are watched, see foreign.c */
};
/* A running session; the context of its mailbox_session. */
struct live {
	struct hub *hub;
	struct account *account;
	struct mailbox_session *session;
	uint32_t notices; /* sent to it */
	bool asleep; /* it hibernated and is about to end */
	char *watches; /* mailbox, or NULL */
	bool idle; /* it waits there, and the folder is watched */
	struct live *next;
};
struct asleep {
	struct account *account;
	struct channel *front;
	uint32_t serial; /* the front's */
	bool woken;
	unsigned char ticket[SPAWN_TICKET];
	int64_t since, quota; /* as the session's */
	struct asleep *next;
	const char *client_address, *login, *app; /* behind the mailbox; as the session's */
	char mailbox[];
};

/* Watches on folders, see foreign.c. */
struct foreign {
	struct watch watch; /* fd -1: nothing is watched */
	struct timer timer;
	struct map watches; /* of the kernel: number -> struct place */
	struct place *changed; /* that wait for the timer */
	unsigned count, limit; /* places */
	bool complained;
};

struct hub {
	struct service *service;
	struct mailbox_spawner *spawner;
	struct map accounts; /* path -> struct account */
	struct map tickets; /* ticket -> struct asleep */
	struct vector listeners; /* of struct channel *: older spawners, who want all notices */
	struct link newer; /* the spawner that replaces this one, once it drains */
	bool replaced;
	struct session_settings settings;
	struct foreign foreign;
};

/* --- hub.c: the hooks of mailbox_spawner_config; context is struct hub --- */
void hub_started(void *context, struct mailbox_session *session);
void hub_ended(void *context, struct mailbox_session *session);
void hub_child_says(void *context, struct mailbox_session *session, struct message *message);
unsigned hub_sleepers(void *context, const struct message_sessions_order *order);
void hub_front_says(void *context, struct channel *front, struct message *message);
void hub_peer_gone(void *context, struct channel *peer, const struct peer *who);
void hub_peer_says(
	void *context, struct channel *peer, const struct peer *who, struct message *message);
/* Something changed. `from`: the peer that said so, or NULL; `sender`: the session, or NULL. They are not told. */
void hub_notice(struct hub *hub, struct slice path, struct slice mailbox,
	const struct channel *from, const struct live *sender);

/* A mailbox changed, and no process of ours did it: its sessions and sleepers are told. */
void hub_changed(struct account *account, struct slice mailbox);

/* --- foreign.c --- */
/* Before the process is confined. `limit`: mailboxes, 0 watches none. */
void foreign_open(struct hub *hub, unsigned limit);
/* One more client waits for changes there, or one less. */
void foreign_watch(struct hub *hub, struct account *account, struct slice mailbox);
void foreign_unwatch(struct hub *hub, struct account *account, struct slice mailbox);
/* A notice came: what was seen before it is told by it. */
void foreign_told(struct account *account, struct slice mailbox);

/* --- session_child.c --- */
extern const struct session_settings
	*session_child_settings; /* set before the first session is started */
int session_child(struct service *service, int channel_fd, struct mailbox_session *session);

#endif
