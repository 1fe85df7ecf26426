// SPDX-License-Identifier: ISC
/* directoryd's answers: opening and closing the lists and tables they come from, and whether those have changed. See answer.h. */
#include <stdio.h>
#include <stdlib.h>

#include "config/config.h"
#include "directory/answer_impl.h"

enum { DIRECTORY_ARENA = 16 << 20 /* memory for one question */ };

/* --- opening --- */

static bool has_item(const char *list, const char *item)
{
	struct slice rest = slice_from(list), word;

	while (slice_word(&rest, ", \t", &word))
		if (slice_equal(word, slice_from(item)))
			return true;
	return false;
}

static bool open_lists(struct directory *d, char *error, size_t error_size)
{
	const struct directory_settings *s = &d->settings;
	const char *const lists[LIST_COUNT] = { [LIST_MYDESTINATION] = s->mydestination,
		[LIST_ALIAS_DOMAINS] = s->virtual_alias_domains,
		[LIST_MAILBOX_DOMAINS] = s->virtual_mailbox_domains,
		[LIST_RELAY_DOMAINS] = s->relay_domains };
	const char *const names[LIST_COUNT] = { [LIST_MYDESTINATION] = "mydestination",
		[LIST_ALIAS_DOMAINS] = "virtual_alias_domains",
		[LIST_MAILBOX_DOMAINS] = "virtual_mailbox_domains",
		[LIST_RELAY_DOMAINS] = "relay_domains" };

	for (int i = 0; i < LIST_COUNT; i++) {
		d->lists[i] = names_open(lists[i], s->folder,
			has_item(s->parent_domain_matches_subdomains, names[i]), error, error_size);
		if (!d->lists[i])
			return false;
	}
	return true;
}

static bool open_maps(struct directory *d, char *error, size_t error_size)
{
	const struct directory_settings *s = &d->settings;
	const char *const maps[MAPS_COUNT] = { [MAPS_ALIAS] = s->virtual_alias_maps,
		[MAPS_MAILBOX] = s->virtual_mailbox_maps,
		[MAPS_LOCAL] = s->local_recipient_maps,
		[MAPS_RELAY] = s->relay_recipient_maps,
		[MAPS_TRANSPORT] = s->transport_maps };

	for (int i = 0; i < MAPS_COUNT; i++) {
		d->maps[i] = table_list_open(maps[i], s->folder, TABLE_FOLD, error, error_size);
		if (!d->maps[i])
			return false;
	}
	d->parents_transport = has_item(s->parent_domain_matches_subdomains, "transport_maps");
	return true;
}

struct lookups_opening {
	struct directory *d;
	char *error;
	size_t error_size;
};

static bool open_lookup(void *context, struct slice item)
{
	struct lookups_opening *opening = context;
	struct directory *d = opening->d;
	struct table_list *list;
	char *spec;

	if (map_get(&d->lookups, item))
		return true;
	spec = slice_dup(item);
	list = spec ? table_list_open(spec, d->settings.folder, TABLE_FOLD, opening->error,
			      opening->error_size)
		    : NULL;
	free(spec);
	if (list && map_put(&d->lookups, item, list))
		return true;
	table_list_close(&list);
	if (!opening->error[0])
		snprintf(opening->error, opening->error_size, "out of memory");
	return false;
}

struct directory *directory_open(
	const struct directory_settings *settings, char *error, size_t error_size)
{
	struct directory *d = calloc(1, sizeof(*d));
	struct lookups_opening lookups = { d, error, error_size };

	error[0] = '\0';
	if (!d) {
		snprintf(error, error_size, "out of memory");
		return NULL;
	}
	d->settings = *settings;
	memory_open(d);
	arena_init(&d->arena, DIRECTORY_ARENA);
	directory_check_accounts(d);
	if (open_lists(d, error, error_size) && open_maps(d, error, error_size)) {
		(void)config_each(settings->lookup_tables, open_lookup, &lookups);
		if (!error[0])
			return d;
	}
	directory_close(&d);
	return NULL;
}

static bool close_lookup(void *context, struct slice key, void *value)
{
	struct table_list *list = value;

	table_list_close(&list);
	return true;
}

void directory_close(struct directory **directory)
{
	struct directory *d = *directory;

	if (!d)
		return;
	memory_close(d);
	map_each(&d->lookups, close_lookup, NULL);
	map_free(&d->lookups);
	for (int i = 0; i < LIST_COUNT; i++)
		names_close(&d->lists[i]);
	for (int i = 0; i < MAPS_COUNT; i++)
		table_list_close(&d->maps[i]);
	accounts_close(&d->accounts);
	arena_free(&d->arena);
	buffer_free(&d->value);
	free(d);
	*directory = NULL;
}

/* --- changes --- */

static bool lookup_changed(void *context, struct slice key, void *value)
{
	const struct table_list **changed = context;

	if (table_list_changed(value))
		*changed = value;
	return !*changed;
}

const char *directory_changed(struct directory *d)
{
	static const char *const LIST_NAMES[LIST_COUNT] = { "mydestination",
		"virtual_alias_domains", "virtual_mailbox_domains", "relay_domains" };
	static const char *const MAPS_NAMES[MAPS_COUNT] = { "virtual_alias_maps",
		"virtual_mailbox_maps", "local_recipient_maps", "relay_recipient_maps",
		"transport_maps" };
	const struct table_list *changed = NULL;

	for (int i = 0; i < LIST_COUNT; i++)
		if (names_changed(d->lists[i]))
			return LIST_NAMES[i];
	for (int i = 0; i < MAPS_COUNT; i++)
		if (table_list_changed(d->maps[i]))
			return MAPS_NAMES[i];
	map_each(&d->lookups, lookup_changed, &changed);
	return changed ? "a restriction" : NULL;
}
