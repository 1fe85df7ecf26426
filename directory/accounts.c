// SPDX-License-Identifier: ISC
/* accounts.db: opening, changing and asking. See accounts.h; listings are in accounts_list.c. */
#include "directory/accounts.h"

#include <stdio.h>
#include <stdlib.h>

#include "directory/accounts_impl.h"
#include "mail/address.h"
#include "os/os.h"

static const char SCHEMA[] =
	"BEGIN IMMEDIATE;"
	"CREATE TABLE IF NOT EXISTS domains (domain TEXT PRIMARY KEY, created INTEGER NOT NULL) "
	"STRICT;"
	"CREATE TABLE IF NOT EXISTS mailboxes (id INTEGER PRIMARY KEY, address TEXT NOT NULL "
	"UNIQUE,"
	" domain TEXT NOT NULL REFERENCES domains (domain), path TEXT NOT NULL UNIQUE,"
	" quota INTEGER NOT NULL DEFAULT 0, enabled INTEGER NOT NULL DEFAULT 1, created INTEGER "
	"NOT NULL) STRICT;"
	"CREATE TABLE IF NOT EXISTS aliases (id INTEGER PRIMARY KEY, address TEXT NOT NULL,"
	" domain TEXT NOT NULL REFERENCES domains (domain), destination TEXT NOT NULL,"
	" created INTEGER NOT NULL, UNIQUE (address, destination)) STRICT;"
	"CREATE INDEX IF NOT EXISTS mailboxes_domain ON mailboxes (domain);"
	"CREATE INDEX IF NOT EXISTS aliases_domain ON aliases (domain);"
	"PRAGMA user_version = 1;"
	"COMMIT;";

static const char *const QUERIES[QUERY_COUNT] = {
	[QUERY_VERSION] = "PRAGMA data_version",
	[QUERY_DOMAIN] = "SELECT 1 FROM domains WHERE domain = ?1",
	[QUERY_MAILBOX] = "SELECT address, path, quota, enabled FROM mailboxes WHERE address = ?1",
	[QUERY_ALIAS] =
		"SELECT destination FROM aliases WHERE address = ?1 ORDER BY id LIMIT 10000",
	[QUERY_ANY_POSTMASTER] =
		"SELECT destination FROM aliases WHERE address = (SELECT address FROM aliases"
		" WHERE address GLOB 'postmaster@*' ORDER BY id LIMIT 1) ORDER BY id",
	[QUERY_FIRST_MAILBOX] = "SELECT address FROM mailboxes WHERE enabled ORDER BY id LIMIT 1",
	[QUERY_ADD_DOMAIN] = "INSERT INTO domains (domain, created) VALUES (?1, ?4)",
	[QUERY_DELETE_DOMAIN] = "DELETE FROM domains WHERE domain = ?1",
	[QUERY_ADD_MAILBOX] = "INSERT INTO mailboxes (address, domain, path, quota, created)"
			      " VALUES (?1, ?2, ?3, ?5, ?4)",
	[QUERY_DELETE_MAILBOX] = "DELETE FROM mailboxes WHERE address = ?1",
	[QUERY_RENAME_MAILBOX] =
		"UPDATE mailboxes SET address = ?3, domain = ?2 WHERE address = ?1",
	[QUERY_PATH] = "SELECT 1 FROM mailboxes WHERE path = ?1",
	[QUERY_SET_QUOTA] = "UPDATE mailboxes SET quota = ?5 WHERE address = ?1",
	[QUERY_ENABLE] = "UPDATE mailboxes SET enabled = ?5 WHERE address = ?1",
	[QUERY_ADD_ALIAS] = "INSERT INTO aliases (address, domain, destination, created) VALUES "
			    "(?1, ?2, ?3, ?4)",
	[QUERY_DELETE_ALIAS] = "DELETE FROM aliases WHERE address = ?1 AND destination = ?3",
	[QUERY_DELETE_ALIAS_ALL] = "DELETE FROM aliases WHERE address = ?1",
};

enum { ACCOUNTS_BUSY = 10000 /* ms */, CHECK_MEMORY = 8 << 10 };

