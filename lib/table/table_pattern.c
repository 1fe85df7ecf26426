// SPDX-License-Identifier: ISC
/*
 * pcre: and regexp: tables: "/pattern/flags value", "!/pattern/flags value", if/endif blocks; the first match counts. $1, ${1}
 * and $(1) in a value stand for what a group matched, $$ for a dollar sign. Both kinds run on PCRE2, whose work on one
 * key is bounded; the POSIX syntax of regexp: is translated (table_posix.c).
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <errno.h>

#include "base/vector.h"
#include "table/table_impl.h"
#include "table/table_posix.h"

enum {
	PATTERN_MAX = 64 * 1024, /* bytes of one pattern */
	PATTERN_MATCH_LIMIT = 1000000, /* steps of one match */
	PATTERN_HEAP_LIMIT = 16 * 1024 /* KiB */
};

enum pattern_kind { PATTERN_MATCH, PATTERN_IF, PATTERN_ENDIF };

struct pattern_rule {
	enum pattern_kind kind;
	bool negate;
	pcre2_code *code;
	struct slice value;
	size_t end; /* PATTERN_IF: index of its endif */
};

struct pattern_table {
	struct table table;
	struct arena arena;
	struct vector rules;
	pcre2_compile_context *compile;
	pcre2_match_context *match;
	pcre2_match_data *groups; /* roomy enough for each rule */
	uint32_t most_groups;
};

struct pattern_reader {
	struct pattern_table *pattern;
	bool posix;
	size_t open[TABLE_MAX_NESTING];
	unsigned depth;
	char error[256];
};

static bool reject(struct pattern_reader *reader, const char *text)
{
	struct slice s = slice_head(slice_from(text), sizeof(reader->error) - 1);

	memcpy(reader->error, s.data, s.length);
	reader->error[s.length] = '\0';
	return false;
}

/* --- pattern and flags --- */

/* Each letter switches an option on or off from its default. */
static const struct {
	char letter;
	bool posix; /* known to regexp: too */
	uint32_t option;
} FLAGS[] = {
	{ 'i', true, PCRE2_CASELESS }, { 'm', true, PCRE2_MULTILINE }, { 's', false, PCRE2_DOTALL },
	{ 'x', false, PCRE2_EXTENDED }, { 'A', false, PCRE2_ANCHORED },
	{ 'E', false, PCRE2_DOLLAR_ENDONLY }, { 'U', false, PCRE2_UNGREEDY },
	{ 'X', false, 0 }, /* PCRE1's; PCRE2 is always strict */
};

static bool apply_flag(struct pattern_reader *reader, char letter, uint32_t *options)
{
	for (size_t i = 0; i < sizeof(FLAGS) / sizeof(FLAGS[0]); i++)
		if (FLAGS[i].letter == letter && (FLAGS[i].posix || !reader->posix)) {
			*options ^= FLAGS[i].option;
			return true;
		}
	return reject(reader, "unknown flag behind the pattern");
}

/* "[!]/pattern/flags" off the front of *line. */
static bool split_pattern(struct pattern_reader *reader, struct slice *line, struct slice *pattern,
	uint32_t *options, bool *negate)
{
	struct slice rest = slice_trim(*line);
	size_t end = 1;
	char delimiter;

	while (rest.length && rest.data[0] == '!') {
		*negate = !*negate;
		rest = slice_trim(slice_tail(rest, 1));
	}
	if (rest.length < 2 || ascii_alnum(rest.data[0]) || rest.data[0] == '\\' ||
		rest.data[0] == '"')
		return reject(reader, "a pattern is missing (/pattern/)");
	delimiter = rest.data[0];
	while (end < rest.length && rest.data[end] != delimiter)
		end += rest.data[end] == '\\' ? 2 : 1;
	if (end >= rest.length)
		return reject(reader, "the pattern does not end");
	*pattern = slice_of(rest.data + 1, end - 1);
	for (end++; end < rest.length && ascii_alpha(rest.data[end]); end++)
		if (!apply_flag(reader, rest.data[end], options))
			return false;
	*line = slice_tail(rest, end);
	if (line->length && line->data[0] != ' ' && line->data[0] != '\t')
		return reject(reader, "unknown flag behind the pattern");
	*line = slice_trim(*line);
	return true;
}

