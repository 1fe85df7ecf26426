// SPDX-License-Identifier: ISC
/* Lists of accounts. See records.h. */
#include "cli/records.h"

#include "os/json_text.h"

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

static bool take_value(struct line_reader *reader, const char *name, char *value)
{
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

/* Texts, whole numbers and words, as they are written. How a fraction was written is not known any more: NULL, as for what has parts. */
static char *text_of(struct line_reader *reader, const json_t *value)
{
	static const char *const WORDS[] = {
		[JSON_TRUE] = "true", [JSON_FALSE] = "false", [JSON_NULL] = "null"
	};
	struct arena *arena = &reader->records->arena;

	switch (json_typeof(value)) {
	case JSON_STRING:
		return arena_dup(
			arena, slice_of(json_string_value(value), json_string_length(value)));
	case JSON_INTEGER:
		return arena_printf(arena, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	case JSON_TRUE:
	case JSON_FALSE:
	case JSON_NULL:
		return arena_dup(arena, slice_from(WORDS[json_typeof(value)]));
	default:
		return NULL;
	}
}

/* Has the member of that name a meaning here? */
static bool is_ours(const char *name)
{
	static const char *const OURS[] = { "address", "domain", "destination", "hash", "password",
		"quota", "enabled" };

	for (size_t i = 0; i < sizeof(OURS) / sizeof(OURS[0]); i++)
		if (strcmp(name, OURS[i]) == 0)
			return true;
	return false;
}

static bool read_value(struct line_reader *reader, const char *name, const json_t *value)
{
	char *text;

	if (json_is_real(value) && !is_ours(name))
		return true;
	text = text_of(reader, value);
	if (text)
		return take_value(reader, name, text);
	reader->error = json_is_real(value) ? "a number with a fraction or an exponent"
			: json_is_object(value) || json_is_array(value) ? "a value that has parts"
									: "no memory";
	return false;
}

static bool read_members(struct line_reader *reader, json_t *object)
{
	const char *name;
	json_t *value, *each;
	size_t i;

	json_object_foreach(object, name, value)
	{
		if (!json_is_array(value) && !read_value(reader, name, value))
			return false;
		json_array_foreach(
			value, i, each) if (!read_value(reader, name, each)) return false;
	}
	return true;
}

static void read_json(struct line_reader *reader, struct slice line)
{
	struct record *record = reader->record;
	const char *subject;
	char error[200];
	json_t *object = json_text_read(line, 0, error, sizeof(error));

	if (!object) {
		reader->error = arena_dup(&reader->records->arena, slice_from(error));
		reader->error = reader->error ? reader->error : "no memory";
	} else if (read_members(reader, object)) {
		subject = reader->address ? reader->address : reader->domain;
		if (!subject)
			reader->error = "no \"address\" or \"domain\"";
		else if (record->word_count)
			record->words[0] = (char *)subject;
		else
			add_word(reader, slice_from(subject));
	}
	json_decref(object);
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
