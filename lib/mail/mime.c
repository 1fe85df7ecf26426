// SPDX-License-Identifier: ISC
/*
 * The tree of a message's parts. One pass over the text, line by line, with the open parts on a stack of fixed size: no
 * recursion, and no byte is looked at more often than there are open boundaries. See mime.h.
 */
#include "mail/crlf.h"
#include "mail/mime_internal.h"

enum {
	BOUNDARY_MAX = 200, /* bytes that are compared; RFC 2046 allows 70 */
	OPEN_MAX = MIME_MAX_DEPTH + 1,
};

/* A part that has begun and not ended. */
struct open_part {
	struct mime_part *part, *last_child;
	struct slice boundary; /* length 0: none, or its closing one has been seen */
	size_t lines; /* line ends before its body */
};

struct parser {
	const char *text;
	size_t at, length;
	size_t lines; /* line ends before `at` */
	struct arena *arena;
	unsigned parts;
	unsigned depth; /* open parts */
	unsigned boundaries; /* of them have a boundary that counts */
	struct open_part open[OPEN_MAX];
};

/* Behind the line that begins at `at`. */
static size_t next_line(const struct parser *parser, size_t at)
{
	const char *lf = memchr(parser->text + at, '\n', parser->length - at);

	return lf ? (size_t)(lf - parser->text) + 1 : parser->length;
}

static bool ends_with_lf(const struct parser *parser, size_t end)
{
	return end > 0 && parser->text[end - 1] == '\n';
}

/*
 * The innermost open part whose boundary this line begins with. RFC 2046 5.1.1 wants only the beginning compared; of several
 * boundaries that are prefixes of each other the longest is meant, and one that is the whole line, or the line but for a final
 * "--", cannot be bettered. NULL when it is no boundary line.
 */
static struct open_part *find_boundary(struct parser *parser, struct slice line)
{
	struct open_part *best = NULL;
	bool dashes;

	line = slice_tail(line, 2);
	while (line.length &&
		(line.data[line.length - 1] == '\n' || line.data[line.length - 1] == '\r'))
		line.length--;
	dashes = line.length >= 2 && line.data[line.length - 1] == '-' &&
		 line.data[line.length - 2] == '-';
	for (unsigned i = parser->depth; i-- > 0;) {
		struct open_part *open = &parser->open[i];
		size_t length = open->boundary.length;

		if (length == 0 || length > line.length ||
			(best && length <= best->boundary.length) ||
			open->boundary.data[0] != line.data[0] ||
			memcmp(open->boundary.data, line.data, length) != 0)
			continue;
		best = open;
		if (length == line.length || (dashes && length == line.length - 2))
			break;
	}
	return best;
}

/* The boundary line that begins here; NULL when there is none. */
static struct open_part *boundary_here(struct parser *parser)
{
	const char *p = parser->text + parser->at;
	size_t left = parser->length - parser->at;

	if (parser->boundaries == 0 || left < 3 || p[0] != '-' || p[1] != '-')
		return NULL;
	return find_boundary(parser, slice_of(p, next_line(parser, parser->at) - parser->at));
}

/* ---- Beginning and ending parts ------------------------------------------------------------------------------------- */

/* Up to and with the empty line; a boundary in the middle ends the part as well. */
static bool take_headers(struct parser *parser, struct mime_part *part)
{
	while (parser->at < parser->length) {
		size_t start = parser->at;
		const char *p = parser->text + start;
		struct slice field;

		if (*p == '\n' || (*p == '\r' && parser->length - start > 1 && p[1] == '\n')) {
			parser->at += *p == '\r' ? 2 : 1;
			parser->lines++;
			break;
		}
		if (boundary_here(parser))
			break;
		do {
			parser->at = next_line(parser, parser->at);
			parser->lines += ends_with_lf(parser, parser->at);
		} while (parser->at < parser->length &&
			 (parser->text[parser->at] == ' ' || parser->text[parser->at] == '\t'));
		field = slice_of(p, parser->at - start);
		if ((*p == 'c' || *p == 'C') && !mime_take_field(part, field, parser->arena))
			return false;
	}
	return true;
}

static struct mime_part *new_part(struct parser *parser, struct open_part *above)
{
	struct mime_part *part = arena_alloc(parser->arena, sizeof(*part));

	if (!part)
		return NULL;
	parser->parts++;
	part->type = SLICE("text");
	part->subtype = SLICE("plain");
	part->number = 1;
	if (!above)
		return part;
	part->parent = above->part;
	if (above->last_child) {
		part->number = above->last_child->number + 1;
		above->last_child->next = part;
	} else {
		above->part->children = part;
	}
	above->last_child = part;
	if (above->part->is_multipart &&
		slice_equal_nocase(above->part->subtype, SLICE("digest"))) {
		part->type = SLICE("message");
		part->subtype = SLICE("rfc822");
	}
	return part;
}

