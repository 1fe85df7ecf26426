// SPDX-License-Identifier: ISC
/* What kind of address is it, has it a mailbox, has it aliases? See answer_impl.h. */
#include "directory/answer_impl.h"
#include "directory/extension.h"
#include "mail/address.h"
#include "mail/utf8.h"

enum { ADDRESS_KEYS = 2 }; /* with and without extension */

static bool strip_extension(struct directory *d, struct recipient *r)
{
	size_t at = extension_delimiter(r->key_local, d->settings.recipient_delimiter);
	char *text;

	if (at >= r->key_local.length)
		return true;
	r->extension = slice_tail(r->local, at + 1);
	text = arena_alloc(&d->arena, at + 1 + r->domain.length);
	if (!text)
		return false;
	memcpy(text, r->key.data, at);
	memcpy(text + at, r->key.data + r->key_local.length, 1 + r->domain.length);
	r->stripped = slice_of(text, at + 1 + r->domain.length);
	return true;
}

static char *lower_copy(struct arena *arena, struct slice text)
{
	char *copy = arena_dup(arena, text);

	for (size_t i = 0; copy && i < text.length; i++)
		copy[i] = ascii_lower(copy[i]);
	return copy;
}

struct slice ascii_address(struct arena *arena, struct slice address)
{
	ptrdiff_t at = slice_find_last(address, '@');
	struct slice domain = slice_tail(address, (size_t)at + 1), ascii;
	const char *whole;

	if (at < 0 || utf8_ascii_prefix(domain) == domain.length ||
		!address_domain(domain, true, arena, &ascii))
		return address;
	whole = arena_printf(arena, "%.*s@%.*s", (int)at, address.data, SLICE_ARG(ascii));
	return whole ? slice_from(whole) : (struct slice){ 0 };
}

/* The key and its parts: all in lower case, the domain in A-labels. */
static bool make_key(struct directory *d, struct recipient *r, size_t at)
{
	struct slice ascii = ascii_address(&d->arena, r->address);
	char *key = ascii.data ? lower_copy(&d->arena, ascii) : NULL;

	if (!key)
		return false;
	r->key = slice_of(key, ascii.length);
	r->key_local = slice_head(r->key, at);
	r->domain = slice_tail(r->key, at + 1);
	return strip_extension(d, r);
}

enum directory_status recipient_parse(struct directory *d, struct slice text, struct recipient *r)
{
	ptrdiff_t at = slice_find_last(text, '@');
	char *address;

	*r = (struct recipient){ .bare_postmaster = slice_equal_nocase(text, SLICE("postmaster")) };
	if (at < 0 && (d->settings.append_at_myorigin || r->bare_postmaster)) {
		address = arena_printf(&d->arena, "%.*s@%s", SLICE_ARG(text), d->settings.myorigin);
		at = (ptrdiff_t)text.length;
	} else {
		address = arena_dup(&d->arena, text);
	}
	if (!address)
		return DIRECTORY_TEMPORARY;
	r->address = slice_from(address);
	if (at <= 0 || r->address.length > MAX_ADDRESS || (size_t)at + 1 >= r->address.length)
		return DIRECTORY_BAD;
	for (char *p = address + at + 1; *p; p++)
		*p = ascii_lower(*p);
	r->local = slice_head(r->address, (size_t)at);
	return make_key(d, r, (size_t)at) ? DIRECTORY_FOUND : DIRECTORY_TEMPORARY;
}

bool is_postmaster(const struct recipient *r)
{
	return slice_equal(r->key_local, SLICE("postmaster"));
}

/* Address literals of this machine itself (RFC 5321 4.1.3): mail for them is as local as it can be. */
static bool is_own_literal(struct slice domain)
{
	return slice_equal(domain, SLICE("[127.0.0.1]")) ||
	       slice_equal(domain, SLICE("[ipv6:::1]"));
}

enum domain_class classify(struct directory *d, const struct recipient *r, bool *accounts)
{
	static const enum domain_class CLASSES[LIST_COUNT] = {
		[LIST_MYDESTINATION] = DOMAIN_LOCAL,
		[LIST_ALIAS_DOMAINS] = DOMAIN_VIRTUAL_ALIAS,
		[LIST_MAILBOX_DOMAINS] = DOMAIN_VIRTUAL_MAILBOX,
		[LIST_RELAY_DOMAINS] = DOMAIN_RELAY,
	};
	enum accounts_status known = accounts_domain(d->accounts, r->domain);

	*accounts = known == ACCOUNTS_FOUND;
	if (known == ACCOUNTS_ERROR)
		return DOMAIN_UNKNOWN;
	if (known == ACCOUNTS_FOUND)
		return DOMAIN_VIRTUAL_MAILBOX;
	if (r->bare_postmaster || is_own_literal(r->domain))
		return DOMAIN_LOCAL;
	for (int i = 0; i < LIST_COUNT; i++) {
		enum table_status status = names_match(d->lists[i], r->domain);

		if (status == TABLE_ERROR)
			return DOMAIN_UNKNOWN;
		if (status == TABLE_FOUND)
			return CLASSES[i];
	}
	return DOMAIN_OTHER;
}

