// SPDX-License-Identifier: ISC
/*
 * main.cf: the parser, the checks and the evaluated snapshot.
 *
 * master (and the commands) parse files into a struct config_source, check all of it, and evaluate it into a snapshot: every
 * parameter's final value, `$name` expanded, with an entry's -o overrides applied. Daemons see the snapshot only.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdio.h>

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
enum {
	CONFIG_FILE_MAX = 1 << 20, /* bytes of main.cf or master.cf */
	CONFIG_VALUE_MAX = 1 << 16, /* bytes of one value, raw or expanded */
	CONFIG_SETTINGS_MAX = 10000
};

/* A fault in a file: nothing is lost, all faults are told. */
struct config_fault {
	char file[256];
	unsigned line;
	char parameter[128];
	char text[400];
	bool warning; /* unknown parameter and the like: reported, not fatal */
};
struct config_source; /* main.cf as written: names, raw values, file and line of each */
struct config_report {
	struct config_fault faults[64]; /* the first ones */
	unsigned count; /* of `faults` filled */
	unsigned errors; /* fatal ones in all */
};
/* Note a fault; `parameter` may be NULL. An error takes the place of a warning when there is no room. */
void config_fault_add(struct config_report *report, bool warning, const char *file, unsigned line,
	const char *parameter, const char *format, ...) PRINTF_LIKE(6, 7);
/* Note a fault of a parameter, at the place where it is set. */
void config_setting_fault(const struct config_source *source, const char *parameter, bool warning,
	const char *text, struct config_report *report);
/* "FILE:LINE: PARAMETER: text" into `text`. */
void config_fault_text(const struct config_fault *fault, char *text, size_t size);
/* One line a fault, "NAME: warning: ..." or "NAME: error: ...". */
void config_report_print(
	const struct config_report *report, const char *name, bool warnings, FILE *out);

/* DIR/main.cf. NULL when it cannot be read or is wrong (see report). config_directory becomes DIR as an absolute path. */
struct config_source *config_read(const char *folder, struct config_report *report);
/* From text; `name` for messages. For tests, fuzzing and postconf -x. */
struct config_source *config_parse(
	const char *name, struct slice text, struct config_report *report);
void config_source_free(struct config_source **source);
/*
 * Nothing of its own yet, everything else from `parent`, which must outlive it: for a service's overrides. NULL when out of
 * memory.
 */
struct config_source *config_source_overlay(const struct config_source *parent);
/* Raw value as written (NULL: not set), and where (both may be NULL). */
const char *config_source_raw(const struct config_source *source, const char *name, unsigned *line);
/* An override as of `-o name=value`; also how the instance's config_directory is put in. */
MUST_CHECK bool config_source_set(
	struct config_source *source, const char *name, const char *value);
/* Likewise, with the place where it is written. */
MUST_CHECK bool config_source_set_at(struct config_source *source, const char *name,
	const char *value, const char *file, unsigned line);
/* All names in `text` that `$` stands before are in use: they are user-defined and not misspelled. */
void config_source_use(struct config_source *source, const char *text);
/* After config_warn: does anything refer to `name`? */
bool config_source_is_used(const struct config_source *source, const char *name);
/* Every setting (not the parents'), in the order of the file. */
void config_source_each(const struct config_source *source,
	void (*each)(void *context, const char *name, const char *raw, unsigned line),
	void *context);
/* Expand one text with $name ${name?..} ${name:..} ${{a}==...}; false with a fault when it loops or is malformed. */
MUST_CHECK bool config_expand(const struct config_source *source, const char *text,
	struct buffer *out, char *error, size_t error_size);
/* The expanded value of any name, trimmed; false when it is not set and has no default (error is empty), or as above. */
MUST_CHECK bool config_value(const struct config_source *source, const char *name,
	struct buffer *out, char *error, size_t error_size);
/*
 * What is not an error, but worth telling: unknown names (with the nearest known one) and undefined references; with `effects`
 * also parameters that are obsolete or have no effect in this version.
 */
void config_warn(struct config_source *source, bool effects, struct config_report *report);
/* Evaluate and check all: types, bounds, choices, loops. Appends the snapshot. */
MUST_CHECK bool config_snapshot(
	const struct config_source *source, struct buffer *snapshot, struct config_report *report);

/* --- changing files --- */
enum config_edit_action {
	CONFIG_KEEP,
	CONFIG_REPLACE, /* by what was appended to `out`, or nothing */
	CONFIG_TO_COMMENT
};
/*
 * Copy `text` (main.cf or master.cf) to `out`, entry by entry; `edit` sees each logical line and says what becomes of it. Comments
 * and blank lines stay, those inside an entry too.
 */
MUST_CHECK bool config_edit(struct slice text,
	enum config_edit_action (*edit)(void *context, struct slice entry, struct buffer *out),
	void *context, struct buffer *out);
enum config_change { CONFIG_SET, CONFIG_REMOVE, CONFIG_COMMENT_OUT };
struct config_edit_item {
	const char *name, *value; /* `value` for CONFIG_SET */
	unsigned found; /* how often it was there; set by config_edit_settings */
};
/* main.cf with every `name` set, removed or made a comment; those to set that were not there come at the end. */
MUST_CHECK bool config_edit_settings(struct slice text, enum config_change change,
	struct config_edit_item *items, size_t count, struct buffer *out);
/* `text` takes the place of the file at `path`, all or nothing: a new file with its owner and mode, synced, renamed. */
MUST_CHECK bool config_replace_file(
	const char *path, struct slice text, char *error, size_t error_size);

#endif
