// SPDX-License-Identifier: ISC
/*
 * One SMTP session: a client is served from the greeting to the end of its connection, in blocking style. The chapters:
 * input.c (lines in, replies out), commands.c (the command table), envelope.c (MAIL, RCPT, VRFY), data.c (DATA, BDAT, content),
 * transaction.c (the transaction and its one reset), restrictions.c and access.c (who may do what), tls.c (STARTTLS), settings.c (parameters).
 *
 * A session owns nothing and knows its surroundings through struct session_io only: the daemon gives it sockets (session_io.c),
 * tests and the fuzz targets give it memory.
 */
#ifndef SMTPD_SESSION_H
#define SMTPD_SESSION_H

#include <sys/types.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "config/config.h"
#include "ipc/message.h"
#include "mail/address.h"
#include "service/tls.h"

enum {
	SESSION_OUTPUT = 16 * 1024, /* bytes of replies that are sent together */
	SESSION_INPUT = 64 * 1024, /* bytes read at once */
	SESSION_RECIPIENT_MEMORY = 16 << 20, /* of one transaction */
	SESSION_COMMAND_MEMORY = 64 * 1024,
	SESSION_TEXT = 1500, /* a reply line before it is cut */
	SESSION_HELO = 512
};

enum session_peer { TO_DIRECTORY, TO_CLEANUP, TO_TLS, TO_AUTH, TO_FRONT };

/* What the session can do to the world. Deadlines are in ms of now(). */
struct session_io {
	/* Bytes read, 0 at the end, -1 with errno (ETIMEDOUT; ECANCELED: who is logged in was dismissed). */
	ssize_t (*read)(void *context, void *data, size_t size, int64_t deadline);
	bool (*write)(void *context, const void *data, size_t length, int64_t deadline);
	bool (*send)(void *context, enum session_peer peer, const struct message *message,
		int64_t deadline);
	/* The message is valid until the next receive. False with ECANCELED: the client has to make room for others, and is gone. */
	bool (*receive)(
		void *context, enum session_peer peer, struct message *message, int64_t deadline);
	/* The peer is gone: get another connection to it. */
	bool (*renew)(void *context, enum session_peer peer, int64_t deadline);
	/* Is tlsd there to be asked? Before the client hears that it may begin. */
	bool (*reach_tls)(void *context, int64_t deadline);
	/*
	 * Give the client's connection to tlsd with `accept`. True: from now on read and write are with what tlsd decrypts and
	 * encrypts, and `ready` (valid until the next receive) has the facts. False: the connection is lost; `ready` says why if
	 * tlsd did.
	 */
	bool (*start_tls)(
		void *context, struct message *accept, struct message *ready, int64_t deadline);
	int64_t (*now)(void *context);
	void (*sleep)(void *context, int64_t milliseconds);
	/* What the client has become; told once for each step that it rises. */
	void (*tell_standing)(void *context, enum client_standing standing);
};

/* Places where restrictions are asked, each with a list of its own. */
enum stage {
	STAGE_CLIENT,
	STAGE_HELO,
	STAGE_SENDER,
	STAGE_RELAY,
	STAGE_RECIPIENT,
	STAGE_DATA,
	STAGE_END_OF_DATA,
	STAGES
};

enum ehlo_keyword {
	EHLO_PIPELINING = 1,
	EHLO_SIZE = 2,
	EHLO_ENHANCEDSTATUSCODES = 4,
	EHLO_8BITMIME = 8,
	EHLO_SMTPUTF8 = 16,
	EHLO_CHUNKING = 32,
	EHLO_STARTTLS = 64,
	EHLO_AUTH = 128
};

/* Reply codes that are parameters. */
enum reply_code {
	CODE_ACCESS_DEFER,
	CODE_ACCESS_REJECT,
	CODE_DEFER,
	CODE_REJECT,
	CODE_INVALID_HELO,
	CODE_NON_FQDN,
	CODE_MULTI_RECIPIENT_BOUNCE,
	CODE_PLAINTEXT,
	CODE_RELAY,
	CODES
};

