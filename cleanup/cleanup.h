// SPDX-License-Identifier: ISC
/*
 * cleanup's own structs, and what its chapters offer each other; each calls those below it only:
 *
 *	cleanup.c      main, peers and their packets
 *	transaction.c  one message, from CLEANUP_BEGIN to CLEANUP_RESULT
 *	expand.c       its recipients, asked of directoryd
 *	from.c         its From: header, likewise
 *	headers.c      its headers while they stream by
 *	room.c         what it may take of what is there for all
 *	sync.c         the threads that wait for the disk
 */
#ifndef CLEANUP_CLEANUP_H
#define CLEANUP_CLEANUP_H

#include "base/map.h"
#include "base/share.h"
#include "base/vector.h"
#include "cleanup/headers.h"
#include "cleanup/sync.h"
#include "config/config.h"
#include "service/service.h"

enum {
	CLEANUP_PEERS = 4000, /* connections at a time */
	CLEANUP_TRANSACTIONS =
		1000, /* messages at a time, beyond those that each connection has of its own */
	CLEANUP_BUSY =
		64, /* messages of one connection beyond its bounds that still get an answer */
	CLEANUP_MEMORY = 64 << 20, /* bytes of one message's envelope */
	CLEANUP_OWN_MEMORY = 128 << 10, /* of these, what no other message can take */
	CLEANUP_SHARED_MEMORY = 512 << 20, /* of all messages, beyond that */
	CLEANUP_RECIPIENTS = 100000, /* of one message, after expansion */
	CLEANUP_LINEAR = 16, /* recipients that are compared one by one, without a map */
	CLEANUP_LOOKUP_TIMEOUT =
		60000, /* ms that directoryd may take after the end of the content */
	CLEANUP_SPACE_INTERVAL = 1000 /* ms that an answer on free space holds */
};

/* Why a message cannot be taken. The first fault stays. */
enum cleanup_fault {
	FAULT_NONE,
	FAULT_SIZE,
	FAULT_HOPS,
	FAULT_SPACE,
	FAULT_WRITE,
	FAULT_LOOKUP,
	FAULT_EXPANSION,
	FAULT_NO_RECIPIENTS,
	FAULT_SENDER,
	FAULT_RECIPIENT,
	FAULT_FROM,
	FAULT_BUSY,
	FAULT_MEMORY,
	FAULTS
};

struct settings {
	char host[256]; /* myhostname */
	const char *origin; /* myorigin, NULL when nothing is to be appended */
	int64_t message_size_limit, header_size_limit, hopcount_limit, minfree, expansion_limit;
};

struct cleanup {
	struct service *service;
	struct config *config;
	struct settings settings;
	struct queue queue;
	struct sync_pool sync;
	struct link directory, qmgr;
	struct map lookups; /* serial -> struct original */
	struct map owners; /* serial -> struct from_address */
	uint32_t lookup_serial;
	unsigned peers, transactions;
	struct share_pool places; /* for messages of pickup and bounce */
	size_t memory; /* of all envelopes, beyond CLEANUP_OWN_MEMORY of each */
	struct peer_channel *peer_list;
	struct transaction *list;
	struct deferred settle; /* something is over: is that the end? */
	bool draining, fast;
	/* Free space in the queue, asked for now and then. */
	int64_t space, space_asked;
};

/* A connection to a session, pickup or bounce. */
struct peer_channel {
	struct cleanup *cleanup;
	struct channel channel;
	enum service_id from;
	struct transaction *transactions;
	unsigned count;
	struct share share;
	struct deferred reap; /* frees it at the end of the turn in which it closed */
	struct peer_channel *next, **place;
};

/* A recipient as the client gave it. */
struct original {
	struct transaction *transaction;
	struct original *next;
	struct slice address, orcpt;
	uint8_t notify;
	uint32_t serial; /* of the question to directoryd; 0: answered */
	unsigned expanded; /* addresses so far */
};

