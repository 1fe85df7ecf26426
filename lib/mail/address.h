// SPDX-License-Identifier: ISC
/*
 * Email addresses as they stand in SMTP commands (RFC 5321 4.1.2, with the UTF-8 of RFC 6531 and RFC 6532).
 *
 * An address is valid once it is a struct address: whoever holds one need not check it again.
 */
#ifndef MAIL_ADDRESS_H
#define MAIL_ADDRESS_H

#include "base/arena.h"
#include "base/buffer.h"

struct address {
	struct slice local; /* as given, unquoted; empty for the null sender only */
	struct slice
		domain; /* lower case, A-labels; "[...]" literals whole; empty for the null sender and where none was given */
	struct slice
		unicode; /* the domain as given where it has U-labels, valid UTF-8, in the text that was parsed; else empty */
};

enum address_flag {
	ADDRESS_UTF8 =
		1, /* SMTPUTF8 was given: bytes over 127 are allowed, and checked to be UTF-8 */
	ADDRESS_NULL = 2, /* "<>" is allowed (MAIL FROM) */
	ADDRESS_BARE =
		4, /* lax (sendmail, not strict_rfc821_envelopes): without angle brackets too (it ends at white space),
	                      * a local part without domain, dots anywhere in it, a dot behind the domain */
};
/*
 * Parse a Path at the start of *text, "<user@example.org>", route dropped; *text is what follows it. Memory from `arena`. On
 * failure *text is untouched and `*error` is an enhanced code with a reply text for the client: "5.1.3 Bad recipient address
 * syntax", "5.1.7 Bad sender ..." when ADDRESS_NULL is given, "5.6.7 ..." for UTF-8 without ADDRESS_UTF8, "4.3.0 ..." when
 * memory ran out. <postmaster> needs no domain (RFC 5321 4.1.1.3). Bounds: domain 255 octets (RFC 5321 4.5.3.1.2); the
 * written address MAX_ADDRESS (ipc/messages.h), more than the 64 and 256 octets of 4.5.3.1, as Postfix accepts it.
 */
MUST_CHECK bool address_parse_path(struct slice *text, unsigned flags, struct arena *arena,
	struct address *address, const char **error);
/* External form: quoted where it must be, "local@domain". */
bool address_write(const struct address *address, struct buffer *out);
/* The same, but the domain as it was given: to be shown and passed on, not to be looked up. */
bool address_write_as_given(const struct address *address, struct buffer *out);
/* A domain name: letters, digits, hyphens (and underscores), labels 1..63, 255 in all, the last not a number; U-labels become A-labels. */
MUST_CHECK bool address_domain(
	struct slice text, bool utf8, struct arena *arena, struct slice *domain);
/* "[192.0.2.1]" or "[IPv6:2001:db8::1]". */
bool address_is_literal(struct slice domain);

/*
 * Address lists of message headers (RFC 5322 3.4, obsolete forms too): groups, comments, routes, quoted strings. Anything that
 * cannot be understood becomes an address with what there is. `each` gets them in order; a group begins and ends with entries
 * that have only `name` set (`group` 1 and 2), as IMAP's ENVELOPE wants them.
 */
struct header_address {
	struct slice
		name; /* display name, unquoted, encoded-words left as they are; data NULL when there is none */
	struct slice route; /* source route; data NULL when none */
	struct slice local; /* data NULL in group entries */
	bool quoted_local; /* it is a quoted string, and so is there although it may be empty */
	struct slice domain; /* data NULL when there is none */
	int group; /* 0 address, 1 group start (name is its name), 2 group end */
};
/*
 * The slices lie in `arena`. False when memory or `limit` entries ran out, or when `each` returned false (that ends it); what was
 * given out before is good.
 */
bool address_list_parse(struct slice value, struct arena *arena, unsigned limit,
	bool (*each)(void *context, const struct header_address *address), void *context);
/*
 * Is it an address list as RFC 5322 3.4 has it (with the UTF-8 of RFC 6532), which leaves nobody a choice in what its addresses
 * are? `value` is unfolded. Of the obsolete forms (4.4) white space around dots and "@", dots in names and empty entries are
 * taken, routes are not; and an address may lack its domain.
 */
MUST_CHECK bool address_list_valid(struct slice value);

#endif
