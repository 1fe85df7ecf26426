// SPDX-License-Identifier: ISC
/*
 * The Content-* fields (RFC 2045 5 and 6, RFC 2183): types, parameters and the rest. Forgiving: what senders get wrong is read as
 * it was meant where that is plain. Values point into the message unless quoting or folding has to be taken out of them.
 */
#include "mail/mime_internal.h"

struct scan {
	const char *p, *end;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* token (RFC 2045 5.1): no controls, space or tspecials. Bytes over 127 are let through. */
static bool is_token_byte(char c)
{
	unsigned char u = (unsigned char)c;

	return u > ' ' && u != 127 && !memchr("()<>@,;:\\\"/[]?=", c, 15);
}

/* White space and comments. */
static void skip_blank(struct scan *scan)
{
	unsigned depth = 0;

	for (; scan->p < scan->end; scan->p++) {
		char c = *scan->p;

		if (c == '(') {
			depth++;
		} else if (depth && c == ')') {
			depth--;
		} else if (depth && c == '\\') {
			if (scan->p + 1 < scan->end)
				scan->p++;
		} else if (!depth && !is_blank(c)) {
			return;
		}
	}
}

static struct slice take_token(struct scan *scan)
{
	const char *start = scan->p;

	while (scan->p < scan->end && is_token_byte(*scan->p))
		scan->p++;
	return slice_of(start, (size_t)(scan->p - start));
}

static bool take_byte(struct scan *scan, char c)
{
	if (scan->p == scan->end || *scan->p != c)
		return false;
	scan->p++;
	return true;
}

/* A copy without backslashes and line ends. */
static bool unquote(struct slice raw, struct arena *arena, struct slice *value)
{
	char *copy = arena_alloc(arena, raw.length + 1);
	size_t length = 0;

	if (!copy)
		return false;
	for (size_t i = 0; i < raw.length; i++) {
		if (raw.data[i] == '\\' && i + 1 < raw.length)
			i++;
		else if (raw.data[i] == '\r' || raw.data[i] == '\n')
			continue;
		copy[length++] = raw.data[i];
	}
	*value = slice_of(copy, length);
	return true;
}

static bool take_quoted(struct scan *scan, struct arena *arena, struct slice *value)
{
	const char *start = ++scan->p;
	bool plain = true;

	while (scan->p < scan->end && *scan->p != '"') {
		plain = plain && *scan->p != '\\' && *scan->p != '\r' && *scan->p != '\n';
		scan->p += *scan->p == '\\' && scan->p + 1 < scan->end ? 2 : 1;
	}
	*value = slice_of(start, (size_t)(scan->p - start));
	if (scan->p < scan->end)
		scan->p++;
	return plain || unquote(*value, arena, value);
}

/* Without quotes a value should be a token, but "=" and "/" in file names and boundaries are common. */
static void take_plain(struct scan *scan, struct slice *value)
{
	const char *start = scan->p;

	while (scan->p < scan->end && !is_blank(*scan->p) && *scan->p != ';' && *scan->p != '"' &&
		*scan->p != '(')
		scan->p++;
	*value = slice_of(start, (size_t)(scan->p - start));
}

/* Whatever is left before the next ";" has no meaning. */
static void skip_to_semicolon(struct scan *scan)
{
	bool quoted = false;

	for (; scan->p < scan->end; scan->p++) {
		if (*scan->p == '(' && !quoted) {
			skip_blank(scan);
			scan->p--;
		} else if (*scan->p == '"')
			quoted = !quoted;
		else if (*scan->p == '\\' && quoted && scan->p + 1 < scan->end)
			scan->p++;
		else if (*scan->p == ';' && !quoted)
			return;
	}
}

/* One `name=value`. Nothing is taken when there is no name or no "=". False when memory is out. */
static bool take_parameter(struct scan *scan, struct arena *arena, struct mime_parameter *parameter)
{
	*parameter = (struct mime_parameter){ 0 };
	skip_blank(scan);
	parameter->name = take_token(scan);
	skip_blank(scan);
	if (parameter->name.length == 0 || !take_byte(scan, '='))
		return true;
	skip_blank(scan);
	if (scan->p < scan->end && *scan->p == '"')
		return take_quoted(scan, arena, &parameter->value);
	take_plain(scan, &parameter->value);
	return true;
}

/* ---- Continuations (RFC 2231 3): name*0=, name*1*= ... become name= or, where a piece is encoded, name*= --------------- */

struct piece {
	struct slice name; /* without "*0*" */
	uint64_t number;
	bool encoded;
};

/* False when the parameter is whole. */
static bool read_piece(struct slice name, struct piece *piece)
{
	ptrdiff_t star;

	piece->encoded = name.length && name.data[name.length - 1] == '*';
	name.length -= piece->encoded;
	star = slice_find_last(name, '*');
	if (star <= 0)
		return false;
	piece->name = slice_head(name, (size_t)star);
	return slice_to_u64(
		slice_tail(name, (size_t)star + 1), MIME_MAX_PARAMETERS, &piece->number);
}

static struct mime_parameter *find_piece(struct mime_parameter *found, unsigned count,
	const struct piece *first, unsigned number, bool *encoded)
{
	struct piece piece;

	for (unsigned i = 0; i < count; i++) {
		if (found[i].name.data && read_piece(found[i].name, &piece) &&
			piece.number == number && slice_equal_nocase(piece.name, first->name)) {
			*encoded = piece.encoded;
			return &found[i];
		}
	}
	return NULL;
}

/* attribute-char of RFC 2231 7, and what an encoded piece may hold besides. */
static bool needs_no_encoding(char c)
{
	return is_token_byte(c) && (unsigned char)c < 128 && c != '*' && c != '\'' && c != '%';
}

/* At most three bytes for one. */
static char *add_piece(char *to, struct slice value, bool encode)
{
	static const char HEX[] = "0123456789ABCDEF";

	for (size_t i = 0; i < value.length; i++) {
		unsigned char c = (unsigned char)value.data[i];

		if (!encode || needs_no_encoding((char)c)) {
			*to++ = (char)c;
			continue;
		}
		*to++ = '%';
		*to++ = HEX[c >> 4];
		*to++ = HEX[c & 15];
	}
	return to;
}

/* Everything that continues found[at], in its place; the pieces lose their names. */
static bool join_at(struct mime_parameter *found, unsigned count, unsigned at,
	const struct piece *first, struct arena *arena)
{
	struct mime_parameter *part;
	size_t room = first->name.length + 1;
	bool encoded, any_encoded = false;
	unsigned pieces = 0;
	char *name, *value, *end;

	while ((part = find_piece(found, count, first, pieces, &encoded))) {
		any_encoded = any_encoded || encoded;
		room += 3 * part->value.length;
		pieces++;
	}
	name = arena_alloc(arena, room);
	if (!name)
		return false;
	memcpy(name, first->name.data, first->name.length);
	name[first->name.length] = '*';
	end = value = name + first->name.length + 1;
	for (unsigned i = 0; i < pieces; i++) {
		part = find_piece(found, count, first, i, &encoded);
		end = add_piece(end, part->value, any_encoded && !encoded);
		part->name = (struct slice){ 0 };
	}
	found[at].name = slice_of(name, first->name.length + any_encoded);
	found[at].value = slice_of(value, (size_t)(end - value));
	return true;
}

static bool join_pieces(struct mime_parameter *found, unsigned *count, struct arena *arena)
{
	struct piece piece;
	unsigned kept = 0;

	for (unsigned i = 0; i < *count; i++) {
		if (found[i].name.data && read_piece(found[i].name, &piece) && piece.number == 0 &&
			!join_at(found, *count, i, &piece, arena))
			return false;
	}
	for (unsigned i = 0; i < *count; i++) {
		if (found[i].name.data)
			found[kept++] = found[i];
	}
	*count = kept;
	return true;
}

static bool take_parameters(
	struct scan *scan, struct arena *arena, struct mime_parameter **parameters, unsigned *count)
{
	struct mime_parameter found[MIME_MAX_PARAMETERS];
	unsigned n = 0;

