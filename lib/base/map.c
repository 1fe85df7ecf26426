// SPDX-License-Identifier: ISC
/* Hash map with a keyed hash. See map.h; SipHash after Aumasson and Bernstein's paper. */
#include "base/map.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

struct map_entry {
	struct map_entry *next;
	uint64_t hash;
	void *value;
	size_t length;
	char key[];
};

static uint64_t hash_key[2];
static pthread_once_t hash_once = PTHREAD_ONCE_INIT;

static void hash_draw_key(void)
{
	/* At early boot getrandom could block; a guessable key then is better than a service that does not start. */
	if (getrandom(hash_key, sizeof(hash_key), GRND_NONBLOCK) != (ssize_t)sizeof(hash_key)) {
		struct timespec now;

		clock_gettime(CLOCK_REALTIME, &now);
		hash_key[0] = (uint64_t)now.tv_nsec * 0x9e3779b97f4a7c15u;
		hash_key[1] = ((uint64_t)now.tv_sec << 20) ^ (uint64_t)getpid();
	}
}

static inline uint64_t rotate(uint64_t x, int bits)
{
	return (x << bits) | (x >> (64 - bits));
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

static void sip_block(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	sip_round(v);
	v[0] ^= word;
}

uint64_t hash_keyed(struct slice s)
{
	uint64_t v[4], word, last = (uint64_t)s.length << 56;
	size_t i;

	pthread_once(&hash_once, hash_draw_key);
	v[0] = hash_key[0] ^ 0x736f6d6570736575u;
	v[1] = hash_key[1] ^ 0x646f72616e646f6du;
	v[2] = hash_key[0] ^ 0x6c7967656e657261u;
	v[3] = hash_key[1] ^ 0x7465646279746573u;
	for (i = 0; i + 8 <= s.length; i += 8) {
		memcpy(&word, s.data + i, 8);
		sip_block(v, word);
	}
	for (size_t j = 0; i + j < s.length; j++)
		last |= (uint64_t)(unsigned char)s.data[i + j] << (8 * j);
	sip_block(v, last);
	v[2] ^= 0xff;
	for (int round = 0; round < 4; round++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static struct map_entry **map_slot(const struct map *map, struct slice key, uint64_t hash)
{
	struct map_entry **slot = &map->buckets[hash & (map->bucket_count - 1)];

	while (*slot && !((*slot)->hash == hash && (*slot)->length == key.length &&
				memcmp((*slot)->key, key.data ? key.data : "", key.length) == 0))
		slot = &(*slot)->next;
	return slot;
}

static bool map_grow(struct map *map)
{
	size_t count = map->bucket_count ? map->bucket_count * 2 : 16;
	struct map_entry **buckets = calloc(count, sizeof(struct map_entry *)), *next;

	if (!buckets)
		return false;
	for (size_t i = 0; i < map->bucket_count; i++) {
		for (struct map_entry *e = map->buckets[i]; e; e = next) {
			struct map_entry **head = &buckets[e->hash & (count - 1)];

			next = e->next;
			e->next = *head;
			*head = e;
		}
	}
	free(map->buckets);
	map->buckets = buckets;
	map->bucket_count = count;
	return true;
}

void *map_get(const struct map *map, struct slice key)
{
	struct map_entry *entry;

	if (map->count == 0)
		return NULL;
	entry = *map_slot(map, key, hash_keyed(key));
	return entry ? entry->value : NULL;
}

bool map_put(struct map *map, struct slice key, void *value)
{
	uint64_t hash = hash_keyed(key);
	struct map_entry **slot, *entry;

	if (map->count >= map->bucket_count && !map_grow(map))
		return false;
	slot = map_slot(map, key, hash);
	if (*slot) {
		(*slot)->value = value;
		return true;
	}
	if (map->limit && map->count >= map->limit)
		return false;
	entry = malloc(sizeof(*entry) + key.length);
	if (!entry)
		return false;
	*entry = (struct map_entry){ .hash = hash, .value = value, .length = key.length };
	if (key.length)
		memcpy(entry->key, key.data, key.length);
	*slot = entry;
	map->count++;
	return true;
}

void *map_remove(struct map *map, struct slice key)
{
	struct map_entry **slot, *entry;
	void *value;

	if (map->count == 0)
		return NULL;
	slot = map_slot(map, key, hash_keyed(key));
	entry = *slot;
	if (!entry)
		return NULL;
	value = entry->value;
	*slot = entry->next;
	free(entry);
	map->count--;
	return value;
}

void map_each(
	struct map *map, bool (*each)(void *context, struct slice key, void *value), void *context)
{
	for (size_t i = 0; i < map->bucket_count; i++) {
		for (struct map_entry *e = map->buckets[i], *next; e; e = next) {
			next = e->next;
			if (!each(context, slice_of(e->key, e->length), e->value))
				return;
		}
	}
}

void map_free(struct map *map)
{
	for (size_t i = 0; i < map->bucket_count; i++) {
		for (struct map_entry *e = map->buckets[i], *next; e; e = next) {
			next = e->next;
			free(e);
		}
	}
	free(map->buckets);
	*map = (struct map){ .limit = map->limit };
}