static bool has_high_bytes(struct slice text)
{
	for (size_t i = 0; i < text.length; i++)
		if ((unsigned char)text.data[i] >= 0x80)
			return true;
	return false;
}

static bool compile(struct pattern_reader *reader, struct slice pattern, uint32_t options,
	struct pattern_rule *rule)
{
	struct pattern_table *table = reader->pattern;
	struct buffer translated = buffer_limited(4 * PATTERN_MAX);
	const char *error = NULL;
	PCRE2_SIZE offset;
	int code = 0;

	if (pattern.length > PATTERN_MAX)
		return reject(reader, "pattern too long");
	if (reader->posix) {
		error = table_posix_translate(pattern, &translated);
		pattern = buffer_slice(&translated);
	}
	if (has_high_bytes(pattern))
		options |= PCRE2_UTF | PCRE2_MATCH_INVALID_UTF;
	if (!error)
		rule->code = pcre2_compile((PCRE2_SPTR)(pattern.data ? pattern.data : ""),
			pattern.length, options | PCRE2_NEVER_BACKSLASH_C, &code, &offset,
			table->compile);
	buffer_free(&translated);
	if (error)
		return reject(reader, error);
	if (!rule->code) {
		pcre2_get_error_message(code, (PCRE2_UCHAR *)reader->error, sizeof(reader->error));
		return false;
	}
	/* Where the just-in-time compiler cannot be had, the interpreter does. */
	(void)pcre2_jit_compile(rule->code, PCRE2_JIT_COMPLETE);
	return true;
}

/* --- values --- */

/* The group that a "$" at `text[0]` names, and how many bytes that takes; 0 bytes when it is none. */
static size_t group_reference(struct slice text, uint64_t *group)
{
	size_t begin = 1, end;
	char close = '\0';

	if (text.length > 1 && (text.data[1] == '{' || text.data[1] == '(')) {
		close = text.data[1] == '{' ? '}' : ')';
		begin = 2;
	}
	for (end = begin; end < text.length && ascii_digit(text.data[end]); end++)
		;
	if (!slice_to_u64(slice_of(text.data + begin, end - begin), 65535, group))
		return 0;
	if (close && (end >= text.length || text.data[end] != close))
		return 0;
	return end + (close ? 1 : 0);
}

static bool check_value(struct pattern_reader *reader, const struct pattern_rule *rule)
{
	struct slice rest = rule->value;
	uint32_t groups = 0;
	uint64_t group;
	ptrdiff_t at;
	size_t length;

	pcre2_pattern_info(rule->code, PCRE2_INFO_CAPTURECOUNT, &groups);
	while ((at = slice_find(rest, '$')) >= 0) {
		rest = slice_tail(rest, (size_t)at);
		if (rest.length > 1 && rest.data[1] == '$') {
			rest = slice_tail(rest, 2);
			continue;
		}
		length = group_reference(rest, &group);
		if (length == 0)
			return reject(reader,
				"\"$\" in the value must be \"$$\" or name a group, as \"$1\"");
		if (group > groups)
			return reject(
				reader, "the value names a group that the pattern does not have");
		if (rule->negate)
			return reject(reader, "a negated pattern matches no groups");
		rest = slice_tail(rest, length);
	}
	return true;
}

static void write_value(const struct pattern_rule *rule, struct slice key, const PCRE2_SIZE *vector,
	int count, struct buffer *out)
{
	struct slice rest = rule->value;
	uint64_t group = 0;
	ptrdiff_t at;

	while ((at = slice_find(rest, '$')) >= 0) {
		buffer_add(out, slice_head(rest, (size_t)at));
		rest = slice_tail(rest, (size_t)at);
		if (rest.length > 1 && rest.data[1] == '$') {
			buffer_add_byte(out, '$');
			rest = slice_tail(rest, 2);
			continue;
		}
		rest = slice_tail(rest, group_reference(rest, &group));
		if ((int)group < count && vector[2 * group] != PCRE2_UNSET &&
			vector[2 * group + 1] >= vector[2 * group])
			buffer_append(out, key.data + vector[2 * group],
				vector[2 * group + 1] - vector[2 * group]);
	}
	buffer_add(out, rest);
}

