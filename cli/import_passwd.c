// SPDX-License-Identifier: ISC
/* Dovecot's passwd-file, and the users of a Unix system, as accounts. See import.h. */
#include "base/map.h"
#include "cli/import.h"

enum { PASSWD_FIELDS = 7, MAX_FIELD = 4096 };

/* The next line that says something. */
static bool next_line(struct slice *rest, unsigned *number, struct slice *line)
{
	while (slice_split(rest, '\n', line)) {
		++*number;
		if (line->length && line->data[line->length - 1] == '\r')
			line->length--;
		if (line->length && line->data[0] != '#')
			return true;
	}
	return false;
}

/* --- quotas --- */

/* "1G", "500M", "20" (times `unit`). */
static bool read_size(struct slice text, uint64_t unit, uint64_t *bytes)
{
	static const char SUFFIXES[] = "bkmgt";
	const char *suffix = NULL;
	uint64_t number;

	if (text.length && (ascii_lower(text.data[text.length - 1]) == 'b') && text.length > 1 &&
		ascii_alpha(text.data[text.length - 2]))
		text.length--; /* "MB" */
	if (text.length && ascii_alpha(text.data[text.length - 1]))
		suffix = strchr(SUFFIXES, ascii_lower(text.data[text.length - 1]));
	if (suffix) {
		text.length--;
		unit = 1ull << (10 * (suffix - SUFFIXES));
	}
	if (!slice_to_u64(slice_trim(text), UINT64_MAX >> 1, &number) ||
		number > (UINT64_MAX >> 1) / unit)
		return false;
	*bytes = number * unit;
	return true;
}

/* Dovecot's "*:storage=1G" or "*:bytes=1000:messages=5": what holds for all mailboxes. */
static bool read_quota_rule(struct slice rule, uint64_t *bytes)
{
	struct slice part;

	*bytes = 0;
	if (!slice_split(&rule, ':', &part) || !slice_equal(part, SLICE("*")))
		return false;
	while (slice_split(&rule, ':', &part)) {
		if (slice_starts(part, SLICE("storage=")) &&
			!read_size(slice_tail(part, strlen("storage=")), 1024, bytes))
			return false;
		if (slice_starts(part, SLICE("bytes=")) &&
			!read_size(slice_tail(part, strlen("bytes=")), 1, bytes))
			return false;
	}
	return true;
}

/* --- Dovecot --- */

static void read_extra(struct import_source *source, struct record *record, struct slice field)
{
	ptrdiff_t equals = slice_find(field, '=');
	struct slice name = equals < 0 ? field : slice_head(field, (size_t)equals);
	struct slice value = equals < 0 ? SLICE("") : slice_tail(field, (size_t)equals + 1);
	uint64_t bytes = 0;
	bool good = true;

	if (slice_equal(name, SLICE("nologin")))
		record->enabled = 0;
	else if (slice_equal(name, SLICE("userdb_quota_rule")))
		good = read_quota_rule(value, &bytes);
	else if (slice_equal(name, SLICE("userdb_quota_storage_size")))
		good = read_size(value, 1, &bytes);
	else if (slice_equal(name, SLICE("allow_nets")))
		good = false;
	if (bytes)
		good = import_quota(source, record, bytes);
	if (!good) {
		import_refuse(source, record->line, "%.*s: not a setting that can be taken over",
			SLICE_ARG(slice_head(field, 100)));
		record->bad = true;
	}
}

static void read_passwd_line(struct import_source *source, unsigned number, struct slice line)
{
	struct slice fields[PASSWD_FIELDS] = { { 0 } }, extra;
	struct record *record;
	int count = 0;

	/* The rest of the line is extra fields: they hold colons themselves. */
	while (count < PASSWD_FIELDS && slice_split(&line, ':', &fields[count]))
		count++;
	if (count == 0 || fields[0].length == 0) {
		import_refuse(source, number, "no user name");
		return;
	}
	record = import_record(source, RECORD_MAILBOX, number, fields[0]);
	if (!record)
		return;
	if (fields[1].length && !import_password(source, record, fields[1]))
		return;
	while (slice_word(&line, " \t", &extra))
		read_extra(source, record, extra);
}

void import_passwd_file(struct import_source *source, struct slice text)
{
	unsigned number = 0;
	struct slice line;

	while (next_line(&text, &number, &line))
		read_passwd_line(source, number, line);
}

/* --- a Unix system --- */

static void read_system_line(
	struct import_source *source, unsigned number, struct slice line, const struct map *shadow)
{
	struct slice name, password, uid, *hash;
	struct record *record;
	uint64_t id;

	if (!slice_split(&line, ':', &name) || name.length == 0 ||
		!slice_split(&line, ':', &password) || !slice_split(&line, ':', &uid) ||
		!slice_to_u64(uid, UINT32_MAX, &id)) {
		import_refuse(source, number, "not a line of a password file");
		return;
	}
	if (id < source->uid_least || id > source->uid_most)
		return;
	record = import_record(source, RECORD_MAILBOX, number, name);
	if (!record)
		return;
	hash = map_get(shadow, name);
	if (hash)
		password = *hash;
	/* Locked, or without a password: he does not log in with one. */
	if (password.length == 0 || password.data[0] == '!' || password.data[0] == '*' ||
		slice_equal(password, SLICE("x"))) {
		record->enabled = 0;
		return;
	}
	(void)import_password(source, record, password);
}

void import_system(struct import_source *source, struct slice passwd, struct slice shadow)
{
	struct slice line, name, *hash;
	struct map hashes = { 0 };
	unsigned number = 0;

	while (next_line(&shadow, &number, &line)) {
		hash = slice_split(&line, ':', &name)
			       ? arena_alloc(&source->records->arena, sizeof(*hash))
			       : NULL;
		if (hash && slice_split(&line, ':', hash))
			(void)!map_put(&hashes, name, hash);
	}
	number = 0;
	while (next_line(&passwd, &number, &line))
		read_system_line(source, number, line, &hashes);
	map_free(&hashes);
}