bool accounts_open(
	const char *path, bool create, struct accounts **result, char *error, size_t error_size)
{
	struct accounts *accounts = calloc(1, sizeof(*accounts));

	if (!accounts) {
		snprintf(error, error_size, "%s: no memory", path);
		return false;
	}
	accounts->db =
		database_open(path, create ? DATABASE_CREATE : 0, ACCOUNTS_BUSY, error, error_size);
	if (!accounts->db || (create && !database_run(accounts->db, SCHEMA, error, error_size)))
		goto failed;
	for (int i = 0; i < QUERY_COUNT; i++) {
		accounts->query[i] = database_prepare(accounts->db, QUERIES[i], error, error_size);
		if (!accounts->query[i])
			goto failed;
	}
	*result = accounts;
	return true;
failed:
	accounts_close(&accounts);
	return false;
}

void accounts_close(struct accounts **accounts)
{
	if (!*accounts)
		return;
	for (int i = 0; i < QUERY_COUNT; i++)
		sqlite3_finalize((*accounts)->query[i]);
	sqlite3_close((*accounts)->db);
	free(*accounts);
	*accounts = NULL;
}

void accounts_set_patience(struct accounts *accounts, int milliseconds)
{
	sqlite3_busy_timeout(accounts->db, milliseconds);
}

const char *accounts_error(struct accounts *accounts)
{
	return sqlite3_errmsg(accounts->db);
}

bool accounts_check_domain(
	const char *text, char domain[ACCOUNTS_MAX_DOMAIN + 1], char *error, size_t error_size)
{
	struct arena arena;
	struct slice ascii;
	bool good;

	arena_init(&arena, CHECK_MEMORY);
	good = address_domain(slice_from(text), true, &arena, &ascii) &&
	       slice_to_string(ascii, domain, ACCOUNTS_MAX_DOMAIN + 1);
	arena_free(&arena);
	if (!good)
		snprintf(error, error_size,
			"not a domain name (letters, digits, hyphens and dots): %.100s", text);
	return good;
}

/* Characters of atoms but "/", and UTF-8: what is left is a plain file name. */
static bool local_byte(char c)
{
	return ascii_alnum(c) || (unsigned char)c >= 0x80 ||
	       (c != '\0' && strchr("!#$%&'*+-=?^_`{|}~.", c));
}

static bool local_valid(struct slice local)
{
	if (local.length == 0 || local.length > ACCOUNTS_MAX_LOCAL || local.data[0] == '.' ||
		local.data[local.length - 1] == '.' || slice_search(local, SLICE("..")) >= 0)
		return false;
	for (size_t i = 0; i < local.length; i++)
		if (!local_byte(local.data[i]))
			return false;
	return true;
}

bool accounts_check_address(const char *text, bool catch_all,
	char address[ACCOUNTS_MAX_ADDRESS + 1], char *error, size_t error_size)
{
	const char *at = strrchr(text, '@');
	struct slice local;

	if (!at) {
		snprintf(error, error_size, "not an address (user@domain): %.100s", text);
		return false;
	}
	local = slice_of(text, (size_t)(at - text));
	if (!(catch_all && local.length == 0) && !local_valid(local)) {
		snprintf(error, error_size, "not a user name for a mailbox: %.100s", text);
		return false;
	}
	for (size_t i = 0; i < local.length; i++)
		address[i] = ascii_lower(local.data[i]);
	address[local.length] = '@';
	return accounts_check_domain(at + 1, address + local.length + 1, error, error_size);
}

/* --- changes --- */

struct change {
	const char *key; /* ?1 */
	const char *domain; /* ?2 */
	const char *value; /* ?3 */
	int64_t number; /* ?5 */
};

static void bind_change(sqlite3_stmt *statement, const struct change *change)
{
	const char *const texts[] = { change->key, change->domain, change->value };
	int parameters = sqlite3_bind_parameter_count(statement);

	for (int i = 0; i < 3 && i < parameters; i++)
		if (texts[i])
			database_bind(statement, i + 1, slice_from(texts[i]));
	if (parameters >= 4)
		sqlite3_bind_int64(statement, 4, os_now() / 1000000);
	if (parameters >= 5)
		sqlite3_bind_int64(statement, 5, change->number);
}

