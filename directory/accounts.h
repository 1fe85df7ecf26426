// SPDX-License-Identifier: ISC
/*
 * accounts.db: the domains, mailboxes and aliases of an instance, in SQLite. directoryd reads it; `postern domain|user|alias`
 * and `postern init` write it, with effect at once.
 *
 * Addresses are kept in lower case, domains as A-labels. A mailbox stands below the mail directory at "domain/user"; the
 * characters of an address are checked so that this is always a plain relative path.
 */
#ifndef DIRECTORY_ACCOUNTS_H
#define DIRECTORY_ACCOUNTS_H

#include "base/buffer.h"

enum {
	ACCOUNTS_MAX_LOCAL = 64, /* RFC 5321 4.5.3.1.1 */
	ACCOUNTS_MAX_DOMAIN = 255,
	ACCOUNTS_MAX_ADDRESS = ACCOUNTS_MAX_LOCAL + 1 + ACCOUNTS_MAX_DOMAIN,
	ACCOUNTS_MAX_DESTINATIONS = 10000 /* of one alias */
};

enum accounts_status {
	ACCOUNTS_ERROR = 0, /* it could not be asked (busy, I/O): try later */
	ACCOUNTS_FOUND,
	ACCOUNTS_NOT_FOUND
};

struct accounts;
struct accounts_mailbox {
	char address[ACCOUNTS_MAX_ADDRESS + 1];
	char path[ACCOUNTS_MAX_ADDRESS + 2]; /* "domain/user" */
	int64_t quota; /* bytes; 0: virtual_mailbox_limit */
	bool enabled; /* may log in; mail is accepted in any case */
};

/* Open `path`, with `create` make it and its tables when they are not there. False with `error` filled. */
MUST_CHECK bool accounts_open(
	const char *path, bool create, struct accounts **accounts, char *error, size_t error_size);
void accounts_close(struct accounts **accounts);
/* How long a call may wait for a lock, 10 s at first. directoryd waits but briefly: readers of a WAL database wait only while
 * somebody recovers the log. */
void accounts_set_patience(struct accounts *accounts, int milliseconds);

/*
 * Changes. Durable when true is returned; false with `error` filled ("domain example.org is there already"), nothing changed.
 * `address` is user@domain of a domain that was added; an alias may be "@domain" too, for all that have no mailbox or alias
 * of their own. `destination` is one address; an alias has as many as are added.
 */
MUST_CHECK bool accounts_add_domain(
	struct accounts *accounts, const char *domain, char *error, size_t error_size);
MUST_CHECK bool accounts_delete_domain(
	struct accounts *accounts, const char *domain, char *error, size_t error_size);
MUST_CHECK bool accounts_add_mailbox(struct accounts *accounts, const char *address, int64_t quota,
	char *error, size_t error_size);
MUST_CHECK bool accounts_delete_mailbox(
	struct accounts *accounts, const char *address, char *error, size_t error_size);
MUST_CHECK bool accounts_set_quota(struct accounts *accounts, const char *address, int64_t quota,
	char *error, size_t error_size);
MUST_CHECK bool accounts_enable(struct accounts *accounts, const char *address, bool enabled,
	char *error, size_t error_size);
MUST_CHECK bool accounts_add_alias(struct accounts *accounts, const char *address,
	const char *destination, char *error, size_t error_size);
/* `destination` NULL: all of them. */
MUST_CHECK bool accounts_delete_alias(struct accounts *accounts, const char *address,
	const char *destination, char *error, size_t error_size);

/*
 * The mailbox under another address; the mail stays where it is. Aliases that lead to it follow, `*aliases` destinations; one with
 * an extension behind one of `delimiters` (recipient_delimiter) keeps that, unless its whole address is a mailbox or alias.
 */
MUST_CHECK bool accounts_rename_mailbox(struct accounts *accounts, const char *address,
	const char *new_address, const char *delimiters, unsigned *aliases, char *error,
	size_t error_size);

