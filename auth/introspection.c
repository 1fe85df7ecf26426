// SPDX-License-Identifier: ISC
/* Questions about tokens. See introspection.h. */
#include "auth/introspection.h"

#include <stdlib.h>

#include "service/log.h"

enum { ON_THE_WAY = 1000 /* ms, there and back */ };

struct introspection {
	struct service *service;
	struct link link; /* opened with the first question */
	struct inquiry *first;
	int64_t time;
	uint32_t next_serial;
	void (*heard)(struct inquiry *inquiry, bool answered, struct slice answer);
};

void introspection_forget(struct inquiry *inquiry)
{
	loop_timer_stop(&inquiry->limit);
	*inquiry->at = inquiry->next;
	if (inquiry->next)
		inquiry->next->at = inquiry->at;
	inquiry->at = NULL;
}

static void end(struct inquiry *inquiry, bool answered, struct slice answer)
{
	introspection_forget(inquiry);
	inquiry->owner->heard(inquiry, answered, answer);
}

static void overdue(struct timer *timer)
{
	end(timer->context, false, SLICE(""));
}

static void receive(struct channel *channel, struct message *message)
{
	struct link *link = channel->context;
	struct introspection *introspection = link->context;
	const struct message_introspect_answer *told = &message->introspect_answer;

	if (message->type != MESSAGE_INTROSPECT_ANSWER) {
		log_warning("introspect sent %s, which is no answer", message_name(message->type));
		return;
	}
	/* Some do not wait for it any more. */
	for (struct inquiry *each = introspection->first; each; each = each->next)
		if (each->serial == told->serial) {
			end(each, told->status == INTROSPECT_ANSWERED, told->answer);
			return;
		}
}

static void lost(struct link *link)
{
	struct introspection *introspection = link->context;

	while (introspection->first)
		end(introspection->first, false, SLICE(""));
}

struct introspection *introspection_open(struct service *service, int64_t time,
	void (*heard)(struct inquiry *inquiry, bool answered, struct slice answer))
{
	struct introspection *introspection = calloc(1, sizeof(*introspection));

	if (!introspection)
		return NULL;
	introspection->service = service;
	introspection->time = time;
	introspection->heard = heard;
	return introspection;
}

void introspection_ask(
	struct introspection *introspection, struct inquiry *inquiry, struct slice token)
{
	struct message message = { .type = MESSAGE_INTROSPECT_ASK };
	bool sent;

	if (!introspection->link.service)
		link_open(&introspection->link, introspection->service, SERVICE_INTROSPECT, receive,
			NULL, lost, introspection);
	*inquiry = (struct inquiry){ .next = introspection->first,
		.at = &introspection->first,
		.owner = introspection,
		.serial = ++introspection->next_serial,
		.limit = { .fire = overdue, .context = inquiry } };
	if (inquiry->next)
		inquiry->next->at = &inquiry->next;
	introspection->first = inquiry;
	message.introspect_ask.serial = inquiry->serial;
	message.introspect_ask.token = token;
	sent = link_send(&introspection->link, &message);
	loop_timer_start(service_loop(introspection->service), &inquiry->limit,
		sent ? introspection->time + ON_THE_WAY : 0);
}
