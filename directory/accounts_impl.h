// SPDX-License-Identifier: ISC
/* Inside of accounts.h, shared by accounts.c and the other accounts_*.c. */
#ifndef DIRECTORY_ACCOUNTS_IMPL_H
#define DIRECTORY_ACCOUNTS_IMPL_H

#include "directory/accounts.h"
#include "os/database.h"

enum accounts_query {
	QUERY_VERSION,
	QUERY_DOMAIN,
	QUERY_MAILBOX,
	QUERY_ALIAS,
	QUERY_ANY_POSTMASTER,
	QUERY_FIRST_MAILBOX,
	QUERY_ADD_DOMAIN,
	QUERY_DELETE_DOMAIN,
	QUERY_ADD_MAILBOX,
	QUERY_DELETE_MAILBOX,
	QUERY_RENAME_MAILBOX,
	QUERY_PATH,
	QUERY_SET_QUOTA,
	QUERY_ENABLE,
	QUERY_ADD_ALIAS,
	QUERY_DELETE_ALIAS,
	QUERY_DELETE_ALIAS_ALL,
	QUERY_COUNT
};

struct accounts {
	sqlite3 *db;
	sqlite3_stmt *query[QUERY_COUNT];
	const char *fault; /* what the file had when it could not be read; NULL: nothing */
};

/* Columns address, path, quota, enabled. */
bool accounts_read_mailbox(sqlite3_stmt *row, struct accounts_mailbox *mailbox);
/* Destinations that were the mailbox `address` become `new_address` (both in lower case), within the caller's transaction. */
MUST_CHECK bool accounts_lead_aliases(struct accounts *accounts, const char *address,
	const char *new_address, const char *delimiters, unsigned *count, char *error,
	size_t error_size);

#endif
