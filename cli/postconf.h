// SPDX-License-Identifier: ISC
/*
 * What the files of postconf share: the options, and how a line is printed.
 */
#ifndef CLI_POSTCONF_H
#define CLI_POSTCONF_H

#include "cli/cli.h"
#include "config/services.h"

enum postconf_mode {
	MODE_MAIN,
	MODE_MASTER,
	MODE_FIELDS,
	MODE_PARAMETERS,
	MODE_TABLES,
	MODE_LOCKS,
	MODE_MANUAL
};
enum postconf_class { CLASS_BUILTIN = 1, CLASS_SERVICE = 2, CLASS_USER = 4, CLASS_ALL = 7 };

struct postconf {
	const char *folder;
	enum postconf_mode mode;
	unsigned classes;
	bool defaults, changed, expand, fold, json; /* -d -n -x -f -j */
	bool no_name, no_value; /* -h -H */
	bool edit, remove, comment_out; /* -e -X -# */
	char **names; /* the arguments; NULL at the end */
	int name_count;
	char **overrides; /* of -o, "name=value" */
	int override_count;
};

/* Each runs one mode and returns the exit status. */
int postconf_main_cf(const struct postconf *options);
int postconf_master(const struct postconf *options);
int postconf_edit_main(const struct postconf *options);
int postconf_edit_master(const struct postconf *options);
int postconf_manual(void);

/* main.cf of the folder with -o applied; NULL when it is wrong (faults are on standard error). */
struct config_source *postconf_source(const struct postconf *options, struct config_report *report);
/* "NAME = VALUE" as -h, -H, -f and -j want it. */
void postconf_print(const struct postconf *options, const char *name, const char *value);
/* master.cf's line for an entry, arguments on lines of their own with `fold`. */
void postconf_entry_text(const struct service_entry *entry, bool fold, struct buffer *out);
/* The columns' names as -F has them. */
extern const char *const POSTCONF_FIELDS[COLUMN_COUNT];
/* Does "smtp/inet" or "smtp" (with rest NULL or the part behind the second slash) mean this entry? "*" means any. */
bool postconf_matches(const char *pattern, const struct service_entry *entry, const char **rest);

#endif
