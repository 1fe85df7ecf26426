// SPDX-License-Identifier: ISC
/*
 * directoryd's memory of answers: for a second, and only while accounts.db stays as it is; see answer_impl.h. What is temporary is never
 * remembered.
 */
#include <stdlib.h>

#include "directory/answer_impl.h"

enum {
	REMEMBERED_MOST = 10000, /* answers */
	REMEMBERED_BYTES = 64 * 1024, /* of one question's answers */
	REMEMBERED_TIME = 1000 /* ms */
};

/* The answers to one question. */
struct remembered {
	int64_t until;
	size_t key_length;
	char key[1 + MAX_ADDRESS];
	struct buffer packets; /* of message_append */
};

struct recording {
	struct buffer packets;
	bool unsure; /* something temporary, or too large: not to be remembered */
	answer_send send;
	void *context;
};

/* --- what is remembered --- */

void memory_open(struct directory *d)
{
	d->answer_order = vector_of(sizeof(void *), REMEMBERED_MOST);
}

static void forget(struct directory *d, size_t place)
{
	struct remembered *entry = *(struct remembered **)vector_at(&d->answer_order, place);

	map_remove(&d->answers, slice_of(entry->key, entry->key_length));
	buffer_free(&entry->packets);
	free(entry);
}

static void forget_all(struct directory *d)
{
	for (size_t i = 0; i < d->answer_order.count; i++)
		forget(d, i);
	vector_clear(&d->answer_order);
}

/* All answers live equally long, so the old ones stand in front. */
static void forget_old(struct directory *d)
{
	size_t old = 0;

	while (old < d->answer_order.count &&
		(*(struct remembered **)vector_at(&d->answer_order, old))->until <= d->now)
		forget(d, old++);
	if (old == 0)
		return;
	memmove(d->answer_order.items, vector_at(&d->answer_order, old),
		(d->answer_order.count - old) * d->answer_order.size);
	d->answer_order.count -= old;
}

void memory_close(struct directory *d)
{
	forget_all(d);
	map_free(&d->answers);
	vector_free(&d->answer_order);
}

void directory_turn(struct directory *d, int64_t now)
{
	int64_t version = 0;

	d->now = now;
	if (accounts_version(d->accounts, &version) && version == d->version) {
		forget_old(d);
		return;
	}
	forget_all(d);
	d->version = version;
}

uint64_t directory_hits(const struct directory *d)
{
	return d->hits;
}

/* --- a question --- */

static enum directory_status status_in(const struct message *answer)
{
	switch (answer->type) {
	case MESSAGE_DIRECTORY_RECIPIENT_ANSWER:
		return answer->directory_recipient_answer.status;
	case MESSAGE_DIRECTORY_EXPAND_ANSWER:
		return answer->directory_expand_answer.status;
	case MESSAGE_DIRECTORY_RESOLVE_ANSWER:
		return answer->directory_resolve_answer.status;
	default:
		return DIRECTORY_TEMPORARY;
	}
}

static void record(void *context, const struct message *answer)
{
	struct recording *recording = context;

	recording->send(recording->context, answer);
	if (status_in(answer) == DIRECTORY_TEMPORARY ||
		!message_append(answer, &recording->packets))
		recording->unsure = true;
}

static void remember(struct directory *d, struct slice key, struct recording *recording)
{
	struct remembered *entry, **place;

	if (recording->unsure || recording->packets.failed ||
		d->answer_order.count >= REMEMBERED_MOST)
		return;
	entry = calloc(1, sizeof(*entry));
	place = entry ? vector_add(&d->answer_order) : NULL;
	if (!place) {
		free(entry);
		return;
	}
	*place = entry;
	memcpy(entry->key, key.data, key.length);
	entry->key_length = key.length;
	entry->until = d->now + REMEMBERED_TIME;
	if (!map_put(&d->answers, key, entry)) {
		d->answer_order.count--;
		free(entry);
		return;
	}
	entry->packets = recording->packets;
	recording->packets = (struct buffer){ 0 };
}

/* The packets again, with this question's serial. */
static void repeat(const struct remembered *entry, uint32_t serial, answer_send send, void *context)
{
	struct slice rest = buffer_slice(&entry->packets);
	struct message answer = { 0 }; /* the decoder leaves the descriptors alone */

	while (message_next(&rest, &answer)) {
		/* The serial is the first field of every answer. */
		answer.directory_recipient_answer.serial = serial;
		send(context, &answer);
	}
}

void memory_answer(struct directory *d, answer_work work, const struct message *question,
	struct slice subject, answer_send send, void *context)
{
	struct recording recording = {
		.packets = buffer_limited(REMEMBERED_BYTES), .send = send, .context = context
	};
	struct slice key;
	struct remembered *entry;
	char text[1 + MAX_ADDRESS];

	text[0] = (char)question->type;
	memcpy(text + 1, subject.data, subject.length); /* the decoder saw to MAX_ADDRESS */
	key = slice_of(text, 1 + subject.length);
	entry = map_get(&d->answers, key);
	if (entry && entry->until > d->now) {
		d->hits++;
		repeat(entry, question->directory_recipient.serial, send, context);
		return;
	}
	work(d, question, record, &recording);
	if (!entry)
		remember(d, key, &recording);
	buffer_free(&recording.packets);
}
