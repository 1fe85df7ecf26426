// SPDX-License-Identifier: ISC
/*
 * cidr: tables: "network/bits value", "address value", "!network value", and if/endif blocks; the first match counts.
 */
#include <arpa/inet.h>
#include <errno.h>

#include "base/vector.h"
#include "table/table_impl.h"

enum cidr_kind { CIDR_MATCH, CIDR_IF, CIDR_ENDIF };

struct cidr_rule {
	enum cidr_kind kind;
	bool negate;
	int family;
	unsigned bits;
	unsigned char network[16];
	struct slice value;
	size_t end; /* CIDR_IF: index of its endif */
};

struct cidr_table {
	struct table table;
	struct arena arena;
	struct vector rules;
};

/* An address in network order; brackets round IPv6 are allowed. */
static int parse_address(struct slice text, unsigned char address[16])
{
	char string[INET6_ADDRSTRLEN + 1];

	if (text.length >= 2 && text.data[0] == '[' && text.data[text.length - 1] == ']')
		text = slice_of(text.data + 1, text.length - 2);
	if (!slice_to_string(text, string, sizeof(string)))
		return -1;
	if (inet_pton(AF_INET, string, address) == 1)
		return AF_INET;
	return inet_pton(AF_INET6, string, address) == 1 ? AF_INET6 : -1;
}

