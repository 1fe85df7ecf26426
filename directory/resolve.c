// SPDX-License-Identifier: ISC
/* DIRECTORY_RESOLVE: where mail for an address goes, and DIRECTORY_MAILBOX: where a login's mail is. See answer.h. */
#include "directory/answer_impl.h"

struct route {
	struct slice transport, nexthop;
};

/* "transport:nexthop" over what the route has; an empty part changes nothing. */
static void take_route(struct route *route, struct slice value)
{
	ptrdiff_t colon = slice_find(value, ':');
	struct slice transport = colon < 0 ? value : slice_head(value, (size_t)colon);
	struct slice nexthop = colon < 0 ? slice_of("", 0) : slice_tail(value, (size_t)colon + 1);

	if (transport.length)
		route->transport = transport;
	if (nexthop.length)
		route->nexthop = nexthop;
}

static void route_of_class(
	struct directory *d, enum domain_class class, struct slice domain, struct route *route)
{
	const struct directory_settings *s = &d->settings;
	const char *transport = class == DOMAIN_LOCAL             ? s->local_transport
				: class == DOMAIN_VIRTUAL_MAILBOX ? s->virtual_transport
				: class == DOMAIN_RELAY           ? s->relay_transport
								  : s->default_transport;

	*route = (struct route){ SLICE(""), domain };
	if (class == DOMAIN_OTHER && s->relayhost[0])
		route->nexthop = slice_from(s->relayhost);
	take_route(route, slice_from(transport));
}

static enum directory_status route_of_maps(
	struct directory *d, const struct recipient *r, struct route *route)
{
	enum directory_status status =
		status_of_table(table_lookup_transport(d->maps[MAPS_TRANSPORT], r->key,
			d->settings.recipient_delimiter, d->parents_transport, &d->value));
	struct slice value;

	if (status != DIRECTORY_FOUND)
		return status;
	value = arena_slice(&d->arena, buffer_slice(&d->value));
	/* "smtp:" asks the domain itself, whatever relayhost says. */
	if (value.length && value.data[0] != ':')
		route->nexthop = r->domain;
	take_route(route, value);
	return value.data ? DIRECTORY_FOUND : DIRECTORY_TEMPORARY;
}

struct resolution {
	enum directory_status status;
	struct route route;
	struct slice reason;
	struct buffer path;
	int64_t quota;
};

static void resolve_failed(struct resolution *to, enum directory_status status, const char *reason)
{
	to->status = status;
	to->reason = slice_from(reason);
}

/* transports that are answers: "error:5.1.1 text", "retry:text". */
static bool route_is_answer(struct resolution *to)
{
	bool error = slice_equal(to->route.transport, SLICE("error"));

	if (!error && !slice_equal(to->route.transport, SLICE("retry")))
		return false;
	to->status = error ? DIRECTORY_NOT_FOUND : DIRECTORY_TEMPORARY;
	to->reason = slice_head(to->route.nexthop, MAX_REASON);
	return true;
}

static void resolve_mailbox(struct directory *d, const struct recipient *r, struct resolution *to)
{
	to->status = find_mailbox(d, r, &to->path, &to->quota);
	if (to->status == DIRECTORY_NOT_FOUND)
		to->reason = slice_from(arena_printf(&d->arena, "unknown user: \"%.*s\"",
			SLICE_ARG(slice_head(r->address, MAX_REASON - 20))));
	else if (to->status == DIRECTORY_TEMPORARY)
		to->reason = SLICE("mailbox lookup error");
}

static void resolve(struct directory *d, const struct recipient *r, struct resolution *to)
{
	enum directory_status status;
	enum domain_class class;
	bool accounts;

	class = classify(d, r, &accounts);
	if (class == DOMAIN_UNKNOWN) {
		resolve_failed(to, DIRECTORY_TEMPORARY, "domain lookup error");
		return;
	}
	route_of_class(d, class, r->domain, &to->route);
	status = route_of_maps(d, r, &to->route);
	if (status == DIRECTORY_TEMPORARY) {
		resolve_failed(to, status, "transport table lookup error");
		return;
	}
	if (route_is_answer(to))
		return;
	to->status = DIRECTORY_FOUND;
	if (class == DOMAIN_VIRTUAL_ALIAS)
		resolve_failed(to, DIRECTORY_NOT_FOUND, "User unknown in virtual alias table");
	else if (slice_equal(to->route.transport, SLICE("virtual")))
		resolve_mailbox(d, r, to);
}

void answer_resolve(
	struct directory *d, const struct message *question, answer_send send, void *context)
{
	struct message answer = { .type = MESSAGE_DIRECTORY_RESOLVE_ANSWER };
	struct message_directory_resolve_answer *fields = &answer.directory_resolve_answer;
	struct resolution to = { .path = { 0 } };
	struct recipient r;

	to.status = recipient_parse(d, question->directory_resolve.recipient, &r);
	if (to.status == DIRECTORY_FOUND)
		resolve(d, &r, &to);
	else
		to.reason = to.status == DIRECTORY_BAD ? SLICE("bad address syntax")
						       : SLICE("out of memory");
	fields->serial = question->directory_resolve.serial;
	fields->status = to.status;
	fields->reason = to.reason;
	if (to.status == DIRECTORY_FOUND) {
		fields->transport = slice_head(to.route.transport, 64);
		fields->nexthop = slice_head(to.route.nexthop, 512);
		fields->address = r.address;
		fields->mailbox = buffer_slice(&to.path);
		fields->quota = to.path.length ? to.quota : 0;
	}
	send(context, &answer);
	buffer_free(&to.path);
}

/* A mailbox of accounts.db that is enabled, else one of virtual_mailbox_maps. Login names have no extensions. */
static enum directory_status mailbox_of_login(
	struct directory *d, const struct recipient *r, struct buffer *path, int64_t *quota)
{
	struct recipient whole = *r;
	struct accounts_mailbox mailbox;
	enum accounts_status status = accounts_mailbox(d->accounts, r->key, &mailbox);

	if (status == ACCOUNTS_ERROR)
		return DIRECTORY_TEMPORARY;
	if (status == ACCOUNTS_FOUND && !mailbox.enabled)
		return DIRECTORY_NOT_FOUND;
	whole.stripped = slice_of("", 0);
	return find_mailbox(d, &whole, path, quota);
}

void answer_mailbox(
	struct directory *d, const struct message *question, answer_send send, void *context)
{
	struct message answer = { .type = MESSAGE_DIRECTORY_MAILBOX_ANSWER };
	struct message_directory_mailbox_answer *fields = &answer.directory_mailbox_answer;
	struct buffer path = { 0 };
	struct recipient r;
	enum directory_status status = recipient_parse(d, question->directory_mailbox.login, &r);

	if (status == DIRECTORY_FOUND)
		status = mailbox_of_login(d, &r, &path, &fields->quota);
	else if (status == DIRECTORY_BAD)
		status = DIRECTORY_NOT_FOUND;
	fields->serial = question->directory_mailbox.serial;
	fields->status = status;
	if (status == DIRECTORY_FOUND)
		fields->mailbox = buffer_slice(&path);
	else
		fields->quota = 0;
	send(context, &answer);
	buffer_free(&path);
}
