// SPDX-License-Identifier: ISC
/* Addresses in SMTP commands. See address.h; address lists of message headers are in address_list.c. */
#include "mail/address.h"

#include <arpa/inet.h>
#include <idn2.h>

#include "ipc/messages.h"
#include "mail/utf8.h"

enum { DOMAIN_MAX = 255, LABEL_MAX = 63, LITERAL_MAX = 64 };

static const char NO_MEMORY[] = "4.3.0 Out of memory";
static const char NEEDS_SMTPUTF8[] = "5.6.7 Must declare SMTPUTF8 to use a unicode address";

static const char *bad_syntax(unsigned flags)
{
	return flags & ADDRESS_NULL ? "5.1.7 Bad sender address syntax"
				    : "5.1.3 Bad recipient address syntax";
}

/* atext (RFC 5322 3.2.3) and, with RFC 6531, everything above ASCII. */
static bool is_atext(unsigned char c)
{
	return c > 127 || ascii_alnum((char)c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

/* ---- Domains -------------------------------------------------------------------------------------------------------- */

static bool label_is_good(struct slice label)
{
	if (label.length == 0 || label.length > LABEL_MAX || label.data[0] == '-' ||
		label.data[label.length - 1] == '-')
		return false;
	for (size_t i = 0; i < label.length; i++) {
		if (!ascii_alnum(label.data[i]) && label.data[i] != '-' && label.data[i] != '_')
			return false;
	}
	return true;
}

static bool all_digits(struct slice s)
{
	for (size_t i = 0; i < s.length; i++) {
		if (!ascii_digit(s.data[i]))
			return false;
	}
	return true;
}

/* ASCII by now. A last label of digits only would be an IP address without its brackets. */
static bool domain_is_good(struct slice domain)
{
	struct slice rest = domain, label = { 0 };

	if (domain.length == 0 || domain.length > DOMAIN_MAX ||
		domain.data[domain.length - 1] == '.')
		return false;
	while (slice_split(&rest, '.', &label)) {
		if (!label_is_good(label))
			return false;
	}
	return !all_digits(label);
}

static struct slice lower_copy(struct slice s, struct arena *arena)
{
	char *copy = arena_dup(arena, s);

	for (size_t i = 0; copy && i < s.length; i++)
		copy[i] = ascii_lower(copy[i]);
	return slice_of(copy, copy ? s.length : 0);
}

/* U-labels to A-labels (RFC 5891, with the mapping of UTS 46). */
static bool domain_to_ascii(struct slice text, struct arena *arena, struct slice *domain)
{
	char utf8[4 * DOMAIN_MAX + 1], *ascii = NULL;
	struct slice result;
	bool good;

	if (!utf8_valid(text) || !slice_to_string(text, utf8, sizeof(utf8)))
		return false;
	if (idn2_to_ascii_8z(utf8, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
		return false;
	result = slice_from(ascii);
	good = domain_is_good(result);
	*domain = good ? lower_copy(result, arena) : (struct slice){ 0 };
	idn2_free(ascii);
	return domain->data != NULL;
}

bool address_domain(struct slice text, bool utf8, struct arena *arena, struct slice *domain)
{
	*domain = (struct slice){ 0 };
	if (utf8_ascii_prefix(text) < text.length)
		return utf8 && domain_to_ascii(text, arena, domain);
	if (!domain_is_good(text))
		return false;
	*domain = lower_copy(text, arena);
	return domain->data != NULL;
}

bool address_is_literal(struct slice domain)
{
	char text[LITERAL_MAX];
	unsigned char binary[sizeof(struct in6_addr)];

	if (domain.length < 3 || domain.data[0] != '[' || domain.data[domain.length - 1] != ']')
		return false;
	domain = slice_of(domain.data + 1, domain.length - 2);
	if (slice_starts_nocase(domain, SLICE("IPv6:")))
		return slice_to_string(slice_tail(domain, 5), text, sizeof(text)) &&
		       inet_pton(AF_INET6, text, binary) == 1;
	return slice_to_string(domain, text, sizeof(text)) && inet_pton(AF_INET, text, binary) == 1;
}

/* ---- Paths ---------------------------------------------------------------------------------------------------------- */

/* What a path is read with. */
struct path {
	struct slice rest;
	unsigned flags;
	struct arena *arena;
	const char *error;
};

static bool fail(struct path *path, const char *error)
{
	path->error = error ? error : bad_syntax(path->flags);
	return false;
}

static bool next_is(const struct path *path, char c)
{
	return path->rest.length && path->rest.data[0] == c;
}

static void skip(struct path *path, size_t length)
{
	path->rest = slice_tail(path->rest, length);
}

/* The content of a quoted string (RFC 5321 4.1.2), put at `to`, which has room for it. False when it is not one. */
static bool take_quoted(struct path *path, char **to)
{
	for (size_t i = 1; i < path->rest.length; i++) {
		unsigned char c = (unsigned char)path->rest.data[i];

		if (c == '"') {
			skip(path, i + 1);
			return true;
		}
		if (c == '\\' && ++i < path->rest.length)
			c = (unsigned char)path->rest.data[i];
		if (c < ' ' || c == 127)
			return false;
		*(*to)++ = (char)c;
	}
	return false;
}

static bool take_atom(struct path *path, char **to)
{
	size_t n = 0;

	while (n < path->rest.length && is_atext((unsigned char)path->rest.data[n]))
		*(*to)++ = path->rest.data[n++];
	skip(path, n);
	return n > 0;
}

/*
 * Dot-string or Quoted-string. Where addresses need not be strict, words of both kinds may be mixed (RFC 5322 obs-local-part)
 * and dots may stand anywhere: there are mailboxes with such names.
 */
static bool take_local(struct path *path, struct slice *local)
{
	bool lax = path->flags & ADDRESS_BARE, quoted = false;
	size_t room = path->rest.length < MAX_ADDRESS ? path->rest.length : MAX_ADDRESS;
	struct slice all = path->rest;
	char *start, *to;

	path->rest = slice_head(path->rest, room);
	start = to = arena_alloc(path->arena, room + 1);
	if (!start)
		return fail(path, NO_MEMORY);
	for (;;) {
		bool dot = false;

		if (next_is(path, '"') && (lax || to == start)) {
			quoted = true;
			if (!take_quoted(path, &to))
				return fail(path, NULL);
		} else if (!take_atom(path, &to) && !(lax && next_is(path, '.'))) {
			break;
		}
		for (; next_is(path, '.') && (lax || (!dot && !quoted)); dot = true) {
			*to++ = '.';
			skip(path, 1);
		}
		if (!dot)
			break;
	}
	path->rest = slice_tail(all, room - path->rest.length);
	*local = slice_of(start, (size_t)(to - start));
	if (local->length == 0 || (!lax && !quoted && start[local->length - 1] == '.'))
		return fail(path, NULL);
	return true;
}

static bool take_literal(struct path *path, struct slice *domain)
{
	ptrdiff_t close = slice_find(slice_head(path->rest, LITERAL_MAX), ']');
	struct slice text = slice_head(path->rest, close < 0 ? 0 : (size_t)close + 1);
	char *copy;

	if (!address_is_literal(text))
		return fail(path, NULL);
	*domain = lower_copy(text, path->arena);
	if (!domain->data)
		return fail(path, NO_MEMORY);
	copy = (char *)(uintptr_t)domain->data; /* ours, made just above */
	if (copy[1] == 'i')
		memcpy(copy + 1, "IPv6", 4);
	skip(path, text.length);
	return true;
}

/* `unicode` may be NULL. */
static bool take_domain(struct path *path, struct slice *domain, struct slice *unicode)
{
	struct slice text = { path->rest.data, 0 };

	if (next_is(path, '['))
		return take_literal(path, domain);
	for (; text.length < path->rest.length; text.length++) {
		unsigned char c = (unsigned char)path->rest.data[text.length];

		if (c < 128 && !ascii_alnum((char)c) && c != '-' && c != '_' && c != '.')
			break;
	}
	skip(path, text.length);
	if (!(path->flags & ADDRESS_UTF8) && utf8_ascii_prefix(text) < text.length)
		return fail(path, NEEDS_SMTPUTF8);
	if (path->flags & ADDRESS_BARE && text.length > 1 && text.data[text.length - 1] == '.')
		text.length--;
	if (!address_domain(text, path->flags & ADDRESS_UTF8, path->arena, domain))
		return fail(path, NULL);
	if (unicode && utf8_ascii_prefix(text) < text.length)
		*unicode = text;
	return true;
}

/* "@a.example,@b.example:" in front of the mailbox: MUST BE accepted, SHOULD be ignored (RFC 5321 4.1.2). */
static bool skip_route(struct path *path)
{
	struct slice ignored;

	while (next_is(path, '@')) {
		skip(path, 1);
		if (!take_domain(path, &ignored, NULL))
			return false;
		if (next_is(path, ':')) {
			skip(path, 1);
			return true;
		}
		if (!next_is(path, ','))
			return fail(path, NULL);
		skip(path, 1);
	}
	return fail(path, NULL);
}

static bool check_local(struct path *path, struct slice local)
{
	if (utf8_ascii_prefix(local) == local.length)
		return true;
	if (!(path->flags & ADDRESS_UTF8))
		return fail(path, NEEDS_SMTPUTF8);
	return utf8_valid(local) || fail(path, NULL);
}

static bool take_mailbox(struct path *path, struct address *address)
{
	if (!take_local(path, &address->local) || !check_local(path, address->local))
		return false;
	if (next_is(path, '@')) {
		skip(path, 1);
		return take_domain(path, &address->domain, &address->unicode);
	}
	if (path->flags & ADDRESS_BARE || slice_equal_nocase(address->local, SLICE("postmaster")))
		return true;
	return fail(path, NULL);
}

/* A plain address ends at white space or at the end; a path at its bracket. */
static bool take_end(struct path *path, bool angle)
{
	if (angle) {
		if (!next_is(path, '>'))
			return fail(path, NULL);
		skip(path, 1);
		return true;
	}
	return path->rest.length == 0 || next_is(path, ' ') || next_is(path, '\t') ||
	       next_is(path, '\r') || next_is(path, '\n') || fail(path, NULL);
}

/* Bytes that writing the address in its external form takes. */
static size_t written_length(const struct address *address)
{
	size_t length = address->local.length + address->domain.length + 3;

	for (size_t i = 0; i < address->local.length; i++)
		length += address->local.data[i] == '"' || address->local.data[i] == '\\';
	return length;
}

static bool take_path(struct path *path, struct address *address)
{
	bool angle = next_is(path, '<');

	if (!angle && !(path->flags & ADDRESS_BARE))
		return fail(path, NULL);
	skip(path, angle);
	if (angle && path->flags & ADDRESS_NULL && next_is(path, '>')) {
		skip(path, 1);
		address->local = address->domain = slice_of("", 0);
		return true;
	}
	if (next_is(path, '@') && !skip_route(path))
		return false;
	if (!take_mailbox(path, address) || !take_end(path, angle))
		return false;
	return written_length(address) <= MAX_ADDRESS || fail(path, NULL);
}

bool address_parse_path(struct slice *text, unsigned flags, struct arena *arena,
	struct address *address, const char **error)
{
	struct path path = { .rest = *text, .flags = flags, .arena = arena };

	*address = (struct address){ 0 };
	if (!take_path(&path, address)) {
		*error = path.error;
		return false;
	}
	*text = path.rest;
	return true;
}

/* ---- What a valid address is used for ------------------------------------------------------------------------------- */

static bool is_dot_string(struct slice local)
{
	bool dot = true;

	for (size_t i = 0; i < local.length; i++) {
		if (local.data[i] == '.' ? dot : !is_atext((unsigned char)local.data[i]))
			return false;
		dot = local.data[i] == '.';
	}
	return !dot;
}

static bool write_with(const struct address *address, struct slice domain, struct buffer *out)
{
	struct slice local = address->local;

	if (local.length == 0 && address->domain.length == 0)
		return !out->failed;
	if (is_dot_string(local)) {
		buffer_add(out, local);
	} else {
		buffer_add_byte(out, '"');
		for (size_t i = 0; i < local.length; i++) {
			if (local.data[i] == '"' || local.data[i] == '\\')
				buffer_add_byte(out, '\\');
			buffer_add_byte(out, local.data[i]);
		}
		buffer_add_byte(out, '"');
	}
	if (domain.length) {
		buffer_add_byte(out, '@');
		buffer_add(out, domain);
	}
	return !out->failed;
}

bool address_write(const struct address *address, struct buffer *out)
{
	return write_with(address, address->domain, out);
}

bool address_write_as_given(const struct address *address, struct buffer *out)
{
	return write_with(
		address, address->unicode.length ? address->unicode : address->domain, out);
}