/* `what` names the thing in messages. False also when no row was touched. */
static bool run_change(struct accounts *accounts, enum accounts_query query,
	const struct change *change, const char *what, char *error, size_t error_size)
{
	sqlite3_stmt *statement = accounts->query[query];
	int result;

	bind_change(statement, change);
	result = sqlite3_step(statement);
	database_reset(statement);
	if (result == SQLITE_DONE && sqlite3_changes(accounts->db) > 0)
		return true;
	if (result == SQLITE_DONE)
		snprintf(error, error_size, "no such %s: %s", what, change->key);
	else if (result == SQLITE_CONSTRAINT_UNIQUE || result == SQLITE_CONSTRAINT_PRIMARYKEY)
		snprintf(error, error_size, "%s %s is there already", what, change->key);
	else if (result == SQLITE_CONSTRAINT_FOREIGNKEY && change->domain)
		snprintf(error, error_size, "no such domain: %s", change->domain);
	else if (result == SQLITE_CONSTRAINT_FOREIGNKEY)
		snprintf(
			error, error_size, "domain %s still has mailboxes or aliases", change->key);
	else
		snprintf(error, error_size, "%s", sqlite3_errmsg(accounts->db));
	return false;
}

bool accounts_add_domain(
	struct accounts *accounts, const char *domain, char *error, size_t error_size)
{
	char name[ACCOUNTS_MAX_DOMAIN + 1];

	return accounts_check_domain(domain, name, error, error_size) &&
	       run_change(accounts, QUERY_ADD_DOMAIN, &(struct change){ .key = name }, "domain",
		       error, error_size);
}

bool accounts_delete_domain(
	struct accounts *accounts, const char *domain, char *error, size_t error_size)
{
	char name[ACCOUNTS_MAX_DOMAIN + 1];

	return accounts_check_domain(domain, name, error, error_size) &&
	       run_change(accounts, QUERY_DELETE_DOMAIN, &(struct change){ .key = name }, "domain",
		       error, error_size);
}

/* "domain/user"; where that belongs to a mailbox that was renamed, "domain/user.2" and so on. */
static bool choose_path(struct accounts *accounts, const char *address,
	char path[ACCOUNTS_MAX_ADDRESS + 2], char *error, size_t error_size)
{
	enum { TRIES = 1000 };
	sqlite3_stmt *statement = accounts->query[QUERY_PATH];
	const char *domain = strrchr(address, '@') + 1;
	int user = (int)(domain - 1 - address), result = SQLITE_ROW, length = 0;

	for (int i = 1; result == SQLITE_ROW && i <= TRIES; i++) {
		length = snprintf(path, ACCOUNTS_MAX_ADDRESS + 2, i == 1 ? "%s/%.*s" : "%s/%.*s.%d",
			domain, user, address, i);
		if (length >= ACCOUNTS_MAX_ADDRESS + 2)
			break;
		database_bind(statement, 1, slice_from(path));
		result = sqlite3_step(statement);
		database_reset(statement);
	}
	if (result == SQLITE_DONE && length < ACCOUNTS_MAX_ADDRESS + 2)
		return true;
	snprintf(error, error_size, "no folder for mailbox %s: %s", address,
		result == SQLITE_ROW ? "all names are taken" : sqlite3_errmsg(accounts->db));
	return false;
}

bool accounts_add_mailbox(
	struct accounts *accounts, const char *text, int64_t quota, char *error, size_t error_size)
{
	char address[ACCOUNTS_MAX_ADDRESS + 1], path[ACCOUNTS_MAX_ADDRESS + 2];
	struct change change = { .key = address, .value = path, .number = quota };

	if (!accounts_check_address(text, false, address, error, error_size) ||
		!choose_path(accounts, address, path, error, error_size))
		return false;
	change.domain = strrchr(address, '@') + 1;
	return run_change(accounts, QUERY_ADD_MAILBOX, &change, "mailbox", error, error_size);
}

