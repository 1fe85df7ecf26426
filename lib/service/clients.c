// SPDX-License-Identifier: ISC
/* Counts and rates by client. See clients.h. */
#include "service/clients.h"

#include <stdlib.h>

enum { RATE_CONNECTION = CLIENTS_RATES, RATE_KINDS };
_Static_assert((int)CLIENTS_CUT_OFF < (int)CLIENTS_RATES, "a kind of event that is counted");

struct clients_entry {
	struct clients_entry *older, *newer; /* while without connections */
	unsigned connections, trusted; /* and how many of these are */
	int64_t since; /* start of the time unit that the rates count in */
	unsigned rate[RATE_KINDS];
	bool exempt, listed;
	char network[NETWORK_TEXT];
};

/* Whose entry it is. */
struct client {
	bool exempt;
	char network[NETWORK_TEXT];
};

bool clients_open(struct clients *clients, const struct front_limits *limits)
{
	*clients = (struct clients){ .limits = *limits };
	if (clients->limits.unit < 1)
		clients->limits.unit = 60000;
	clients->exempt = strdup(limits->exempt ? limits->exempt : "");
	clients->limits.exempt = clients->exempt;
	return clients->exempt != NULL;
}

static void list_remove(struct clients *clients, struct clients_entry *entry)
{
	if (!entry->listed)
		return;
	*(entry->older ? &entry->older->newer : &clients->oldest) = entry->newer;
	*(entry->newer ? &entry->newer->older : &clients->newest) = entry->older;
	entry->older = entry->newer = NULL;
	entry->listed = false;
	clients->remembered--;
}

static void list_add(struct clients *clients, struct clients_entry *entry)
{
	entry->older = clients->newest;
	*(clients->newest ? &clients->newest->newer : &clients->oldest) = entry;
	clients->newest = entry;
	entry->listed = true;
	clients->remembered++;
}

static void forget(struct clients *clients, struct clients_entry *entry)
{
	list_remove(clients, entry);
	map_remove(&clients->map, slice_from(entry->network));
	free(entry);
}

static bool free_one(void *context, struct slice key, void *value)
{
	free(value);
	return true;
}

void clients_free(struct clients *clients)
{
	map_each(&clients->map, free_one, NULL);
	map_free(&clients->map);
	free(clients->exempt);
	*clients = (struct clients){ 0 };
}

static bool has_rates(const struct clients_entry *entry)
{
	for (unsigned i = 0; i < RATE_KINDS; i++) {
		if (entry->rate[i])
			return true;
	}
	return false;
}

void clients_expire(struct clients *clients, int64_t now)
{
	struct clients_entry *next;

	for (struct clients_entry *e = clients->oldest; e; e = next) {
		next = e->newer;
		if (now - e->since >= clients->limits.unit)
			forget(clients, e);
	}
}

/* Who is exempt does not count for his network, in which others may be: he is looked at alone. */
static struct client client_of(const struct clients *clients, const char *address)
{
	const struct front_limits *limits = &clients->limits;
	struct client client = { .exempt = network_match(clients->exempt, address) };

	network_of(address, client.exempt ? 32 : limits->ipv4_prefix,
		client.exempt ? 128 : limits->ipv6_prefix, client.network);
	return client;
}

/* NULL when there is none. */
static struct clients_entry *find(const struct clients *clients, const char *address)
{
	struct client client = client_of(clients, address);

	return map_get(&clients->map, slice_from(client.network));
}

static struct clients_entry *add_entry(
	struct clients *clients, const struct client *client, int64_t now)
{
	struct clients_entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return NULL;
	memcpy(entry->network, client->network, sizeof(entry->network));
	entry->since = now;
	entry->exempt = client->exempt;
	if (map_put(&clients->map, slice_from(entry->network), entry))
		return entry;
	free(entry);
	return NULL;
}

