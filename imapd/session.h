// SPDX-License-Identifier: ISC
/*
 * One logged-in IMAP client: the session process's whole state, and the calls its chapters make on each other.
 *
 * Blocking style: one client, one thread. Waiting happens in input.c, output.c and idle.c only, always with a deadline.
 *
 *	commands.c           the command table, reading and running commands
 *	session.c            beginning and end
 *	session_store.c      the user's store: opened, mended
 *	input.c output.c     bytes from and to the client
 *	reply.c updates.c    tagged replies; what others did to the selected mailbox
 *	indexes.c            message numbers and UIDs as places in the mailbox
 *	commands_any.c       CAPABILITY NOOP LOGOUT ID ENABLE NAMESPACE
 *	commands_mailbox.c   SELECT EXAMINE CREATE DELETE RENAME SUBSCRIBE UNSUBSCRIBE STATUS
 *	commands_selected.c  CHECK CLOSE UNSELECT EXPUNGE STORE COPY MOVE
 *	list.c append.c idle.c fetch*.c search*.c
 */
#ifndef IMAPD_SESSION_H
#define IMAPD_SESSION_H

#include "imapd/parse.h"
#include "store/store.h"

enum {
	SESSION_INPUT = 64 * 1024, /* bytes of the read buffer; the front hands over at most half */
	SESSION_OUTPUT = 128 * 1024, /* bytes gathered before a write */
	SESSION_SKIP_LIMIT =
		64 << 20, /* bytes of a refused command that are read and thrown away */
	SESSION_LINE_HEAD = 512, /* bytes kept of the beginning of a line that is too long */
	SESSION_LINE_TAIL = 32, /* and of its end */
	SESSION_WRITE_TIMEOUT = 5 * 60000, /* ms without the client taking a byte */
	SESSION_NOTICE_TIMEOUT = 1000, /* ms to get rid of a notice */
	SESSION_BAD_LIMIT = 50, /* commands in a row that make no sense */
	SESSION_NAME_MAX = 1024
};

struct session_settings {
	size_t command_limit; /* bytes of a command with its literals, but APPEND's messages */
	uint64_t literal_limit; /* bytes of an APPEND's message */
	int64_t timeout; /* ms a client may be quiet */
	int64_t hibernate_timeout; /* ms of IDLE before the session sleeps; 0: never */
	int64_t keepalive_interval; /* ms between "* OK Still here" */
};

struct input {
	char *data; /* SESSION_INPUT bytes */
	size_t start, end;
};
struct output {
	struct buffer buffer;
	bool held; /* what is in the buffer may still be taken back */
};

/* A bit each, for ENABLE and the hibernation state. */
enum { ENABLED_CONDSTORE = 1 };

struct session {
	int in, out; /* the client; the same descriptor but in tests */
	int spawner; /* SEQPACKET channel, -1 when there is none */
	struct session_settings settings;
	const char *user; /* login, for the log */
	const char *folder; /* of the user's mail; absolute */
	int64_t quota; /* bytes, 0 none */
	struct input input;
	struct output output;
	struct arena arena; /* of the present command */
	struct arena part_arena; /* of the message FETCH or SEARCH is at */
	struct buffer scratch;
	size_t command_bytes; /* of the present command */
	unsigned bad_commands; /* in a row */
	unsigned enabled;
	bool in_command; /* the client has more to send before it hears from us */
	bool ended; /* no further command */
	bool lost; /* the client is gone: nothing can be written */
	bool idle; /* in IDLE: the spawner looks for changes by other programs */
	bool hibernated; /* the client's descriptor went to the spawner */

	struct store *store; /* NULL until a command needs it */
	struct mailbox *mailbox; /* selected, or NULL */
	char name[SESSION_NAME_MAX + 1];
	bool read_only;
	uint32_t told_exists;
	unsigned told_keywords;
	uint32_t recent_from, recent_to; /* UIDs that were \Recent before hibernation, [from, to) */
	bool maybe_expunged; /* entries may be waiting for an EXPUNGE response */
	bool noticed; /* somebody changed the mailbox since the last refresh */
	uint32_t notices; /* received in all */

	int64_t zone_quarter; /* cached time zone: seconds / 900 it is for */
	int zone;
	unsigned long fetched, bytes_in, bytes_out; /* for the log */
};

