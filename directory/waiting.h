// SPDX-License-Identifier: ISC
/*
 * Questions to directoryd that need a SQL table. Answers are worked out in one go, and the tables that must be waited for are not
 * part of it: a lookup whose answer is not here yet is sent off and makes the question wait; when the answer is there the
 * question is worked out again from its start, with what is known by then. So nothing else has to know that a table is far away, and
 * all other questions go on meanwhile.
 */
#ifndef DIRECTORY_WAITING_H
#define DIRECTORY_WAITING_H

#include "directory/answer.h"
#include "table/table.h"

enum {
	WAITING_QUESTIONS = 10000, /* more are answered "temporary" at once */
	WAITING_FACTS = 1000 /* lookups of one question */
};

struct waiting;

struct waiting_hooks {
	/* Ask for the key; the answer comes by waiting_told. False: nobody can be asked. */
	bool (*ask)(void *context, uint32_t serial, const char *spec, struct slice key);
	/* An answer for the peer that asked. */
	void (*send)(void *context, void *peer, const struct message *answer);
	void *context;
	int64_t patience; /* ms until what is not known is taken for an error */
};

/* NULL when memory is out. `directory` is set before the first question: its tables are opened with waiting_lookup already. */
struct waiting *waiting_new(const struct waiting_hooks *hooks);
void waiting_free(struct waiting **waiting);
void waiting_directory(struct waiting *waiting, struct directory *directory);

/* The sql_ask of this process (table_sql.h); `context` is the struct waiting. */
enum table_status waiting_lookup(
	void *context, const char *spec, struct slice key, struct buffer *value);

/* Answer it now, or later. What is not a question: false. */
bool waiting_answer(
	struct waiting *waiting, void *peer, const struct message *question, int64_t now);
/* The answer to an ask; one that nobody waits for is passed over. */
void waiting_told(struct waiting *waiting, uint32_t serial, enum table_status status,
	struct slice value, int64_t now);
/* Asks in flight will not be answered: they are asked again. */
void waiting_lost(struct waiting *waiting, int64_t now);
/* Those who waited too long get an answer with what is known. To be called now and then. */
void waiting_expire(struct waiting *waiting, int64_t now);
void waiting_forget_peer(struct waiting *waiting, const void *peer);
/* How many wait. */
size_t waiting_count(const struct waiting *waiting);

#endif
