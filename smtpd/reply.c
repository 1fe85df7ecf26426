// SPDX-License-Identifier: ISC
/*
 * Replies; they wait in the output buffer until the session has to wait for input. And smtpd_reject_footer: what stands behind each 4xx and 5xx reply. A template with $client_address, $client_port, $localtime and
 * $server_name; "\n" in it is a line break, and "\c" in front of it means that it goes on in the line of the reply. Other names
 * stay as they are.
 */
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "mail/date.h"
#include "os/os.h"
#include "smtpd/session.h"

enum { FOOTER_MOST = 2000 /* bytes, expanded */ };

/* The client's own words come back in replies: keep them to one line of text. */
static void clean(char *text, bool utf8)
{
	for (char *c = text; *c; c++) {
		unsigned char byte = (unsigned char)*c;

		if (byte < ' ' || byte == 127 || (byte > 127 && !utf8))
			*c = '?';
	}
}

static void reply_line(struct session *s, char *text)
{
	size_t length;

	clean(text, s->transaction.utf8);
	length = strlen(text);
	if (s->output_length + length + 2 > SESSION_OUTPUT)
		output_flush(s);
	memcpy(s->output + s->output_length, text, length);
	memcpy(s->output + s->output_length + length, "\r\n", 2);
	s->output_length += length + 2;
}

static void add_time(struct buffer *out)
{
	int64_t seconds = os_now() / 1000000;
	time_t local = (time_t)(seconds + date_local_zone(seconds) * 60);
	char text[32];
	struct tm tm;

	if (gmtime_r(&local, &tm) && strftime(text, sizeof(text), "%b %e %H:%M:%S", &tm))
		buffer_add_text(out, text);
}

/* Take a name that we know, with or without braces, off the front of *rest. */
static bool take_name(struct session *s, struct slice *rest, struct buffer *out)
{
	static const struct slice NAMES[] = { SLICE("client_address"), SLICE("client_port"),
		SLICE("localtime"), SLICE("server_name") };
	size_t i = 0, braces = rest->length > 1 && rest->data[1] == '{';
	struct slice name = slice_tail(*rest, 1 + braces);

	while (i < 4 && !slice_starts(name, NAMES[i]))
		i++;
	if (i == 4 ||
		(braces && (name.length == NAMES[i].length || name.data[NAMES[i].length] != '}')))
		return false;
	*rest = slice_tail(*rest, 1 + NAMES[i].length + 2 * braces);
	if (i == 0)
		buffer_add_text(out, s->client.address);
	else if (i == 1)
		buffer_printf(out, "%u", (unsigned)s->client.port);
	else if (i == 2)
		add_time(out);
	else
		buffer_add_text(out, s->settings->host);
	return true;
}

/* The template with its names replaced and its breaks as LF. */
static void expand(struct session *s, struct slice rest, struct buffer *out)
{
	while (rest.length) {
		if (rest.data[0] == '$' && take_name(s, &rest, out))
			continue;
		if (slice_starts(rest, SLICE("\\n"))) {
			buffer_add_byte(out, '\n');
			rest = slice_tail(rest, 2);
			continue;
		}
		buffer_add_byte(out, rest.data[0]);
		rest = slice_tail(rest, 1);
	}
}

/* "550 5.1.1" of "550 5.1.1 text", or "550". */
static struct slice codes_of(struct slice reply)
{
	size_t length = 4;

	while (length < reply.length &&
		(ascii_digit(reply.data[length]) || reply.data[length] == '.'))
		length++;
	return slice_head(reply,
		length > 4 && length < reply.length && reply.data[length] == ' ' ? length : 3);
}

static void footer_reply(struct session *s, const char *text)
{
	struct slice whole = slice_from(text), codes = codes_of(whole),
		     footer = slice_from(s->settings->reject_footer);
	bool joined = slice_starts(footer, SLICE("\\c"));
	struct buffer lines = buffer_limited(FOOTER_MOST + SESSION_TEXT);
	struct slice rest, line;

	buffer_add(&lines, whole);
	if (!joined)
		buffer_add_byte(&lines, '\n');
	expand(s, slice_tail(footer, joined ? 2 : 0), &lines);
	/* What does not fit is left out, rather than the reply. */
	rest = lines.failed ? whole : buffer_slice(&lines);
	for (bool first = true; slice_split(&rest, '\n', &line); first = false) {
		char between = rest.length ? '-' : ' ';
		struct slice shown = first ? slice_tail(line, 4) : line;
		char out[SESSION_TEXT];

		if (first || codes.length == 3)
			snprintf(out, sizeof(out), "%.3s%c%.*s", codes.data, between,
				SLICE_ARG(shown));
		else
			snprintf(out, sizeof(out), "%.3s%c%.*s %.*s", codes.data, between,
				SLICE_ARG(slice_tail(codes, 4)), SLICE_ARG(shown));
		reply_line(s, out);
	}
	buffer_free(&lines);
}

void reply(struct session *s, const char *format, ...)
{
	char text[SESSION_TEXT];
	va_list args;
	int length;

	if (s->errors >= s->settings->soft_errors && s->settings->error_sleep &&
		s->loss == LOSS_NONE) {
		output_flush(s);
		s->io->sleep(s->context, s->settings->error_sleep);
	}
	va_start(args, format);
	length = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (length < 4)
		return;
	/* A line break in it would be one of ours otherwise. */
	clean(text, s->transaction.utf8);
	if (s->settings->reject_footer[0] && (text[0] == '4' || text[0] == '5'))
		footer_reply(s, text);
	else
		reply_line(s, text);
}