bool accounts_rename_mailbox(struct accounts *accounts, const char *text, const char *new_text,
	const char *delimiters, unsigned *aliases, char *error, size_t error_size)
{
	char address[ACCOUNTS_MAX_ADDRESS + 1], new_address[ACCOUNTS_MAX_ADDRESS + 1], undone[200];
	struct change change = { .key = address, .value = new_address };
	struct accounts_mailbox mailbox;

	if (!accounts_check_address(text, false, address, error, error_size) ||
		!accounts_check_address(new_text, false, new_address, error, error_size))
		return false;
	if (accounts_mailbox(accounts, slice_from(new_address), &mailbox) == ACCOUNTS_FOUND) {
		snprintf(error, error_size, "mailbox %s is there already", new_address);
		return false;
	}
	change.domain = strrchr(new_address, '@') + 1;
	if (!database_run(accounts->db, "SAVEPOINT renaming", error, error_size))
		return false;
	if (run_change(accounts, QUERY_RENAME_MAILBOX, &change, "mailbox", error, error_size) &&
		accounts_lead_aliases(
			accounts, address, new_address, delimiters, aliases, error, error_size) &&
		database_run(accounts->db, "RELEASE renaming", error, error_size))
		return true;
	(void)!database_run(
		accounts->db, "ROLLBACK TO renaming; RELEASE renaming", undone, sizeof(undone));
	return false;
}

static bool change_mailbox(struct accounts *accounts, enum accounts_query query, const char *text,
	int64_t number, char *error, size_t error_size)
{
	char address[ACCOUNTS_MAX_ADDRESS + 1];

	return accounts_check_address(text, false, address, error, error_size) &&
	       run_change(accounts, query, &(struct change){ .key = address, .number = number },
		       "mailbox", error, error_size);
}

bool accounts_delete_mailbox(
	struct accounts *accounts, const char *address, char *error, size_t error_size)
{
	return change_mailbox(accounts, QUERY_DELETE_MAILBOX, address, 0, error, error_size);
}

bool accounts_set_quota(struct accounts *accounts, const char *address, int64_t quota, char *error,
	size_t error_size)
{
	return change_mailbox(accounts, QUERY_SET_QUOTA, address, quota, error, error_size);
}

bool accounts_enable(struct accounts *accounts, const char *address, bool enabled, char *error,
	size_t error_size)
{
	return change_mailbox(accounts, QUERY_ENABLE, address, enabled, error, error_size);
}

/* Where an alias leads may be anywhere: only what would break the list it is put in is refused. */
static bool check_destination(const char *text, char *error, size_t error_size)
{
	struct slice s = slice_from(text);
	ptrdiff_t at = slice_find_last(s, '@');

	if (at <= 0 || (size_t)at + 1 == s.length || s.length > 1000) {
		snprintf(error, error_size, "not an address: %.100s", text);
		return false;
	}
	for (size_t i = 0; i < s.length; i++)
		if ((unsigned char)s.data[i] <= ' ' || s.data[i] == 0x7f ||
			strchr(",<>()\"\\", s.data[i])) {
			snprintf(error, error_size, "not an address for an alias: %.100s", text);
			return false;
		}
	return true;
}

bool accounts_add_alias(struct accounts *accounts, const char *text, const char *destination,
	char *error, size_t error_size)
{
	char address[ACCOUNTS_MAX_ADDRESS + 1];
	struct change change = { .key = address, .value = destination };

	if (!accounts_check_address(text, true, address, error, error_size) ||
		!check_destination(destination, error, error_size))
		return false;
	change.domain = strrchr(address, '@') + 1;
	return run_change(accounts, QUERY_ADD_ALIAS, &change, "alias", error, error_size);
}

bool accounts_delete_alias(struct accounts *accounts, const char *text, const char *destination,
	char *error, size_t error_size)
{
	char address[ACCOUNTS_MAX_ADDRESS + 1];
	struct change change = { .key = address, .value = destination };

	return accounts_check_address(text, true, address, error, error_size) &&
	       run_change(accounts, destination ? QUERY_DELETE_ALIAS : QUERY_DELETE_ALIAS_ALL,
		       &change, "alias", error, error_size);
}

/* --- questions --- */

/* sqlite3_step, and a note when the file itself is at fault. */
static int step(struct accounts *accounts, sqlite3_stmt *statement)
{
	int result = sqlite3_step(statement), kind = result & 0xff;

	if (kind == SQLITE_CORRUPT || kind == SQLITE_NOTADB || kind == SQLITE_IOERR ||
		kind == SQLITE_CANTOPEN)
		accounts->fault = sqlite3_errstr(result);
	return result;
}

