// SPDX-License-Identifier: ISC
/* See smtp_world.h. */
#include "tests/unit/smtp_world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "smtp_world: %s\n", what);
	abort();
}

static ssize_t world_read(void *context, void *data, size_t size, int64_t deadline)
{
	struct world *w = context;
	size_t left = w->in.length - w->in_at, n = left < size ? left : size;

	must(size > 0, "a read without room");
	must(deadline >= w->now, "a deadline in the past");
	must(w->session.output_length == 0, "waiting for input with replies unsent");
	if (w->step && n > w->step)
		n = w->step;
	if (n == 0 && w->dismissed) {
		errno = ECANCELED;
		return -1;
	}
	if (n == 0 && w->stalls) {
		w->now = deadline;
		errno = ETIMEDOUT;
		return -1;
	}
	if (w->read_takes && deadline && w->now + w->read_takes > deadline) {
		w->now = deadline;
		errno = ETIMEDOUT;
		return -1;
	}
	w->now += w->read_takes;
	if (n)
		memcpy(data, w->in.data + w->in_at, n);
	w->in_at += n;
	return (ssize_t)n;
}

static bool world_write(void *context, const void *data, size_t length, int64_t deadline)
{
	struct world *w = context;

	must(length > 0, "an empty write");
	w->writes++;
	return buffer_append(&w->out, data, length);
}

static void copy(struct slice from, char *to, size_t size)
{
	must(slice_to_string(from, to, size), "a field that is no text");
}

static void cleanup_takes(struct world *w, const struct message *m)
{
	switch (m->type) {
	case MESSAGE_CLEANUP_BEGIN:
		must(!w->begun, "BEGIN within a message");
		w->begun = true;
		w->ended = false;
		w->begins++;
		w->recipients = 0;
		w->serial = m->cleanup_begin.serial;
		w->flags = m->cleanup_begin.flags;
		copy(m->cleanup_begin.sender, w->sender, sizeof(w->sender));
		copy(m->cleanup_begin.protocol, w->protocol, sizeof(w->protocol));
		copy(m->cleanup_begin.client_name, w->name, sizeof(w->name));
		copy(m->cleanup_begin.client_address, w->address, sizeof(w->address));
		copy(m->cleanup_begin.login, w->login, sizeof(w->login));
		copy(m->cleanup_begin.helo, w->helo, sizeof(w->helo));
		copy(m->cleanup_begin.origin, w->origin, sizeof(w->origin));
		copy(m->cleanup_begin.prepend, w->prepend, sizeof(w->prepend));
		copy(m->cleanup_begin.tls, w->tls, sizeof(w->tls));
		buffer_clear(&w->content);
		break;
	case MESSAGE_CLEANUP_RECIPIENT:
		must(w->begun && m->cleanup_recipient.serial == w->serial,
			"a recipient of no message");
		must(w->content.length == 0 || m->cleanup_recipient.notify == NOTIFY_NEVER,
			"a recipient behind content");
		copy(m->cleanup_recipient.address, w->last_recipient, sizeof(w->last_recipient));
		w->last_notify = m->cleanup_recipient.notify;
		w->recipients++;
		break;
	case MESSAGE_CLEANUP_CONTENT:
		must(w->begun && m->cleanup_content.serial == w->serial, "content of no message");
		must(w->recipients > 0, "content without recipients");
		must(slice_find(m->cleanup_content.chunk, '\r') < 0, "a CR in content");
		must(buffer_add(&w->content, m->cleanup_content.chunk), "content over the limit");
		break;
	case MESSAGE_CLEANUP_END:
		must(w->begun && m->cleanup_end.serial == w->serial, "END of no message");
		w->begun = false;
		w->failed += m->cleanup_end.fail;
		w->ended = !m->cleanup_end.fail;
		w->held = m->cleanup_end.hold;
		copy(m->cleanup_end.redirect, w->redirect, sizeof(w->redirect));
		must(!w->ended || w->content.length == 0 ||
				w->content.data[w->content.length - 1] == '\n',
			"content without a last line end");
		break;
	default:
		must(false, "cleanup got something else");
	}
}

/* "authorization identity, name, password" of RFC 4616. */
static void take_plain(struct world *w, struct slice response)
{
	struct slice part;

	w->auth_status = AUTH_BAD;
	if (slice_split(&response, '\0', &part) && slice_split(&response, '\0', &part) &&
		slice_to_string(part, w->auth_name, sizeof(w->auth_name)) &&
		slice_to_string(response, w->auth_password, sizeof(w->auth_password)))
		w->auth_status = AUTH_FAILED;
	w->auth_step = 0;
}