/*
 * Changes between a begin and its commit are durable, and seen by others, together. A change that is refused in between undoes only
 * itself. With `batch` the decision that this named change counts is written with it, to be found after a crash and forgotten
 * when the other database has followed. A commit that fails rolls back.
 */
MUST_CHECK bool accounts_begin(struct accounts *accounts, char *error, size_t error_size);
MUST_CHECK bool accounts_commit(
	struct accounts *accounts, const char *batch, char *error, size_t error_size);
void accounts_rollback(struct accounts *accounts);
MUST_CHECK bool accounts_decided(struct accounts *accounts, const char *batch, bool *decided,
	char *error, size_t error_size);
MUST_CHECK bool accounts_forget_decision(
	struct accounts *accounts, const char *batch, char *error, size_t error_size);

/*
 * Questions; keys in lower case. Any failure of the database is ACCOUNTS_ERROR, and so is every answer when `accounts` is NULL:
 * there is no database just now.
 */
MUST_CHECK enum accounts_status accounts_domain(struct accounts *accounts, struct slice domain);
MUST_CHECK enum accounts_status accounts_mailbox(
	struct accounts *accounts, struct slice address, struct accounts_mailbox *mailbox);
/* Is the folder ("domain/user") that of any mailbox? */
MUST_CHECK enum accounts_status accounts_path_used(struct accounts *accounts, const char *path);
/* Destinations separated by ", ", appended to `destinations` (cleared first). */
MUST_CHECK enum accounts_status accounts_alias(
	struct accounts *accounts, struct slice address, struct buffer *destinations);
/* For a postmaster@ that nobody set up: an alias postmaster@ of any domain, else the oldest mailbox. */
MUST_CHECK enum accounts_status accounts_postmaster(
	struct accounts *accounts, struct buffer *destinations);
/* A number that changes when another connection changed the database. */
MUST_CHECK bool accounts_version(struct accounts *accounts, int64_t *version);
/* What is wrong with the file, once a question found it damaged or unreadable; NULL: nothing. */
const char *accounts_fault(const struct accounts *accounts);
/* Read through the file once: is it whole? False with `error` filled. */
MUST_CHECK bool accounts_check(struct accounts *accounts, char *error, size_t error_size);
/* What the last ACCOUNTS_ERROR was. */
const char *accounts_error(struct accounts *accounts);

/* Listings in order; stop when `each` returns false. `destination` is NULL in domain listings. False: database error. */
struct accounts_alias_entry {
	struct slice address, destination;
};
MUST_CHECK bool accounts_each_domain(struct accounts *accounts,
	bool (*each)(void *context, struct slice domain, int64_t mailboxes, int64_t aliases),
	void *context);
/* Of one domain, or of all when it is NULL. */
MUST_CHECK bool accounts_each_mailbox(struct accounts *accounts, const char *domain,
	bool (*each)(void *context, const struct accounts_mailbox *mailbox), void *context);
MUST_CHECK bool accounts_each_alias(struct accounts *accounts, const char *domain,
	bool (*each)(void *context, const struct accounts_alias_entry *alias), void *context);

/* The aliases that lead to `address` (in lower case), which is no mailbox any more, and by no alias to anybody else. `delimiters` as above. */
MUST_CHECK bool accounts_each_dangling(struct accounts *accounts, const char *address,
	const char *delimiters,
	bool (*each)(void *context, const struct accounts_alias_entry *alias), void *context,
	char *error, size_t error_size);

/* Lower-case `text` into `address` and check it: local part of characters that are safe in a path, U-labels as A-labels. With
 * `catch_all` the local part may be empty. False with `error` filled. */
MUST_CHECK bool accounts_check_address(const char *text, bool catch_all,
	char address[ACCOUNTS_MAX_ADDRESS + 1], char *error, size_t error_size);
MUST_CHECK bool accounts_check_domain(
	const char *text, char domain[ACCOUNTS_MAX_DOMAIN + 1], char *error, size_t error_size);

#endif
