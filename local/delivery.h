// SPDX-License-Identifier: ISC
/* What agents that put mail into mailboxes share: the lines they add, the loop they notice, the paths they accept. */
#ifndef LOCAL_DELIVERY_H
#define LOCAL_DELIVERY_H

#include "base/buffer.h"

enum {
	DELIVERY_HEADERS = 256 * 1024, /* bytes of a header that are searched for a loop */
	DELIVERY_PATH = 512, /* bytes of a mailbox path */
	DELIVERY_PATH_PARTS = 16
};

/*
 * A mailbox path below the mail folder: relative, parts separated by one "/", each without a leading dot, without control
 * characters, not empty, at most 255 bytes. Whoever answered for it, it is checked again here.
 */
bool delivery_mailbox_valid(struct slice path);
/* Return-Path (RFC 5321 4.4), X-Original-To where it differs from the recipient, Delivered-To, each with LF. */
bool delivery_prefix(
	struct slice sender, struct slice original, struct slice recipient, struct buffer *out);
/* Does the header at `offset` of `fd` say that it was delivered to `recipient` before? An unreadable header says nothing. */
bool delivery_loops(int fd, int64_t offset, int64_t size, struct slice recipient);
/* The same for a header in memory. *more: the empty line was not among it, and no loop found yet. */
bool delivery_header_loops(struct slice header, struct slice recipient, bool *more);

#endif