const char *accounts_fault(const struct accounts *accounts)
{
	return accounts->fault;
}

bool accounts_check(struct accounts *accounts, char *error, size_t error_size)
{
	return database_check(accounts->db, error, error_size);
}

/* A row, no row, or an error, as a status. */
static enum accounts_status status_of(int result)
{
	return result == SQLITE_ROW    ? ACCOUNTS_FOUND
	       : result == SQLITE_DONE ? ACCOUNTS_NOT_FOUND
				       : ACCOUNTS_ERROR;
}

enum accounts_status accounts_domain(struct accounts *accounts, struct slice domain)
{
	sqlite3_stmt *statement = accounts ? accounts->query[QUERY_DOMAIN] : NULL;
	enum accounts_status status = ACCOUNTS_ERROR;

	if (!accounts)
		return ACCOUNTS_ERROR;
	if (database_bind(statement, 1, domain))
		status = status_of(step(accounts, statement));
	database_reset(statement);
	return status;
}

bool accounts_read_mailbox(sqlite3_stmt *row, struct accounts_mailbox *mailbox)
{
	mailbox->quota = sqlite3_column_int64(row, 2);
	mailbox->enabled = sqlite3_column_int(row, 3) != 0;
	return slice_to_string(
		       database_column(row, 0), mailbox->address, sizeof(mailbox->address)) &&
	       slice_to_string(database_column(row, 1), mailbox->path, sizeof(mailbox->path));
}

enum accounts_status accounts_mailbox(
	struct accounts *accounts, struct slice address, struct accounts_mailbox *mailbox)
{
	sqlite3_stmt *statement = accounts ? accounts->query[QUERY_MAILBOX] : NULL;
	enum accounts_status status = ACCOUNTS_ERROR;

	if (!accounts)
		return ACCOUNTS_ERROR;
	if (database_bind(statement, 1, address))
		status = status_of(step(accounts, statement));
	if (status == ACCOUNTS_FOUND && !accounts_read_mailbox(statement, mailbox))
		status = ACCOUNTS_ERROR;
	database_reset(statement);
	return status;
}

enum accounts_status accounts_path_used(struct accounts *accounts, const char *path)
{
	sqlite3_stmt *statement = accounts->query[QUERY_PATH];
	enum accounts_status status = ACCOUNTS_ERROR;

	if (database_bind(statement, 1, slice_from(path)))
		status = status_of(sqlite3_step(statement));
	database_reset(statement);
	return status;
}

static enum accounts_status read_list(
	struct accounts *accounts, sqlite3_stmt *statement, struct buffer *list)
{
	int result;

	buffer_clear(list);
	while ((result = step(accounts, statement)) == SQLITE_ROW) {
		if (list->length)
			buffer_add_text(list, ", ");
		buffer_add(list, database_column(statement, 0));
	}
	database_reset(statement);
	if (result != SQLITE_DONE || list->failed)
		return ACCOUNTS_ERROR;
	return list->length ? ACCOUNTS_FOUND : ACCOUNTS_NOT_FOUND;
}

enum accounts_status accounts_alias(
	struct accounts *accounts, struct slice address, struct buffer *destinations)
{
	if (!accounts || !database_bind(accounts->query[QUERY_ALIAS], 1, address))
		return ACCOUNTS_ERROR;
	return read_list(accounts, accounts->query[QUERY_ALIAS], destinations);
}

enum accounts_status accounts_postmaster(struct accounts *accounts, struct buffer *destinations)
{
	enum accounts_status status;

	if (!accounts)
		return ACCOUNTS_ERROR;
	status = read_list(accounts, accounts->query[QUERY_ANY_POSTMASTER], destinations);
	if (status == ACCOUNTS_NOT_FOUND)
		status = read_list(accounts, accounts->query[QUERY_FIRST_MAILBOX], destinations);
	return status;
}

bool accounts_version(struct accounts *accounts, int64_t *version)
{
	sqlite3_stmt *statement = accounts ? accounts->query[QUERY_VERSION] : NULL;
	bool done;

	if (!accounts)
		return false;
	done = step(accounts, statement) == SQLITE_ROW;
	if (done)
		*version = sqlite3_column_int64(statement, 0);
	database_reset(statement);
	return done;
}
