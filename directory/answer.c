// SPDX-License-Identifier: ISC
/* Opening everything, DIRECTORY_RECIPIENT, DIRECTORY_LOOKUP, and the memory of answers. See answer.h. */
#include "directory/answer.h"

#include <stdio.h>
#include <stdlib.h>

#include "config/config.h"
#include "directory/answer_impl.h"

enum {
	DIRECTORY_ARENA = 16 << 20, /* memory for one question */
	REMEMBERED_MOST = 10000, /* answers */
	REMEMBERED_BYTES = 64 * 1024, /* of one question's answers */
	REMEMBERED_TIME = 1000 /* ms */
};

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
	d->answer_order = vector_of(sizeof(void *), REMEMBERED_MOST);
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

static void forget_all(struct directory *d);

void directory_close(struct directory **directory)
{
	struct directory *d = *directory;

	if (!d)
		return;
	forget_all(d);
	map_free(&d->answers);
	vector_free(&d->answer_order);
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

/* --- DIRECTORY_RECIPIENT --- */

/* By the maps of the class; an empty list of maps knows everybody. */
static enum directory_status listed(
	struct directory *d, enum directory_maps maps, const struct recipient *r)
{
	struct slice extension;

	if (table_list_count(d->maps[maps]) == 0)
		return DIRECTORY_FOUND;
	return status_of_table(table_lookup_address(d->maps[maps], r->key,
		d->settings.recipient_delimiter, maps == MAPS_LOCAL, &d->value, &extension));
}

static enum directory_status mailbox_listed(
	struct directory *d, const struct recipient *r, bool accounts)
{
	struct buffer path = { 0 };
	enum directory_status status;
	int64_t quota;

	status = find_mailbox(d, r, &path, &quota);
	buffer_free(&path);
	if (status == DIRECTORY_NOT_FOUND && !accounts &&
		table_list_count(d->maps[MAPS_MAILBOX]) == 0)
		return DIRECTORY_FOUND; /* the domain is handed to another transport that knows its users */
	return status;
}

enum directory_status check_recipient(struct directory *d, const struct recipient *r,
	enum domain_class *class, const char **reason)
{
	static const char *const UNKNOWN[] = { [DOMAIN_LOCAL] =
						       "User unknown in local recipient table",
		[DOMAIN_VIRTUAL_ALIAS] = "User unknown in virtual alias table",
		[DOMAIN_VIRTUAL_MAILBOX] = "User unknown in virtual mailbox table",
		[DOMAIN_RELAY] = "User unknown in relay recipient table" };
	enum directory_status status;
	struct slice extension;
	bool accounts;

	*reason = "";
	*class = classify(d, r, &accounts);
	if (*class == DOMAIN_UNKNOWN)
		return DIRECTORY_TEMPORARY;
	if (*class == DOMAIN_OTHER)
		return DIRECTORY_NOT_OURS;
	status = find_alias(d, r, &extension);
	if (status != DIRECTORY_NOT_FOUND)
		return status;
	if (*class == DOMAIN_VIRTUAL_MAILBOX)
		status = mailbox_listed(d, r, accounts);
	else if (*class == DOMAIN_LOCAL)
		status = listed(d, MAPS_LOCAL, r);
	else if (*class == DOMAIN_RELAY)
		status = listed(d, MAPS_RELAY, r);
	if (status == DIRECTORY_NOT_FOUND)
		*reason = UNKNOWN[*class];
	return status;
}

void answer_recipient(
	struct directory *d, const struct message *question, answer_send send, void *context)
{
	struct message answer = { .type = MESSAGE_DIRECTORY_RECIPIENT_ANSWER };
	struct message_directory_recipient_answer *fields = &answer.directory_recipient_answer;
	enum domain_class class = DOMAIN_UNKNOWN;
	const char *reason = "Bad recipient address syntax";
	struct recipient r;
	enum directory_status status =
		recipient_parse(d, question->directory_recipient.recipient, &r);

	if (status == DIRECTORY_FOUND)
		status = check_recipient(d, &r, &class, &reason);
	if (status == DIRECTORY_TEMPORARY)
		reason = "Temporary lookup failure";
	fields->serial = question->directory_recipient.serial;
	fields->status = status;
	fields->domain_class = class;
	fields->reason = slice_from(reason);
	send(context, &answer);
}

/* --- DIRECTORY_LOOKUP --- */

struct lookup {
	struct directory *d;
	const struct message_directory_lookup *asked;
	enum table_status status;
};

static bool lookup_item(void *context, struct slice item)
{
	struct lookup *lookup = context;
	struct table_list *list = map_get(&lookup->d->lookups, item);

	if (!list)
		lookup->status = TABLE_ERROR; /* it does not stand in the configuration */
	else if (lookup->asked->part)
		lookup->status =
			table_list_lookup_part(list, lookup->asked->key, &lookup->d->value);
	else
		lookup->status = table_list_lookup(list, lookup->asked->key, &lookup->d->value);
	return lookup->status == TABLE_NOT_FOUND;
}

void answer_lookup(
	struct directory *d, const struct message *question, answer_send send, void *context)
{
	struct message answer = { .type = MESSAGE_DIRECTORY_LOOKUP_ANSWER };
	struct lookup lookup = { d, &question->directory_lookup, TABLE_NOT_FOUND };
	char *tables = arena_dup(&d->arena, question->directory_lookup.tables);

	if (tables)
		(void)config_each(tables, lookup_item, &lookup);
	/* A list of restrictions that is cut off might say yes where the whole says no. */
	if (lookup.status == TABLE_FOUND && d->value.length > MAX_REASON)
		lookup.status = TABLE_ERROR;
	answer.directory_lookup_answer.serial = question->directory_lookup.serial;
	answer.directory_lookup_answer.status =
		tables ? status_of_table(lookup.status) : DIRECTORY_TEMPORARY;
	if (lookup.status == TABLE_FOUND)
		answer.directory_lookup_answer.value = buffer_slice(&d->value);
	send(context, &answer);
}

/* --- the memory of answers --- */

/* The packets of one question's answers, each behind its length. */
struct remembered {
	int64_t until;
	size_t key_length;
	char key[1 + MAX_ADDRESS];
	struct buffer packets;
};

struct recording {
	struct buffer packets;
	bool unsure; /* something temporary, or too large: not to be remembered */
	answer_send send;
	void *context;
};

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
	size_t before = recording->packets.length;
	uint32_t length = 0;

	recording->send(recording->context, answer);
	buffer_append(&recording->packets, &length, sizeof(length));
	if (status_in(answer) == DIRECTORY_TEMPORARY || recording->packets.failed ||
		!message_encode(answer, &recording->packets)) {
		recording->unsure = true;
		return;
	}
	length = (uint32_t)(recording->packets.length - before - sizeof(length));
	memcpy(recording->packets.data + before, &length, sizeof(length));
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
	uint32_t length;

	while (rest.length > sizeof(length)) {
		memcpy(&length, rest.data, sizeof(length));
		if (!message_decode(slice_head(slice_tail(rest, sizeof(length)), length), &answer))
			return;
		/* The serial is the first field of every answer. */
		answer.directory_recipient_answer.serial = serial;
		send(context, &answer);
		rest = slice_tail(rest, sizeof(length) + length);
	}
}