static void take_login(struct world *w, struct slice response)
{
	bool name = w->auth_step == 1;

	if (!slice_to_string(response, name ? w->auth_name : w->auth_password,
		    name ? sizeof(w->auth_name) : sizeof(w->auth_password))) {
		w->auth_status = AUTH_BAD;
		w->auth_step = 0;
		return;
	}
	w->auth_step = name ? 2 : 0;
	w->auth_status = AUTH_FAILED;
}

static void auth_begins(struct world *w, const struct message_auth_begin *begin)
{
	must(slice_equal(begin->service, SLICE("smtp")), "another service");
	w->auth_serial = begin->serial;
	w->auth_secured = begin->secured;
	w->auth_name[0] = w->auth_password[0] = '\0';
	w->auth_step = 0;
	w->auth_status = AUTH_NO_MECHANISM;
	if (slice_equal(begin->mechanism, SLICE("PLAIN"))) {
		w->auth_step = 3;
		if (begin->has_initial)
			take_plain(w, begin->initial);
	} else if (slice_equal(begin->mechanism, SLICE("LOGIN"))) {
		w->auth_step = 1;
		if (begin->has_initial)
			take_login(w, begin->initial);
	}
}

static bool auth_takes(struct world *w, const struct message *m)
{
	w->auth_dead = w->auth_dead || (w->auth_dies && m->type == MESSAGE_AUTH_CONTINUE);
	if (w->auth_dead)
		return false;
	switch (m->type) {
	case MESSAGE_AUTH_OFFER:
		w->offers++;
		w->auth_serial = m->auth_offer.serial;
		break;
	case MESSAGE_AUTH_BEGIN:
		auth_begins(w, &m->auth_begin);
		break;
	case MESSAGE_AUTH_CONTINUE:
		must(m->auth_continue.serial == w->auth_serial && w->auth_step,
			"a response that nobody asked for");
		if (w->auth_step == 3)
			take_plain(w, m->auth_continue.response);
		else
			take_login(w, m->auth_continue.response);
		break;
	case MESSAGE_AUTH_USAGE:
		w->auth_serial = m->auth_usage.serial;
		w->usage = m->auth_usage;
		w->usage.login = slice_from("");
		w->usages++;
		break;
	case MESSAGE_AUTH_CANCEL:
		must(m->auth_cancel.serial == w->auth_serial && (w->auth_step || w->auth_outlasts),
			"a cancel of nothing");
		w->cancels++;
		w->auth_step = 0;
		break;
	default:
		must(false, "authd got something else");
	}
	return true;
}

static void auth_answers(struct world *w, struct message *m)
{
	static const char *const CHALLENGES[] = { "", "Username:", "Password:", "" };
	bool known = strcmp(w->auth_name, "one@example.test") == 0 ||
		     strcmp(w->auth_name, "two@example.test") == 0;

	if (w->asked == MESSAGE_AUTH_OFFER) {
		m->type = MESSAGE_AUTH_OFFERED;
		m->auth_offered.serial = w->auth_serial;
		m->auth_offered.mechanisms = SLICE("PLAIN LOGIN");
		return;
	}
	if (w->asked == MESSAGE_AUTH_USAGE) {
		m->type = MESSAGE_AUTH_USAGE_ANSWER;
		m->auth_usage_answer = w->usage_answer;
		m->auth_usage_answer.serial = w->auth_serial;
		return;
	}
	if (w->auth_step) {
		m->type = MESSAGE_AUTH_CHALLENGE;
		m->auth_challenge.serial = w->auth_serial;
		m->auth_challenge.challenge = slice_from(CHALLENGES[w->auth_step]);
		return;
	}
	m->type = MESSAGE_AUTH_RESULT;
	m->auth_result.serial = w->auth_serial;
	m->auth_result.status = w->auth_status;
	if (w->auth_status == AUTH_FAILED && strcmp(w->auth_name, "later") == 0)
		m->auth_result.status = AUTH_TEMPORARY;
	else if (w->auth_status == AUTH_FAILED && known && strcmp(w->auth_password, "secret") == 0)
		m->auth_result.status = AUTH_OK;
	m->auth_result.login = slice_from(w->auth_name);
	m->auth_result.final = slice_from(w->auth_final);
	m->auth_result.delay = m->auth_result.status == AUTH_OK ? 0 : w->auth_delay;
	m->auth_result.reason = slice_from("");
}

