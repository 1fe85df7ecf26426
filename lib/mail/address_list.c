// SPDX-License-Identifier: ISC
/*
 * Address lists of message headers (RFC 5322 3.4 and 4.4). One pass, no going back: every word is written down twice, as part of
 * a display name and as part of an address, and what comes behind it decides which of the two it was.
 */
#include "mail/address.h"

struct list {
	const char *p, *end;
	bool (*each)(void *context, const struct header_address *address);
	void *context;
	unsigned left; /* addresses that may still come */
	bool in_group;
	char *room; /* where the texts of the next address go; all of them fit, as each comes from a piece of its own */
	/* The address that is being read. */
	char *name, *name_end;
	char *spec, *spec_end;
	char *at; /* in spec: the first "@" outside of quotes */
	char *stop; /* in spec: a gap or another "@", where a domain ends */
	char *last_spec; /* in spec: the word behind the last gap before "@"; NULL without one */
	char *last_name; /* and what in name stands before it ends here */
	bool quoted; /* spec holds a quoted string: it may be empty and still be there */
	bool gap; /* white space since the last word */
	bool any; /* something was there */
	bool angle; /* behind "<": the name is complete */
	bool closed; /* behind ">" */
	struct slice comment; /* the last one, inside of its parentheses */
	struct slice route;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* What ends an atom: white space and the specials of RFC 5322 3.2.3. */
static const bool SPECIAL[256] = { [' '] = true,
	['\t'] = true,
	['\r'] = true,
	['\n'] = true,
	['('] = true,
	[')'] = true,
	['<'] = true,
	['>'] = true,
	['['] = true,
	[']'] = true,
	[':'] = true,
	[';'] = true,
	['@'] = true,
	['\\'] = true,
	[','] = true,
	['.'] = true,
	['"'] = true };

static bool is_special(char c)
{
	return SPECIAL[(unsigned char)c];
}

/* Take the comment at p; the last one may be the only name an address has. */
static void take_comment(struct list *list)
{
	const char *start = ++list->p;
	size_t depth = 1;

	for (; list->p < list->end; list->p++) {
		if (*list->p == '\\') {
			if (++list->p == list->end)
				break;
		} else if (*list->p == '(') {
			depth++;
		} else if (*list->p == ')' && --depth == 0) {
			break;
		}
	}
	list->comment = slice_of(start, (size_t)(list->p - start));
	if (list->p < list->end)
		list->p++;
}

static void skip_blank(struct list *list)
{
	while (list->p < list->end && (is_blank(*list->p) || *list->p == '(')) {
		list->gap = true;
		if (*list->p == '(')
			take_comment(list);
		else
			list->p++;
	}
}

/* Text without its line ends and without the backslashes of quoted pairs; `to` may hold as much as the text. */
static char *copy_text(char *to, struct slice text, bool plain)
{
	if (plain) {
		memcpy(to, text.data, text.length);
		return to + text.length;
	}
	for (size_t i = 0; i < text.length; i++) {
		char c = text.data[i];

		if (c == '\\' && i + 1 < text.length)
			c = text.data[++i];
		else if (c == '\r' || c == '\n')
			continue;
		*to++ = c;
	}
	return to;
}

static bool ends_with(const char *start, const char *end, char a, char b)
{
	return end > start && (end[-1] == a || end[-1] == b);
}

/*
 * A word or a single "." or "@": both forms of it. In an address white space around dots and "@" does not count. A word that is
 * not `plain` may hold backslashes and line ends that are to be dropped.
 */
static void add_word(struct list *list, struct slice word, bool plain)
{
	bool dot = plain && word.length == 1 && (word.data[0] == '.' || word.data[0] == '@');
	char *before = list->name_end;

	if (!list->angle) {
		if (list->gap && list->name_end > list->name)
			*list->name_end++ = ' ';
		list->name_end = copy_text(list->name_end, word, plain);
	}
	if (list->closed) {
		list->gap = false;
		return;
	}
	if (list->gap && !dot && list->spec_end > list->spec &&
		!ends_with(list->spec, list->spec_end, '.', '@')) {
		if (!list->stop)
			list->stop = list->spec_end;
		*list->spec_end++ = ' ';
		if (!list->at && !list->angle) {
			list->last_spec = list->spec_end;
			list->last_name = before;
		}
	}
	if (dot && word.data[0] == '@') {
		if (list->at && !list->stop)
			list->stop = list->spec_end;
		if (!list->at)
			list->stop = NULL;
		list->at = list->at ? list->at : list->spec_end;
	}
	list->spec_end = copy_text(list->spec_end, word, plain);
	list->gap = false;
}

static void take_quoted(struct list *list)
{
	const char *start = ++list->p;

	while (list->p < list->end && *list->p != '"')
		list->p += *list->p == '\\' && list->p + 1 < list->end ? 2 : 1;
	add_word(list, slice_of(start, (size_t)(list->p - start)), false);
	list->quoted = true;
	if (list->p < list->end)
		list->p++;
}

/* "[192.0.2.1]" is kept whole in a domain; elsewhere it is as good a word as any. */
static void take_literal(struct list *list)
{
	const char *start = list->p++;

	while (list->p < list->end && *list->p != ']' && *list->p != '>' && *list->p != ',')
		list->p += *list->p == '\\' && list->p + 1 < list->end ? 2 : 1;
	if (list->p < list->end && *list->p == ']')
		list->p++;
	add_word(list, slice_of(start, (size_t)(list->p - start)), false);
}

static void take_atom(struct list *list)
{
	const char *start = list->p;

	while (list->p < list->end && !is_special(*list->p))
		list->p++;
	add_word(list, slice_of(start, (size_t)(list->p - start)), true);
}

/*
 * "@a,@b:" behind "<". When there is no colon where a route can have one, it is none, and the text is read as an address. Looks
 * ahead no further than the next "<", so that all looking ahead together stays linear.
 */
static void take_route(struct list *list)
{
	const char *p = list->p, *start;

	while (p < list->end && is_blank(*p))
		p++;
	start = p;
	if (p == list->end || *p != '@')
		return;
	while (p < list->end &&
		(!is_special(*p) || is_blank(*p) || *p == '@' || *p == ',' || *p == '.'))
		p++;
	if (p == list->end || *p != ':')
		return;
	list->route = slice_trim(slice_of(start, (size_t)(p - start)));
	list->p = p + 1;
}

/* ---- Giving out ----------------------------------------------------------------------------------------------------- */

static struct slice text_or_none(const char *start, const char *end)
{
	return slice_of(end > start ? start : NULL, (size_t)(end - start));
}

static void begin(struct list *list, char *room)
{
	size_t half = (size_t)(list->end - list->p) + 1;

	list->room = room;
	list->name = list->name_end = room;
	list->spec = list->spec_end = room + half;
	list->at = list->stop = list->last_spec = list->last_name = NULL;
	list->gap = list->any = list->angle = list->closed = list->quoted = false;
	list->comment = list->route = (struct slice){ 0 };
}

static bool give(struct list *list, const struct header_address *address)
{
	if (list->left == 0)
		return false;
	list->left--;
	return list->each(list->context, address);
}

/*
 * Cut the address at "@". Words without it and without "<" are a name that lacks its address; of words before an address that
 * lacks its "<" the last is the mailbox, the others are the name.
 */
static void split_spec(struct list *list, struct header_address *address)
{
	const char *at = list->at ? list->at : list->spec_end;
	const char *domain = list->at ? list->at + 1 : list->spec_end;

	if (!list->at && !list->angle && list->stop) {
		address->name = text_or_none(list->name, list->name_end);
		address->local = slice_of(list->spec, 0);
		return;
	}
	address->local = slice_of(list->spec, (size_t)(at - list->spec));
	if (list->at && !list->angle && list->last_spec) {
		address->name = text_or_none(list->name, list->last_name);
		address->local = slice_of(list->last_spec, (size_t)(at - list->last_spec));
	}
	address->quoted_local = list->quoted;
	address->domain =
		text_or_none(domain, list->at && list->stop ? list->stop : list->spec_end);
}

/* Move what was read to the front of the room, so that the room is used up no faster than the input. */
static char *settle(char *to, struct slice *text)
{
	if (text->length)
		memmove(to, text->data, text->length);
	if (text->data)
		text->data = to;
	return to + text->length;
}

/* The end of an address: "," or ";" or the end of the text. */
static bool finish(struct list *list)
{
	struct header_address address = { 0 };
	char *room = list->room;

	if (!list->any) {
		begin(list, room);
		return true;
	}
	split_spec(list, &address);
	if (list->angle)
		address.name = text_or_none(list->name, list->name_end);
	address.route = list->route;
	room = settle(room, &address.name);
	room = settle(room, &address.local);
	room = settle(room, &address.domain);
	if (!address.name.data && list->comment.length) {
		address.name = slice_of(room, 0);
		address.name.length = (size_t)(copy_text(room, list->comment, false) - room);
		room += address.name.length;
	}
	begin(list, room);
	return give(list, &address);
}

static bool begin_group(struct list *list)
{
	struct header_address group = { .group = 1 };
	char *room = list->room;

	group.name = slice_of(list->name, (size_t)(list->name_end - list->name));
	room = settle(room, &group.name);
	begin(list, room);
	list->in_group = true;
	return give(list, &group);
}

static bool end_group(struct list *list)
{
	const struct header_address end = { .group = 2 };

	if (!list->in_group)
		return true;
	list->in_group = false;
	return give(list, &end);
}

/* ---- Reading -------------------------------------------------------------------------------------------------------- */

static void open_angle(struct list *list)
{
	if (list->angle) /* a second one: nothing good can come of it */
		return;
	list->angle = true;
	list->spec_end = list->spec;
	list->at = list->stop = NULL;
	list->gap = list->quoted = false;
	take_route(list);
}

/*
 * A colon ends the name of a group. One inside of a group begins another, which RFC 5322 does not know: its name is dropped and its
 * addresses are those of the outer one. Behind an address it ends the domain. "<mailto:...>" is meant as what follows.
 */
static bool take_colon(struct list *list, struct slice colon)
{
	if (list->at) {
		if (!list->stop)
			list->stop = list->spec_end;
		return true;
	}
	if (!list->angle) {
		if (!list->in_group)
			return begin_group(list);
		begin(list, list->room);
		return true;
	}
	if (slice_equal_nocase(
		    slice_of(list->spec, (size_t)(list->spec_end - list->spec)), SLICE("mailto")))
		list->spec_end = list->spec;
	else
		add_word(list, colon, true);
	return true;
}

/* A special character that stands where a word could begin. */
static bool take_special(struct list *list)
{
	const char *p = list->p;

	switch (*p) {
	case '"':
		take_quoted(list);
		return true;
	case '[':
		take_literal(list);
		return true;
	case '.':
	case '@':
		list->p++;
		add_word(list, slice_of(p, 1), true);
		return true;
	case '<':
		list->p++;
		open_angle(list);
		return true;
	case '>':
		list->p++;
		list->closed = list->angle;
		return true;
	case ':':
		list->p++;
		return take_colon(list, slice_of(p, 1));
	default: /* "\", ")", "]": noise */
		list->p++;
		return true;
	}
}

static bool take_next(struct list *list)
{
	char c = *list->p;

	if (c == ',' || c == ';') {
		list->p++;
		return finish(list) && (c == ',' || end_group(list));
	}
	list->any = true;
	if (is_special(c))
		return take_special(list);
	take_atom(list);
	return true;
}

bool address_list_parse(struct slice value, struct arena *arena, unsigned limit,
	bool (*each)(void *context, const struct header_address *address), void *context)
{
	struct list list = { .p = value.data, .each = each, .context = context, .left = limit };
	char *room;

	if (value.length == 0)
		return true;
	list.end = value.data + value.length;
	room = arena_alloc(arena, 2 * value.length + 8);
	if (!room)
		return false;
	begin(&list, room);
	for (;;) {
		skip_blank(&list);
		if (list.p == list.end)
			break;
		if (!take_next(&list))
			return false;
	}
	return finish(&list) && end_group(&list);
}