/* --- the file --- */

static bool add_rule(struct pattern_reader *reader, const struct pattern_rule *parsed)
{
	struct pattern_rule *rule = vector_add(&reader->pattern->rules);
	uint32_t groups = 0;

	if (!rule) {
		pcre2_code_free(parsed->code);
		return reject(reader, "too many rules");
	}
	*rule = *parsed;
	if (rule->code)
		pcre2_pattern_info(rule->code, PCRE2_INFO_CAPTURECOUNT, &groups);
	if (groups + 1 > reader->pattern->most_groups)
		reader->pattern->most_groups = groups + 1;
	return true;
}

static bool parse_endif(struct pattern_reader *reader)
{
	struct vector *rules = &reader->pattern->rules;

	if (reader->depth == 0)
		return reject(reader, "endif without if");
	((struct pattern_rule *)vector_at(rules, reader->open[--reader->depth]))->end =
		rules->count;
	return add_rule(reader, &(struct pattern_rule){ .kind = PATTERN_ENDIF });
}

static bool parse_rule(struct pattern_reader *reader, struct slice line)
{
	uint32_t options = reader->posix ? PCRE2_CASELESS | PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY
					 : PCRE2_CASELESS | PCRE2_DOTALL;
	struct pattern_rule rule = { .kind = PATTERN_MATCH };
	struct slice rest = line, word = { 0 }, pattern;

	slice_word(&rest, " \t", &word);
	if (slice_equal_nocase(word, SLICE("endif")))
		return parse_endif(reader);
	if (slice_starts_nocase(line, SLICE("if")) && line.length > 2 &&
		!ascii_alnum(line.data[2])) {
		if (reader->depth == TABLE_MAX_NESTING)
			return reject(reader, "if nested too deeply");
		rule.kind = PATTERN_IF;
		line = slice_tail(line, 2);
	}
	if (!split_pattern(reader, &line, &pattern, &options, &rule.negate))
		return false;
	if (rule.kind == PATTERN_MATCH && line.length == 0)
		return reject(reader, "a value is missing");
	if (!compile(reader, pattern, options, &rule))
		return false;
	rule.value = rule.kind == PATTERN_MATCH ? arena_slice(&reader->pattern->arena, line)
						: slice_of("", 0);
	if (!rule.value.data || (rule.kind == PATTERN_MATCH && !check_value(reader, &rule))) {
		pcre2_code_free(rule.code);
		return rule.value.data ? false : reject(reader, "no memory");
	}
	if (rule.kind == PATTERN_IF)
		reader->open[reader->depth++] = reader->pattern->rules.count;
	return add_rule(reader, &rule);
}

static bool pattern_read(struct pattern_table *pattern, const struct table_opening *opening,
	const char *path, struct slice source)
{
	struct pattern_reader reader = { .pattern = pattern,
		.posix = opening->type == &TABLE_REGEXP };
	struct table_lines lines;
	struct slice line;
	bool done = true;

	table_lines_begin(&lines, source);
	while (done && table_lines_next(&lines, &line))
		done = parse_rule(&reader, line);
	if (done && lines.failed)
		done = reject(&reader, "line too long");
	if (done && reader.depth)
		done = reject(&reader, "if without endif");
	if (!done)
		table_fail(opening, "%s:%u: %s", path, lines.number, reader.error);
	table_lines_end(&lines);
	return done;
}

static bool pattern_prepare(struct pattern_table *pattern)
{
	arena_init(&pattern->arena, TABLE_MAX_ARENA);
	pattern->rules = vector_of(sizeof(struct pattern_rule), TABLE_MAX_RULES);
	pattern->compile = pcre2_compile_context_create(NULL);
	pattern->match = pcre2_match_context_create(NULL);
	if (!pattern->compile || !pattern->match)
		return false;
	pcre2_set_match_limit(pattern->match, PATTERN_MATCH_LIMIT);
	pcre2_set_heap_limit(pattern->match, PATTERN_HEAP_LIMIT);
	return true;
}

