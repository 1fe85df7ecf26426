// SPDX-License-Identifier: ISC
/*
 * A hash map from byte strings to pointers. The hash is SipHash-2-4 with a key drawn at random for each process, so that
 * nobody outside can choose keys that collide. Keys are copied; values belong to the caller.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/slice.h"

struct map_entry;
struct map {
	struct map_entry **buckets;
	size_t bucket_count;
	size_t count;
	size_t limit; /* entries; 0 means no limit but memory */
};

/* A zeroed struct map is an empty map without limit. */
void *map_get(const struct map *map, struct slice key);
/* Replaces. False when the limit is reached or memory is out; then nothing changed. `value` must not be NULL. */
MUST_CHECK bool map_put(struct map *map, struct slice key, void *value);
/* The value taken out, or NULL. */
void *map_remove(struct map *map, struct slice key);
/* Call `each` for every entry; it may remove the entry it is given, and no other. Stops when `each` returns false. */
void map_each(
	struct map *map, bool (*each)(void *context, struct slice key, void *value), void *context);
/* Frees the map, not the values. */
void map_free(struct map *map);

/* SipHash-2-4 of `s` under the process's random key. */
uint64_t hash_keyed(struct slice s);

#endif
