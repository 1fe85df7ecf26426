// SPDX-License-Identifier: ISC
/* The rest of a session: mailbox commands, APPEND, what one session hears of another, bounds, sleep and waking. */
#include "imap_talk.h"

#include <poll.h>

#include "base/loop.h"
#include "ipc/channel.h"

static struct talk *box;

static int setup(void **state)
{
	box = talk_new();
	return 0;
}

static int teardown(void **state)
{
	talk_free(box);
	return 0;
}

static void add(const char *mailbox, const char *options, const char *message)
{
	char *text = talk_append(mailbox, options, message);

	talk(box, text);
	assert_says(box, "a OK [APPENDUID ");
	free(text);
}

static void mailboxes_are_listed_by_pattern(void **state)
{
	talk(box, "a CREATE a/b/c\r\nb CREATE x\r\nc CREATE \"Entw&APw-rfe\"\r\nd LIST \"\" %\r\ne "
		  "LIST \"\" a/%\r\nf LIST a/ *\r\n"
		  "g LIST \"\" *c\r\nh LIST \"\" \"\"\r\ni LIST \"\" inbox\r\nj LIST \"\" (x "
		  "\"Entw*\") RETURN (CHILDREN)\r\n");
	assert_says(box, "* LIST (\\HasNoChildren) \"/\" INBOX\r\n");
	assert_says(box, "\\HasChildren) \"/\" a\r\n");
	assert_says(box, "\\HasChildren) \"/\" a/b\r\ne OK");
	assert_says(box, "\"/\" a/b\r\n* LIST (\\HasNoChildren) \"/\" a/b/c\r\nf OK");
	assert_says(box, "f OK LIST completed.\r\n* LIST (\\HasNoChildren) \"/\" a/b/c\r\ng OK");
	assert_says(box, "* LIST (\\Noselect) \"/\" \"\"\r\nh OK");
	assert_says(box, "h OK LIST completed.\r\n* LIST (\\HasNoChildren) \"/\" INBOX\r\ni OK");
	assert_says(box, "\"/\" Entw&APw-rfe\r\n* LIST (\\HasNoChildren) \"/\" x\r\nj OK");
}

static void patterns_made_to_take_long_do_not(void **state)
{
	struct buffer input = { 0 };
	int64_t start = loop_monotonic();

	buffer_add_text(&input, "a CREATE "
				"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
				"aaaaaaaaaaaaaaaa\r\nb LIST \"\" \"");
	for (unsigned i = 0; i < 1000; i++)
		buffer_add_text(&input, "*a%");
	buffer_add_text(&input, "b\"\r\n");
	talk_bytes(box, buffer_slice(&input));
	assert_says(box, "b OK");
	assert_true(loop_monotonic() - start < 2000);
	buffer_free(&input);
}

static void subscriptions_outlive_mailboxes(void **state)
{
	talk(box, "a CREATE p/q\r\nb SUBSCRIBE p/q\r\nc DELETE p/q\r\nd LSUB \"\" *\r\ne LSUB \"\" "
		  "%\r\nf LIST (SUBSCRIBED) \"\" *\r\n"
		  "g LIST (SUBSCRIBED RECURSIVEMATCH) \"\" p\r\nh UNSUBSCRIBE p/q\r\ni LSUB \"\" "
		  "*\r\n");
	assert_says(box, "* LSUB (\\Noselect) \"/\" p/q\r\nd OK");
	assert_says(box, "* LSUB (\\Noselect) \"/\" p\r\ne OK");
	assert_says(box, "\\Subscribed) \"/\" p/q\r\nf OK");
	assert_says(box, "h OK UNSUBSCRIBE completed.\r\ni OK");
}

