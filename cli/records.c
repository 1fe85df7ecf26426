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

#define BLANKS " \t\r"

struct line_reader {
	struct records *records;
	struct record *record;
	const char *address, *domain; /* members of a JSON object */
	const char *error;
};

static bool out_of_memory(struct line_reader *reader)
{
	reader->error = "no memory";
	return false;
}

static void refuse(struct line_reader *reader, const char *text)
{
	reader->error = text ? text : "no memory";
}

static bool add_word(struct line_reader *reader, struct slice word)
{
	if (!record_add_word(reader->records, reader->record, word))
		reader->error = "too many words, or no memory";
	return !reader->error;
}

/* --- members of an object; name=value on a line --- */

enum member_shape {
	SHAPE_TEXT = 1,
	SHAPE_NUMBER = 2, /* whole */
	SHAPE_TRUTH = 4,
	SHAPE_LIST = 8, /* of texts, or one text */
	SHAPES = 15,
	ON_A_LINE = 16, /* as name=value */
	AN_OPTION = 32 /* on a line as --name value, too */
};

/* Each gets a copy in the arena, and returns whether it is one of the values that it may have. */

static bool take_address(struct line_reader *reader, char *value)
{
	reader->address = value;
	return true;
}

static bool take_domain(struct line_reader *reader, char *value)
{
	reader->domain = value;
	return true;
}

/* The address goes first, wherever it stands in the object: room for it. What fails has its error. */
static bool take_destination(struct line_reader *reader, char *value)
{
	if (reader->record->word_count || add_word(reader, SLICE("")))
		add_word(reader, slice_from(value));
	return true;
}

static bool take_hash(struct line_reader *reader, char *value)
{
	reader->record->hash = value;
	return true;
}

static bool take_password(struct line_reader *reader, char *value)
{
	reader->record->password = value;
	return true;
}

static bool take_quota(struct line_reader *reader, char *value)
{
	reader->record->quota = value;
	return true;
}

/* -1: neither. */
static int truth(const char *value)
{
	if (strcmp(value, "true") == 0 || strcmp(value, "1") == 0)
		return 1;
	return strcmp(value, "false") == 0 || strcmp(value, "0") == 0 ? 0 : -1;
}

static bool take_enabled(struct line_reader *reader, char *value)
{
	reader->record->enabled = (signed char)truth(value);
	return reader->record->enabled >= 0;
}

static bool take_no_password(struct line_reader *reader, char *value)
{
	reader->record->no_password = truth(value) == 1;
	return truth(value) >= 0;
}

static const struct member {
	const char *name;
	unsigned shapes; /* none: a figure of listings, passed over whatever it is */
	bool (*take)(struct line_reader *reader, char *value);
} MEMBERS[] = {
	{ "address", SHAPE_TEXT, take_address },
	{ "domain", SHAPE_TEXT, take_domain },
	{ "destination", SHAPE_TEXT | SHAPE_LIST, take_destination },
	{ "hash", SHAPE_TEXT | ON_A_LINE | AN_OPTION, take_hash },
	{ "password", SHAPE_TEXT | ON_A_LINE, take_password },
	{ "no_password", SHAPE_TRUTH | ON_A_LINE | AN_OPTION, take_no_password },
	{ "quota", SHAPE_TEXT | SHAPE_NUMBER | ON_A_LINE | AN_OPTION, take_quota },
	{ "enabled", SHAPE_TRUTH | ON_A_LINE, take_enabled },
	{ "mailbox", 0, NULL },
	{ "last_login", 0, NULL },
	{ "app_passwords", 0, NULL },
	{ "mailboxes", 0, NULL },
	{ "aliases", 0, NULL },
};

/* Of those with one of the `shapes`, or of all; with `dashes`, "-" in the name stands for "_". NULL: none. */
static const struct member *member_of(struct slice name, unsigned shapes, bool dashes)
{
	for (size_t i = 0; i < sizeof(MEMBERS) / sizeof(MEMBERS[0]); i++) {
		const char *ours = MEMBERS[i].name;
		size_t at = 0;

		if (shapes && !(MEMBERS[i].shapes & shapes))
			continue;
		while (at < name.length && ours[at] &&
			(name.data[at] == ours[at] ||
				(dashes && name.data[at] == '-' && ours[at] == '_')))
			at++;
		if (at == name.length && !ours[at])
			return &MEMBERS[i];
	}
	return NULL;
}