static bool bits_match(const unsigned char *a, const unsigned char *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

/* "!", white space, network[/bits] off the front of *line; NULL or what is wrong. */
static const char *parse_network(struct slice *line, struct cidr_rule *rule)
{
	struct slice word, address;
	ptrdiff_t slash;
	uint64_t bits;
	unsigned most;

	while (line->length && line->data[0] == '!') {
		rule->negate = !rule->negate;
		*line = slice_trim(slice_tail(*line, 1));
	}
	if (!slice_word(line, " \t", &word))
		return "a network is missing";
	slash = slice_find(word, '/');
	address = slash < 0 ? word : slice_head(word, (size_t)slash);
	/* "[2001:db8::]/32" and "[2001:db8::/32]" are both in use. */
	if (slash >= 0 && address.length && address.data[0] == '[' &&
		word.data[word.length - 1] == ']') {
		word.length--;
		address = slice_tail(address, 1);
	}
	rule->family = parse_address(address, rule->network);
	if (rule->family < 0)
		return "not an address";
	most = rule->family == AF_INET ? 32 : 128;
	rule->bits = most;
	if (slash >= 0) {
		if (!slice_to_u64(slice_tail(word,
					  (size_t)(address.data - word.data) + address.length + 1),
			    most, &bits))
			return "bad number of bits";
		rule->bits = (unsigned)bits;
	}
	for (unsigned bit = rule->bits; bit < most; bit++)
		if (rule->network[bit / 8] & (0x80 >> bit % 8))
			return "the address has bits outside of its network";
	return NULL;
}

struct cidr_reader {
	struct cidr_table *cidr;
	size_t open[TABLE_MAX_NESTING]; /* indexes of IFs */
	unsigned depth;
};

static const char *parse_rule(struct cidr_reader *reader, struct slice line)
{
	struct vector *rules = &reader->cidr->rules;
	struct cidr_rule *rule, parsed = { .kind = CIDR_MATCH };
	struct slice rest = line, word;
	const char *error;

	if (!slice_word(&rest, " \t", &word))
		return "empty";
	if (slice_equal_nocase(word, SLICE("endif"))) {
		if (reader->depth == 0)
			return "endif without if";
		parsed.kind = CIDR_ENDIF;
		((struct cidr_rule *)vector_at(rules, reader->open[--reader->depth]))->end =
			rules->count;
	} else if (slice_equal_nocase(word, SLICE("if"))) {
		if (reader->depth == TABLE_MAX_NESTING)
			return "if nested too deeply";
		parsed.kind = CIDR_IF;
		reader->open[reader->depth++] = rules->count;
		rest = slice_trim(rest);
		error = parse_network(&rest, &parsed);
		if (error)
			return error;
	} else {
		error = parse_network(&line, &parsed);
		if (error)
			return error;
		parsed.value = slice_trim(line);
		if (parsed.value.length == 0)
			return "a value is missing";
		parsed.value = arena_slice(&reader->cidr->arena, parsed.value);
	}
	rule = vector_add(rules);
	if (!rule || (parsed.kind == CIDR_MATCH && !parsed.value.data))
		return "too many rules";
	*rule = parsed;
	return NULL;
}

static bool cidr_read(struct cidr_table *cidr, const struct table_opening *opening,
	const char *path, struct slice source)
{
	struct cidr_reader reader = { .cidr = cidr };
	const char *error = NULL;
	struct table_lines lines;
	struct slice line;

	table_lines_begin(&lines, source);
	while (!error && table_lines_next(&lines, &line))
		error = parse_rule(&reader, line);
	if (!error && lines.failed)
		error = "line too long";
	if (!error && reader.depth)
		error = "if without endif";
	if (error)
		table_fail(opening, "%s:%u: %s", path, lines.number, error);
	table_lines_end(&lines);
	return !error;
}

static struct table *cidr_open(const struct table_opening *opening)
{
	struct slice inline_rules = slice_trim(slice_from(opening->name));
	struct cidr_table *cidr = table_new(opening, sizeof(*cidr));
	struct table *table = (struct table *)cidr;
	struct buffer path = { 0 }, source = { 0 };
	bool done = false;

	if (!cidr)
		return NULL;
	arena_init(&cidr->arena, TABLE_MAX_ARENA);
	cidr->rules = vector_of(sizeof(struct cidr_rule), TABLE_MAX_RULES);
	if (inline_rules.length && inline_rules.data[0] == '{') {
		struct slice rest = table_strip_braces(inline_rules), item;

		while (table_next_item(&rest, &item)) {
			buffer_add(&source, table_strip_braces(item));
			buffer_add_byte(&source, '\n');
		}
		done = cidr_read(cidr, opening, "cidr", buffer_slice(&source));
	} else if (table_path(opening, "", &path)) {
		if (!file_stamp_take(&table->stamp, buffer_text(&path)) ||
			!table_read_file(buffer_text(&path), &source))
			table_fail(opening, "%s: %s", buffer_text(&path), strerror(errno));
		else
			done = cidr_read(cidr, opening, buffer_text(&path), buffer_slice(&source));
	}
	buffer_free(&path);
	buffer_free(&source);
	if (!done)
		table_close(&table);
	return table;
}

static void cidr_close(struct table *table)
{
	struct cidr_table *cidr = (struct cidr_table *)table;

	vector_free(&cidr->rules);
	arena_free(&cidr->arena);
}

static bool rule_matches(const struct cidr_rule *rule, int family, const unsigned char *address)
{
	return (rule->family == family && bits_match(rule->network, address, rule->bits)) !=
	       rule->negate;
}

static enum table_status cidr_lookup(struct table *table, struct slice key, struct buffer *value)
{
	const struct vector *rules = &((struct cidr_table *)table)->rules;
	unsigned char address[16];
	int family = parse_address(key, address);

	if (family < 0)
		return TABLE_NOT_FOUND;
	for (size_t i = 0; i < rules->count; i++) {
		const struct cidr_rule *rule = vector_at(rules, i);

		if (rule->kind == CIDR_ENDIF)
			continue;
		if (rule->kind == CIDR_IF) {
			if (!rule_matches(rule, family, address))
				i = rule->end;
		} else if (rule_matches(rule, family, address)) {
			buffer_add(value, rule->value);
			return TABLE_FOUND;
		}
	}
	return TABLE_NOT_FOUND;
}

const struct table_type TABLE_CIDR = { .name = "cidr",
	.pattern = true,
	.open = cidr_open,
	.lookup = cidr_lookup,
	.close = cidr_close };