static void mailboxes_are_created_renamed_and_deleted(void **state)
{
	add("INBOX", "", "Subject: x\r\n\r\ny\r\n");
	talk(box, "a CREATE one\r\nb CREATE one\r\nc RENAME one two\r\nd STATUS one "
		  "(MESSAGES)\r\ne STATUS two (MESSAGES UIDNEXT)\r\n"
		  "f CREATE INBOX\r\ng DELETE INBOX\r\nh DELETE none\r\ni RENAME INBOX saved\r\nj "
		  "STATUS INBOX (MESSAGES)\r\n"
		  "k STATUS saved (MESSAGES)\r\nl SELECT two\r\nm DELETE two\r\nn FETCH 1 "
		  "FLAGS\r\no SELECT two\r\n");
	assert_says(box, "b NO [ALREADYEXISTS]");
	assert_says(box, "d NO [NONEXISTENT]");
	assert_says(box, "* STATUS two (MESSAGES 0 UIDNEXT 1)");
	assert_says(box, "f NO ");
	assert_says(box, "g NO ");
	assert_says(box, "h NO [NONEXISTENT]");
	assert_says(box, "* STATUS INBOX (MESSAGES 0)");
	assert_says(box, "* STATUS saved (MESSAGES 1)");
	assert_says(box, "* OK [CLOSED]");
	assert_says(box, "n BAD ");
	assert_says(box, "o NO [NONEXISTENT]");
}

static void special_use_is_kept(void **state)
{
	talk(box, "a CREATE Gone (USE (\\Trash))\r\nb CREATE Odd (USE (\\Bogus))\r\nc LIST "
		  "(SPECIAL-USE) \"\" *\r\n");
	assert_says(box, "b NO [USEATTR]");
	assert_says(box, "\\Trash) \"/\" Gone\r\nc OK");
	assert_silent(box, "INBOX");
}

static void append_needs_a_mailbox_and_can_be_called_off(void **state)
{
	talk(box, "a APPEND none {3+}\r\nabc\r\nb APPEND none {3}\r\nc APPEND INBOX {0+}\r\n\r\nd "
		  "APPEND INBOX {2000000}\r\n"
		  "e APPEND INBOX (\\Bogus) {3+}\r\nabc\r\nf APPEND INBOX {1+}\r\nx (\\Seen) "
		  "{1+}\r\ny junk\r\ng STATUS INBOX (MESSAGES)\r\n");
	assert_says(box, "a NO [TRYCREATE]");
	assert_says(box, "b NO [TRYCREATE]");
	assert_says(box, "c NO APPEND is called off.");
	assert_says(box, "d NO [TOOBIG]");
	assert_silent(box, "+ OK");
	assert_says(box, "e BAD ");
	assert_says(box, "f BAD ");
	assert_says(box, "* STATUS INBOX (MESSAGES 0)");
}

static void several_messages_are_appended_at_once_or_not_at_all(void **state)
{
	talk(box, "a APPEND INBOX {5}\r\na: b\n (\\Seen) {3}\r\n\r\nx\r\nb STATUS INBOX (MESSAGES "
		  "UNSEEN)\r\n");
	assert_says(box, "+ OK\r\n+ OK\r\na OK [APPENDUID ");
	assert_says(box, "* STATUS INBOX (MESSAGES 2 UNSEEN 1)");
}

static void append_to_the_selected_mailbox_shows(void **state)
{
	talk(box, "a SELECT INBOX\r\nb APPEND INBOX {5+}\r\na: b\n\r\n");
	assert_says(box, "* 1 EXISTS\r\n* 1 RECENT\r\nb OK [APPENDUID ");
}

/* A session that the test speaks with while it runs, in a thread of its own is not needed: the spawner's end tells it all. */
struct partner {
	struct session s;
	int client, spawner, out;
};

