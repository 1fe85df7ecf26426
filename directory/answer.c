// SPDX-License-Identifier: ISC
/* DIRECTORY_RECIPIENT, DIRECTORY_LOOKUP, and which question is answered by whom. See answer.h. */
#include "directory/answer.h"

#include "config/config.h"
#include "directory/answer_impl.h"

/* --- DIRECTORY_RECIPIENT --- */

void answer_recipient(
	struct directory *d, const struct message *question, answer_send send, void *context)
{
	struct message answer = { .type = MESSAGE_DIRECTORY_RECIPIENT_ANSWER };
	struct message_directory_recipient_answer *fields = &answer.directory_recipient_answer;
	enum domain_class class = DOMAIN_UNKNOWN;
	const char *reason = "Bad recipient address syntax";
	struct recipient r;
	enum directory_status status =
		recipient_parse(d, question->directory_recipient.recipient, &r);

	if (status == DIRECTORY_FOUND)
		status = check_recipient(d, &r, &class, &reason);
	if (status == DIRECTORY_TEMPORARY)
		reason = "Temporary lookup failure";
	fields->serial = question->directory_recipient.serial;
	fields->status = status;
	fields->domain_class = class;
	fields->reason = slice_from(reason);
	send(context, &answer);
}

/* --- DIRECTORY_LOOKUP --- */

struct lookup {
	struct directory *d;
	const struct message_directory_lookup *asked;
	enum table_status status;
};

static bool lookup_item(void *context, struct slice item)
{
	struct lookup *lookup = context;
	struct table_list *list = map_get(&lookup->d->lookups, item);

	if (!list)
		lookup->status = TABLE_ERROR; /* it does not stand in the configuration */
	else if (lookup->asked->part)
		lookup->status =
			table_list_lookup_part(list, lookup->asked->key, &lookup->d->value);
	else
		lookup->status = table_list_lookup(list, lookup->asked->key, &lookup->d->value);
	return lookup->status == TABLE_NOT_FOUND;
}

void answer_lookup(
	struct directory *d, const struct message *question, answer_send send, void *context)
{
	struct message answer = { .type = MESSAGE_DIRECTORY_LOOKUP_ANSWER };
	struct lookup lookup = { d, &question->directory_lookup, TABLE_NOT_FOUND };
	char *tables = arena_dup(&d->arena, question->directory_lookup.tables);

	if (tables)
		(void)config_each(tables, lookup_item, &lookup);
	/* A list of restrictions that is cut off might say yes where the whole says no. */
	if (lookup.status == TABLE_FOUND && d->value.length > MAX_REASON)
		lookup.status = TABLE_ERROR;
	answer.directory_lookup_answer.serial = question->directory_lookup.serial;
	answer.directory_lookup_answer.status =
		tables ? status_of_table(lookup.status) : DIRECTORY_TEMPORARY;
	if (lookup.status == TABLE_FOUND)
		answer.directory_lookup_answer.value = buffer_slice(&d->value);
	send(context, &answer);
}

/* --- questions by their type --- */

static const struct kind {
	enum message_type type;
	bool remembered;
	answer_work answer;
} KINDS[] = {
	{ MESSAGE_DIRECTORY_RECIPIENT, true, answer_recipient },
	{ MESSAGE_DIRECTORY_EXPAND, true, answer_expand },
	{ MESSAGE_DIRECTORY_RESOLVE, true, answer_resolve },
	{ MESSAGE_DIRECTORY_MAILBOX, false, answer_mailbox },
	{ MESSAGE_DIRECTORY_LOOKUP, false, answer_lookup },
	{ MESSAGE_DIRECTORY_OWNER, false, answer_owner },
};

static struct slice subject_of(const struct message *question)
{
	return question->type == MESSAGE_DIRECTORY_RECIPIENT
		       ? question->directory_recipient.recipient
	       : question->type == MESSAGE_DIRECTORY_EXPAND ? question->directory_expand.recipient
							    : question->directory_resolve.recipient;
}

bool directory_answer(
	struct directory *d, const struct message *question, answer_send send, void *context)
{
	const struct kind *kind = NULL;

	for (size_t i = 0; i < sizeof(KINDS) / sizeof(KINDS[0]); i++)
		if (KINDS[i].type == question->type)
			kind = &KINDS[i];
	if (!kind)
		return false;
	if (kind->remembered && subject_of(question).length <= MAX_ADDRESS)
		memory_answer(d, kind->answer, question, subject_of(question), send, context);
	else
		kind->answer(d, question, send, context);
	arena_reset(&d->arena);
	return true;
}
