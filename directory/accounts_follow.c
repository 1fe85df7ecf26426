// SPDX-License-Identifier: ISC
/* accounts.db: the aliases that lead to a mailbox, when that gets another address or goes. See accounts.h. */
#include <stdio.h>

#include "base/arena.h"
#include "base/vector.h"
#include "directory/accounts_impl.h"
#include "directory/extension.h"

/* Made when it is first needed: databases of older versions have no such index. */
static const char INDEX[] =
	"CREATE INDEX IF NOT EXISTS aliases_destination ON aliases (lower(destination));";

enum { FOLLOWERS_MAX = 10000000, FOLLOWERS_MEMORY = 1 << 30 };

/* A row of the aliases whose destination is the mailbox. */
struct follower {
	int64_t id;
	struct slice address, destination;
	struct slice extension; /* of the destination, with its delimiter */
};

struct search {
	struct accounts *accounts;
	const char *delimiters;
	struct slice local, domain; /* of the mailbox */
	struct arena arena;
	struct vector followers;
};

/* Has the whole address, extension and all, a mailbox or alias of its own? */
static enum accounts_status known(struct accounts *accounts, struct slice address)
{
	struct accounts_mailbox mailbox;
	struct buffer destinations = { 0 };
	enum accounts_status status = accounts_mailbox(accounts, address, &mailbox);

	if (status == ACCOUNTS_NOT_FOUND)
		status = accounts_alias(accounts, address, &destinations);
	buffer_free(&destinations);
	return status;
}

/* Does the destination lead to the mailbox? As directoryd finds it: the case of ASCII letters, and how a domain is written, count for nothing. */
static enum accounts_status leads_here(
	struct search *search, struct slice destination, struct slice *extension)
{
	ptrdiff_t at = slice_find_last(destination, '@');
	char domain[ACCOUNTS_MAX_DOMAIN + 1], error[200], *key;
	struct slice local;
	size_t end;

	if (at <= 0 ||
		!accounts_check_domain(destination.data + at + 1, domain, error, sizeof(error)) ||
		!slice_equal(slice_from(domain), search->domain))
		return ACCOUNTS_NOT_FOUND;
	key = arena_printf(&search->arena, "%.*s@%s", (int)at, destination.data, domain);
	if (!key)
		return ACCOUNTS_ERROR;
	for (ptrdiff_t i = 0; i < at; i++)
		key[i] = ascii_lower(key[i]);
	local = slice_of(key, (size_t)at);
	*extension = slice_of("", 0);
	if (slice_equal(local, search->local))
		return ACCOUNTS_FOUND;
	end = extension_delimiter(local, search->delimiters);
	if (end == local.length || !slice_equal(slice_head(local, end), search->local))
		return ACCOUNTS_NOT_FOUND;
	*extension = slice_of(destination.data + end, (size_t)at - end);
	switch (known(search->accounts, slice_from(key))) {
	case ACCOUNTS_FOUND:
		return ACCOUNTS_NOT_FOUND;
	case ACCOUNTS_NOT_FOUND:
		return ACCOUNTS_FOUND;
	default:
		return ACCOUNTS_ERROR;
	}
}

static bool keep(struct search *search, sqlite3_stmt *row)
{
	struct follower found = { .id = sqlite3_column_int64(row, 0),
		.address = arena_slice(&search->arena, database_column(row, 1)),
		.destination = arena_slice(&search->arena, database_column(row, 2)) };
	struct follower *follower;

	if (!found.address.data || !found.destination.data)
		return false;
	switch (leads_here(search, found.destination, &found.extension)) {
	case ACCOUNTS_NOT_FOUND:
		return true;
	case ACCOUNTS_FOUND:
		follower = vector_add(&search->followers);
		if (follower)
			*follower = found;
		return follower != NULL;
	default:
		return false;
	}
}

/* By the beginning of the destination, which the index knows. */
static bool find_rows(struct search *search, char *error, size_t error_size)
{
	static const char LAST[] = "\xf4\x8f\xbf\xbf"; /* U+10FFFF */
	sqlite3_stmt *statement = database_prepare(search->accounts->db,
		"SELECT id, address, destination FROM aliases"
		" WHERE lower(destination) >= ?1 AND lower(destination) < ?2 ORDER BY id",
		error, error_size);
	char *end = arena_printf(&search->arena, "%.*s%s", SLICE_ARG(search->local), LAST);
	int result = SQLITE_ERROR;

	if (!statement)
		return false;
	if (end && database_bind(statement, 1, search->local) &&
		database_bind(statement, 2, slice_from(end)))
		while ((result = sqlite3_step(statement)) == SQLITE_ROW)
			if (!keep(search, statement))
				break;
	if (result == SQLITE_ROW || result == SQLITE_ERROR)
		snprintf(error, error_size, "the aliases cannot be read, or memory is out");
	else if (result != SQLITE_DONE)
		snprintf(error, error_size, "%s", sqlite3_errmsg(search->accounts->db));
	sqlite3_finalize(statement);
	return result == SQLITE_DONE;
}