static void partner_open(struct partner *p, const char *input)
{
	int ends[2], channel[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	assert_true(channel_pair(channel));
	p->client = ends[0];
	p->spawner = channel[0];
	assert_int_equal(write(p->client, input, strlen(input)), (ssize_t)strlen(input));
	assert_true(session_init(
		&p->s, ends[1], ends[1], channel[1], box->folder, &box->settings, SLICE("")));
	assert_true(session_open_store(&p->s));
}

static void partner_heard(struct partner *p)
{
	ssize_t n;

	buffer_clear(&box->answer);
	do {
		char *to = buffer_reserve(&box->answer, 65536);

		n = read(p->client, to, 65536);
		box->answer.length += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	assert_non_null(buffer_text(&box->answer));
}

static void partner_close(struct partner *p)
{
	close(p->s.in);
	close(p->s.spawner);
	session_free(&p->s);
	close(p->client);
	close(p->spawner);
}

static bool partner_said(
	struct partner *p, enum message_type type, struct message *message, struct buffer *space)
{
	while (channel_sync_receive(p->spawner, message, space, loop_monotonic() + 100)) {
		if (message->type == type)
			return true;
		message_close_fds(message);
	}
	return false;
}

static void changes_are_reported_to_the_spawner(void **state)
{
	struct partner p;
	struct message message;
	struct buffer space = { 0 };

	add("INBOX", "", "a: b\r\n\r\nc\r\n");
	partner_open(&p, "a SELECT INBOX\r\nb STORE 1 +FLAGS \\Seen\r\nc LOGOUT\r\n");
	session_run(&p.s);
	assert_true(partner_said(&p, MESSAGE_NOTICE_WATCH, &message, &space));
	assert_true(slice_equal(message.notice_watch.mailbox, SLICE("INBOX")));
	assert_true(partner_said(&p, MESSAGE_NOTICE, &message, &space));
	assert_true(slice_equal(message.notice.mailbox, SLICE("INBOX")));
	buffer_free(&space);
	partner_close(&p);
}

static void notice(struct partner *p)
{
	struct message message = { .type = MESSAGE_NOTICE };

	message.notice.account = SLICE("");
	message.notice.mailbox = SLICE("INBOX");
	assert_true(channel_sync_send(p->spawner, &message, loop_monotonic() + 1000));
}

static void a_sleeper_wakes_to_everything_that_changed(void **state)
{
	struct partner first, second;
	struct message message;
	struct buffer space = { 0 };
	int64_t start;

	for (unsigned i = 0; i < 5; i++)
		add("INBOX",
			i == 0   ? "(\\Deleted) "
			: i == 2 ? "(\\Deleted) "
				 : "",
			"a: b\r\n\r\nc\r\n");
	box->settings.hibernate_timeout = 50;
	partner_open(&first, "s SELECT INBOX\r\nt IDLE\r\n");
	notice(&first);
	start = loop_monotonic();
	session_run(&first.s);
	assert_true(first.s.hibernated);
	assert_true(loop_monotonic() - start < 1500);
	partner_heard(&first);
	assert_says(box, "* 5 EXISTS");
	assert_says(box, "+ idling");
	assert_true(partner_said(&first, MESSAGE_HIBERNATE, &message, &space));
	assert_int_equal(message.fd_count, 1);
	assert_true(slice_equal(message.hibernate.tag, SLICE("t")));
	/* One notice was heard: the spawner compares. */
	assert_int_equal(message.hibernate.serial, 1);
	assert_true(message.hibernate.state.length < 100);

	talk(box, "a SELECT INBOX\r\nb EXPUNGE\r\nc STORE 2 +FLAGS (\\Answered New)\r\n");
	add("INBOX", "", "d: e\r\n\r\nf\r\n");
	partner_open(&second, "DONE\r\nu NOOP\r\nv FETCH 1:* (UID)\r\nw LOGOUT\r\n");
	assert_true(idle_resume(&second.s, message.hibernate.state, SLICE("t")));
	session_run(&second.s);
	partner_heard(&second);
	assert_says(box, "* 1 EXPUNGE\r\n* 2 EXPUNGE\r\n* 4 EXISTS\r\n* 1 RECENT\r\n");
	assert_says(box, "* 2 FETCH (FLAGS (\\Answered ");
	assert_says(box, "t OK IDLE completed.\r\nu OK NOOP");
	assert_says(box, "* 1 FETCH (UID 2)\r\n* 2 FETCH (UID 4)\r\n* 3 FETCH (UID 5)\r\n* 4 FETCH "
			 "(UID 6)\r\n");
	message_close_fds(&message);
	buffer_free(&space);
	partner_close(&first);
	partner_close(&second);
}

static void a_state_that_does_not_fit_is_refused(void **state)
{
	static const char NONSENSE[] = "\1\1\1\1aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaINBOX";
	struct partner p;

	for (size_t n = 0; n < sizeof(NONSENSE) - 1; n++) {
		partner_open(&p, "DONE\r\n");
		if (n > 44)
			assert_false(idle_resume(&p.s, slice_of(NONSENSE, n), SLICE("t")));
		else
			(void)!idle_resume(&p.s, slice_of(NONSENSE, n < 40 ? n : 39), SLICE("t"));
		partner_close(&p);
	}
}

/* `head`, `count` times x, `end`. */
static void add_long(struct buffer *input, const char *head, unsigned count, const char *end)
{
	buffer_add_text(input, head);
	for (unsigned i = 0; i < count; i++)
		buffer_add_byte(input, 'x');
	buffer_add_text(input, end);
}

static void lines_over_the_limit_are_refused_and_the_session_goes_on(void **state)
{
	struct buffer input = { 0 };

	add_long(&input, "a SELECT ", 70000, "\r\nb SELECT {100000}\r\n");
	add_long(&input, "c SELECT {70000+}\r\n", 70000, "\r\nd NOOP\r\n");
	talk_bytes(box, buffer_slice(&input));
	assert_says(box, "a BAD Command line is too long.");
	assert_says(box, "b BAD Literal is too large.");
	assert_says(box, "c BAD Literal is too large.");
	assert_says(box, "d OK");
	buffer_free(&input);
}

static void literals_of_a_command_that_is_too_long_are_skipped(void **state)
{
	struct buffer input = { 0 };

	add_long(&input, "a LOGIN ", 66000, " {20+}\r\nz1 LOGOUT\r\nz2 BAD \r\n {3+}\r\nabc\r\n");
	/* The limit is met on a short line behind a literal. */
	add_long(&input, "b SELECT {65500+}\r\n", 65500,
		" this line is one too many {4+}\r\nq\r\nQ\r\n");
	/* What the client would wait for before it sends on is not asked for. */
	add_long(&input, "c LOGIN ", 66000, " {5}\r\n");
	add_long(&input, "", 66000, "\r\n");
	add_long(&input, "e ", 66000, "{3+}\r\nabc");
	add_long(&input, "", 66000, "\r\n");
	buffer_add_text(&input, "d NOOP\r\n");
	talk_bytes(box, buffer_slice(&input));
	assert_says(box, "a BAD Command line is too long.");
	assert_says(box, "b BAD Command is too large.");
	assert_says(box, "c BAD Command line is too long.");
	assert_says(box, "* BAD Command line is too long.");
	assert_says(box, "e BAD Command line is too long.");
	assert_says(box, "d OK");
	assert_null(strstr(box->answer.data, "z1"));
	assert_null(strstr(box->answer.data, "Q BAD"));
	buffer_free(&input);
}

static void a_literal_of_all_the_world_ends_the_session(void **state)
{
	talk(box, "a SELECT {9223372036854775808+}\r\nb NOOP\r\n");
	assert_says(box, "* BYE Literal is too large.");
	assert_silent(box, "b OK");
	talk(box, "a SELECT {9223372036854775808}\r\nb NOOP\r\n");
	assert_says(box, "a BAD Literal is too large.");
	assert_says(box, "b OK");
}

static void nonsense_ends_the_session_after_a_while(void **state)
{
	struct buffer input = { 0 };

	for (unsigned i = 0; i < 100; i++)
		buffer_add_text(&input, "\x01\xff(\r\n");
	buffer_add_text(&input, "z NOOP\r\n");
	talk_bytes(box, buffer_slice(&input));
	assert_says(box, "* BYE Too many invalid commands.");
	assert_silent(box, "z OK");
	buffer_free(&input);
}

static void nul_bytes_are_answered_with_bad(void **state)
{
	static const char COMMAND[] = "a LIST \"\" \"*\"";

	for (size_t i = 0; i < sizeof(COMMAND) - 1; i++) {
		char text[64];

		memcpy(text, COMMAND, sizeof(COMMAND));
		text[i] = '\0';
		memcpy(text + sizeof(COMMAND) - 1, "\r\n", 2);
		talk_bytes(box, slice_of(text, sizeof(COMMAND) + 1));
		assert_silent(box, "OK LIST");
	}
}

static void silence_ends_the_session(void **state)
{
	struct partner p;

	box->settings.timeout = 50;
	partner_open(&p, "a NOOP\r\nb NO");
	session_run(&p.s);
	partner_heard(&p);
	assert_says(box, "a OK");
	assert_says(box, "* BYE Disconnected for inactivity.");
	partner_close(&p);
}

static void commands_know_their_states(void **state)
{
	for (unsigned i = 0; i < IMAP_COMMAND_COUNT; i++) {
		char text[100];

		if (IMAP_COMMANDS[i].states != IMAP_SELECTED)
			continue;
		snprintf(text, sizeof(text), "a %s 1 1 1\r\n", IMAP_COMMANDS[i].name);
		talk(box, text);
		assert_says(box, "a BAD ");
	}
	talk(box, "a CLOSE\r\nb UNSELECT\r\nc SELECT none\r\nd LOGIN x y\r\ne UID NOOP\r\n");
	for (const char *tag = "abde"; *tag; tag++) {
		char text[16];

		snprintf(text, sizeof(text), "%c BAD ", *tag);
		assert_says(box, text);
	}
	assert_says(box, "c NO [NONEXISTENT]");
}

static bool is_there(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", box->folder, name);
	return access(path, F_OK) == 0;
}

static void whoever_asks_for_no_mailbox_opens_none(void **state)
{
	talk(box, "a CAPABILITY\r\nb NAMESPACE\r\nc ID NIL\r\nd NOOP\r\ne SEARCH\r\nf LOGOUT\r\n");
	assert_says(box, "b OK");
	assert_says(box, "e BAD");
	assert_says(box, "f OK");
	assert_false(is_there("cur"));
	talk(box, "a LIST \"\" *\r\n");
	assert_says(box, "* LIST (\\HasNoChildren) \"/\" INBOX\r\na OK");
	assert_true(is_there("cur"));
}

static void a_store_that_cannot_be_opened_is_told_of_and_tried_again(void **state)
{
	char in_the_way[128], folder[sizeof(box->folder)];

	/* A file where a folder belongs. */
	memcpy(folder, box->folder, sizeof(folder));
	snprintf(in_the_way, sizeof(in_the_way), "%s/mail", folder);
	assert_int_equal(close(open(in_the_way, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
	snprintf(box->folder, sizeof(box->folder), "%.50s/mail", folder);
	talk(box, "a SELECT INBOX\r\nb APPEND INBOX {3+}\r\nx\r\n\r\nc NOOP\r\n");
	assert_says(box, "a NO [UNAVAILABLE] ");
	assert_says(box, "b NO [UNAVAILABLE] ");
	assert_says(box, "c OK");
	assert_int_equal(unlink(in_the_way), 0);
	talk(box, "a SELECT INBOX\r\n");
	assert_says(box, "a OK [READ-WRITE]");
	memcpy(box->folder, folder, sizeof(folder));
}

static void condstore_is_enabled_by_use(void **state)
{
	talk(box, "a ENABLE CONDSTORE X-NONE\r\nb SELECT INBOX\r\nc STATUS INBOX (HIGHESTMODSEQ "
		  "SIZE)\r\nd ID (\"name\" \"test\" \"x\" NIL)\r\n"
		  "e ID NIL\r\nf NAMESPACE\r\n");
	assert_says(box, "* ENABLED CONDSTORE\r\n");
	assert_says(box, "* OK [HIGHESTMODSEQ 1]");
	assert_says(box, "* STATUS INBOX (HIGHESTMODSEQ 1 SIZE 0)");
	assert_says(box, "* ID (\"name\" \"Postern\"");
	assert_says(box, "e OK ID");
	assert_says(box, "* NAMESPACE ((\"\" \"/\")) NIL NIL");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(mailboxes_are_listed_by_pattern),
		TEST(patterns_made_to_take_long_do_not),
		TEST(subscriptions_outlive_mailboxes),
		TEST(mailboxes_are_created_renamed_and_deleted),
		TEST(special_use_is_kept),
		TEST(append_needs_a_mailbox_and_can_be_called_off),
		TEST(several_messages_are_appended_at_once_or_not_at_all),
		TEST(append_to_the_selected_mailbox_shows),
		TEST(changes_are_reported_to_the_spawner),
		TEST(a_sleeper_wakes_to_everything_that_changed),
		TEST(a_state_that_does_not_fit_is_refused),
		TEST(lines_over_the_limit_are_refused_and_the_session_goes_on),
		TEST(literals_of_a_command_that_is_too_long_are_skipped),
		TEST(a_literal_of_all_the_world_ends_the_session),
		TEST(nonsense_ends_the_session_after_a_while),
		TEST(nul_bytes_are_answered_with_bad),
		TEST(silence_ends_the_session),
		TEST(commands_know_their_states),
		TEST(whoever_asks_for_no_mailbox_opens_none),
		TEST(a_store_that_cannot_be_opened_is_told_of_and_tried_again),
		TEST(condstore_is_enabled_by_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
