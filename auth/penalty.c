// SPDX-License-Identifier: ISC
/* What failures cost. See penalty.h. */
#include "auth/penalty.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"

enum {
	WHOLE = 1000 /* parts of one failure, so that counts go down smoothly */,
	WITHOUT_LIMIT = 20 /* counted to, where no limit is set: for the delay */
};

/* One of a table, in the order of the last touch. */
struct penalty_entry {
	struct penalty_entry *older, *newer;
	int64_t level; /* parts of failures, at `touched` */
	int64_t touched,
		failed; /* time of the last change, and of the last failure (or good login) */
	size_t key_length;
	char key[];
};

struct penalty_table {
	struct map map;
	struct penalty_entry *oldest, *newest;
	size_t most;
};

struct penalties {
	struct penalty_limits limits;
	struct penalty_table networks, accounts, known;
};

/* --- tables --- */

static void unlist(struct penalty_table *table, struct penalty_entry *entry)
{
	*(entry->older ? &entry->older->newer : &table->oldest) = entry->newer;
	*(entry->newer ? &entry->newer->older : &table->newest) = entry->older;
	entry->older = entry->newer = NULL;
}

static void list(struct penalty_table *table, struct penalty_entry *entry)
{
	entry->older = table->newest;
	*(table->newest ? &table->newest->newer : &table->oldest) = entry;
	table->newest = entry;
}

static void drop(struct penalty_table *table, struct penalty_entry *entry)
{
	unlist(table, entry);
	map_remove(&table->map, slice_of(entry->key, entry->key_length));
	free(entry);
}

static struct penalty_entry *find(const struct penalty_table *table, struct slice key)
{
	return map_get(&table->map, key);
}

/* The entry, made if need be, as the one touched last. NULL when memory is out. */
static struct penalty_entry *touch(struct penalty_table *table, struct slice key)
{
	struct penalty_entry *entry = find(table, key);

	if (entry) {
		unlist(table, entry);
		list(table, entry);
		return entry;
	}
	if (table->map.count >= table->most)
		drop(table, table->oldest);
	entry = calloc(1, sizeof(*entry) + key.length);
	if (!entry || !map_put(&table->map, key, entry)) {
		free(entry);
		return NULL;
	}
	memcpy(entry->key, key.data, key.length);
	entry->key_length = key.length;
	list(table, entry);
	return entry;
}

static void table_free(struct penalty_table *table)
{
	while (table->oldest)
		drop(table, table->oldest);
	map_free(&table->map);
}

struct penalties *penalties_new(const struct penalty_limits *limits)
{
	struct penalties *penalties = calloc(1, sizeof(*penalties));

	if (!penalties)
		return NULL;
	penalties->limits = *limits;
	penalties->networks.most = PENALTY_NETWORKS;
	penalties->accounts.most = PENALTY_ACCOUNTS;
	penalties->known.most = PENALTY_KNOWN;
	return penalties;
}

void penalties_free(struct penalties **penalties)
{
	if (!*penalties)
		return;
	table_free(&(*penalties)->networks);
	table_free(&(*penalties)->accounts);
	table_free(&(*penalties)->known);
	free(*penalties);
	*penalties = NULL;
}

size_t penalties_count(const struct penalties *penalties)
{
	return penalties->networks.map.count + penalties->accounts.map.count +
	       penalties->known.map.count;
}

/* --- counts --- */

/* What is left of a count: it goes down by `limit` failures in one window. */
static int64_t level_now(const struct penalties *penalties, const struct penalty_entry *entry,
	unsigned limit, int64_t now)
{
	int64_t passed = now - entry->touched, window = penalties->limits.window;
	int64_t rate = (int64_t)(limit ? limit : WITHOUT_LIMIT) * WHOLE;

	if (passed >= window)
		return 0;
	return passed * rate / window >= entry->level ? 0 : entry->level - passed * rate / window;
}

/* One failure more; the whole failures that there were before. A count stops at its limit, so that what it goes down to by
 * and by is not put off by the length of an attack. */
static int64_t count_failure(const struct penalties *penalties, struct penalty_table *table,
	struct slice key, unsigned limit, int64_t now)
{
	struct penalty_entry *entry = touch(table, key);
	int64_t most = (int64_t)(limit ? limit : WITHOUT_LIMIT) * WHOLE, before;

	if (!entry)
		return 0;
	before = level_now(penalties, entry, limit, now);
	entry->level = before + WHOLE > most ? most : before + WHOLE;
	entry->touched = entry->failed = now;
	return (before + WHOLE - 1) / WHOLE;
}

