// SPDX-License-Identifier: ISC
/*
 * Accounts of other mail systems as records: what `postern import` reads. The readers take text and know neither files nor
 * databases.
 */
#ifndef CLI_IMPORT_H
#define CLI_IMPORT_H

#include "cli/records.h"

enum { IMPORT_MAX_FILE = 256 << 20 /* bytes */ };

struct import_source {
	struct records *records; /* where they go */
	const char *file; /* as it is told; lives as long as the records */
	const char *domain; /* for names without one; NULL: refused */
	uint64_t uid_least, uid_most; /* of import_system */
	struct vector elsewhere; /* char *: domains of import_sql that have no mailboxes here */
	/* Told for each line that cannot be taken over. */
	void (*refuse)(void *context, const char *file, unsigned line, const char *error);
	void *context;
};

/*
 * The source of a Postfix table: virtual_mailbox_domains (RECORD_DOMAIN), virtual_mailbox_maps (RECORD_MAILBOX), virtual_alias_maps
 * (RECORD_ALIAS; a domain as key is a RECORD_DOMAIN).
 */
void import_postfix(struct import_source *source, enum record_kind kind, struct slice text);
/* One entry of such a table. */
void import_postfix_entry(struct import_source *source, enum record_kind kind, unsigned line,
	struct slice key, struct slice value);
/* Dovecot's passwd-file: user:{SCHEME}hash:uid:gid:gecos:home:shell:extra fields. */
void import_passwd_file(struct import_source *source, struct slice text);
/* passwd(5) and shadow(5): the users whose uid is within the bounds. */
void import_system(struct import_source *source, struct slice passwd, struct slice shadow);

/*
 * Domains, users and aliases of a database, in tables as the usual guides make them; `spec` is a lookup table there. Quotas are
 * counted in `quota_unit` bytes. Domains whose transport does not deliver here are refused, and noted as `elsewhere`. False with `error`; what was read by then is to be forgotten.
 */
MUST_CHECK bool import_sql(struct import_source *source, const char *spec, uint64_t quota_unit,
	char *error, size_t error_size);

/* --- for the readers --- */
void import_refuse(struct import_source *source, unsigned line, const char *format, ...)
	PRINTF_LIKE(3, 4);
/* A record with its address, completed with the domain. NULL: refused, and told. */
struct record *import_record(
	struct import_source *source, enum record_kind kind, unsigned line, struct slice address);
/* A hash, or a password in plain text ({PLAIN}, {CLEARTEXT}), which will be hashed. False: refused. */
bool import_password(struct import_source *source, struct record *record, struct slice stored);
/* A number of bytes, as a text; false when memory is out. */
bool import_quota(struct import_source *source, struct record *record, uint64_t bytes);

#endif