/* A path from a table must stay below the mail directory: relative, and no component "..", "." or empty. */
static bool path_is_safe(struct slice path)
{
	struct slice rest = path, part;

	if (path.length == 0 || path.length > MAX_PATH_TEXT - 1 || slice_find(path, '\0') >= 0 ||
		path.data[path.length - 1] == '/')
		return false;
	while (slice_split(&rest, '/', &part))
		if (part.length == 0 || slice_equal(part, SLICE(".")) ||
			slice_equal(part, SLICE("..")))
			return false;
	return true;
}

static enum directory_status mailbox_of_maps(
	struct directory *d, const struct recipient *r, struct buffer *path)
{
	struct slice extension, value;
	enum table_status status = table_lookup_address(d->maps[MAPS_MAILBOX], r->key,
		d->settings.recipient_delimiter, false, &d->value, &extension);

	if (status != TABLE_FOUND)
		return status_of_table(status);
	value = buffer_slice(&d->value);
	/* "domain/user/" is Postfix's way to say Maildir; here all are. */
	while (value.length && value.data[value.length - 1] == '/')
		value.length--;
	buffer_clear(path);
	return path_is_safe(value) && buffer_add(path, value) ? DIRECTORY_FOUND
							      : DIRECTORY_TEMPORARY;
}

enum directory_status find_mailbox(
	struct directory *d, const struct recipient *r, struct buffer *path, int64_t *quota)
{
	const struct slice keys[ADDRESS_KEYS] = { r->key, r->stripped };
	struct accounts_mailbox mailbox;

	*quota = d->settings.virtual_mailbox_limit;
	for (int i = 0; i < ADDRESS_KEYS && keys[i].length; i++) {
		enum accounts_status status = accounts_mailbox(d->accounts, keys[i], &mailbox);

		if (status == ACCOUNTS_ERROR)
			return DIRECTORY_TEMPORARY;
		if (status == ACCOUNTS_NOT_FOUND)
			continue;
		if (mailbox.quota > 0)
			*quota = mailbox.quota;
		buffer_clear(path);
		return buffer_add_text(path, mailbox.path) ? DIRECTORY_FOUND : DIRECTORY_TEMPORARY;
	}
	return mailbox_of_maps(d, r, path);
}

/* "@domain" of accounts.db is for addresses that have nothing of their own. */
static enum directory_status catch_all(struct directory *d, const struct recipient *r)
{
	struct slice at_domain = slice_tail(r->key, r->key_local.length);
	enum accounts_status status = accounts_alias(d->accounts, at_domain, &d->value);
	enum directory_status mailbox;
	struct buffer path = { 0 };
	int64_t quota;

	if (status != ACCOUNTS_FOUND)
		return status_of_accounts(status);
	mailbox = find_mailbox(d, r, &path, &quota);
	buffer_free(&path);
	if (mailbox != DIRECTORY_NOT_FOUND)
		return mailbox == DIRECTORY_FOUND ? DIRECTORY_NOT_FOUND : mailbox;
	return status_of_accounts(accounts_alias(d->accounts, at_domain, &d->value));
}

/* postmaster@ a domain of ours, where nobody took the name. */
static enum directory_status find_postmaster(struct directory *d, const struct recipient *r)
{
	enum directory_status mailbox;
	struct buffer path = { 0 };
	bool accounts;
	int64_t quota;
	enum domain_class class = classify(d, r, &accounts);

	if (class == DOMAIN_UNKNOWN)
		return DIRECTORY_TEMPORARY;
	if (class == DOMAIN_OTHER)
		return DIRECTORY_NOT_FOUND;
	mailbox = find_mailbox(d, r, &path, &quota);
	buffer_free(&path);
	if (mailbox != DIRECTORY_NOT_FOUND)
		return mailbox == DIRECTORY_FOUND ? DIRECTORY_NOT_FOUND : mailbox;
	/* RFC 5321 4.5.1: it must not be refused, so that there is none yet is no answer for good. */
	return accounts_postmaster(d->accounts, &d->value) == ACCOUNTS_FOUND ? DIRECTORY_FOUND
									     : DIRECTORY_TEMPORARY;
}

enum directory_status find_alias(
	struct directory *d, const struct recipient *r, struct slice *extension)
{
	const struct slice keys[ADDRESS_KEYS] = { r->key, r->stripped };
	enum directory_status status = DIRECTORY_NOT_FOUND;

	*extension = slice_of("", 0);
	for (int i = 0; i < ADDRESS_KEYS && keys[i].length && status == DIRECTORY_NOT_FOUND; i++) {
		status = status_of_accounts(accounts_alias(d->accounts, keys[i], &d->value));
		*extension = i ? r->extension : slice_of("", 0);
	}
	if (status == DIRECTORY_NOT_FOUND)
		status = status_of_table(table_lookup_address(d->maps[MAPS_ALIAS], r->key,
			d->settings.recipient_delimiter, false, &d->value, extension));
	if (status == DIRECTORY_NOT_FOUND) {
		*extension = slice_of("", 0);
		status = catch_all(d, r);
	}
	if (status == DIRECTORY_NOT_FOUND && is_postmaster(r))
		status = find_postmaster(d, r);
	return status;
}
