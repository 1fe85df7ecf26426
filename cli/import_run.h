// SPDX-License-Identifier: ISC
/* `postern import` under way: between import.c (the command line, and reading) and import_apply.c (what is done with the records). */
#ifndef CLI_IMPORT_RUN_H
#define CLI_IMPORT_RUN_H

#include "cli/account.h"
#include "cli/import.h"

enum outcome { OUTCOME_ADDED, OUTCOME_CHANGED, OUTCOME_SAME, OUTCOME_KEPT, OUTCOME_COUNT };
enum { IMPORT_KINDS = RECORD_ALIAS + 1, IMPORT_FILES_MOST = 64 };

struct import_file {
	enum record_kind kind; /* of a Postfix table */
	const char *name;
};

struct import {
	struct account_command command;
	struct import_source source;
	struct import_file files[IMPORT_FILES_MOST];
	unsigned file_count;
	const char *passwd, *shadow;
	int64_t quota_unit; /* bytes */
	bool dry_run, update, add_domains;
	size_t count[IMPORT_KINDS][OUTCOME_COUNT], refused;
};

/* Bring all records over, domains first, in the transaction that command.joint has begun. What fails as a whole sets command.broken. */
void import_apply(struct import *import);
/* The counts, on standard output. */
void import_tell_summary(const struct import *import);

#endif