static bool world_send_peer(
	void *context, enum session_peer peer, const struct message *message, int64_t deadline)
{
	static struct buffer encoded;
	struct world *w = context;

	buffer_clear(&encoded);
	must(message_encode(message, &encoded), "a message that does not encode");
	errno = EPIPE;
	if (peer == TO_CLEANUP) {
		if (w->cleanup_dead)
			return false;
		cleanup_takes(w, message);
		return true;
	}
	w->asked = message->type;
	if (peer == TO_AUTH)
		return auth_takes(w, message);
	if (peer == TO_FRONT) {
		must(message->type == MESSAGE_SESSION_RATE, "the front got something else");
		w->asked_serial = message->session_rate.serial;
		w->rates[message->session_rate.what & 3]++;
		return true;
	}
	if (w->directory_dead)
		return false;
	if (message->type == MESSAGE_DIRECTORY_OWNER) {
		w->asked_serial = message->directory_owner.serial;
		copy(message->directory_owner.address, w->question, sizeof(w->question));
		copy(message->directory_owner.login, w->owner_login, sizeof(w->owner_login));
		copy(message->directory_owner.tables, w->tables, sizeof(w->tables));
		w->owner_questions++;
	} else if (message->type == MESSAGE_DIRECTORY_RECIPIENT) {
		w->asked_serial = message->directory_recipient.serial;
		copy(message->directory_recipient.recipient, w->question, sizeof(w->question));
	} else {
		must(message->type == MESSAGE_DIRECTORY_LOOKUP, "the directory got something else");
		w->asked_serial = message->directory_lookup.serial;
		copy(message->directory_lookup.key, w->question, sizeof(w->question));
		copy(message->directory_lookup.tables, w->tables, sizeof(w->tables));
		w->lookups++;
	}
	return true;
}

static void answer_recipient(struct world *w, struct message_directory_recipient_answer *answer)
{
	struct slice question = slice_from(w->question);
	ptrdiff_t at = slice_find_last(question, '@');
	struct slice local = slice_head(question, at < 0 ? 0 : (size_t)at),
		     domain = slice_tail(question, (size_t)at + 1);

	*answer = (struct message_directory_recipient_answer){ .serial = w->asked_serial,
		.reason = slice_from("") };
	if (slice_equal_nocase(domain, SLICE("example.test"))) {
		answer->domain_class = DOMAIN_VIRTUAL_MAILBOX;
		answer->status = slice_equal_nocase(local, SLICE("one")) ||
						 slice_equal_nocase(local, SLICE("two")) ||
						 slice_equal_nocase(local, SLICE("postmaster"))
					 ? DIRECTORY_FOUND
				 : slice_equal_nocase(local, SLICE("later")) ? DIRECTORY_TEMPORARY
									     : DIRECTORY_NOT_FOUND;
	} else {
		answer->domain_class = DOMAIN_OTHER;
		answer->status = DIRECTORY_NOT_OURS;
	}
}

static void answer_lookup(struct world *w, struct message_directory_lookup_answer *answer)
{
	*answer = (struct message_directory_lookup_answer){
		.serial = w->asked_serial, .status = DIRECTORY_NOT_FOUND, .value = slice_from("")
	};
	for (const struct world_entry *e = w->entries; e && e->key; e++) {
		if (strcmp(e->key, w->question) != 0)
			continue;
		answer->status = e->value ? DIRECTORY_FOUND : DIRECTORY_TEMPORARY;
		answer->value = slice_from(e->value);
		return;
	}
}

static bool answer_cleanup(struct world *w, struct message_cleanup_result *result)
{
	if (!w->ended)
		return false;
	w->ended = false;
	w->delivered += w->cleanup_code == 250;
	*result = (struct message_cleanup_result){ .serial = w->serial,
		.code = (uint16_t)w->cleanup_code,
		.dsn = slice_from(w->cleanup_code < 500 ? "4.3.0" : "5.7.1"),
		.reason = slice_from("Error: not today"),
		.queue_id = w->cleanup_code == 250 ? slice_from("4QTEST") : slice_from("") };
	return true;
}

