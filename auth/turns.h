// SPDX-License-Identifier: ISC
/*
 * Whose turn it is to have a password hashed: a few run at a time, those who wait take turns by network, and networks where
 * somebody failed lately come behind the others and never hold more than half the places. So a crowd that guesses waits for
 * itself, and whoever knows his password hardly notices.
 *
 * No thread and no clock: the caller starts what `run` hands him and says when it is done.
 */
#ifndef AUTH_TURNS_H
#define AUTH_TURNS_H

#include "base/map.h"

struct turn_queue;
/* Embedded in what waits; zeroed. */
struct turn {
	struct turn *next, **at; /* while it waits */
	struct turn_queue *queue; /* while it waits or runs */
	bool running;
	bool suspect; /* what it counts as while it runs */
};
struct turn_list {
	struct turn_queue *first, **end;
};
struct turns {
	struct map queues; /* network -> struct turn_queue, those who wait or run */
	struct turn_list clean, suspect; /* queues in which somebody waits */
	unsigned places, running, suspects_running;
	unsigned streak; /* clean ones in a row while suspects waited */
	void (*run)(void *context, struct turn *turn);
	void *context;
};

/* `places` at least 1. */
void turns_open(struct turns *turns, unsigned places, void (*run)(void *context, struct turn *turn),
	void *context);
/* Nothing waits or runs any more. */
void turns_close(struct turns *turns);
/* Wait, or run at once. False when memory is out. */
MUST_CHECK bool turns_add(
	struct turns *turns, struct turn *turn, const char *network, bool suspect);
/* It ran, and its place is free. */
void turns_done(struct turns *turns, struct turn *turn);
/* It waits, and need not any more. */
void turns_remove(struct turns *turns, struct turn *turn);
/* The one to give up when there is no room: who came last from the suspect network with most of those waiting. NULL: none waits. */
struct turn *turns_least(const struct turns *turns);
/* The next of those who wait from there, the others by `next`; NULL: nobody does. */
struct turn *turns_waiting(const struct turns *turns, const char *network);
/* Somebody failed there: whoever waits from there is behind the others from now on. */
void turns_suspect(struct turns *turns, const char *network);

#endif
