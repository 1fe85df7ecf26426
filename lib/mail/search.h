// SPDX-License-Identifier: ISC
/*
 * Does a message contain a text? As SEARCH BODY, TEXT and HEADER of IMAP (RFC 3501 6.4.4) and Sieve's tests ask it: case ignored,
 * transfer encodings undone, charsets converted, encoded-words decoded. A needle is made once and used for many messages.
 */
#ifndef MAIL_SEARCH_H
#define MAIL_SEARCH_H

#include "mail/mime.h"

enum mail_search_where {
	MAIL_SEARCH_BODY, /* texts of all parts, and the headers of enclosed messages */
	MAIL_SEARCH_TEXT, /* that, the message's headers and those of its parts */
};

struct mail_needle;

/*
 * Look for `text`, which is in `charset` (empty: UTF-8). The needle owns memory that searches use over and over, so one needle is
 * good for one search at a time. NULL when memory is out.
 */
MUST_CHECK struct mail_needle *mail_needle_new(struct slice charset, struct slice text);
void mail_needle_free(struct mail_needle **needle);

/* In UTF-8 text. The empty needle is in everything. */
bool mail_search_utf8(struct mail_needle *needle, struct slice utf8);
/*
 * In a message. One that cannot be taken apart for want of memory is searched as it stands. An empty needle is found even in an
 * empty message.
 */
bool mail_search_text(
	struct mail_needle *needle, struct slice message, enum mail_search_where where);
/* Likewise, with the parts known already: for several needles in one message. */
bool mail_search_parts(struct mail_needle *needle, struct slice message,
	const struct mime_part *top, enum mail_search_where where);
/* In the value of any field of that name (case ignored). An empty needle: there is such a field. */
bool mail_search_header(struct mail_needle *needle, struct slice headers, struct slice name);

#endif
