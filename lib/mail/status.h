// SPDX-License-Identifier: ISC
/* Enhanced status codes (RFC 3463) in front of reply texts: "5.1.1 User unknown". */
#ifndef MAIL_STATUS_H
#define MAIL_STATUS_H

#include "base/slice.h"

/*
 * Take a code off the front of `text`: then *code and *rest are it and what follows. When there is none *code stays and *rest is
 * all. A code whose class is not `class` ('2', '4', '5'; 0: any) gets that class: a failure decides, not what somebody wrote.
 * `space` keeps such a corrected code.
 */
enum { STATUS_CODE_SIZE = 12 };
void status_split(struct slice text, char class, char space[STATUS_CODE_SIZE], struct slice *code,
	struct slice *rest);

#endif