/* How much a user may send. */
enum submission_limit {
	LIMIT_MESSAGE_HOUR,
	LIMIT_RECIPIENT_HOUR,
	LIMIT_MESSAGE_DAY,
	LIMIT_RECIPIENT_DAY,
	SUBMISSION_LIMITS
};

struct auth_settings {
	bool enabled, show_login, hide_client;
	const char *exceptions; /* networks that AUTH is not offered to */
	const char *options, *tls_options; /* smtpd_sasl_security_options without and with TLS */
	int64_t response_limit; /* bytes of one line of an exchange */
	int64_t rate; /* AUTH commands of a client in a time unit; 0: no limit */
};

/* The parameters, read once for all sessions of a spawner. */
struct session_settings {
	const char *reject_footer; /* smtpd_reject_footer, empty: none */
	const char *forbidden_commands, *noop_commands; /* lists of names */
	char log_name[128]; /* "postern/submission/smtpd" */
	const char *host, *banner, *origin, *networks, *rewrite_clients, *restriction_classes;
	const char *restrictions[STAGES];
	/* The value of a user-defined parameter (restriction classes), NULL when there is none. */
	const char *(*lookup)(void *context, const char *name);
	void *lookup_context;
	int64_t size_limit, line_limit, command_limit;
	int64_t timeout, error_sleep, ipc_timeout; /* ms */
	bool request_deadline; /* `timeout` holds for a whole request */
	int64_t min_data_rate; /* bytes that win a second then */
	int64_t soft_errors, hard_errors, junk_commands, recipients, recipient_overshoot;
	int64_t message_rate, recipient_rate;
	struct auth_settings auth;
	const char *sender_login_maps, *limit_maps;
	uint32_t limits[SUBMISSION_LIMITS]; /* of a user; 0: none */
	enum check_from check_from; /* cleanup looks at From: of those who logged in */
	int64_t unknown_code[DOMAIN_OTHER + 1]; /* by enum domain_class */
	int64_t codes[CODES]; /* by enum reply_code */
	unsigned keywords; /* offered: enum ehlo_keyword */
	unsigned keywords_most; /* that there are */
	const char *keyword_maps; /* from client addresses to keywords that are not offered */
	bool helo_required, delay_reject, disable_vrfy, reject_unlisted, reject_unlisted_sender,
		strict_envelopes, normalize_newlines, parents_match, forbid_pipelining;
	struct tls_settings tls;
	const char *relay_clientcerts;
	const char *plaintext_networks; /* that tls_auth_only does not hold for */
	bool tls_auth_only, tls_received_header;
	bool open_relay; /* no list refuses foreign destinations: nobody is served */
};
/* `host` is the name to use when myhostname is not set. False when memory is out. */
MUST_CHECK bool session_settings_load(
	struct session_settings *settings, const struct config *config, const char *host);

/* Where a session stands (RFC 5321 4.1.4); follows from the session's members, see session_state. */
enum session_state { STATE_START, STATE_HELO, STATE_MAIL, STATE_RCPT, STATE_BDAT, STATES };

/* Content on its way in. The states are where in a line the last byte left us; see data.c. */
enum content_state { CONTENT_START, CONTENT_TEXT, CONTENT_CR, CONTENT_DOT, CONTENT_DOT_CR };
enum content_fault {
	CONTENT_GOOD,
	CONTENT_BARE_LF,
	CONTENT_BARE_CR,
	CONTENT_TOO_BIG,
	CONTENT_NO_PEER,
	CONTENT_FAULTS
};
struct content {
	enum content_state state;
	enum content_fault fault; /* the first one; from then on content is swallowed */
	int64_t received; /* bytes on the wire */
	int64_t size; /* of the message with CR LF, dots unstuffed: what the size limit holds for */
	size_t chunk_length; /* bytes waiting in the session's chunk */
	bool unfinished; /* the last line has no end yet */
};

