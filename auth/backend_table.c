// SPDX-License-Identifier: ISC
/* A lookup table (sqlite:, hash:, mysql:, ...) as a back end: login name to what is stored. See backend.h. */
#include <stdio.h>
#include <stdlib.h>

#include "auth/backend_impl.h"
#include "mail/utf8.h"
#include "table/table.h"

struct asked {
	struct backend backend;
	const struct backends_settings *settings;
	struct table *table;
	bool lenient; /* it compares names by rules of its own: "ánn" may find "ann" */
};

/* A server's collation may pass over accents, widths and signs that nobody sees. */
static bool is_of_server(const char *name)
{
	struct slice text = slice_from(name);

	if (slice_starts(text, SLICE("proxy:")))
		text = slice_tail(text, strlen("proxy:"));
	return slice_starts(text, SLICE("mysql:")) || slice_starts(text, SLICE("pgsql:"));
}

static struct backend *open_asked(const struct backend_opening *opening)
{
	struct asked *asked = calloc(1, sizeof(*asked));

	if (!asked) {
		snprintf(opening->error, opening->error_size, "no memory");
		return NULL;
	}
	asked->settings = opening->settings;
	asked->lenient = is_of_server(opening->name);
	asked->table = table_open(opening->name, opening->settings->folder, TABLE_FOLD,
		opening->error, opening->error_size);
	if (asked->table)
		return &asked->backend;
	free(asked);
	return NULL;
}

static void close_asked(struct backend *backend)
{
	table_close(&((struct asked *)backend)->table);
	free(backend);
}

static enum credentials_status read_asked(
	struct backend *backend, struct slice login, char stored[SCHEME_MAX_STORED])
{
	struct asked *asked = (struct asked *)backend;
	struct buffer value = buffer_secret(0);
	struct slice name;
	enum credentials_status status = CREDENTIALS_ERROR;
	enum table_status found;

	/* One who is disabled, or over a limit, may have no second name; between ASCII names only the case is passed over, and ours is small. */
	if (asked->lenient && utf8_ascii_prefix(login) != login.length)
		return CREDENTIALS_UNKNOWN;
	found = table_lookup(asked->table, login, &value);
	if (found == TABLE_NOT_FOUND && backend_short_name(asked->settings, login, &name))
		found = table_lookup(asked->table, name, &value);
	if (found == TABLE_NOT_FOUND)
		status = CREDENTIALS_UNKNOWN;
	else if (found == TABLE_FOUND)
		status = slice_to_string(buffer_slice(&value), stored, SCHEME_MAX_STORED)
				 ? CREDENTIALS_GOOD
				 : CREDENTIALS_BAD;
	buffer_free(&value);
	return status;
}

static bool asked_changed(const struct backend *backend)
{
	return table_changed(((const struct asked *)backend)->table);
}

const struct backend_type BACKEND_TABLE = { .name = "table",
	.open = open_asked,
	.close = close_asked,
	.read = read_asked,
	.changed = asked_changed };
