// SPDX-License-Identifier: ISC
/*
 * A bounded number of things for several holders who do not trust each other: each has a few places of its own that nobody else
 * can take, and may borrow more, up to a bound of its own, out of a pool for all.
 */
#ifndef BASE_SHARE_H
#define BASE_SHARE_H

#include <stdbool.h>
#include <stddef.h>

struct share_pool {
	unsigned limit, borrowed; /* places for all, beyond what each has of its own */
};
struct share {
	unsigned own, borrowed; /* taken now */
};
struct share_bounds {
	unsigned own; /* places that are always there */
	unsigned most; /* with what is borrowed */
};
/* The kind of a place that was taken is needed to give it back. */
enum share_place { SHARE_NONE, SHARE_OWN, SHARE_BORROWED };

/* SHARE_NONE: no more for this one, or none left for all. */
static inline enum share_place share_take(
	struct share_pool *pool, struct share *share, const struct share_bounds *bounds)
{
	if (share->own + share->borrowed >= bounds->most)
		return SHARE_NONE;
	if (share->own < bounds->own) {
		share->own++;
		return SHARE_OWN;
	}
	if (pool->borrowed >= pool->limit)
		return SHARE_NONE;
	pool->borrowed++;
	share->borrowed++;
	return SHARE_BORROWED;
}

/* `share` NULL: its holder is gone already. */
static inline void share_give(struct share_pool *pool, struct share *share, enum share_place place)
{
	if (share && place == SHARE_OWN)
		share->own--;
	if (share && place == SHARE_BORROWED)
		share->borrowed--;
	if (place == SHARE_BORROWED)
		pool->borrowed--;
}

#endif