static bool world_receive(
	void *context, enum session_peer peer, struct message *message, int64_t deadline)
{
	struct world *w = context;

	*message = (struct message){ 0 };
	errno = EPIPE;
	if (peer == TO_CLEANUP) {
		message->type = MESSAGE_CLEANUP_RESULT;
		return !w->cleanup_dead && answer_cleanup(w, &message->cleanup_result);
	}
	if (peer == TO_FRONT) {
		message->type = MESSAGE_SESSION_RATE_ANSWER;
		message->session_rate_answer.serial = w->asked_serial;
		message->session_rate_answer.refuse = w->over_rate;
		return true;
	}
	if (peer == TO_AUTH) {
		if (w->auth_outlasts) {
			errno = ECANCELED;
			return false;
		}
		if (!w->auth_dead)
			auth_answers(w, message);
		return !w->auth_dead;
	}
	if (w->directory_dead)
		return false;
	if (w->asked == MESSAGE_DIRECTORY_OWNER) {
		message->type = MESSAGE_DIRECTORY_OWNER_ANSWER;
		message->directory_owner_answer.serial = w->asked_serial;
		message->directory_owner_answer.status =
			strcmp(w->question, w->owner_login) == 0 ? OWNER_YES : w->owner;
	} else if (w->asked == MESSAGE_DIRECTORY_RECIPIENT) {
		message->type = MESSAGE_DIRECTORY_RECIPIENT_ANSWER;
		answer_recipient(w, &message->directory_recipient_answer);
	} else {
		message->type = MESSAGE_DIRECTORY_LOOKUP_ANSWER;
		answer_lookup(w, &message->directory_lookup_answer);
	}
	return true;
}

static bool world_renew(void *context, enum session_peer peer, int64_t deadline)
{
	struct world *w = context;

	w->renewals++;
	if (!w->can_renew)
		return false;
	if (peer == TO_AUTH) {
		w->auth_dead = false;
		w->auth_step = 0;
	} else if (peer == TO_DIRECTORY)
		w->directory_dead = false;
	else
		w->cleanup_dead = w->begun = w->ended = false;
	return true;
}

static bool world_reach_tls(void *context, int64_t deadline)
{
	struct world *w = context;

	return !w->tls_dead;
}

/* tlsd: what is left of the input was sent behind the plaintext, and is what the client says under TLS. */
static bool world_start_tls(
	void *context, struct message *accept, struct message *ready, int64_t deadline)
{
	struct world *w = context;
	const struct message_tls_accept *a = &accept->tls_accept;

	must(!w->tls_dead, "a handshake without tlsd");
	must(w->session.output_length == 0, "a handshake with replies unsent");
	must(!input_pending(&w->session), "plaintext goes over into TLS");
	must(slice_equal(a->service, SLICE("smtp")), "a handshake for another service");
	must(slice_equal(a->certificates, buffer_slice(&w->settings.tls.certificates)),
		"a handshake with other certificates");
	must(slice_equal(a->client_address, slice_from(w->session.client.address)) &&
			a->client_port == w->session.client.port,
		"a handshake of another client");
	w->handshakes++;
	*ready = (struct message){ .type = MESSAGE_TLS_READY };
	ready->tls_ready = (struct message_tls_ready){ .serial = a->serial,
		.status = w->tls_fails ? TLS_FAILED : TLS_OK,
		.reason = slice_from(w->tls_fails ? w->tls_fails : ""),
		.protocol = SLICE("TLSv1.3"),
		.cipher = SLICE("TLS_AES_256_GCM_SHA384"),
		.bits = 256,
		.algorithm_bits = 256,
		.trusted = w->tls_trusted,
		.subject = slice_from(w->tls_subject ? w->tls_subject : ""),
		.issuer = slice_from(w->tls_subject ? "Test CA" : ""),
		.fingerprint = slice_from(w->tls_subject ? "AA:01" : ""),
		.key_fingerprint = slice_from(w->tls_subject ? "BB:02" : ""),
		.sni = SLICE(""),
		.alpn = SLICE(""),
		.seal = SLICE("sealed") };
	return true;
}

static int64_t world_now(void *context)
{
	return ((struct world *)context)->now;
}

static void world_sleep(void *context, int64_t milliseconds)
{
	struct world *w = context;

	must(w->session.output_length == 0, "asleep with replies unsent");
	w->now += milliseconds;
	w->slept += milliseconds;
}

static void world_tell_standing(void *context, enum client_standing standing)
{
	struct world *w = context;

	must(standing > w->standing, "the same standing told twice");
	w->standing = standing;
}

static const struct session_io WORLD_IO = { world_read, world_write, world_send_peer, world_receive,
	world_renew, world_reach_tls, world_start_tls, world_now, world_sleep,
	world_tell_standing };

static const char *no_class(void *context, const char *name)
{
	return NULL;
}

