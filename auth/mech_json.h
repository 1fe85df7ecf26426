// SPDX-License-Identifier: ISC
/* JSON (RFC 8259) as tokens and key files have it: small texts, read whole into an arena. Used by mech_jwt.c. */
#ifndef AUTH_MECH_JSON_H
#define AUTH_MECH_JSON_H

#include "base/arena.h"

enum { JSON_DEPTH = 16, JSON_VALUES = 4096 };
enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
	enum json_type type;
	bool truth; /* BOOL */
	int64_t number; /* NUMBER without fraction and exponent; others are cut off below the point, or 0 when they do not fit */
	struct slice text; /* STRING, decoded; in the arena */
	struct slice name; /* of a member of an object */
	struct json *first, *next; /* members of ARRAY and OBJECT */
};

/* NULL: malformed, too deep, a name twice in one object, or the arena is full. */
const struct json *json_parse(struct slice text, struct arena *arena);
/* The member of that name; NULL when there is none or `object` is no object. */
const struct json *json_member(const struct json *object, const char *name);
/* Its text; empty when it is no string or not there. */
struct slice json_text(const struct json *object, const char *name);

#endif
