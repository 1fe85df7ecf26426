// SPDX-License-Identifier: ISC
/* Questions that wait for SQL tables. See waiting.h. */
#include "directory/waiting.h"

#include <stdlib.h>

#include "base/map.h"

/* A lookup of a question. */
struct fact {
	struct question *question;
	uint32_t serial; /* while it is in flight; 0: answered */
	enum table_status status;
	struct buffer value;
};

struct question {
	struct question *next, **before;
	void *peer;
	struct buffer packet;
	struct map facts; /* spec, NUL, key -> struct fact * */
	unsigned flying;
	int64_t until; /* ms */
};

struct waiting {
	struct waiting_hooks hooks;
	struct directory *directory;
	struct question *first, **end;
	size_t count;
	uint32_t serial;
	struct map flights; /* serial -> struct fact * */
	struct question *current; /* whose answer is being worked out */
	bool incomplete; /* it needs something that is not here yet */
	bool final; /* it gets what is known, and errors for the rest */
	struct buffer answers; /* of message_append */
	struct buffer key; /* scratch */
};

struct waiting *waiting_new(const struct waiting_hooks *hooks)
{
	struct waiting *waiting = calloc(1, sizeof(*waiting));

	if (waiting) {
		waiting->hooks = *hooks;
		waiting->end = &waiting->first;
	}
	return waiting;
}

void waiting_directory(struct waiting *waiting, struct directory *directory)
{
	waiting->directory = directory;
}

size_t waiting_count(const struct waiting *waiting)
{
	return waiting->count;
}

static struct slice key_of(const uint32_t *serial)
{
	return slice_of(serial, sizeof(*serial));
}

static bool free_fact(void *context, struct slice key, void *value)
{
	struct waiting *waiting = context;
	struct fact *fact = value;

	if (fact->serial)
		map_remove(&waiting->flights, key_of(&fact->serial));
	buffer_free(&fact->value);
	free(fact);
	return true;
}

static void question_free(struct waiting *waiting, struct question *question)
{
	map_each(&question->facts, free_fact, waiting);
	map_free(&question->facts);
	buffer_free(&question->packet);
	free(question);
}

static void question_remove(struct waiting *waiting, struct question *question)
{
	*question->before = question->next;
	if (question->next)
		question->next->before = question->before;
	else
		waiting->end = question->before;
	waiting->count--;
	question_free(waiting, question);
}

void waiting_free(struct waiting **waiting)
{
	if (!*waiting)
		return;
	while ((*waiting)->first)
		question_remove(*waiting, (*waiting)->first);
	map_free(&(*waiting)->flights);
	buffer_free(&(*waiting)->answers);
	buffer_free(&(*waiting)->key);
	free(*waiting);
	*waiting = NULL;
}

/* --- lookups --- */

static struct fact *ask(struct waiting *waiting, const char *spec, struct slice key)
{
	struct question *question = waiting->current;
	struct fact *fact = question->facts.count < WAITING_FACTS ? calloc(1, sizeof(*fact)) : NULL;

	if (!fact)
		return NULL;
	if (++waiting->serial == 0)
		waiting->serial = 1;
	fact->serial = waiting->serial;
	fact->question = question;
	if (map_put(&question->facts, buffer_slice(&waiting->key), fact) &&
		map_put(&waiting->flights, key_of(&fact->serial), fact) &&
		waiting->hooks.ask(waiting->hooks.context, fact->serial, spec, key)) {
		question->flying++;
		return fact;
	}
	map_remove(&question->facts, buffer_slice(&waiting->key));
	free_fact(waiting, SLICE(""), fact);
	return NULL;
}

enum table_status waiting_lookup(
	void *context, const char *spec, struct slice key, struct buffer *value)
{
	struct waiting *waiting = context;
	struct fact *fact;

	if (!waiting->current)
		return TABLE_ERROR;
	buffer_clear(&waiting->key);
	buffer_append(&waiting->key, spec, strlen(spec) + 1);
	if (!buffer_add(&waiting->key, key))
		return TABLE_ERROR;
	fact = map_get(&waiting->current->facts, buffer_slice(&waiting->key));
	if (!fact && !waiting->final)
		fact = ask(waiting, spec, key);
	if (!fact)
		return TABLE_ERROR;
	if (fact->serial) {
		waiting->incomplete = !waiting->final;
		return TABLE_ERROR;
	}
	buffer_add(value, buffer_slice(&fact->value));
	return fact->status;
}