struct transaction {
	struct cleanup *cleanup;
	struct peer_channel *peer; /* NULL when it went away while the disk was at work */
	struct transaction *peer_next, *next, **at;
	uint32_t serial;
	char id[QUEUE_ID_SIZE];
	enum share_place place;
	size_t memory; /* of the arena, beyond CLEANUP_OWN_MEMORY, as it was counted last */
	struct arena arena;
	struct queue_envelope envelope;
	struct slice full_name, prepend, log_name, login_maps;
	enum check_from check_from;
	struct from_address *from; /* what From: holds, when it is checked */
	unsigned from_count;
	struct slice tls; /* comments for Received: */
	struct slice origin; /* its sender's log line, and the pid for it */
	uint32_t origin_pid;
	int64_t received; /* bytes of content as they came */
	uint32_t flags;
	enum cleanup_fault fault;
	struct headers headers;
	bool held;
	struct queue_writer *writer;
	struct original *originals, **originals_end;
	unsigned original_count, unanswered;
	struct vector recipients; /* of struct queue_recipient */
	struct map known; /* addresses in it, from CLEANUP_LINEAR on */
	bool begun; /* the Received: header is written */
	bool ended; /* the content is whole */
	bool syncing; /* with a sync thread */
	struct timer deadline; /* for directoryd's answers */
	struct sync_job job;
};

/* The first fault of a message; what comes of it still is swallowed. */
static inline void transaction_fail(struct transaction *t, enum cleanup_fault fault)
{
	if (t->fault == FAULT_NONE)
		t->fault = fault;
}

/* --- transaction.c --- */
/* Each answers false when the peer said what it must not: then its connection is closed. */
bool transaction_begin(struct peer_channel *peer, const struct message_cleanup_begin *begin);
bool transaction_recipient(
	struct peer_channel *peer, const struct message_cleanup_recipient *recipient);
bool transaction_content(struct peer_channel *peer, const struct message_cleanup_content *content);
bool transaction_end(struct peer_channel *peer, const struct message_cleanup_end *end);
/* A sync thread is done with it. */
void transaction_synced(void *context, struct sync_job *job);
/* All its questions are answered (or not to be asked any more): go on if the content is whole, too. */
void transaction_advance(struct transaction *t);
/* Everything of it, whatever state it is in; not while it is syncing. */
void transaction_free(struct transaction *t);
/* Its peer has gone: forget what is not with a sync thread. */
void transaction_abandon(struct peer_channel *peer);

/* --- expand.c --- */
/* Ask for a recipient's aliases. False when memory is out. */
MUST_CHECK bool expand_ask(struct original *original);
/* The message of which a question has its last answer now, or NULL. */
struct transaction *expand_receive(
	struct cleanup *cleanup, const struct message_directory_expand_answer *answer);
/* directoryd is there again: ask it what was not answered. */
void expand_up(struct cleanup *cleanup);
/* Forget the questions of a message. */
void expand_cancel(struct transaction *t);
/* Add a recipient unless it is there already. False when memory is out or there are too many. */
MUST_CHECK bool expand_add(
	struct transaction *t, const struct original *original, struct slice address);

/* --- from.c --- */
/* Look at the value of a From: header; `context` is the transaction. */
void from_check(void *context, struct slice value);
struct transaction *from_receive(
	struct cleanup *cleanup, const struct message_directory_owner_answer *answer);
/* directoryd is there again: ask it what was not answered. */
void from_up(struct cleanup *cleanup);
/* Forget the questions of a message. */
void from_cancel(struct transaction *t);

/* --- room.c --- */
/* A place for one more message of this peer. */
enum share_place room_take(struct peer_channel *peer);
/* Messages that a peer may have at a time. Over this it is no busy peer any more, but one that does not keep to the rules. */
unsigned room_most(const struct peer_channel *peer);
/* Fails the message when it is too large for the limit or for the disk, or got no place. */
void room_check(struct transaction *t, int64_t size_hint);
/* Its envelope has grown: count what it takes of the memory for all. */
void room_count_memory(struct transaction *t);
/* What it took. */
void room_give(struct transaction *t);

#endif
