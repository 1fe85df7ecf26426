// SPDX-License-Identifier: ISC
/*
 * What the files of lib/config share.
 */
#ifndef CONFIG_INTERNAL_H
#define CONFIG_INTERNAL_H

#include "base/map.h"
#include "base/vector.h"
#include "config/config.h"

struct setting {
	char *name, *value;
	char *file;
	unsigned line; /* 0: not from a file */
};
struct config_source {
	const struct config_source *parent;
	struct vector settings; /* struct setting *, in the order of the file */
	struct map by_name; /* name -> struct setting */
	struct map used; /* names that a value refers to */
	char hostname[256]; /* default of myhostname */
};

/* The setting that holds for `name`, its own or a parent's; NULL when it is not set. */
const struct setting *source_find(const struct config_source *source, const char *name);
/* Raw value or default; "" for names that are set by circumstances (service_name); NULL when unknown. */
const char *source_text(const struct config_source *source, const char *name);
/* Set by circumstances: service_name, stress, ... */
bool name_is_automatic(const char *name);
/* Its `$` are not main.cf's: mailbox_command. */
bool parameter_is_raw(enum parameter p);

/* Call `each` with every name that `$` stands before; `plain`: not tested by ? or :. */
void expand_references(const char *text, void (*each)(void *context, struct slice name, bool plain),
	void *context);

/* Take "{...}" off the front of *rest: what stands between the braces, trimmed. False when it is not closed. */
bool take_group(struct slice *rest, struct slice *inside);

/*
 * Logical lines, as main.cf and master.cf have them: a line that begins with white space continues the one before; comments and
 * blank lines count for nothing, also in between.
 */
struct line_reader {
	struct slice rest;
	unsigned line; /* of the physical line that comes next, from 1 */
};
enum line_kind { LINE_END, LINE_TEXT, LINE_STRAY /* continues nothing */, LINE_TOO_LONG };
/* The next one in `text` (NUL-ended too), parts joined by one space; `line` is where it begins. */
enum line_kind line_next(struct line_reader *reader, struct buffer *text, unsigned *line);
/* FOLDER/NAME in `text`; false with a fault. Refuses NUL bytes. */
bool read_config_file(const char *path, struct buffer *text, struct config_report *report);

#endif
