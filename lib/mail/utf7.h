// SPDX-License-Identifier: ISC
/* IMAP's modified UTF-7, the form mailbox names have on the wire (RFC 3501 5.1.3). */
#ifndef MAIL_UTF7_H
#define MAIL_UTF7_H

#include "base/buffer.h"

/*
 * Append as UTF-8. Strict: false, with nothing appended, for bytes that are not printable ASCII, bad or open base64, printable
 * ASCII or NUL in base64, one shift right behind another, lone surrogates, or when memory is out. So every name has one form.
 */
MUST_CHECK bool utf7_decode(struct slice name, struct buffer *utf8);
/* Append UTF-8 as modified UTF-7. False, with nothing appended, when it is not UTF-8, holds NUL, or memory is out. */
MUST_CHECK bool utf7_encode(struct slice utf8, struct buffer *name);

#endif
