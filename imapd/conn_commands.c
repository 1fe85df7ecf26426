// SPDX-License-Identifier: ISC
/* The commands before login. See front.h. */
#include "imapd/front.h"

#include "base/base64.h"
#include "service/log.h"

void conn_say_capabilities(struct conn *conn)
{
	const char *configured = conn->front->mechanisms;
	const struct mechanism_situation any = { 0 };
	struct buffer offers = { 0 };

	conn_say(conn, "IMAP4rev1 LITERAL+ SASL-IR ID ENABLE IDLE");
	conn_say(conn, conn_offers_tls(conn) ? " STARTTLS" : "");
	/* The LOGIN command is PLAIN in other words. */
	if (!conn->plaintext || !mechanism_allowed(SLICE("PLAIN"), configured, "", &any))
		conn_say(conn, " LOGINDISABLED");
	if (login_offers(&conn->client, configured, conn->plaintext, " AUTH=", &offers))
		buffer_add(&conn->pre->out, buffer_slice(&offers));
	buffer_free(&offers);
}

static void bad(struct conn *conn, const char *why)
{
	conn->pre->bad++;
	conn_say(conn, conn->pre->tag[0] ? conn->pre->tag : "*");
	conn_say(conn, " BAD ");
	conn_say(conn, why);
	conn_say(conn, ".\r\n");
}

static void run_capability(struct conn *conn, struct parser *p)
{
	if (!parse_end(p))
		return;
	conn_say(conn, "* CAPABILITY ");
	conn_say_capabilities(conn);
	conn_say(conn, "\r\n");
	conn_reply(conn, "OK Pre-login capabilities listed, post-login capabilities have more.");
}

static void run_noop(struct conn *conn, struct parser *p)
{
	if (parse_end(p))
		conn_reply(conn, "OK NOOP completed.");
}

static void run_logout(struct conn *conn, struct parser *p)
{
	if (!parse_end(p))
		return;
	conn_say(conn, "* BYE Logging out\r\n");
	conn_reply(conn, "OK Logout completed.");
}

static void run_id(struct conn *conn, struct parser *p)
{
	if (!parse_id(p))
		return;
	conn_say(conn, "* ID (\"name\" \"Postern\")\r\n");
	conn_reply(conn, "OK ID completed.");
}

static void run_starttls(struct conn *conn, struct parser *p)
{
	if (!parse_end(p))
		return;
	if (conn->pre->tls) {
		bad(conn, "TLS is already active");
	} else if (!conn_offers_tls(conn)) {
		bad(conn, "TLS support isn't enabled");
	} else {
		conn_reply(conn, "OK Begin TLS negotiation now.");
		conn->state = CONN_TLS;
	}
}

static bool refuse_plaintext(struct conn *conn)
{
	if (conn->plaintext)
		return false;
	conn_reply(conn, "NO [PRIVACYREQUIRED] Plaintext authentication is not allowed on insecure "
			 "connections.");
	return true;
}

static void run_login(struct conn *conn, struct parser *p)
{
	struct slice user, password;

	if (!parse_space(p) || !parse_astring(p, &user) || !parse_space(p) ||
		!parse_astring(p, &password) || !parse_end(p))
		return;
	if (!refuse_plaintext(conn))
		conn_login(conn, user, password);
}

/* The initial response behind the mechanism, if there is one; "=" is one of no bytes (RFC 4959 3). */
static bool parse_initial(struct parser *p, struct buffer *decoded, struct slice *response)
{
	*response = (struct slice){ 0 };
	if (p->rest.length == 0)
		return true;
	if (!parse_space(p))
		return false;
	*response = SLICE("");
	if (slice_equal(p->rest, SLICE("=")))
		return true;
	if (p->rest.length == 0 || !base64_decode(p->rest, decoded))
		return parse_fail(p, "Invalid base64");
	*response = buffer_slice(decoded);
	return true;
}

static void run_authenticate(struct conn *conn, struct parser *p)
{
	struct buffer decoded = buffer_secret(CONN_INPUT_LIMIT);
	struct slice mechanism, initial;

	if (!parse_space(p) || !parse_atom(p, &mechanism))
		return;
	if (parse_initial(p, &decoded, &initial) &&
		!(login_shows_password(mechanism) && refuse_plaintext(conn)))
		conn_authenticate(conn, mechanism, initial);
	buffer_free(&decoded);
}

static const struct {
	const char *name;
	void (*run)(struct conn *conn, struct parser *p);
} COMMANDS[] = {
	{ "CAPABILITY", run_capability },
	{ "NOOP", run_noop },
	{ "LOGOUT", run_logout },
	{ "ID", run_id },
	{ "STARTTLS", run_starttls },
	{ "LOGIN", run_login },
	{ "AUTHENTICATE", run_authenticate },
};

/* Tag and name off the front. */
static bool parse_head(struct conn *conn, struct parser *p, struct slice *name)
{
	struct slice tag;

	conn->pre->tag[0] = '\0';
	if (!parse_tag(p, &tag))
		return false;
	if (!slice_to_string(tag, conn->pre->tag, sizeof(conn->pre->tag)))
		return parse_fail(p, "Tag is too long");
	return parse_space(p) && parse_atom(p, name);
}

bool conn_command(struct conn *conn, struct slice command)
{
	struct parser p = {
		.rest = command, .arena = &conn->pre->arena, .depth = PARSE_MAX_DEPTH - 2
	};
	struct slice name;

	if (!parse_head(conn, &p, &name)) {
		bad(conn, p.error ? p.error : "Missing command");
		return false;
	}
	for (size_t i = 0; i < sizeof(COMMANDS) / sizeof(COMMANDS[0]); i++) {
		if (!slice_equal_nocase(name, slice_from(COMMANDS[i].name)))
			continue;
		COMMANDS[i].run(conn, &p);
		if (p.error)
			bad(conn, p.error);
		return !p.error && COMMANDS[i].run == run_logout;
	}
	bad(conn, "Unknown command, or not allowed before login");
	return false;
}
