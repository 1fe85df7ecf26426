// SPDX-License-Identifier: ISC
/* Whose turn it is. See turns.h. */
#include "auth/turns.h"

#include <stddef.h>
#include <stdlib.h>

enum { STREAK = 3 /* clean ones before a suspect that waits gets his turn nevertheless */ };

_Static_assert(offsetof(struct turn, next) == 0, "turns_least");

struct turn_queue {
	struct turn_queue *next, **at; /* in a list, while somebody waits */
	struct turn *first, **end;
	unsigned users; /* who waits or runs */
	unsigned waiting;
	bool suspect;
	char network[];
};

static void list_add(struct turn_list *list, struct turn_queue *queue)
{
	queue->next = NULL;
	queue->at = list->end;
	*list->end = queue;
	list->end = &queue->next;
}

static void list_remove(struct turn_list *list, struct turn_queue *queue)
{
	*queue->at = queue->next;
	if (queue->next)
		queue->next->at = queue->at;
	else
		list->end = queue->at;
	queue->at = NULL;
}

static struct turn_list *list_of(struct turns *turns, const struct turn_queue *queue)
{
	return queue->suspect ? &turns->suspect : &turns->clean;
}

void turns_open(struct turns *turns, unsigned places, void (*run)(void *context, struct turn *turn),
	void *context)
{
	*turns = (struct turns){ .places = places, .run = run, .context = context };
	turns->clean.end = &turns->clean.first;
	turns->suspect.end = &turns->suspect.first;
}

void turns_close(struct turns *turns)
{
	map_free(&turns->queues);
}

static struct turn_queue *queue_of(struct turns *turns, const char *network, bool suspect)
{
	struct slice key = slice_from(network);
	struct turn_queue *queue = map_get(&turns->queues, key);

	if (queue)
		return queue;
	queue = calloc(1, sizeof(*queue) + key.length + 1);
	if (!queue || !map_put(&turns->queues, key, queue)) {
		free(queue);
		return NULL;
	}
	memcpy(queue->network, key.data, key.length);
	queue->end = &queue->first;
	queue->suspect = suspect;
	return queue;
}

static void leave(struct turns *turns, struct turn *turn)
{
	struct turn_queue *queue = turn->queue;

	turn->queue = NULL;
	if (--queue->users)
		return;
	map_remove(&turns->queues, slice_from(queue->network));
	free(queue);
}

static void unwait(struct turns *turns, struct turn *turn)
{
	struct turn_queue *queue = turn->queue;

	queue->waiting--;
	*turn->at = turn->next;
	if (turn->next)
		turn->next->at = turn->at;
	else
		queue->end = turn->at;
	turn->next = NULL;
	turn->at = NULL;
	if (!queue->first)
		list_remove(list_of(turns, queue), queue);
}

/* Suspects have half the places, one at least; of those they get every fourth when others wait, too. */
static struct turn_queue *pick(struct turns *turns)
{
	unsigned most = turns->places > 1 ? turns->places / 2 : 1;
	bool suspect = turns->suspect.first && turns->suspects_running < most;

	if (turns->running >= turns->places)
		return NULL;
	if (suspect && (!turns->clean.first || turns->streak >= STREAK)) {
		turns->streak = 0;
		return turns->suspect.first;
	}
	if (turns->clean.first && suspect)
		turns->streak++;
	return turns->clean.first;
}

static void start_some(struct turns *turns)
{
	struct turn_queue *queue;

	while ((queue = pick(turns))) {
		struct turn *turn = queue->first;

		unwait(turns, turn);
		/* Behind the others of its kind: the next turn is another network's. */
		if (queue->first) {
			list_remove(list_of(turns, queue), queue);
			list_add(list_of(turns, queue), queue);
		}
		turn->running = true;
		turn->suspect = queue->suspect;
		turns->running++;
		turns->suspects_running += turn->suspect;
		turns->run(turns->context, turn);
	}
}

bool turns_add(struct turns *turns, struct turn *turn, const char *network, bool suspect)
{
	struct turn_queue *queue = queue_of(turns, network, suspect);

	if (!queue)
		return false;
	*turn = (struct turn){ .queue = queue, .at = queue->end };
	queue->users++;
	queue->waiting++;
	if (!queue->first)
		list_add(list_of(turns, queue), queue);
	*queue->end = turn;
	queue->end = &turn->next;
	start_some(turns);
	return true;
}

void turns_done(struct turns *turns, struct turn *turn)
{
	turn->running = false;
	turns->running--;
	turns->suspects_running -= turn->suspect;
	leave(turns, turn);
	start_some(turns);
}

void turns_remove(struct turns *turns, struct turn *turn)
{
	unwait(turns, turn);
	leave(turns, turn);
}

struct turn *turns_least(const struct turns *turns)
{
	const struct turn_queue *longest = turns->suspect.first;

	for (const struct turn_queue *queue = longest; queue; queue = queue->next)
		if (queue->waiting > longest->waiting)
			longest = queue;
	/* `end` is the member `next` of the last one, which is its first. */
	return longest ? (struct turn *)longest->end : NULL;
}

struct turn *turns_waiting(const struct turns *turns, const char *network)
{
	const struct turn_queue *queue = map_get(&turns->queues, slice_from(network));

	return queue ? queue->first : NULL;
}

void turns_suspect(struct turns *turns, const char *network)
{
	struct turn_queue *queue = map_get(&turns->queues, slice_from(network));

	if (!queue || queue->suspect)
		return;
	if (queue->first)
		list_remove(&turns->clean, queue);
	queue->suspect = true;
	if (queue->first)
		list_add(&turns->suspect, queue);
}