/* `address` in lower case. What is found lives until search_end. */
static bool search_begin(struct search *search, struct accounts *accounts, const char *address,
	const char *delimiters, char *error, size_t error_size)
{
	const char *domain = strrchr(address, '@') + 1;

	*search = (struct search){ .accounts = accounts,
		.delimiters = delimiters,
		.local = slice_of(address, (size_t)(domain - 1 - address)),
		.domain = slice_from(domain),
		.followers = vector_of(sizeof(struct follower), FOLLOWERS_MAX) };
	arena_init(&search->arena, FOLLOWERS_MEMORY);
	return database_run(accounts->db, INDEX, error, error_size) &&
	       find_rows(search, error, error_size);
}

static void search_end(struct search *search)
{
	vector_free(&search->followers);
	arena_free(&search->arena);
}

/* --- a mailbox gets another address --- */

/* Where the alias leads there already, one of the two is enough. */
static bool lead(struct search *search, sqlite3_stmt *statement, const struct follower *follower,
	const char *new_address)
{
	const char *at = strrchr(new_address, '@');
	char *text = arena_printf(&search->arena, "%.*s%.*s%s", (int)(at - new_address),
		new_address, SLICE_ARG(follower->extension), at);
	bool done;

	if (!text || !database_bind(statement, 1, slice_from(text)))
		return false;
	sqlite3_bind_int64(statement, 2, follower->id);
	done = sqlite3_step(statement) == SQLITE_DONE;
	database_reset(statement);
	return done;
}

bool accounts_lead_aliases(struct accounts *accounts, const char *address, const char *new_address,
	const char *delimiters, unsigned *count, char *error, size_t error_size)
{
	struct search search;
	sqlite3_stmt *statement = NULL;
	bool done = search_begin(&search, accounts, address, delimiters, error, error_size) &&
		    (statement = database_prepare(accounts->db,
			     "UPDATE OR REPLACE aliases SET destination = ?1 WHERE id = ?2", error,
			     error_size));

	*count = 0;
	for (size_t i = 0; done && i < search.followers.count; i++) {
		done = lead(&search, statement, vector_at(&search.followers, i), new_address);
		*count += done;
		if (!done)
			snprintf(error, error_size, "an alias of %s: %s", address,
				sqlite3_errmsg(accounts->db));
	}
	sqlite3_finalize(statement);
	search_end(&search);
	return done;
}

/* --- a mailbox is gone --- */

/* May its mail still go on, by an alias of its address or of the whole domain? */
static enum accounts_status goes_on(struct accounts *accounts, const char *address)
{
	struct buffer destinations = { 0 };
	enum accounts_status status = accounts_alias(accounts, slice_from(address), &destinations);

	if (status == ACCOUNTS_NOT_FOUND)
		status = accounts_alias(accounts, slice_from(strrchr(address, '@')), &destinations);
	buffer_free(&destinations);
	return status;
}

bool accounts_each_dangling(struct accounts *accounts, const char *address, const char *delimiters,
	bool (*each)(void *context, const struct accounts_alias_entry *alias), void *context,
	char *error, size_t error_size)
{
	enum accounts_status further = goes_on(accounts, address);
	struct search search;
	bool done = search_begin(&search, accounts, address, delimiters, error, error_size);

	if (done && further == ACCOUNTS_ERROR) {
		snprintf(error, error_size, "%s", accounts_error(accounts));
		done = false;
	}
	for (size_t i = 0; done && i < search.followers.count; i++) {
		const struct follower *follower = vector_at(&search.followers, i);
		struct accounts_alias_entry alias = { follower->address, follower->destination };

		/* An alias of the address for itself meant the mailbox, and nothing else. */
		if (further == ACCOUNTS_FOUND &&
			!slice_equal(follower->address, slice_from(address)))
			continue;
		if (!each(context, &alias))
			break;
	}
	search_end(&search);
	return done;
}