/* "pcre:{ {/a/ b}, {/c/ d} }": rules in the configuration itself, one to a pair of braces. */
static void inline_rules(struct slice rules, struct buffer *source)
{
	struct slice rest = table_strip_braces(rules), item;

	while (table_next_item(&rest, &item)) {
		buffer_add(source, table_strip_braces(item));
		buffer_add_byte(source, '\n');
	}
}

static struct table *pattern_open(const struct table_opening *opening)
{
	struct pattern_table *pattern = table_new(opening, sizeof(*pattern));
	struct slice name = slice_trim(slice_from(opening->name));
	struct table *table = (struct table *)pattern;
	struct buffer path = { 0 }, source = { 0 };
	bool done = false;

	if (!pattern)
		return NULL;
	if (!pattern_prepare(pattern)) {
		table_fail(opening, "%s: no memory", opening->name);
	} else if (name.length && name.data[0] == '{') {
		inline_rules(name, &source);
		done = pattern_read(pattern, opening, opening->type->name, buffer_slice(&source));
	} else if (table_path(opening, "", &path)) {
		if (!file_stamp_take(&table->stamp, buffer_text(&path)) ||
			!table_read_file(buffer_text(&path), &source))
			table_fail(opening, "%s: %s", buffer_text(&path), strerror(errno));
		else
			done = pattern_read(
				pattern, opening, buffer_text(&path), buffer_slice(&source));
	}
	buffer_free(&path);
	buffer_free(&source);
	if (done) {
		pattern->groups = pcre2_match_data_create(pattern->most_groups + 1, NULL);
		done = pattern->groups != NULL;
	}
	if (!done)
		table_close(&table);
	return table;
}

static void pattern_close(struct table *table)
{
	struct pattern_table *pattern = (struct pattern_table *)table;

	for (size_t i = 0; i < pattern->rules.count; i++)
		pcre2_code_free(((struct pattern_rule *)vector_at(&pattern->rules, i))->code);
	vector_free(&pattern->rules);
	arena_free(&pattern->arena);
	pcre2_match_data_free(pattern->groups);
	pcre2_match_context_free(pattern->match);
	pcre2_compile_context_free(pattern->compile);
}

/* TABLE_ERROR when the match was given up at its limits: that is no answer. */
static enum table_status try_rule(struct pattern_table *pattern, const struct pattern_rule *rule,
	struct slice key, int *count)
{
	*count = pcre2_match(rule->code, (PCRE2_SPTR)key.data, key.length, 0, 0, pattern->groups,
		pattern->match);
	if (*count < 0 && *count != PCRE2_ERROR_NOMATCH)
		return TABLE_ERROR;
	return (*count >= 0) != rule->negate ? TABLE_FOUND : TABLE_NOT_FOUND;
}

static enum table_status pattern_lookup(struct table *table, struct slice key, struct buffer *value)
{
	struct pattern_table *pattern = (struct pattern_table *)table;

	for (size_t i = 0; i < pattern->rules.count; i++) {
		const struct pattern_rule *rule = vector_at(&pattern->rules, i);
		enum table_status status;
		int count;

		if (rule->kind == PATTERN_ENDIF)
			continue;
		status = try_rule(pattern, rule, key, &count);
		if (status == TABLE_ERROR)
			return status;
		if (rule->kind == PATTERN_IF) {
			if (status == TABLE_NOT_FOUND)
				i = rule->end;
		} else if (status == TABLE_FOUND) {
			write_value(rule, key, pcre2_get_ovector_pointer(pattern->groups), count,
				value);
			return TABLE_FOUND;
		}
	}
	return TABLE_NOT_FOUND;
}

const struct table_type TABLE_PCRE = { .name = "pcre",
	.pattern = true,
	.open = pattern_open,
	.lookup = pattern_lookup,
	.close = pattern_close };
const struct table_type TABLE_REGEXP = { .name = "regexp",
	.pattern = true,
	.open = pattern_open,
	.lookup = pattern_lookup,
	.close = pattern_close };