/* NULL when memory is out. */
static struct clients_entry *entry_of(struct clients *clients, const char *address, int64_t now)
{
	struct client client = client_of(clients, address);
	struct clients_entry *entry = map_get(&clients->map, slice_from(client.network));

	if (!entry)
		entry = add_entry(clients, &client, now);
	if (entry && now - entry->since >= clients->limits.unit) {
		entry->since = now;
		memset(entry->rate, 0, sizeof(entry->rate));
	}
	return entry;
}

/* An entry without connections stays for its rates, if there are any. */
static void settle(struct clients *clients, struct clients_entry *entry)
{
	if (entry->connections)
		return;
	if (!has_rates(entry)) {
		forget(clients, entry);
		return;
	}
	list_remove(clients, entry);
	list_add(clients, entry);
	if (clients->remembered > CLIENTS_REMEMBERED)
		forget(clients, clients->oldest);
}

static enum front_refusal judge(struct clients *clients, struct clients_entry *entry)
{
	const struct front_limits *limits = &clients->limits;

	if (limits->connections && clients->connections >= limits->connections)
		return FRONT_TOO_MANY;
	if (entry->exempt)
		return FRONT_ACCEPTED;
	if (limits->connections_per_client && entry->connections >= limits->connections_per_client)
		return FRONT_TOO_MANY_FROM_CLIENT;
	if (limits->rate_per_client && entry->rate[RATE_CONNECTION] > limits->rate_per_client)
		return FRONT_TOO_FAST;
	return FRONT_ACCEPTED;
}

static void count_event(struct clients_entry *entry, unsigned what)
{
	if (entry->rate[what] < UINT32_MAX)
		entry->rate[what]++;
}

enum front_refusal clients_enter(struct clients *clients, const char *address, int64_t now)
{
	struct clients_entry *entry = entry_of(clients, address, now);
	enum front_refusal refusal;

	if (!entry)
		return FRONT_TOO_MANY;
	if (clients->limits.rate_per_client && !entry->exempt)
		count_event(entry, RATE_CONNECTION);
	refusal = judge(clients, entry);
	if (refusal == FRONT_ACCEPTED) {
		list_remove(clients, entry);
		entry->connections++;
		clients->connections++;
	}
	settle(clients, entry);
	return refusal;
}

void clients_leave(struct clients *clients, const char *address, int64_t now)
{
	struct clients_entry *entry = find(clients, address);

	if (!entry || !entry->connections)
		return;
	entry->connections--;
	clients->connections--;
	settle(clients, entry);
}

bool clients_rate(
	struct clients *clients, const char *address, unsigned what, unsigned limit, int64_t now)
{
	struct clients_entry *entry;
	bool over;

	if (!limit || what >= CLIENTS_RATES)
		return false;
	entry = entry_of(clients, address, now);
	if (!entry || entry->exempt) {
		if (entry)
			settle(clients, entry);
		return false;
	}
	count_event(entry, what);
	over = entry->rate[what] > limit;
	settle(clients, entry);
	return over;
}

void clients_trust(struct clients *clients, const char *address, bool more)
{
	struct clients_entry *entry = find(clients, address);

	if (!entry)
		return;
	if (more && entry->trusted < entry->connections)
		entry->trusted++;
	else if (!more && entry->trusted)
		entry->trusted--;
}

void clients_network(const struct clients *clients, const char *address, char network[NETWORK_TEXT])
{
	struct client client = client_of(clients, address);

	memcpy(network, client.network, sizeof(client.network));
}

unsigned clients_crowd(const struct clients *clients, const char *network)
{
	const struct clients_entry *entry = map_get(&clients->map, slice_from(network));

	if (!entry || entry->exempt)
		return 1;
	return entry->connections - entry->trusted + entry->rate[CLIENTS_CUT_OFF];
}

unsigned clients_count(const struct clients *clients, const char *address)
{
	const struct clients_entry *entry = find(clients, address);

	return entry ? entry->connections : 0;
}
