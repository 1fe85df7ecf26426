// SPDX-License-Identifier: ISC
/*
 * master.cf: the services. Columns: service type private unpriv chroot wakeup maxproc command + args, continuation lines,
 * -o name=value and -o { name = value }.
 */
#ifndef CONFIG_SERVICES_H
#define CONFIG_SERVICES_H

#include "base/vector.h"
#include "config/config.h"

enum service_type {
	SERVICE_INET,
	SERVICE_UNIX,
	SERVICE_FOREIGN /* Postfix's fifo, pass, unix-dgram */
};
/* Columns of a line, as written. */
enum service_column {
	COLUMN_NAME,
	COLUMN_TYPE,
	COLUMN_PRIVATE,
	COLUMN_UNPRIVILEGED,
	COLUMN_CHROOT,
	COLUMN_WAKEUP,
	COLUMN_MAXPROC,
	COLUMN_COMMAND,
	COLUMN_COUNT
};
enum { SERVICES_MAX = 1000, SERVICE_WORDS_MAX = 500 };

struct service_override {
	char *name, *value;
};
struct service_entry {
	char *name; /* "smtp", "127.0.0.1:2525", "cleanup" */
	enum service_type type;
	bool is_private, chroot; /* unpriv is parsed; the cell decides the uid */
	int64_t wakeup; /* seconds, 0 never */
	bool wakeup_lazy; /* "60?" */
	unsigned maxproc; /* 0: no limit but default_process_limit's bound of the suite */
	char *command; /* "smtpd" */
	char **arguments; /* without the -o ones; NULL at the end */
	unsigned argument_count;
	struct service_override *overrides;
	unsigned override_count;
	unsigned line;
	/* As written, for postconf. */
	char *columns[COLUMN_COUNT];
	char **words; /* behind the command, overrides as "-o", "name=value"; NULL at the end */
	unsigned word_count;
};
struct services {
	struct service_entry *entries;
	unsigned count;
	char *file; /* for messages */
	bool any_type; /* set by the caller: SERVICE_FOREIGN is no error (for postconf, which starts nothing) */
};

/* FOLDER/master.cf into `services`, zero but for any_type; false with faults in the report. Names that overrides refer to count as used in `source`. */
MUST_CHECK bool services_read(const char *folder, struct config_source *source,
	struct services *services, struct config_report *report);
MUST_CHECK bool services_parse(const char *name, struct slice text, unsigned default_limit,
	struct services *services, struct config_report *report);
void services_free(struct services *services);

/*
 * Both files, and every check there is: what `postern check`, start and reload do. NULL when there is an error; `services` is
 * filled when it is not NULL (and to be freed by services_free in any case).
 */
struct config_source *services_load(
	const char *folder, struct services *services, struct config_report *report);
/* main.cf with an entry's overrides on top, which borrows from `source`; NULL when out of memory. */
struct config_source *services_source(const struct config_source *source,
	const struct services *services, const struct service_entry *entry);
/* Appends the snapshot of one entry: main.cf with its overrides; $service_name and $process_name are its name and command. */
MUST_CHECK bool services_snapshot(const struct config_source *source,
	const struct services *services, const struct service_entry *entry, struct buffer *snapshot,
	struct config_report *report);

/*
 * The port of an inet entry's name, "smtp", "2525", "host:submission" or "[::1]:24": standard names have port_base added,
 * numbers are taken as they are. 0 when it is none. No services file is read.
 */
uint16_t services_port(const char *name, unsigned port_base);
/* The host before the port, without brackets; empty when there is none. False when it does not fit. */
MUST_CHECK bool services_host(const char *name, char *host, size_t size);

#endif