struct command;
enum imap_state {
	IMAP_AUTHENTICATED = 1,
	IMAP_SELECTED = 2,
	IMAP_ANY = 3,
	IMAP_STORE = 4, /* the store has to be open, and is opened for the first that says so */
	IMAP_MAILBOXES = IMAP_ANY | IMAP_STORE
};
enum imap_right { RIGHT_NONE, RIGHT_WRITE /* of the selected mailbox: not after EXAMINE */ };
enum imap_arguments { ARGS_NONE, ARGS_SOME };
/* What may be told of others' changes when the command is done (RFC 3501 7.4.1). */
enum imap_updates {
	UPDATES_NONE,
	UPDATES_NO_EXPUNGE,
	UPDATES_ALL,
	UPDATES_FRESH /* all, and look at the disk */
};
struct imap_command {
	const char *name;
	unsigned states;
	enum imap_right right;
	enum imap_arguments arguments;
	enum imap_updates updates;
	bool uid; /* "UID name" exists too */
	void (*run)(struct session *session, struct command *command);
};
struct command {
	const struct imap_command *entry;
	struct slice tag;
	struct parser parser;
	struct slice line; /* the line last read, for skipping literals that nobody asked for */
	bool uid;
	bool replied;
};

/* --- session.c --- */
/* Capabilities after login, without "CAPABILITY". */
extern const char IMAP_CAPABILITIES[];
/* `leftover`: what the client sent behind its login. `folder` outlives the session. False when memory is out. Takes no descriptor over. */
MUST_CHECK bool session_init(struct session *s, int in, int out, int spawner, const char *folder,
	const struct session_settings *settings, struct slice leftover);
void session_free(struct session *s);
/* "* BYE text", and no further command. */
void session_bye(struct session *s, const char *text);

/* --- session_store.c --- */
/* Open the user's store unless it is; a client that only looks in never asks for it. False: it cannot be, which was logged. */
MUST_CHECK bool session_open_store(struct session *s);
/* After a failure: when the index is lost, it is opened again, made anew if need be, or the session ends if a mailbox is selected.
 * True when it is open again, so that what failed may be tried once more. */
bool session_mend_store(struct session *s);

/* --- commands.c --- */
extern const struct imap_command IMAP_COMMANDS[];
extern const unsigned IMAP_COMMAND_COUNT;
/* Commands until the client, the time or the store ends it. */
void session_run(struct session *s);

/* --- input.c --- */
enum input_status { INPUT_ENDED, INPUT_LINE, INPUT_TOO_LONG };
/* Next line without its line end, into the command's arena. TOO_LONG: beginning and end of the line in one, for its tag and the literal
 * it may announce. ENDED: s->ended is set. */
enum input_status input_line(struct session *s, struct slice *line);
/* `size` bytes to `sink` piece by piece (NULL: thrown away), which may refuse the rest by returning false: it is still read. */
bool input_literal(struct session *s, uint64_t size, bool (*sink)(void *context, struct slice data),
	void *context);
/* parser.literal of the session's commands. */
bool input_command_literal(struct parser *p, uint64_t size, bool synchronizing, struct slice *data);
/* Read and throw away the literals that a command that failed still brings. */
void input_skip_command(struct session *s, struct command *command);
bool input_pending(const struct session *s);
/* Wait for input or notices until `deadline` (loop_monotonic ms). */
enum input_event { INPUT_TIMEOUT, INPUT_READABLE, INPUT_NOTICE, INPUT_STOP };
enum input_event input_wait(struct session *s, int64_t deadline);
/* Take what the spawner has said already; never waits. */
void input_take_notices(struct session *s);
/* SIGTERM (the suite stops) and SIGHUP (this user has to go) end sessions politely; called once in a session process. */
void input_catch_stop(void);
/* What a client is told when a wait ended with INPUT_STOP. */
const char *input_stop_reason(void);

/* --- output.c --- */
void out_text(struct session *s, const char *text);
void out_slice(struct session *s, struct slice text);
void out_number(struct session *s, uint64_t number);
void out_byte(struct session *s, char c);
void out_printf(struct session *s, const char *format, ...) PRINTF_LIKE(2, 3);
/* "{n}" CR LF and the bytes. */
void out_literal(struct session *s, struct slice data);
/* Quoted if it can be, else a literal. */
void out_string(struct session *s, struct slice text);
/* A mailbox name in its wire form. */
void out_mailbox(struct session *s, struct slice name);
/* Write what is gathered, when it is much (`all` false) or in any case. */
void out_flush(struct session *s, bool all);
/* From here on nothing is written until out_release; out_rollback takes it back. */
size_t out_hold(struct session *s);
void out_release(struct session *s);
void out_rollback(struct session *s, size_t mark);