static const struct kind {
	enum message_type type;
	bool remembered;
	void (*answer)(struct directory *d, const struct message *question, answer_send send,
		void *context);
} KINDS[] = {
	{ MESSAGE_DIRECTORY_RECIPIENT, true, answer_recipient },
	{ MESSAGE_DIRECTORY_EXPAND, true, answer_expand },
	{ MESSAGE_DIRECTORY_RESOLVE, true, answer_resolve },
	{ MESSAGE_DIRECTORY_MAILBOX, false, answer_mailbox },
	{ MESSAGE_DIRECTORY_LOOKUP, false, answer_lookup },
	{ MESSAGE_DIRECTORY_OWNER, false, answer_owner },
};

static struct slice subject_of(const struct message *question)
{
	return question->type == MESSAGE_DIRECTORY_RECIPIENT
		       ? question->directory_recipient.recipient
	       : question->type == MESSAGE_DIRECTORY_EXPAND ? question->directory_expand.recipient
							    : question->directory_resolve.recipient;
}

static void answer_remembered(struct directory *d, const struct kind *kind,
	const struct message *question, answer_send send, void *context)
{
	struct recording recording = {
		.packets = buffer_limited(REMEMBERED_BYTES), .send = send, .context = context
	};
	struct slice subject = subject_of(question), key;
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
	kind->answer(d, question, record, &recording);
	if (!entry)
		remember(d, key, &recording);
	buffer_free(&recording.packets);
}

bool directory_answer(
	struct directory *d, const struct message *question, answer_send send, void *context)
{
	const struct kind *kind = NULL;

	for (size_t i = 0; i < sizeof(KINDS) / sizeof(KINDS[0]); i++)
		if (KINDS[i].type == question->type)
			kind = &KINDS[i];
	if (!kind)
		return false;
	if (kind->remembered && subject_of(question).length <= MAX_ADDRESS)
		answer_remembered(d, kind, question, send, context);
	else
		kind->answer(d, question, send, context);
	arena_reset(&d->arena);
	return true;
}
