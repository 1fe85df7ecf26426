// SPDX-License-Identifier: ISC
/* Lists of accounts. See records.h. */
#include "cli/records.h"

#include "cli/json_read.h"

void records_init(struct records *records)
{
	arena_init(&records->arena, RECORDS_MAX_MEMORY);
	records->list = vector_of(sizeof(struct record), RECORDS_MAX);
}

void records_free(struct records *records)
{
	/* Passwords may be in it. */
	for (size_t i = 0; i < records->list.count; i++)
		if (records_at(records, i)->password)
			explicit_bzero(records_at(records, i)->password,
				strlen(records_at(records, i)->password));
	vector_free(&records->list);
	arena_free(&records->arena);
}

struct record *records_add(
	struct records *records, enum record_kind kind, const char *file, unsigned line)
{
	struct record *record = vector_add(&records->list);

	if (record)
		*record =
			(struct record){ .kind = kind, .file = file, .line = line, .enabled = -1 };
	return record;
}

bool record_add_word(struct records *records, struct record *record, struct slice word)
{
	enum { FIRST = 2 };
	unsigned room = record->word_count;

	/* Doubled at each power of two. */
	if (room == 0 || (room >= FIRST && (room & (room - 1)) == 0)) {
		char **words = room < RECORDS_MAX_WORDS
				       ? arena_array(&records->arena,
						 room ? 2 * (size_t)room : FIRST, sizeof(*words))
				       : NULL;

		if (!words)
			return false;
		if (room)
			memcpy(words, record->words, room * sizeof(*words));
		record->words = words;
	}
	record->words[room] = arena_dup(&records->arena, word);
	record->word_count += record->words[room] != NULL;
	return record->words[room] != NULL;
}

struct line_reader {
	struct records *records;
	struct record *record;
	const char *address, *domain; /* members of a JSON object */
	const char *error;
};

static bool set_enabled(struct line_reader *reader, const char *value)
{
	if (strcmp(value, "true") == 0 || strcmp(value, "1") == 0)
		reader->record->enabled = 1;
	else if (strcmp(value, "false") == 0 || strcmp(value, "0") == 0)
		reader->record->enabled = 0;
	else
		reader->error = "enabled is true or false";
	return !reader->error;
}

/* False when the name is none of those. */
static bool set_member(struct line_reader *reader, struct slice name, char *value)
{
	if (slice_equal(name, SLICE("hash")))
		reader->record->hash = value;
	else if (slice_equal(name, SLICE("password")))
		reader->record->password = value;
	else if (slice_equal(name, SLICE("quota")))
		reader->record->quota = value;
	else if (slice_equal(name, SLICE("enabled")))
		return set_enabled(reader, value) || reader->error;
	else
		return false;
	return true;
}

static bool add_word(struct line_reader *reader, struct slice word)
{
	if (!record_add_word(reader->records, reader->record, word))
		reader->error = "too many words, or no memory";
	return !reader->error;
}

static bool json_member_read(void *context, const char *name, char *value)
{
	struct line_reader *reader = context;

	if (set_member(reader, slice_from(name), value))
		return !reader->error;
	if (strcmp(name, "address") == 0)
		reader->address = value;
	else if (strcmp(name, "domain") == 0)
		reader->domain = value;
	/* Figures of listings, and what a later version adds, are passed over. */
	if (strcmp(name, "destination") != 0)
		return true;
	/* The address goes first, wherever it stands in the object: room for it. */
	return (reader->record->word_count || add_word(reader, SLICE(""))) &&
	       add_word(reader, slice_from(value));
}

static void read_json(struct line_reader *reader, struct slice line)
{
	struct record *record = reader->record;
	const char *error, *subject;

	if (!json_read_object(line, &reader->records->arena, json_member_read, reader, &error)) {
		reader->error = reader->error ? reader->error : error;
		return;
	}
	subject = reader->address ? reader->address : reader->domain;
	if (!subject)
		reader->error = "no \"address\" or \"domain\"";
	else if (record->word_count)
		record->words[0] = (char *)subject;
	else
		add_word(reader, slice_from(subject));
}

static void read_words(struct line_reader *reader, struct slice line)
{
	struct slice word;

	while (!reader->error && slice_word(&line, " \t\r", &word)) {
		ptrdiff_t equals = slice_find(word, '=');
		char *value = equals > 0 ? arena_dup(&reader->records->arena,
						   slice_tail(word, (size_t)equals + 1))
					 : NULL;

		if (!(value && set_member(reader, slice_head(word, (size_t)equals), value)))
			add_word(reader, word);
	}
	if (!reader->error && !reader->record->word_count)
		reader->error = "no address or domain";
}

bool records_read_line(struct records *records, struct slice line, unsigned number,
	struct record **record, const char **error)
{
	struct line_reader reader = { .records = records };

	*record = NULL;
	line = slice_trim(line);
	if (line.length == 0 || line.data[0] == '#')
		return true;
	reader.record = *record = records_add(records, RECORD_WORDS, NULL, number);
	if (!reader.record)
		reader.error = "too many lines, or no memory";
	else if (slice_find(line, '\0') >= 0)
		reader.error = "a NUL byte";
	else if (line.data[0] == '{')
		read_json(&reader, line);
	else
		read_words(&reader, line);
	if (reader.error && reader.record)
		reader.record->bad = true;
	*error = reader.error;
	return !reader.error;
}
