// SPDX-License-Identifier: ISC
/*
 * authd's way to introspect, which runs the command that knows about tokens: questions of the loop, each answered once, in time. No
 * thread waits for one.
 */
#ifndef AUTH_INTROSPECTION_H
#define AUTH_INTROSPECTION_H

#include "service/service.h"

struct introspection;
/* Embedded in who asks; zeroed. */
struct inquiry {
	struct inquiry *next, **at; /* while it is asked */
	struct introspection *owner;
	uint32_t serial;
	struct timer limit;
};

/*
 * `time`: ms that introspect takes for an answer; a little later there is none. `heard` is called in the loop, never from within
 * introspection_ask; `answered` false: it could not say. NULL when memory is out.
 */
struct introspection *introspection_open(struct service *service, int64_t time,
	void (*heard)(struct inquiry *inquiry, bool answered, struct slice answer));
void introspection_ask(
	struct introspection *introspection, struct inquiry *inquiry, struct slice token);
/* Nobody wants to know any more. */
void introspection_forget(struct inquiry *inquiry);

#endif