/* What access tables ask for a message beside yes and no. The slices live in the session's recipient_memory. */
enum { ACTIONS_MOST = 16 /* of a kind, for one message */ };
struct action_list {
	struct slice items[ACTIONS_MOST];
	unsigned count;
};
struct actions {
	bool hold, discard; /* into hold/; say yes and keep nothing */
	struct slice redirect; /* instead of all recipients; empty: none */
	struct action_list bcc, prepend; /* more recipients; headers to go before Received: */
};

/* Everything that one mail transaction is. transaction_reset makes it nothing, whatever ended it. */
struct transaction {
	bool active; /* MAIL was accepted */
	bool bdat; /* a BDAT chunk was seen */
	bool failed; /* a chunk was refused: swallow those that follow, up to LAST */
	bool begun; /* cleanup knows of it, by this serial */
	uint32_t serial;
	struct actions actions;
	bool utf8, eight_bit; /* SMTPUTF8, BODY=8BITMIME */
	bool sender_has_domain; /* as the client wrote it */
	char sender[MAX_ADDRESS + 1]; /* the domain in A-labels: what is looked up */
	char sender_given[MAX_ADDRESS +
			  1]; /* the domain as the client wrote it: what is kept and logged */
	char submitter[MAX_ADDRESS + 1]; /* AUTH= of MAIL; empty: it was not given */
	int64_t size; /* SIZE=, 0 unknown */
	/* What directoryd says of the sender as a recipient, asked at most once. */
	bool sender_asked;
	enum owner_status owner; /* of the sender, OWNER_TEMPORARY: not known yet */
	enum directory_status sender_status;
	enum domain_class sender_class;
	struct slice *recipients;
	uint32_t recipient_count, recipient_room;
	unsigned refused; /* recipients that were not accepted */
	struct content content;
};

/* Commands for the statistics in the "disconnect" line, in its order. */
enum command_id {
	COMMAND_EHLO,
	COMMAND_HELO,
	COMMAND_STARTTLS,
	COMMAND_AUTH,
	COMMAND_MAIL,
	COMMAND_RCPT,
	COMMAND_DATA,
	COMMAND_BDAT,
	COMMAND_RSET,
	COMMAND_NOOP,
	COMMAND_VRFY,
	COMMAND_ETRN,
	COMMAND_HELP,
	COMMAND_QUIT,
	COMMAND_UNKNOWN,
	COMMAND_COUNT
};

struct session_client {
	char address[64], local_address[64];
	uint16_t port, local_port;
	bool local; /* over the UNIX socket; uid holds */
	uid_t uid;
	bool stress;
	bool secure; /* he comes with TLS (smtpd_tls_wrappermode), and `tls` holds */
	struct tls_info tls;
	char entry[64];
};

enum session_loss { LOSS_NONE, LOSS_GONE, LOSS_TIMEOUT, LOSS_DISMISSED };

struct session {
	const struct session_settings *settings;
	const struct session_io *io;
	void *context;
	struct session_client client;
	char name[MAX_HOST]; /* "unknown[192.0.2.1]" */
	struct {
		char login[MAX_LOGIN + 1], method[33];
	} auth; /* who logged in, and how; empty: nobody */
	char mechanisms[200]; /* that authd offers; empty: not known yet */
	bool trusted; /* permit_mynetworks */
	enum client_standing standing; /* as the front knows it */
	unsigned keywords; /* offered to this client */
	bool secure; /* it speaks TLS, and `tls` holds */
	struct tls_info tls;

	char *input; /* settings->line_limit + SESSION_INPUT bytes */
	size_t input_size, input_start, input_end, input_scanned;
	char *output; /* SESSION_OUTPUT bytes */
	size_t output_length;
	char *chunk; /* MAX_CHUNK bytes */
	struct arena command_memory, recipient_memory;
	struct buffer text; /* an address being written */