/* --- working an answer out --- */

static void keep_answer(void *context, const struct message *answer)
{
	struct waiting *waiting = context;

	(void)!message_append(answer, &waiting->answers);
}

static void send_answers(struct waiting *waiting, void *peer)
{
	struct slice rest = buffer_slice(&waiting->answers);
	struct message answer = { 0 }; /* the decoder leaves the descriptors alone */

	while (message_next(&rest, &answer))
		waiting->hooks.send(waiting->hooks.context, peer, &answer);
}

/* False: it is no question. With waiting->incomplete afterwards there is no answer yet. */
static bool work_out(struct waiting *waiting, struct question *question,
	const struct message *message, bool final)
{
	bool known;

	buffer_clear(&waiting->answers);
	waiting->current = question;
	waiting->incomplete = false;
	waiting->final = final;
	known = directory_answer(waiting->directory, message, keep_answer, waiting);
	waiting->current = NULL;
	return known;
}

static void finish(struct waiting *waiting, struct question *question, bool final)
{
	struct message message = { 0 };
	void *peer = question->peer;

	if (!message_decode(buffer_slice(&question->packet), &message) ||
		!work_out(waiting, question, &message, final)) {
		question_remove(waiting, question);
		return;
	}
	if (waiting->incomplete)
		return;
	question_remove(waiting, question);
	send_answers(waiting, peer);
}

static void keep(struct waiting *waiting, struct question *question)
{
	question->before = waiting->end;
	*waiting->end = question;
	waiting->end = &question->next;
	waiting->count++;
}

bool waiting_answer(struct waiting *waiting, void *peer, const struct message *message, int64_t now)
{
	struct question *question = calloc(1, sizeof(*question));
	bool known;

	/* Without memory nothing is asked for, and what needs it is "temporary". */
	if (!question)
		return work_out(waiting, NULL, message, true) &&
		       (send_answers(waiting, peer), true);
	question->peer = peer;
	question->until = now + waiting->hooks.patience;
	known = work_out(waiting, question, message, waiting->count >= WAITING_QUESTIONS);
	if (known && waiting->incomplete) {
		if (message_encode(message, &question->packet)) {
			keep(waiting, question);
			return true;
		}
		known = work_out(waiting, question, message, true);
	}
	question_free(waiting, question);
	if (known)
		send_answers(waiting, peer);
	return known;
}

/* --- what comes in --- */

void waiting_told(struct waiting *waiting, uint32_t serial, enum table_status status,
	struct slice value, int64_t now)
{
	struct fact *fact = map_remove(&waiting->flights, key_of(&serial));
	struct question *question;

	if (!fact)
		return;
	question = fact->question;
	fact->serial = 0;
	fact->status = buffer_add(&fact->value, value) ? status : TABLE_ERROR;
	question->flying--;
	directory_turn(waiting->directory, now);
	if (!question->flying)
		finish(waiting, question, false);
}

struct forgetting {
	struct waiting *waiting;
	struct question *question;
};

static bool forget_flying(void *context, struct slice key, void *value)
{
	struct forgetting *forgetting = context;
	struct fact *fact = value;

	if (!fact->serial)
		return true;
	map_remove(&forgetting->question->facts, key);
	free_fact(forgetting->waiting, key, fact);
	return true;
}

void waiting_lost(struct waiting *waiting, int64_t now)
{
	struct question *next;

	directory_turn(waiting->directory, now);
	for (struct question *question = waiting->first; question; question = next) {
		next = question->next;
		map_each(
			&question->facts, forget_flying, &(struct forgetting){ waiting, question });
		question->flying = 0;
		finish(waiting, question, false);
	}
}

void waiting_expire(struct waiting *waiting, int64_t now)
{
	/* They all wait equally long: the oldest stand first. */
	while (waiting->first && waiting->first->until <= now) {
		directory_turn(waiting->directory, now);
		finish(waiting, waiting->first, true);
	}
}

void waiting_forget_peer(struct waiting *waiting, const void *peer)
{
	struct question *next;

	for (struct question *question = waiting->first; question; question = next) {
		next = question->next;
		if (question->peer == peer)
			question_remove(waiting, question);
	}
}