/* What the part is made of, as far as the bounds allow. */
static void classify(const struct parser *parser, struct mime_part *part, struct slice *boundary)
{
	*boundary = (struct slice){ 0 };
	if (parser->depth >= OPEN_MAX - 1 || parser->parts >= MIME_MAX_PARTS)
		return;
	if (mime_is_type(part, "multipart")) {
		*boundary = slice_head(mime_parameter(part, "boundary"), BOUNDARY_MAX);
		part->is_multipart = boundary->length > 0;
	} else {
		part->is_message = mime_is_type(part, "message") &&
				   slice_equal_nocase(part->subtype, SLICE("rfc822"));
	}
}

/* A part begins here, and with message/rfc822 the one inside of it. False when memory is out. */
static bool begin_part(struct parser *parser)
{
	struct open_part *open;

	do {
		struct open_part *above = parser->depth ? &parser->open[parser->depth - 1] : NULL;
		struct mime_part *part = new_part(parser, above);
		struct slice boundary;

		if (!part)
			return false;
		part->header_offset = parser->at;
		if (!take_headers(parser, part))
			return false;
		if (!part->encoding.data)
			part->encoding = SLICE("7bit");
		part->header_length = parser->at - part->header_offset;
		part->body_offset = parser->at;
		classify(parser, part, &boundary);
		open = &parser->open[parser->depth++];
		*open = (struct open_part){
			.part = part, .boundary = boundary, .lines = parser->lines
		};
		parser->boundaries += boundary.length > 0;
	} while (open->part->is_message);
	return true;
}

/*
 * End all parts but the outermost `keep`; their text ends before `end`, and up to there are `lines` line ends. When a part has
 * no body at all the line end before the boundary belongs to its headers, and so to those around it.
 */
static void end_parts(struct parser *parser, unsigned keep, size_t end, size_t lines)
{
	while (parser->depth > keep) {
		struct open_part *open = &parser->open[--parser->depth];
		struct mime_part *part = open->part;

		if (end < part->body_offset) {
			end = part->body_offset;
			lines = open->lines;
		}
		part->body_length = end - part->body_offset;
		part->body_lines = (uint32_t)(lines - open->lines);
		parser->boundaries -= open->boundary.length > 0;
	}
}

/* At a boundary line of `open`: what was inside ends, and unless it is the closing one the next part begins. */
static bool cross_boundary(struct parser *parser, struct open_part *open)
{
	size_t end = parser->at, lines = parser->lines, after = next_line(parser, parser->at);
	struct slice line = slice_of(parser->text + parser->at, after - parser->at);
	bool closing = slice_starts(slice_tail(line, 2 + open->boundary.length), SLICE("--"));
	bool full = parser->parts >= MIME_MAX_PARTS && !closing;

	parser->lines += ends_with_lf(parser, after);
	parser->at = after;
	if (full || closing) {
		open->boundary.length = 0;
		parser->boundaries--;
	}
	if (full) /* the last part takes the rest */
		return true;
	if (ends_with_lf(parser, end)) {
		end--;
		lines--;
		if (end > 0 && parser->text[end - 1] == '\r')
			end--;
	}
	end_parts(parser, (unsigned)(open - parser->open) + 1, end, lines);
	return closing || begin_part(parser);
}

struct mime_part *mime_parse(struct slice message, struct arena *arena)
{
	struct parser parser = {
		.text = message.length ? message.data : "", .length = message.length, .arena = arena
	};
	struct open_part *open;
	size_t next;

	if (!begin_part(&parser))
		return NULL;
	while (parser.boundaries && parser.at < parser.length) {
		open = boundary_here(&parser);
		if (open) {
			if (!cross_boundary(&parser, open))
				return NULL;
			continue;
		}
		next = next_line(&parser, parser.at);
		parser.lines += ends_with_lf(&parser, next);
		parser.at = next;
	}
	parser.lines += crlf_lines(slice_tail(message, parser.at));
	end_parts(&parser, 0, parser.length, parser.lines);
	return parser.open[0].part;
}

/* ---- Finding -------------------------------------------------------------------------------------------------------- */

static struct mime_part *child(const struct mime_part *part, uint32_t number)
{
	struct mime_part *found = part->children;

	while (found && found->number != number)
		found = found->next;
	return found;
}

struct mime_part *mime_find(struct mime_part *top, const uint32_t *numbers, unsigned count)
{
	struct mime_part *at = top;
	bool whole = true; /* `at` is a message, whose only part without multipart is number 1 */

	for (unsigned i = 0; at && i < count; i++) {
		if (!whole && at->is_message) {
			at = at->children;
			whole = true;
		}
		if (at->is_multipart)
			at = child(at, numbers[i]);
		else if (!whole || numbers[i] != 1)
			return NULL;
		whole = false;
	}
	return at;
}

struct slice mime_parameter(const struct mime_part *part, const char *name)
{
	struct slice wanted = slice_from(name);

	for (unsigned i = 0; i < part->parameter_count; i++) {
		if (slice_equal_nocase(part->parameters[i].name, wanted))
			return part->parameters[i].value;
	}
	return (struct slice){ 0 };
}