	bool esmtp, denied, closing, peer_lost;
	bool spent; /* somebody logged in, or may have: the process serves nobody after him */
	bool pipelined; /* sent ahead once where it must not: RFC 2920 3.1 */
	int64_t lost_content; /* bytes of content that had come when the client went, -1 none was coming */
	unsigned
		ask_again; /* bits 1 << enum stage: asked before MAIL, and once more for the message */
	bool in_error; /* ends otherwise than by QUIT: there may be input that nobody read */
	enum session_loss loss;
	char helo[SESSION_HELO]; /* empty: none given */
	char denial[SESSION_TEXT];
	const struct command *command; /* the one in hand */
	const char *where; /* the last command, for the log */
	unsigned errors, junk, overshoot;
	int64_t commands, timeout;
	bool request_deadline;
	int64_t deadline; /* of the request in hand */
	uint32_t serial; /* of questions to peers; goes on through all clients */
	struct {
		unsigned good, all;
	} counts[COMMAND_COUNT];
	struct transaction transaction;
};

/* Memory for serving any number of clients one after the other; false when there is none. */
MUST_CHECK bool session_open(struct session *session, const struct session_settings *settings,
	const struct session_io *io, void *context);
void session_free(struct session *session);
/* Serve one client to its end. The caller closes its descriptor. No more clients when peer_lost (a peer broke) or spent is set then. */
void session_serve(struct session *session, const struct session_client *client);
/* The parts of session_serve, for tests that look in between: session_step serves one command, false when the session is over. */
void session_begin(struct session *session, const struct session_client *client);
bool session_step(struct session *session);
void session_finish(struct session *session);

/* --- commands.c --- */
/* What became of a command: good, an error of the client (they are counted), or refused for a limit that is no fault of his. */
enum command_result { COMMAND_ERROR, COMMAND_GOOD, COMMAND_LIMITED };
struct command {
	const char *name;
	enum command_id id;
	unsigned flags;
	/* For each state: why not here (a whole reply), or NULL. */
	const char *refusal[STATES];
	enum command_result (*run)(struct session *session, struct slice argument);
};
enum command_flag {
	COMMAND_JUNK = 1, /* does no work: many of them count as errors */
	COMMAND_NO_ARGUMENT = 2,
	COMMAND_LAST = 8, /* the client must wait for the reply (RFC 2920 3.1) */
	COMMAND_CLEAR = 16, /* allowed without TLS where TLS must be */
	COMMAND_SWALLOW = 4 /* BDAT: checks its state itself, for content follows in any case */
};
#define TLS_FIRST "530 5.7.0 Must issue a STARTTLS command first"

/* --- input.c --- */
enum line_status { LINE_LOST, LINE_GOOD, LINE_TOO_LONG, LINE_BARE_LF };
/* The next line without its CR LF, at most `limit` bytes (SESSION_INPUT or line_limit). It lies in the input buffer until the next read. */
enum line_status input_line(struct session *session, struct slice *line, int64_t limit);
/* "334 " and the text, which is base64 and may be longer than other replies. */
void output_challenge(struct session *session, struct slice text);
/* Bytes that are there; waits until `deadline` when there are none. False: client gone, session->loss says how. */
MUST_CHECK bool input_some(struct session *session, struct slice *bytes, int64_t deadline);
void input_consume(struct session *session, size_t length);
/* Wipe what was consumed: it may have been a password. */
void input_forget(struct session *session);
static inline bool input_pending(const struct session *session)
{
	return session->input_end > session->input_start;
}
void output_flush(struct session *session);
/* Text from the client as it may stand in a log line or a header. */
void printable_copy(struct slice from, char *to, size_t size);

/* --- reply.c --- */
/* Queue a reply, "250 2.0.0 Ok"; what cannot stand in a reply line comes out as "?". */
void reply(struct session *session, const char *format, ...) PRINTF_LIKE(2, 3);

/* --- transaction.c --- */
void transaction_reset(struct session *session);
MUST_CHECK bool transaction_add_recipient(struct session *session, struct slice address);
/* Send what of the content waits in the chunk to cleanup, and the envelope before the first of it. False: cleanup is lost. */
MUST_CHECK bool transaction_push(struct session *session);
/* The end of the content: hand it over, wait for the verdict, reply, reset. */
enum command_result transaction_commit(struct session *session);
/* The content has a fault: reply and log it, reset. */
enum command_result transaction_refuse(struct session *session);
/* --- ask.c --- */
/* A lost peer is replaced soon, or not at all: a client is waiting. */
MUST_CHECK bool session_renew(struct session *session, enum session_peer peer);
/* One question to a peer and its answer, serials compared. False when the peer is lost. */
MUST_CHECK bool session_ask(struct session *session, enum session_peer peer,
	const struct message *question, uint32_t serial, enum message_type wanted,
	struct message *answer);
