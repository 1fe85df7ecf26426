// SPDX-License-Identifier: ISC
/*
 * DIRECTORY_OWNER: may this login send as that address? It may as itself (extensions included), as addresses that lead to it
 * alone, and as what smtpd_sender_login_maps says. See answer.h.
 */
#include "config/config.h"
#include "directory/answer_impl.h"

struct question {
	struct directory *d;
	const struct recipient *address;
	struct slice login; /* the key of one; empty: nobody */
	enum owner_status
		status; /* by the tables: OWNER_NOBODY, OWNER_MAPPED, OWNER_YES or OWNER_TEMPORARY */
};

/* A name of a table's value: a login, or what is one with auth_default_realm. */
static bool is_login(const struct question *q, struct slice name)
{
	struct slice realm = slice_from(q->d->settings.login_realm);
	ptrdiff_t at = slice_find_last(q->login, '@');

	if (q->login.length == 0)
		return false;
	if (slice_find(name, '@') >= 0 || at < 0)
		return slice_equal_nocase(ascii_address(&q->d->arena, name), q->login);
	return slice_equal_nocase(name, slice_head(q->login, (size_t)at)) &&
	       slice_equal_nocase(realm, slice_tail(q->login, (size_t)at + 1));
}

/* Each table in turn, until one has the address. */
static bool ask_table(void *context, struct slice item)
{
	struct question *q = context;
	struct table_list *list = map_get(&q->d->lookups, item);
	struct slice extension, rest, name;
	enum table_status status;

	q->status = OWNER_TEMPORARY;
	if (!list)
		return false; /* it does not stand in the configuration */
	status = table_lookup_address(list, q->address->key, q->d->settings.recipient_delimiter,
		false, &q->d->value, &extension);
	if (status == TABLE_ERROR)
		return false;
	q->status = status == TABLE_FOUND ? OWNER_MAPPED : OWNER_NOBODY;
	rest = buffer_slice(&q->d->value);
	while (status == TABLE_FOUND && q->status == OWNER_MAPPED &&
		slice_word(&rest, ", \t\r\n", &name)) {
		if (is_login(q, name))
			q->status = OWNER_YES;
	}
	return status == TABLE_NOT_FOUND;
}

/* Does the whole address, with its extension, stand anywhere as a mailbox or an alias of its own? */
static enum directory_status has_own_entry(const struct question *q, const struct recipient *r)
{
	struct directory *d = q->d;
	struct accounts_mailbox mailbox;
	enum directory_status status =
		status_of_accounts(accounts_mailbox(d->accounts, r->key, &mailbox));

	if (status == DIRECTORY_NOT_FOUND)
		status = status_of_accounts(accounts_alias(d->accounts, r->key, &d->value));
	if (status == DIRECTORY_NOT_FOUND)
		status = status_of_table(
			table_list_lookup(d->maps[MAPS_MAILBOX], r->key, &d->value));
	if (status == DIRECTORY_NOT_FOUND)
		status = status_of_table(table_list_lookup(d->maps[MAPS_ALIAS], r->key, &d->value));
	return status;
}

/* "one+list" is one's, unless it is something of its own. */
static enum owner_status is_self(const struct question *q, const struct recipient *r)
{
	enum directory_status status;

	if (slice_equal(r->key, q->login))
		return OWNER_YES;
	if (!r->stripped.length || !slice_equal(r->stripped, q->login))
		return OWNER_NOBODY;
	status = has_own_entry(q, r);
	return status == DIRECTORY_NOT_FOUND ? OWNER_YES
	       : status == DIRECTORY_FOUND   ? OWNER_NOBODY
					     : OWNER_TEMPORARY;
}

static enum owner_status by_aliases(const struct question *q)
{
	struct recipient final;
	enum directory_status status;
	enum owner_status self = is_self(q, q->address);

	if (self != OWNER_NOBODY)
		return self;
	status = expand_alone(q->d, q->address, &final);
	return status == DIRECTORY_FOUND       ? is_self(q, &final)
	       : status == DIRECTORY_NOT_FOUND ? OWNER_NOBODY
					       : OWNER_TEMPORARY;
}

/* An address of ours that is somebody else's, or one that we know nothing of. */
static enum owner_status by_existence(const struct question *q)
{
	enum domain_class class;
	const char *reason;

	switch (check_recipient(q->d, q->address, &class, &reason)) {
	case DIRECTORY_FOUND:
		return OWNER_OTHER;
	case DIRECTORY_TEMPORARY:
		return OWNER_TEMPORARY;
	default:
		return OWNER_NOBODY;
	}
}

static enum owner_status find_owner(struct question *q, const char *tables)
{
	enum owner_status by_tables, own;

	q->status = OWNER_NOBODY;
	(void)config_each(tables, ask_table, q);
	by_tables = q->status;
	if (by_tables == OWNER_YES || by_tables == OWNER_TEMPORARY)
		return by_tables;
	own = q->login.length ? by_aliases(q) : OWNER_NOBODY;
	if (own != OWNER_NOBODY)
		return own;
	return by_tables == OWNER_MAPPED ? by_tables : by_existence(q);
}

void answer_owner(
	struct directory *d, const struct message *question, answer_send send, void *context)
{
	const struct message_directory_owner *asked = &question->directory_owner;
	struct message answer = { .type = MESSAGE_DIRECTORY_OWNER_ANSWER };
	struct recipient address, login = { .key = { 0 } };
	char *tables = arena_dup(&d->arena, asked->tables);
	enum directory_status status = recipient_parse(d, asked->address, &address);

	if (status == DIRECTORY_FOUND && asked->login.length &&
		recipient_parse(d, asked->login, &login) != DIRECTORY_FOUND)
		status = DIRECTORY_TEMPORARY;
	answer.directory_owner_answer.serial = asked->serial;
	answer.directory_owner_answer.status = OWNER_TEMPORARY;
	if (status == DIRECTORY_BAD)
		answer.directory_owner_answer.status = OWNER_NOBODY;
	else if (status == DIRECTORY_FOUND && tables)
		answer.directory_owner_answer.status = find_owner(
			&(struct question){ .d = d, .address = &address, .login = login.key },
			tables);
	send(context, &answer);
}