/* --- reply.c --- */
/* As above with "[...]" from a buffer in front of "NAME completed". */
void reply_code(struct session *s, struct command *c, struct slice code);
void reply_done(struct session *s, struct command *c);
void reply_no(struct session *s, struct command *c, const char *text);
void reply_bad(struct session *s, struct command *c, const char *text);
/* NO with the text for what the store said; logs what an administrator should know. */
void reply_store(struct session *s, struct command *c, enum store_status status);
/* "1:3,5" of UIDs or numbers in ascending runs. */
void write_numbers(struct buffer *out, const uint32_t *numbers, size_t count);

/* --- updates.c --- */
void updates_tell(struct session *s, enum imap_updates which, bool with_uid);
/* "* n FETCH (" FLAGS, with UID and MODSEQ as asked, ")". */
void updates_tell_flags(
	struct session *s, uint32_t index, bool with_uid, bool with_flags, bool with_modseq);
void write_flags(struct session *s, const struct message_entry *entry);
void write_flag_names(struct session *s, bool permanent);
/* A FLAGS response when there are keywords the client has not heard of. */
void updates_keywords(struct session *s);
bool entry_recent(const struct session *s, const struct message_entry *entry);
/* Tell the others that this session changed a mailbox. */
void updates_notify(struct session *s, struct slice mailbox);
void updates_watch(struct session *s);
/* Clients that know CONDSTORE get MODSEQ with every FETCH from now on (RFC 7162 3.1). */
void session_enable_condstore(struct session *s);
/* Minutes east of UTC at that time. */
int session_zone(struct session *s, int64_t seconds);

/* --- indexes.c --- */
/* The set of a command as indexes into the view, ascending; expunged ones are left out and `gone` says so. False with a reply. */
bool session_indexes(struct session *s, struct command *c, const struct sequence_set *set,
	struct vector *indexes, bool *gone);

/* --- commands --- */
void command_capability(struct session *s, struct command *c);
void command_noop(struct session *s, struct command *c);
void command_logout(struct session *s, struct command *c);
void command_id(struct session *s, struct command *c);
void command_enable(struct session *s, struct command *c);
void command_namespace(struct session *s, struct command *c);
void command_login_again(struct session *s, struct command *c);
void command_select(struct session *s, struct command *c);
void command_examine(struct session *s, struct command *c);
void command_create(struct session *s, struct command *c);
void command_delete(struct session *s, struct command *c);
void command_rename(struct session *s, struct command *c);
void command_subscribe(struct session *s, struct command *c);
void command_unsubscribe(struct session *s, struct command *c);
void command_list(struct session *s, struct command *c);
void command_lsub(struct session *s, struct command *c);
void command_status(struct session *s, struct command *c);
void command_append(struct session *s, struct command *c);
void command_idle(struct session *s, struct command *c);
void command_check(struct session *s, struct command *c);
void command_close(struct session *s, struct command *c);
void command_unselect(struct session *s, struct command *c);
void command_expunge(struct session *s, struct command *c);
void command_search(struct session *s, struct command *c);
void command_fetch(struct session *s, struct command *c);
void command_store(struct session *s, struct command *c);
void command_copy(struct session *s, struct command *c);
void command_move(struct session *s, struct command *c);

/* STATUS items as bits, shared by STATUS and LIST-STATUS (RFC 5819). */
enum status_item {
	STATUS_MESSAGES = 1,
	STATUS_RECENT = 2,
	STATUS_UIDNEXT = 4,
	STATUS_UIDVALIDITY = 8,
	STATUS_UNSEEN = 16,
	STATUS_HIGHESTMODSEQ = 32,
	STATUS_SIZE = 64,
	STATUS_DELETED = 128
};
bool parse_status_items(struct parser *p, unsigned *items);
/* The STATUS response; without one when the mailbox cannot be read. */
enum store_status tell_status(struct session *s, struct slice name, unsigned items);
void session_unselect(struct session *s);

/* --- idle.c --- */
/* Go on with the IDLE of a client that slept: `state` and tag as packed. False when its view cannot be had any more. */
MUST_CHECK bool idle_resume(struct session *s, struct slice state, struct slice tag);

#endif
