// SPDX-License-Identifier: ISC
/*
 * main.cf: the table of parameters, the parser and the evaluated snapshot.
 *
 * master (and postconf) parse files into a struct config_source, check all of it, and evaluate it into a snapshot: every
 * parameter's final value, `$name` expanded, with an entry's -o overrides applied. Daemons see the snapshot only.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/arena.h"
#include "base/buffer.h"
#include "config/parameters.h"

struct config;

/* --- in daemons --- */
/* Reads a snapshot; the slice must outlive it. NULL when it is not one of this build. */
struct config *config_open(struct slice snapshot);
void config_free(struct config **config);

/* Typed access; the types were checked when the snapshot was made. Strings live as long as the snapshot. */
const char *config_text(const struct config *config, enum parameter p);
bool config_bool(const struct config *config, enum parameter p);
int64_t config_int(const struct config *config,
	enum parameter p); /* PARAMETER_INT and PARAMETER_SIZE (bytes) */
int64_t config_time(const struct config *config, enum parameter p); /* milliseconds */
/* The value of any name, user-defined or TRANSPORT_destination_...; NULL when it is not set. */
const char *config_lookup(const struct config *config, const char *name);
/* Call for each item of a list value (separated by comma and white space, { } groups kept whole); stops when `each` returns false. */
bool config_each(const char *list, bool (*each)(void *context, struct slice item), void *context);

/* --- in master and the command-line tools --- */
struct config_source; /* main.cf as written: names, raw values, file and line of each */
/* A fault in a file: nothing is lost, all faults are told. */
struct config_fault {
	char file[256];
	unsigned line;
	char parameter[128];
	char text[400];
	bool warning; /* unknown parameter and the like: reported, not fatal */
};
struct config_report {
	struct config_fault faults[64]; /* the first ones */
	unsigned count; /* of `faults` filled */
	unsigned errors; /* fatal ones in all */
};
/* DIR/main.cf. NULL when it cannot be read or is wrong (see report). */
struct config_source *config_read(const char *folder, struct config_report *report);
/* From text; `name` for messages. For tests, fuzzing and postconf -x. */
struct config_source *config_parse(
	const char *name, struct slice text, struct config_report *report);
void config_source_free(struct config_source **source);
/* Raw value as written (NULL: not set), and where. */
const char *config_source_raw(const struct config_source *source, const char *name, unsigned *line);
/* An override as of `-o name=value`; also how the instance's config_directory is put in. */
MUST_CHECK bool config_source_set(
	struct config_source *source, const char *name, const char *value);
/* Expand one text with $name ${name?..} ${name:..} ${{a}==...}; false with a fault when it loops or is malformed. */
MUST_CHECK bool config_expand(const struct config_source *source, const char *text,
	struct buffer *out, char *error, size_t error_size);
/* Evaluate and check all: types, bounds, unknown names (nearest known name), $loops. Appends the snapshot. */
MUST_CHECK bool config_snapshot(
	const struct config_source *source, struct buffer *snapshot, struct config_report *report);

#endif