	for (;;) {
		skip_to_semicolon(scan);
		if (!take_byte(scan, ';') || n == MIME_MAX_PARAMETERS)
			break;
		if (!take_parameter(scan, arena, &found[n]))
			return false;
		n += found[n].value.data != NULL;
	}
	if (n == 0)
		return true;
	if (!join_pieces(found, &n, arena))
		return false;
	*parameters = arena_array(arena, n, sizeof(found[0]));
	if (!*parameters)
		return false;
	memcpy(*parameters, found, n * sizeof(found[0]));
	*count = n;
	return true;
}

/* ---- Fields --------------------------------------------------------------------------------------------------------- */

/* A type that cannot be read leaves the default, as RFC 2045 5.2 advises. */
static bool take_type(struct mime_part *part, struct slice value, struct arena *arena)
{
	struct scan scan = { value.data, value.data + value.length };
	struct slice type, subtype;

	skip_blank(&scan);
	type = take_token(&scan);
	skip_blank(&scan);
	if (part->type_given || type.length == 0 || !take_byte(&scan, '/'))
		return true;
	skip_blank(&scan);
	subtype = take_token(&scan);
	if (subtype.length == 0)
		return true;
	part->type_given = true;
	part->type = type;
	part->subtype = subtype;
	return take_parameters(&scan, arena, &part->parameters, &part->parameter_count);
}

static bool take_disposition(struct mime_part *part, struct slice value, struct arena *arena)
{
	struct scan scan = { value.data, value.data + value.length };
	struct slice token;

	skip_blank(&scan);
	token = take_token(&scan);
	if (part->disposition.data || token.length == 0)
		return true;
	part->disposition = token;
	return take_parameters(
		&scan, arena, &part->disposition_parameters, &part->disposition_parameter_count);
}

static bool take_encoding(struct mime_part *part, struct slice value, struct arena *arena)
{
	struct scan scan = { value.data, value.data + value.length };
	struct slice token;

	skip_blank(&scan);
	token = take_token(&scan);
	if (token.length && !part->encoding.data)
		part->encoding = token;
	return true;
}

static bool keep_text(struct slice *field, struct slice value)
{
	if (!field->data)
		*field = slice_trim(value);
	return true;
}

static bool take_id(struct mime_part *part, struct slice value, struct arena *arena)
{
	return keep_text(&part->id, value);
}

static bool take_description(struct mime_part *part, struct slice value, struct arena *arena)
{
	return keep_text(&part->description, value);
}

static bool take_md5(struct mime_part *part, struct slice value, struct arena *arena)
{
	return keep_text(&part->md5, value);
}

static bool take_language(struct mime_part *part, struct slice value, struct arena *arena)
{
	return keep_text(&part->language, value);
}

static bool take_location(struct mime_part *part, struct slice value, struct arena *arena)
{
	return keep_text(&part->location, value);
}

static const struct {
	struct slice name; /* behind "Content-" */
	bool (*take)(struct mime_part *part, struct slice value, struct arena *arena);
} FIELDS[] = {
	{ SLICE("type"), take_type },
	{ SLICE("transfer-encoding"), take_encoding },
	{ SLICE("disposition"), take_disposition },
	{ SLICE("id"), take_id },
	{ SLICE("description"), take_description },
	{ SLICE("md5"), take_md5 },
	{ SLICE("language"), take_language },
	{ SLICE("location"), take_location },
};

bool mime_take_field(struct mime_part *part, struct slice whole, struct arena *arena)
{
	const struct slice prefix = SLICE("content-");
	struct slice name = { 0 };
	size_t i = prefix.length;

	if (!slice_starts_nocase(whole, prefix))
		return true;
	while (i < whole.length && is_token_byte(whole.data[i]))
		i++;
	name = slice_of(whole.data + prefix.length, i - prefix.length);
	while (i < whole.length && (whole.data[i] == ' ' || whole.data[i] == '\t'))
		i++;
	if (i == whole.length || whole.data[i] != ':')
		return true;
	for (size_t f = 0; f < sizeof(FIELDS) / sizeof(FIELDS[0]); f++) {
		if (slice_equal_nocase(name, FIELDS[f].name))
			return FIELDS[f].take(part, slice_tail(whole, i + 1), arena);
	}
	return true;
}
