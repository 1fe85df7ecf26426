// SPDX-License-Identifier: ISC
/* Between pool.c (sessions) and pool_room.c (the clients that wait for one, and who makes room for them). */
#ifndef SMTPD_POOL_IMPL_H
#define SMTPD_POOL_IMPL_H

#include "smtpd/places.h"
#include "smtpd/pool.h"

struct pooled {
	struct channel channel;
	struct pool *pool;
	struct pooled *below, *above; /* in the idle stack, or among the busy ones */
	bool busy;
	bool retiring; /* no more clients: its spawner is gone, or its place was given away */
	pid_t pid;
	uint32_t serial; /* of its client */
	int64_t since; /* idle, or with this client, since */
	int64_t leaving; /* its client was cut off then; 0: he was not */
	int client; /* his connection: whoever has to make room is cut off by it; -1 while idle */
	enum client_standing standing;
	char address[64], network[NETWORK_TEXT];
};

struct waiting {
	struct waiting *next;
	int fd;
	int64_t deadline;
	char network[NETWORK_TEXT];
	struct front_client client;
	struct tls_info *tls; /* NULL: he had no handshake */
};

struct pool {
	struct service *service;
	struct loop *loop;
	struct pool_settings settings;
	struct front *front;
	struct link link;
	struct pooled *idle_top, *idle_bottom, *busy_list;
	unsigned idle, busy;
	struct waiting *waiting_head, *waiting_tail;
	unsigned waiting;
	unsigned peak,
		peak_before; /* clients at the same time, in this max_idle and the one before */
	int64_t peak_since; /* when this one began */
	uint32_t received,
		told; /* sessions that came from this spawner, and that it was asked for, in all */
	uint32_t told_waiting; /* clients that it knows to wait */
	bool full; /* it has no more for us */
	uint32_t serial;
	struct deferred work;
	struct timer housekeeping;
	bool draining, done;
	void (*drained)(void *context);
	void *context;
};

/* --- pool_room.c --- */
/* The client is kept until there is a session; he is refused when memory is out. */
void waiting_add(
	struct pool *pool, int fd, const struct front_client *client, const struct tls_info *tls);
/* Who is to be served next, and the crowd he is of; NULL: nobody waits. */
struct waiting *waiting_next(const struct pool *pool, unsigned *crowd);
/* Out of the list, and freed; his descriptor is the caller's. */
void waiting_forget(struct pool *pool, struct waiting *waiting);
/* The one who came first is told so and let go. */
void waiting_refuse(struct pool *pool, const char *why);
/* Clients wait, and there are no more sessions: let those who are worth least make room. */
void make_room(struct pool *pool);
/* A busy session loses its client in favour of somebody of that crowd at another front, and serves no more; false: none does. */
bool room_for_others(struct pool *pool, unsigned crowd);

#endif
