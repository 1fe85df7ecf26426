// SPDX-License-Identifier: ISC
/* authd's link to proxymap. See lookups_link.h. */
#include "auth/lookups_link.h"

#include <stdlib.h>

#include "service/log.h"
#include "table/table_sql.h"

enum { TELL_AGAIN = 10000 /* ms between warnings */ };

/* There is one, as long as the process. */
struct proxy {
	struct service *service;
	struct lookups *lookups;
	struct link link; /* opened with the first question */
	int64_t told; /* ms */
};

static void receive(struct channel *channel, struct message *message)
{
	struct proxy *proxy = ((struct link *)channel->context)->context;
	const struct message_proxymap_answer *told = &message->proxymap_answer;

	if (message->type != MESSAGE_PROXYMAP_ANSWER) {
		log_warning("proxymap sent %s, which is no answer", message_name(message->type));
		return;
	}
	lookups_told(proxy->lookups, told->serial,
		told->status == TABLE_FOUND || told->status == TABLE_NOT_FOUND
			? (enum table_status)told->status
			: TABLE_ERROR,
		told->value);
}

static void lost(struct link *link)
{
	lookups_lost(((struct proxy *)link->context)->lookups);
}

static bool ask(void *context, uint32_t serial, const char *spec, struct slice key)
{
	struct proxy *proxy = context;
	struct message message = { .type = MESSAGE_PROXYMAP_ASK };

	if (!proxy->link.service)
		link_open(
			&proxy->link, proxy->service, SERVICE_PROXYMAP, receive, NULL, lost, proxy);
	message.proxymap_ask.serial = serial;
	message.proxymap_ask.table = slice_from(spec);
	message.proxymap_ask.key = key;
	return link_send(&proxy->link, &message);
}

static void tell_silent(void *context, const char *spec)
{
	struct proxy *proxy = context;
	int64_t now = loop_now(service_loop(proxy->service));

	if (proxy->told && now - proxy->told < TELL_AGAIN)
		return;
	proxy->told = now;
	log_warning("auth: %s: no answer from proxymap in time (sql_timeout)", spec);
}

struct lookups *lookups_open(struct service *service, int64_t patience)
{
	struct proxy *proxy = calloc(1, sizeof(*proxy));
	const struct lookups_hooks hooks = { .send = ask, .silent = tell_silent, .context = proxy };

	if (!proxy)
		return NULL;
	proxy->service = service;
	proxy->lookups = lookups_new(service_loop(service), &hooks, patience);
	if (!proxy->lookups) {
		free(proxy);
		return NULL;
	}
	sql_tables_through(lookups_ask, proxy->lookups);
	return proxy->lookups;
}
