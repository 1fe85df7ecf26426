// SPDX-License-Identifier: ISC
/*
 * What access tables ask for beside yes and no (access(5), OTHER ACTIONS): it is noted in the transaction here, and done by
 * transaction.c when cleanup hears of the message. As in Postfix each holds for the whole message, whatever becomes of the
 * recipient that it was asked for at.
 */
#include <stdio.h>

#include "queue/queue.h"
#include "service/log.h"
#include "smtpd/restrictions.h"

/* Something that cannot be done is refused for the time being, never silently left undone. */
enum check_result action_impossible(struct access *access, const char *why)
{
	log_warning(
		"access table %.*s entry \"%s\" %s", SLICE_ARG(access->tables), access->value, why);
	snprintf(access->check->text, sizeof(access->check->text),
		"451 4.3.5 Server configuration error");
	return CHECK_TEMPORARY;
}

static void act_log(struct access *access, const char *kind, const char *format, struct slice text)
{
	char line[SESSION_TEXT], recipient[MAX_ADDRESS + 1], what[MAX_REASON + 32];
	struct check *check = access->check;
	enum subject subject = access->restriction->subject;

	snprintf(what, sizeof(what), format, SLICE_ARG(slice_head(text, MAX_REASON / 2)));
	snprintf(line, sizeof(line), "<%.*s>: %s %s",
		SLICE_ARG(slice_head(check_given(check, subject), MAX_ADDRESS / 2)),
		check_subject_name(subject), what);
	printable_copy(check_given(check, ABOUT_RECIPIENT), recipient, sizeof(recipient));
	log_refusal(check->session, kind, line, check->recipient ? recipient : NULL);
}

/*
 * Is there a message that this can hold for? Before MAIL there is none: the list is asked again at RCPT, as if it had been put
 * off to there. VRFY leaves no trace.
 */
static bool has_message(const struct access *access)
{
	const struct check *check = access->check;

	if (check->recipient && check->recipient->only_asked)
		return false;
	if (check->recipient || (check->stage != STAGE_CLIENT && check->stage != STAGE_HELO))
		return true;
	check->session->ask_again |= 1U << check->stage;
	return false;
}

/* ---- Those that only write to the log ------------------------------------------------------------------------------- */

enum check_result act_warn(struct access *access, struct slice text)
{
	act_log(access, "warn", "%.*s", text.length ? text : SLICE("triggers WARN action"));
	return CHECK_DUNNO;
}

enum check_result act_info(struct access *access, struct slice text)
{
	act_log(access, "info", "%.*s", text.length ? text : SLICE("triggers INFO action"));
	return CHECK_DUNNO;
}

/* ---- Those that hold for the message --------------------------------------------------------------------------------- */

enum check_result act_discard(struct access *access, struct slice text)
{
	if (!has_message(access))
		return CHECK_OK;
	act_log(access, "discard", "%.*s", text.length ? text : SLICE("triggers DISCARD action"));
	access->check->session->transaction.actions.discard = true;
	return CHECK_OK;
}

enum check_result act_hold(struct access *access, struct slice text)
{
	if (!has_message(access))
		return CHECK_DUNNO;
	act_log(access, "hold", "%.*s", text.length ? text : SLICE("triggers HOLD action"));
	access->check->session->transaction.actions.hold = true;
	return CHECK_DUNNO;
}

enum check_result act_filter(struct access *access, struct slice text)
{
	return action_impossible(access, "is not done: this version has no content filters; its "
					 "clients are told to try again later");
}

static bool is_header(struct slice text)
{
	ptrdiff_t colon = slice_find(text, ':');

	for (ptrdiff_t i = 0; i < colon; i++) {
		if (text.data[i] <= ' ' || text.data[i] == 127)
			return false;
	}
	for (size_t i = 0; i < text.length; i++) {
		if (((unsigned char)text.data[i] < ' ' && text.data[i] != '\t') ||
			text.data[i] == 127)
			return false;
	}
	return colon > 0;
}

/* Once more the same, for the next recipient: once is enough. False: there are too many, or memory is out. */
static bool list_add(struct session *s, struct action_list *list, struct slice text)
{
	struct slice copy;

	for (unsigned i = 0; i < list->count; i++) {
		if (slice_equal(list->items[i], text))
			return true;
	}
	if (list->count == ACTIONS_MOST)
		return false;
	copy = arena_slice(&s->recipient_memory, text);
	list->items[list->count] = copy;
	list->count += copy.data != NULL;
	return copy.data != NULL;
}

enum check_result act_prepend(struct access *access, struct slice text)
{
	struct session *s = access->check->session;

	if (!is_header(text))
		return action_impossible(access, "requires header: text");
	if (access->check->stage == STAGE_END_OF_DATA)
		return action_impossible(
			access, "must be used before smtpd_end_of_data_restrictions");
	if (has_message(access) && !list_add(s, &s->transaction.actions.prepend, text))
		return action_impossible(access, "is one too many for this message");
	return CHECK_DUNNO;
}

/* The address in its external form, in s->text. */
static bool take_target(struct session *s, struct slice text, struct slice *target)
{
	struct address address;
	const char *error;

	buffer_clear(&s->text);
	if (!address_parse_path(
		    &text, ADDRESS_BARE | ADDRESS_UTF8, &s->command_memory, &address, &error) ||
		text.length || !address.local.length || !address.domain.length ||
		!address_write(&address, &s->text) || s->text.length > MAX_ADDRESS)
		return false;
	*target = arena_slice(&s->recipient_memory, buffer_slice(&s->text));
	return target->data != NULL;
}

enum check_result act_redirect(struct access *access, struct slice text)
{
	struct slice target;

	if (!has_message(access))
		return CHECK_DUNNO;
	if (!take_target(access->check->session, text, &target))
		return action_impossible(access, "requires user@domain target");
	act_log(access, "redirect", "triggers REDIRECT %.*s", target);
	access->check->session->transaction.actions.redirect = target;
	return CHECK_DUNNO;
}

enum check_result act_bcc(struct access *access, struct slice text)
{
	struct session *s = access->check->session;
	struct slice target;

	if (!has_message(access))
		return CHECK_DUNNO;
	if (!take_target(s, text, &target))
		return action_impossible(access, "requires user@domain target");
	if (!list_add(s, &s->transaction.actions.bcc, target))
		return action_impossible(access, "is one too many for this message");
	act_log(access, "bcc", "triggers BCC %.*s", target);
	return CHECK_DUNNO;
}

/* ---- What becomes of them -------------------------------------------------------------------------------------------- */

bool actions_headers(const struct actions *actions, struct buffer *out)
{
	buffer_clear(out);
	for (unsigned i = 0; i < actions->prepend.count; i++)
		buffer_printf(out, "%.*s\n", SLICE_ARG(actions->prepend.items[i]));
	return !out->failed && out->length <= MAX_PREPEND;
}

/* The client must not see the difference: it gets a queue id like any other. */
void actions_discard(struct session *s, char *queue_id, size_t size)
{
	char id[QUEUE_ID_SIZE];

	queue_id_new(id);
	log_info("%s: discarded: message from %s; from=<%s>", id, s->name,
		s->transaction.sender_given);
	snprintf(queue_id, size, "%s", id);
}
