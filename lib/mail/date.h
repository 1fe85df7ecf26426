// SPDX-License-Identifier: ISC
/* Dates: RFC 5322 3.3 and 4.3 (obsolete forms), and IMAP's date-time and date (RFC 3501 9). No locale, no time zone database. */
#ifndef MAIL_DATE_H
#define MAIL_DATE_H

#include "base/buffer.h"

/* "Fri, 21 Nov 1997 09:55:06 -0600 (CST)" -> seconds since 1970 and the zone in minutes east. Forgiving; false when hopeless. */
MUST_CHECK bool date_parse(struct slice text, int64_t *seconds, int *zone);
/* "Fri, 21 Nov 1997 09:55:06 -0600" */
bool date_write(int64_t seconds, int zone, struct buffer *out);
/* "17-Jul-1996 02:44:25 -0700", day blank-padded (RFC 3501 date-time, without the quotes). */
MUST_CHECK bool date_parse_imap(struct slice text, int64_t *seconds, int *zone);
bool date_write_imap(int64_t seconds, int zone, struct buffer *out);
/* "1-Feb-1994" -> days since 1970-01-01. */
MUST_CHECK bool date_parse_imap_day(struct slice text, int64_t *day);
/* Minutes east of UTC now, from the system's zone. */
int date_local_zone(int64_t seconds);

#endif
