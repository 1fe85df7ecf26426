// SPDX-License-Identifier: ISC
/* The grammar of FETCH (RFC 3501 section 9 "fetch", RFC 7162). See fetch.h. */
#include "imapd/fetch.h"

/* Letters, digits and dots: the name of an item, up to "[" if there is one. */
static bool parse_item_name(struct parser *p, struct slice *name)
{
	size_t n = 0;

	while (n < p->rest.length && (ascii_alnum(p->rest.data[n]) || p->rest.data[n] == '.'))
		n++;
	if (n == 0)
		return parse_fail(p, "Missing FETCH item");
	*name = slice_head(p->rest, n);
	p->rest = slice_tail(p->rest, n);
	return true;
}

static bool parse_part_numbers(struct parser *p, struct fetch_section *section)
{
	while (p->rest.length && ascii_digit(p->rest.data[0])) {
		uint64_t n;

		if (section->number_count == PARSE_MAX_SECTION_PARTS)
			return parse_fail(p, "Section is too deep");
		if (!parse_number(p, UINT32_MAX, &n))
			return false;
		if (n == 0)
			return parse_fail(p, "Section numbers begin with 1");
		section->numbers[section->number_count++] = (uint32_t)n;
		if (!parse_next_is(p, '.'))
			return true;
		p->rest = slice_tail(p->rest, 1);
		if (parse_next_is(p, ']'))
			return parse_fail(p, "Invalid section");
	}
	return true;
}

static bool parse_fields(struct parser *p, struct fetch_section *section)
{
	section->fields = arena_array(p->arena, FETCH_MAX_FIELDS, sizeof(*section->fields));
	if (!section->fields)
		return parse_fail(p, "Command is too large");
	if (!parse_space(p) || !parse_enter(p))
		return false;
	do {
		if (section->field_count == FETCH_MAX_FIELDS)
			return parse_fail(p, "Too many header fields");
		if (!parse_astring(p, &section->fields[section->field_count++]))
			return false;
	} while (parse_next_is(p, ' ') && parse_space(p));
	return parse_leave(p);
}

static bool parse_section_text(struct parser *p, struct fetch_section *section)
{
	static const struct {
		const char *name;
		enum section_text text;
	} TEXTS[] = { { "HEADER", SECTION_HEADER }, { "HEADER.FIELDS", SECTION_FIELDS },
		{ "HEADER.FIELDS.NOT", SECTION_FIELDS_NOT }, { "TEXT", SECTION_TEXT },
		{ "MIME", SECTION_MIME } };
	struct slice name;

	if (parse_next_is(p, ']'))
		return true;
	if (!parse_item_name(p, &name))
		return false;
	for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
		if (!slice_equal_nocase(name, slice_from(TEXTS[i].name)))
			continue;
		section->text = TEXTS[i].text;
		if (section->text == SECTION_MIME && section->number_count == 0)
			return parse_fail(p, "MIME needs a section number");
		return (section->text != SECTION_FIELDS && section->text != SECTION_FIELDS_NOT) ||
		       parse_fields(p, section);
	}
	return parse_fail(p, "Unknown section");
}

static bool parse_partial(struct parser *p, struct fetch_section *section)
{
	if (!parse_next_is(p, '<'))
		return true;
	p->rest = slice_tail(p->rest, 1);
	section->partial = true;
	if (!parse_number(p, INT64_MAX, &section->offset) || !parse_byte(p, '.') ||
		!parse_number(p, INT64_MAX, &section->length) || !parse_byte(p, '>'))
		return false;
	return section->length > 0 || parse_fail(p, "Partial of no length");
}

static bool plain_field(struct slice name)
{
	for (size_t i = 0; i < name.length; i++) {
		if (!ascii_alnum(name.data[i]) && name.data[i] != '-' && name.data[i] != '_')
			return false;
	}
	return name.length > 0;
}

static void write_fields(const struct fetch_section *section, struct buffer *label)
{
	buffer_add_text(
		label, section->text == SECTION_FIELDS ? "HEADER.FIELDS (" : "HEADER.FIELDS.NOT (");
	for (unsigned i = 0; i < section->field_count; i++) {
		if (i)
			buffer_add_byte(label, ' ');
		if (plain_field(section->fields[i]))
			buffer_add(label, section->fields[i]);
		else
			mime_write_nstring(section->fields[i], label);
	}
	buffer_add_byte(label, ')');
}

static bool make_label(struct parser *p, struct fetch_section *section)
{
	static const char *const NAMES[] = {
		[SECTION_HEADER] = "HEADER", [SECTION_TEXT] = "TEXT", [SECTION_MIME] = "MIME"
	};
	struct buffer label = { 0 };

	buffer_add_text(&label, "BODY[");
	for (unsigned i = 0; i < section->number_count; i++) {
		if (i)
			buffer_add_byte(&label, '.');
		buffer_add_u64(&label, section->numbers[i]);
	}
	if (section->number_count && section->text != SECTION_ALL)
		buffer_add_byte(&label, '.');
	if (section->text == SECTION_FIELDS || section->text == SECTION_FIELDS_NOT)
		write_fields(section, &label);
	else if (section->text != SECTION_ALL)
		buffer_add_text(&label, NAMES[section->text]);
	buffer_add_byte(&label, ']');
	if (section->partial)
		buffer_printf(&label, "<%llu>", (unsigned long long)section->offset);
	section->label =
		label.failed ? (struct slice){ 0 } : arena_slice(p->arena, buffer_slice(&label));
	buffer_free(&label);
	return section->label.data || parse_fail(p, "Command is too large");
}

