// SPDX-License-Identifier: ISC
/* The text of a BODY[section] (RFC 3501 6.4.5). See fetch.h. */
#include "imapd/fetch.h"

#include "mail/header.h"

bool section_is_header(const struct fetch_section *section)
{
	return section->number_count == 0 &&
	       (section->text == SECTION_HEADER || section->text == SECTION_FIELDS ||
		       section->text == SECTION_FIELDS_NOT);
}

static bool listed(const struct fetch_section *section, struct slice name)
{
	for (unsigned i = 0; i < section->field_count; i++) {
		if (slice_equal_nocase(name, section->fields[i]))
			return true;
	}
	return false;
}

/* The fields that are (or are not) listed, and the empty line. */
static bool select_fields(
	const struct fetch_section *section, struct slice headers, struct buffer *scratch)
{
	bool wanted = section->text == SECTION_FIELDS;
	struct header_field field;

	buffer_clear(scratch);
	while (header_next_lax(&headers, &field)) {
		if (listed(section, field.name) == wanted)
			buffer_add(scratch, field.whole);
	}
	return buffer_add_text(scratch, "\r\n");
}

static struct slice cut(const struct fetch_section *section, struct slice text)
{
	if (!section->partial || !text.data)
		return text;
	if (section->offset >= text.length)
		return slice_of(text.data + text.length, 0);
	return slice_head(slice_tail(text, (size_t)section->offset),
		section->length < SIZE_MAX ? (size_t)section->length : SIZE_MAX);
}

struct extent {
	size_t offset, length;
};

/* Where the section's header block or body is; false when there is no such part, or it is no message where it must be one. */
static bool locate(const struct fetch_section *section, struct slice message, struct mime_part *top,
	struct extent *at)
{
	struct mime_part *part;

	if (section->number_count == 0) {
		size_t header = header_length_lax(message);

		*at = section->text == SECTION_ALL ? (struct extent){ 0, message.length }
		      : section->text == SECTION_TEXT
			      ? (struct extent){ header, message.length - header }
			      : (struct extent){ 0, header };
		return true;
	}
	part = top ? mime_find(top, section->numbers, section->number_count) : NULL;
	if (!part)
		return false;
	if (section->text == SECTION_ALL) {
		*at = (struct extent){ part->body_offset, part->body_length };
		return true;
	}
	if (section->text == SECTION_MIME) {
		*at = (struct extent){ part->header_offset, part->header_length };
		return true;
	}
	if (!part->is_message || !part->children)
		return false;
	part = part->children;
	*at = section->text == SECTION_TEXT
		      ? (struct extent){ part->body_offset, part->body_length }
		      : (struct extent){ part->header_offset, part->header_length };
	return true;
}

bool section_find(const struct fetch_section *section, struct slice message, struct mime_part *top,
	struct buffer *scratch, struct slice *text)
{
	bool fields = section->text == SECTION_FIELDS || section->text == SECTION_FIELDS_NOT;
	struct extent at;

	*text = (struct slice){ 0 };
	if (section_is_header(section))
		*text = message;
	else if (locate(section, message, top, &at) && at.offset <= message.length)
		*text = slice_head(slice_tail(message, at.offset), at.length);
	if (!text->data)
		return true;
	if (fields) {
		if (!select_fields(section, *text, scratch))
			return false;
		*text = buffer_slice(scratch);
	}
	*text = cut(section, *text);
	return true;
}
