// SPDX-License-Identifier: ISC
/* accounts.db: listings for the commands. See accounts.h. */
#include "directory/accounts_impl.h"

/* Run `sql` with ?1 = domain or NULL, and give each row to `row` until it returns false. */
static bool list_rows(struct accounts *accounts, const char *sql, const char *domain,
	bool (*row)(void *context, sqlite3_stmt *statement), void *context)
{
	char error[200];
	sqlite3_stmt *statement = database_prepare(accounts->db, sql, error, sizeof(error));
	int result = SQLITE_ERROR;

	if (!statement)
		return false;
	if (domain)
		database_bind(statement, 1, slice_from(domain));
	while ((result = sqlite3_step(statement)) == SQLITE_ROW)
		if (!row(context, statement)) {
			result = SQLITE_DONE;
			break;
		}
	sqlite3_finalize(statement);
	return result == SQLITE_DONE;
}

struct domain_listing {
	bool (*each)(void *context, struct slice domain, int64_t mailboxes, int64_t aliases);
	void *context;
};

static bool domain_row(void *context, sqlite3_stmt *row)
{
	struct domain_listing *listing = context;

	return listing->each(listing->context, database_column(row, 0),
		sqlite3_column_int64(row, 1), sqlite3_column_int64(row, 2));
}

bool accounts_each_domain(struct accounts *accounts,
	bool (*each)(void *context, struct slice domain, int64_t mailboxes, int64_t aliases),
	void *context)
{
	struct domain_listing listing = { each, context };

	return list_rows(accounts,
		"SELECT domain, (SELECT count(*) FROM mailboxes m WHERE m.domain = d.domain),"
		" (SELECT count(DISTINCT address) FROM aliases a WHERE a.domain = d.domain)"
		" FROM domains d ORDER BY domain",
		NULL, domain_row, &listing);
}

struct mailbox_listing {
	bool (*each)(void *context, const struct accounts_mailbox *mailbox);
	void *context;
};

static bool mailbox_row(void *context, sqlite3_stmt *row)
{
	struct mailbox_listing *listing = context;
	struct accounts_mailbox mailbox;

	return !accounts_read_mailbox(row, &mailbox) || listing->each(listing->context, &mailbox);
}

bool accounts_each_mailbox(struct accounts *accounts, const char *domain,
	bool (*each)(void *context, const struct accounts_mailbox *mailbox), void *context)
{
	struct mailbox_listing listing = { each, context };

	return list_rows(accounts,
		"SELECT address, path, quota, enabled FROM mailboxes WHERE ?1 IS NULL OR domain = "
		"?1"
		" ORDER BY domain, address",
		domain, mailbox_row, &listing);
}

struct alias_listing {
	bool (*each)(void *context, const struct accounts_alias_entry *alias);
	void *context;
};

static bool alias_row(void *context, sqlite3_stmt *row)
{
	struct alias_listing *listing = context;
	struct accounts_alias_entry alias = { database_column(row, 0), database_column(row, 1) };

	return listing->each(listing->context, &alias);
}

bool accounts_each_alias(struct accounts *accounts, const char *domain,
	bool (*each)(void *context, const struct accounts_alias_entry *alias), void *context)
{
	struct alias_listing listing = { each, context };

	return list_rows(accounts,
		"SELECT address, destination FROM aliases WHERE ?1 IS NULL OR domain = ?1"
		" ORDER BY domain, address, id",
		domain, alias_row, &listing);
}