void world_open(struct world *w)
{
	*w = (struct world){ .cleanup_code = 250 };
	w->settings = (struct session_settings){ .host = "mail.example.test",
		.plaintext_networks = "",
		.banner = "mail.example.test ESMTP Postern",
		.reject_footer = "",
		.forbidden_commands = "CONNECT GET POST",
		.noop_commands = "",
		.origin = "example.test",
		.networks = "127.0.0.0/8 [::1]",
		.rewrite_clients = "permit_inet_interfaces",
		.restriction_classes = "",
		.restrictions = { "", "", "",
			"permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination",
			"", "", "" },
		.lookup = no_class,
		.size_limit = 1000000,
		.line_limit = 2048,
		.command_limit = 100000,
		.timeout = 300000,
		.min_data_rate = 500,
		.error_sleep = 1000,
		.ipc_timeout = 3600000,
		.soft_errors = 10,
		.hard_errors = 20,
		.junk_commands = 100,
		.recipients = 1000,
		.recipient_overshoot = 1000,
		.keywords = EHLO_PIPELINING | EHLO_SIZE | EHLO_ENHANCEDSTATUSCODES | EHLO_8BITMIME |
			    EHLO_SMTPUTF8 | EHLO_CHUNKING | EHLO_AUTH,
		.sender_login_maps = "",
		.keyword_maps = "",
		.keywords_most = ~0u,
		.limit_maps = "",
		.auth = { .exceptions = "",
			.options = "noanonymous",
			.tls_options = "noanonymous",
			.response_limit = 12288 },
		.codes = { [CODE_ACCESS_DEFER] = 450,
			[CODE_ACCESS_REJECT] = 554,
			[CODE_DEFER] = 450,
			[CODE_REJECT] = 554,
			[CODE_INVALID_HELO] = 501,
			[CODE_NON_FQDN] = 504,
			[CODE_MULTI_RECIPIENT_BOUNCE] = 550,
			[CODE_PLAINTEXT] = 450,
			[CODE_RELAY] = 554 },
		.relay_clientcerts = "",
		.tls = { .service = "smtp",
			.alpn = "",
			.protocols = "",
			.options = "",
			.timeout = 300000 },
		.delay_reject = true,
		.reject_unlisted = true };
	for (unsigned i = 0; i <= DOMAIN_OTHER; i++)
		w->settings.unknown_code[i] = 550;
}

void world_has_tls(struct world *w, enum tls_level level)
{
	w->settings.tls.level = level;
	must(buffer_add_text(&w->settings.tls.certificates, "chain /etc/tls/server.pem\n"),
		"out of memory");
	w->settings.keywords |= EHLO_STARTTLS;
}

void world_connect(struct world *w, const char *address)
{
	if (!w->session.settings)
		must(session_open(&w->session, &w->settings, &WORLD_IO, w), "out of memory");
	snprintf(w->client.address, sizeof(w->client.address), "%s", address);
	snprintf(w->client.local_address, sizeof(w->client.local_address), "192.0.2.25");
	snprintf(w->client.entry, sizeof(w->client.entry), "smtp");
	w->standing = CLIENT_STRANGER;
	session_begin(&w->session, &w->client);
	buffer_clear(&w->out);
	output_flush(&w->session);
}

void world_close(struct world *w)
{
	if (w->session.settings)
		session_free(&w->session);
	tls_settings_free(&w->settings.tls);
	buffer_free(&w->in);
	buffer_free(&w->out);
	buffer_free(&w->content);
}

static bool world_has_input(const struct world *w)
{
	return w->in_at < w->in.length || input_pending(&w->session);
}

const char *world_send(struct world *w, const void *data, size_t length)
{
	buffer_clear(&w->out);
	buffer_consume(&w->in, w->in_at);
	w->in_at = 0;
	must(buffer_append(&w->in, data, length), "input over the limit");
	while (world_has_input(w) && session_step(&w->session))
		continue;
	output_flush(&w->session);
	return buffer_text(&w->out);
}

const char *world_say(struct world *w, const char *text)
{
	return world_send(w, text, strlen(text));
}

unsigned world_code(const struct world *w)
{
	struct slice text = slice_trim(buffer_slice(&w->out));
	ptrdiff_t line = slice_find_last(text, '\n');
	uint64_t code = 0;

	return slice_to_u64(
		       slice_head(slice_tail(text, line < 0 ? 0 : (size_t)line + 1), 3), 999, &code)
		       ? (unsigned)code
		       : 0;
}

void world_run(struct world *w, const void *input, size_t length, size_t step)
{
	must(buffer_append(&w->in, input, length), "input over the limit");
	w->step = step;
	while (session_step(&w->session))
		continue;
	session_finish(&w->session);
}