static bool parse_section(struct parser *p, struct fetch_section *section)
{
	return parse_byte(p, '[') && parse_part_numbers(p, section) &&
	       parse_section_text(p, section) && parse_byte(p, ']') && parse_partial(p, section) &&
	       make_label(p, section);
}

static const struct {
	const char *name;
	enum fetch_kind kind;
} PLAIN[] = { { "UID", FETCH_UID }, { "FLAGS", FETCH_FLAGS }, { "INTERNALDATE", FETCH_DATE },
	{ "RFC822.SIZE", FETCH_SIZE }, { "MODSEQ", FETCH_MODSEQ }, { "ENVELOPE", FETCH_ENVELOPE },
	{ "BODY", FETCH_BODY }, { "BODYSTRUCTURE", FETCH_BODYSTRUCTURE } };

static const struct {
	const char *name;
	enum section_text text;
	bool peek;
} OLD_SECTIONS[] = { { "RFC822", SECTION_ALL, false }, { "RFC822.HEADER", SECTION_HEADER, true },
	{ "RFC822.TEXT", SECTION_TEXT, false } };

static bool name_item(struct slice name, struct fetch_item *item)
{
	for (size_t i = 0; i < sizeof(PLAIN) / sizeof(PLAIN[0]); i++) {
		if (slice_equal_nocase(name, slice_from(PLAIN[i].name))) {
			item->kind = PLAIN[i].kind;
			return true;
		}
	}
	for (size_t i = 0; i < sizeof(OLD_SECTIONS) / sizeof(OLD_SECTIONS[0]); i++) {
		if (slice_equal_nocase(name, slice_from(OLD_SECTIONS[i].name))) {
			item->kind = FETCH_SECTION;
			item->section.text = OLD_SECTIONS[i].text;
			item->section.peek = OLD_SECTIONS[i].peek;
			item->section.label = slice_from(OLD_SECTIONS[i].name);
			return true;
		}
	}
	return false;
}

static struct fetch_item *add_item(struct parser *p, struct fetch_request *r, enum fetch_kind kind)
{
	for (unsigned i = 0; i < r->count; i++) {
		if (kind != FETCH_SECTION && r->items[i].kind == kind)
			return &r->items[i];
	}
	if (r->count == FETCH_MAX_ITEMS) {
		parse_fail(p, "Too many FETCH items");
		return NULL;
	}
	r->items[r->count] = (struct fetch_item){ .kind = kind };
	return &r->items[r->count++];
}

static bool parse_item(struct parser *p, struct fetch_request *r)
{
	struct fetch_item item = { 0 }, *slot;
	struct slice name;
	bool peek;

	if (!parse_item_name(p, &name))
		return false;
	peek = slice_equal_nocase(name, SLICE("BODY.PEEK"));
	if (parse_next_is(p, '[') && (peek || slice_equal_nocase(name, SLICE("BODY")))) {
		item.kind = FETCH_SECTION;
		item.section.peek = peek;
		if (!parse_section(p, &item.section))
			return false;
	} else if (!name_item(name, &item)) {
		return parse_fail(p, "Unknown FETCH item");
	}
	slot = add_item(p, r, item.kind);
	if (slot)
		*slot = item;
	return slot != NULL;
}

/* ALL, FAST and FULL stand alone; true when it was one. */
static bool parse_macro(struct parser *p, struct fetch_request *r)
{
	static const enum fetch_kind ITEMS[] = { FETCH_FLAGS, FETCH_DATE, FETCH_SIZE,
		FETCH_ENVELOPE, FETCH_BODY };
	static const struct {
		struct slice name;
		unsigned count;
	} MACROS[] = { { { "FAST", 4 }, 3 }, { { "ALL", 3 }, 4 }, { { "FULL", 4 }, 5 } };

	for (size_t i = 0; i < sizeof(MACROS) / sizeof(MACROS[0]); i++) {
		size_t n = MACROS[i].name.length;

		if (!slice_starts_nocase(p->rest, MACROS[i].name) ||
			(p->rest.length > n && p->rest.data[n] != ' '))
			continue;
		p->rest = slice_tail(p->rest, n);
		for (unsigned k = 0; k < MACROS[i].count; k++)
			add_item(p, r, ITEMS[k]);
		return true;
	}
	return false;
}

static bool parse_items(struct parser *p, struct fetch_request *r)
{
	if (parse_macro(p, r))
		return true;
	if (!parse_next_is(p, '('))
		return parse_item(p, r);
	if (!parse_enter(p))
		return false;
	do {
		if (!parse_item(p, r))
			return false;
	} while (parse_next_is(p, ' ') && parse_space(p));
	return parse_leave(p);
}

static bool parse_modifiers(struct parser *p, struct fetch_request *r)
{
	struct slice name;

	if (p->rest.length == 0)
		return true;
	if (!parse_space(p) || !parse_enter(p) || !parse_atom(p, &name))
		return false;
	if (!slice_equal_nocase(name, SLICE("CHANGEDSINCE")))
		return parse_fail(p, "Unknown FETCH modifier");
	r->changed_since_given = true;
	return parse_space(p) && parse_number(p, INT64_MAX, &r->changed_since) && parse_leave(p) &&
	       parse_end(p);
}

bool fetch_parse(struct parser *p, struct fetch_request *r)
{
	*r = (struct fetch_request){ .items = arena_array(p->arena, FETCH_MAX_ITEMS,
					     sizeof(struct fetch_item)) };
	if (!r->items)
		return parse_fail(p, "Command is too large");
	return parse_space(p) && parse_set(p, &r->set) && parse_space(p) && parse_items(p, r) &&
	       parse_modifiers(p, r);
}
