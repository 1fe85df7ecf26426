// SPDX-License-Identifier: ISC
/*
 * Writing JSON (RFC 8259), for the commands' -j and --json.
 */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include "base/buffer.h"

/* A string with its quotes. Bytes that are not UTF-8 become U+FFFD. */
void json_add_text(struct buffer *out, struct slice text);
/* BEFORE"name": "value" */
void json_add_member(struct buffer *out, const char *before, const char *name, const char *value);

#endif