/* At the limit, but for what has gone down since. */
static bool at_limit(const struct penalties *penalties, const struct penalty_table *table,
	struct slice key, unsigned limit, int64_t now)
{
	const struct penalty_entry *entry = limit ? find(table, key) : NULL;

	return entry && level_now(penalties, entry, limit, now) > (int64_t)(limit - 1) * WHOLE;
}

/* --- networks --- */

void penalty_network(const char *address, char network[PENALTY_NETWORK_TEXT])
{
	network_of(address, 32, 64, network);
}

static bool exempt(const struct penalties *penalties, const char *address)
{
	return network_match(penalties->limits.exempt, address);
}

bool penalties_network_refused(struct penalties *penalties, int64_t now, const char *address)
{
	char network[PENALTY_NETWORK_TEXT];

	penalty_network(address, network);
	return at_limit(penalties, &penalties->networks, slice_from(network),
		       penalties->limits.network, now) &&
	       !exempt(penalties, address);
}

bool penalties_suspect(struct penalties *penalties, int64_t now, const char *address)
{
	const struct penalty_entry *entry;
	char network[PENALTY_NETWORK_TEXT];

	penalty_network(address, network);
	entry = find(&penalties->networks, slice_from(network));
	return entry && now - entry->failed < penalties->limits.window;
}

/* --- accounts --- */

/* "login network": neither has a space in it. */
static struct slice known_key(const char *login, const char *network, char *text, size_t size)
{
	size_t length = strlen(login), rest = strlen(network);

	if (length + 1 + rest > size)
		return slice_of(text, 0);
	memcpy(text, login, length);
	text[length] = ' ';
	memcpy(text + length + 1, network, rest);
	return slice_of(text, length + 1 + rest);
}

static bool is_known(
	const struct penalties *penalties, int64_t now, const char *network, const char *login)
{
	char text[512];
	struct slice key = known_key(login, network, text, sizeof(text));
	const struct penalty_entry *entry = key.length ? find(&penalties->known, key) : NULL;

	return entry && now - entry->touched < penalties->limits.known;
}

bool penalties_account_refused(
	struct penalties *penalties, int64_t now, const char *address, const char *login)
{
	char network[PENALTY_NETWORK_TEXT];

	if (!at_limit(penalties, &penalties->accounts, slice_from(login), penalties->limits.account,
		    now) ||
		!penalties_suspect(penalties, now, address) || exempt(penalties, address))
		return false;
	penalty_network(address, network);
	return !is_known(penalties, now, network, login);
}

static int64_t delay_after(const struct penalty_limits *limits, int64_t failures)
{
	int64_t delay = limits->delay;

	for (int64_t i = 0; i < failures && delay < limits->delay_most; i++)
		delay *= 2;
	return delay < limits->delay_most ? delay : limits->delay_most;
}

int64_t penalties_failed(
	struct penalties *penalties, int64_t now, const char *address, const char *login)
{
	const struct penalty_limits *limits = &penalties->limits;
	int64_t of_network, of_account = 0;
	char network[PENALTY_NETWORK_TEXT];

	if (exempt(penalties, address))
		return delay_after(limits, 0);
	penalty_network(address, network);
	of_network = count_failure(
		penalties, &penalties->networks, slice_from(network), limits->network, now);
	if (login[0] && !is_known(penalties, now, network, login))
		of_account = count_failure(
			penalties, &penalties->accounts, slice_from(login), limits->account, now);
	return delay_after(limits, of_network > of_account ? of_network : of_account);
}

int64_t penalties_refused(struct penalties *penalties, int64_t now, const char *address)
{
	char network[PENALTY_NETWORK_TEXT];

	penalty_network(address, network);
	if (!exempt(penalties, address))
		(void)count_failure(penalties, &penalties->networks, slice_from(network),
			penalties->limits.network, now);
	return penalties_longest_delay(penalties);
}

void penalties_good(
	struct penalties *penalties, int64_t when, const char *address, const char *login)
{
	char network[PENALTY_NETWORK_TEXT], text[512];
	struct penalty_entry *entry;
	struct slice key;

	/* Whoever comes through an exempt client could be anybody: it is nobody's own network. */
	if (exempt(penalties, address))
		return;
	penalty_network(address, network);
	key = known_key(login, network, text, sizeof(text));
	entry = key.length ? touch(&penalties->known, key) : NULL;
	if (entry && (entry->touched < when || !entry->level)) {
		entry->touched = when;
		entry->level = WHOLE;
	}
}

int64_t penalties_longest_delay(const struct penalties *penalties)
{
	return penalties->limits.delay_most;
}