/* Count an event at the front; true when the client has too many of them. */
bool session_over_rate(struct session *session, enum rate_kind what);

/* --- state.c --- */
enum session_state session_state(const struct session *session);
/* The client has become that: the front is told when it is more than before. */
void session_rise(struct session *session, enum client_standing standing);
/* STARTTLS can be had now. */
bool session_offers_tls(const struct session *session);
/* Without TLS nothing of worth is done (530). */
bool session_needs_tls(const struct session *session);
/* Passwords may be asked for: smtpd_tls_auth_only, plaintext_auth_networks. Never in clear where TLS must be. */
bool session_may_authenticate(const struct session *session);

/* --- trace.c --- */
/* "ESMTPSA" and its like (RFC 3848, RFC 6531). */
const char *session_protocol(const struct session *session);
/* What Received: tells of TLS, lines separated by LF; empty: nothing. */
void session_tls_trace(const struct session *session, char *text, size_t size);
/* As anvil(8) logs it: the event that is over the limit is the first that is told of. */
void log_rate(const struct session *session, const char *what, int64_t limit);
/* "NOQUEUE: reject: RCPT from host[addr]: 554 ...; from=<> to=<> proto= helo=<>". */
void log_refusal(
	struct session *session, const char *kind, const char *text, const char *recipient);

/* --- actions.c --- */
/* The lines to prepend; false when memory is out or they are too many for a message to cleanup. */
MUST_CHECK bool actions_headers(const struct actions *actions, struct buffer *out);
/* The message is accepted and goes nowhere: logged, under an id that the client gets. */
void actions_discard(struct session *session, char *queue_id, size_t size);

/* --- tls.c --- */
/* tlsd is there; false is logged. Then the handshake; when it fails the client is lost, and the log says why. */
bool session_reach_tls(struct session *session);
MUST_CHECK bool session_start_tls(struct session *session);
enum command_result command_starttls(struct session *session, struct slice argument);

/* --- auth.c --- */
/* " PLAIN LOGIN": what this client is offered behind "AUTH" now; false when it is not offered AUTH. */
bool auth_offer(struct session *session, char *text, size_t size);
/* A question to authd and its answer, serials compared. `first`: nothing came before it, so that another authd can answer it as
 * well. False: there is none. */
MUST_CHECK bool auth_ask(struct session *session, const struct message *question, uint32_t serial,
	bool first, struct message *answer);
/* Nobody is logged in any more, as far as the client is concerned. */
void auth_forget(struct session *session);
/* AUTH= of MAIL; false when it was refused with a reply. */
bool mail_auth(struct session *session, struct slice value);
/* ", sasl_method=PLAIN, sasl_username=..." for the "client=" line; empty when there is nothing to tell. Returns its length. */
size_t auth_describe(const struct session *session, char *text, size_t size);

/* --- keywords.c --- */
/* All but those of a list of names. */
unsigned keywords_without(struct slice discard);
/* Which this client is offered; false when that cannot be told now. */
MUST_CHECK bool keywords_choose(struct session *session);

/* --- limits.c --- */
/* May who logged in send this message, by its number of recipients? Counts it. False: refused, with a reply. */
bool limits_allow(struct session *session);

/* --- the handlers --- */
enum command_result command_auth(struct session *session, struct slice argument);
enum command_result command_mail(struct session *session, struct slice argument);
enum command_result command_rcpt(struct session *session, struct slice argument);
enum command_result command_vrfy(struct session *session, struct slice argument);
enum command_result command_data(struct session *session, struct slice argument);
enum command_result command_bdat(struct session *session, struct slice argument);

/* --- log lines --- */
/* "disconnect from host[addr] ehlo=1 mail=1 ... commands=5". */
void session_log_disconnect(struct session *session);
#endif
