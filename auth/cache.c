// SPDX-License-Identifier: ISC
/* Passwords that were good. See cache.h. */
#include "auth/cache.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/map.h"

enum { PART_MOST = 1024 /* bytes of one part of a key */, PARTS = 5 };

/* Two keyed hashes of 64 bits of the same text: the password itself is not kept. */
struct cache_key {
	uint64_t halves[2];
};

struct cache_entry {
	struct cache_entry *older, *newer; /* in the order of `until` */
	struct cache_key key;
	int64_t until;
};

struct cache {
	pthread_mutex_t lock;
	struct map good; /* cache_key -> struct cache_entry */
	struct cache_entry *oldest, *newest;
	int64_t lifetime;
};

static struct slice key_slice(const struct cache_key *key)
{
	return slice_of(key, sizeof(*key));
}

struct cache *cache_new(int64_t lifetime)
{
	struct cache *cache = calloc(1, sizeof(*cache));

	if (cache) {
		pthread_mutex_init(&cache->lock, NULL);
		cache->lifetime = lifetime;
	}
	return cache;
}

static void unlist(struct cache *cache, struct cache_entry *entry)
{
	*(entry->older ? &entry->older->newer : &cache->oldest) = entry->newer;
	*(entry->newer ? &entry->newer->older : &cache->newest) = entry->older;
	entry->older = entry->newer = NULL;
}

static void list(struct cache *cache, struct cache_entry *entry)
{
	entry->older = cache->newest;
	*(cache->newest ? &cache->newest->newer : &cache->oldest) = entry;
	cache->newest = entry;
}

static void drop(struct cache *cache, struct cache_entry *entry)
{
	unlist(cache, entry);
	map_remove(&cache->good, key_slice(&entry->key));
	free(entry);
}

void cache_free(struct cache **cache)
{
	if (!*cache)
		return;
	while ((*cache)->oldest)
		drop(*cache, (*cache)->oldest);
	map_free(&(*cache)->good);
	pthread_mutex_destroy(&(*cache)->lock);
	free(*cache);
	*cache = NULL;
}

/* Each part with its length in front, so that no two questions have the same text. False for one that is too long. */
static bool make_key(const struct cache_question *question, struct cache_key *key)
{
	const struct slice parts[PARTS] = { question->login, question->service, question->mechanism,
		question->password, question->hash };
	unsigned char text[2 + PARTS * (sizeof(uint64_t) + PART_MOST)];
	size_t length = 2;

	text[1] = question->secured;
	for (int i = 0; i < PARTS; i++) {
		uint64_t size = parts[i].length;

		if (size > PART_MOST)
			return false;
		memcpy(text + length, &size, sizeof(size));
		length += sizeof(size);
		if (size)
			memcpy(text + length, parts[i].data, size);
		length += size;
	}
	for (unsigned char i = 0; i < 2; i++) {
		text[0] = i;
		key->halves[i] = hash_keyed(slice_of(text, length));
	}
	explicit_bzero(text, length);
	return true;
}

static void expire(struct cache *cache, int64_t now)
{
	while (cache->oldest && cache->oldest->until <= now)
		drop(cache, cache->oldest);
}

bool cache_knows(struct cache *cache, int64_t now, const struct cache_question *question)
{
	struct cache_key key;
	bool known;

	if (!make_key(question, &key))
		return false;
	pthread_mutex_lock(&cache->lock);
	expire(cache, now);
	known = map_get(&cache->good, key_slice(&key)) != NULL;
	pthread_mutex_unlock(&cache->lock);
	return known;
}

static struct cache_entry *entry_of(struct cache *cache, const struct cache_key *key)
{
	struct cache_entry *entry = map_get(&cache->good, key_slice(key));

	if (entry) {
		unlist(cache, entry);
		return entry;
	}
	if (cache->good.count >= CACHE_MOST)
		drop(cache, cache->oldest);
	entry = calloc(1, sizeof(*entry));
	if (!entry || !map_put(&cache->good, key_slice(key), entry)) {
		free(entry);
		return NULL;
	}
	entry->key = *key;
	return entry;
}

void cache_keep(struct cache *cache, int64_t now, const struct cache_question *question)
{
	struct cache_entry *entry;
	struct cache_key key;

	if (!make_key(question, &key))
		return;
	pthread_mutex_lock(&cache->lock);
	expire(cache, now);
	entry = entry_of(cache, &key);
	if (entry) {
		entry->until = now + cache->lifetime;
		list(cache, entry);
	}
	pthread_mutex_unlock(&cache->lock);
}

unsigned cache_count(struct cache *cache)
{
	unsigned count;

	pthread_mutex_lock(&cache->lock);
	count = (unsigned)cache->good.count;
	pthread_mutex_unlock(&cache->lock);
	return count;
}
