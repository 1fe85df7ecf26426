// SPDX-License-Identifier: ISC
/* What the mechanisms have in common: names, and ends. See mech.h. */
#include "auth/mech.h"

#include <stdio.h>

#include "auth/scheme_saslprep.h"
#include "base/arena.h"
#include "mail/address.h"
#include "mail/utf8.h"

enum { DOMAIN_MEMORY = 8 << 10 };

struct exchange_settings mech_settings;

/* U-labels become the A-labels that accounts are kept under; what is no domain name stays, and is nobody's. */
static bool ascii_domain(char *login, size_t size)
{
	const char *at = strrchr(login, '@');
	struct slice domain = slice_from(at ? at + 1 : ""), ascii;
	size_t before = at ? (size_t)(at + 1 - login) : 0;
	struct arena arena;
	bool fits = true;

	if (utf8_ascii_prefix(domain) == domain.length)
		return true;
	arena_init(&arena, DOMAIN_MEMORY);
	if (address_domain(domain, true, &arena, &ascii))
		fits = slice_to_string(ascii, login + before, size - before);
	arena_free(&arena);
	return fits;
}

/*
 * The claimed name in lower case, U-labels as A-labels, with the realm: what accounts are kept under. False when it cannot be
 * anybody's: empty, too long, or with bytes that are not in a name (and would end up in the log).
 */
static bool canonical(struct slice name, char *login, size_t size)
{
	const char *realm = mech_settings.realm;
	bool whole = slice_find(name, '@') >= 0 || !realm[0];
	int length;

	if (name.length == 0 || name.length > CREDENTIALS_MAX_LOGIN)
		return false;
	for (size_t i = 0; i < name.length; i++)
		if ((unsigned char)name.data[i] <= ' ' || name.data[i] == 0x7f)
			return false;
	length = snprintf(
		login, size, "%.*s%s%s", SLICE_ARG(name), whole ? "" : "@", whole ? "" : realm);
	if (length <= 0 || (size_t)length >= size)
		return false;
	for (char *p = login; *p; p++)
		*p = ascii_lower(*p);
	return ascii_domain(login, size);
}

bool mech_find_login(
	const struct exchange *exchange, struct slice name, char login[CREDENTIALS_MAX_LOGIN + 1])
{
	char form[CREDENTIALS_MAX_LOGIN + 1], prepared[CREDENTIALS_MAX_LOGIN + 1],
		stored[SCHEME_MAX_STORED];
	const char *fault;

	if (!canonical(name, login, CREDENTIALS_MAX_LOGIN + 1))
		return false;
	if (utf8_ascii_prefix(name) == name.length || !saslprep(name, form, sizeof(form), &fault) ||
		!canonical(slice_from(form), prepared, sizeof(prepared)) ||
		strcmp(prepared, login) == 0)
		return true;
	if (backends_read(exchange->backends, slice_from(login), stored) == CREDENTIALS_UNKNOWN)
		memcpy(login, prepared, sizeof(prepared));
	explicit_bzero(stored, sizeof(stored));
	return true;
}

bool mech_may_act_for(const struct exchange *exchange, struct slice wanted)
{
	char name[CREDENTIALS_MAX_LOGIN + 1];

	return wanted.length == 0 ||
	       (mech_find_login(exchange, wanted, name) && strcmp(name, exchange->login) == 0);
}

bool mech_done(struct exchange *exchange, enum auth_status status)
{
	exchange->status = status;
	return true;
}

bool mech_known_login(struct exchange *exchange)
{
	char stored[SCHEME_MAX_STORED];
	enum credentials_status status =
		backends_read(exchange->backends, slice_from(exchange->login), stored);

	explicit_bzero(stored, sizeof(stored));
	if (status == CREDENTIALS_UNKNOWN)
		exchange->note = "no such login";
	return mech_done(exchange, status == CREDENTIALS_GOOD    ? AUTH_OK
				   : status == CREDENTIALS_ERROR ? AUTH_TEMPORARY
								 : AUTH_FAILED);
}