/* A name as it is told: with nothing in it that could steer a terminal. */
static const char *shown(struct line_reader *reader, struct slice name)
{
	enum { SHOWN = 64 };
	char *text = arena_dup(&reader->records->arena, slice_head(name, SHOWN));

	for (char *c = text; c && *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	return text ? text : "?";
}

static bool refuse_unknown(struct line_reader *reader, struct slice name)
{
	refuse(reader,
		arena_printf(&reader->records->arena, "\"%s\" is not known", shown(reader, name)));
	return false;
}

static bool refuse_shape(struct line_reader *reader, const struct member *member)
{
	static const char *const WANTED[SHAPES + 1] = { [SHAPE_TEXT] = "a text",
		[SHAPE_TEXT | SHAPE_NUMBER] = "a text or a whole number",
		[SHAPE_TEXT | SHAPE_LIST] = "a text or a list of texts",
		[SHAPE_TRUTH] = "true or false" };

	refuse(reader, arena_printf(&reader->records->arena, "\"%s\" has to be %s", member->name,
			       WANTED[member->shapes & SHAPES]));
	return false;
}

static bool take(struct line_reader *reader, const struct member *member, char *value)
{
	if (!value)
		return out_of_memory(reader);
	return (member->take(reader, value) || refuse_shape(reader, member)) && !reader->error;
}

/* As it is written. NULL: no memory. */
static char *text_of(struct line_reader *reader, const json_t *value)
{
	struct arena *arena = &reader->records->arena;

	if (json_is_string(value))
		return arena_dup(
			arena, slice_of(json_string_value(value), json_string_length(value)));
	if (json_is_integer(value))
		return arena_printf(arena, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	return arena_dup(arena, slice_from(json_is_true(value) ? "true" : "false"));
}

static bool has_shape(const struct member *member, const json_t *value)
{
	unsigned shape = json_is_string(value)    ? SHAPE_TEXT
			 : json_is_integer(value) ? SHAPE_NUMBER
			 : json_is_boolean(value) ? SHAPE_TRUTH
						  : 0;

	return (member->shapes & shape) != 0;
}

static bool read_list(struct line_reader *reader, const struct member *member, const json_t *list)
{
	const json_t *each;
	size_t i;

	json_array_foreach(list, i, each)
	{
		if (!json_is_string(each))
			return refuse_shape(reader, member);
		if (!take(reader, member, text_of(reader, each)))
			return false;
	}
	return true;
}

static bool read_members(struct line_reader *reader, json_t *object)
{
	const struct member *member;
	const char *name;
	json_t *value;

	json_object_foreach(object, name, value)
	{
		member = member_of(slice_from(name), 0, false);
		if (!member)
			return refuse_unknown(reader, slice_from(name));
		/* null says that there is none. */
		if (!(member->shapes & SHAPES) || json_is_null(value))
			continue;
		if ((member->shapes & SHAPE_LIST) && json_is_array(value)) {
			if (!read_list(reader, member, value))
				return false;
			continue;
		}
		if (!has_shape(member, value))
			return refuse_shape(reader, member);
		if (!take(reader, member, text_of(reader, value)))
			return false;
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

/* --quota 5M as on the command line. */
static bool read_option(struct line_reader *reader, struct slice option, struct slice *rest)
{
	const struct member *member = member_of(slice_tail(option, 2), AN_OPTION, true);
	struct arena *arena = &reader->records->arena;
	struct slice value = SLICE("true"), name;

	if (member && ((member->shapes & SHAPE_TRUTH) || slice_word(rest, BLANKS, &value)))
		return take(reader, member, arena_dup(arena, value));
	if (member)
		refuse(reader, arena_printf(arena, "--%s: no value", member->name));
	else if (slice_split(&option, '=', &name)) /* what follows may be a secret */
		refuse(reader,
			arena_printf(arena, "%s: not an option of a line", shown(reader, name)));
	return false;
}

/* Addresses may have "=" in them, too. */
static bool read_word(struct line_reader *reader, struct slice word)
{
	ptrdiff_t equals = slice_find(word, '=');
	struct slice name = slice_head(word, equals > 0 ? (size_t)equals : 0);
	const struct member *member = member_of(name, ON_A_LINE, false);

	if (member)
		return take(reader, member,
			arena_dup(&reader->records->arena, slice_tail(word, name.length + 1)));
	if (name.length && slice_find(word, '@') < 0)
		return refuse_unknown(reader, name);
	return add_word(reader, word);
}

static void read_words(struct line_reader *reader, struct slice line)
{
	struct slice word;
	bool good = true;

	while (good && slice_word(&line, BLANKS, &word))
		good = slice_starts(word, SLICE("--")) && slice_find(word, '@') < 0
			       ? read_option(reader, word, &line)
			       : read_word(reader, word);
	if (good && !reader->record->word_count)
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
