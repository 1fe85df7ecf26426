// SPDX-License-Identifier: ISC
/*
 * sendmail - the mail submission command that programs have called for forty years.
 *
 * It runs as whoever calls it, without setuid or setgid: the kernel tells pickup who that is. Flags as Postfix's sendmail(1);
 * what has no meaning here is accepted and ignored, because scripts pass it.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/submit.h"
#include "config/config.h"
#include "ipc/messages.h"
#include "mail/address.h"
#include "mail/header.h"
#include "os/os.h"

enum {
	SENDMAIL_RECIPIENTS = 100000,
	SENDMAIL_MEMORY = 256 << 20, /* bytes of addresses */
	SENDMAIL_CONTENT = 1 << 30, /* bytes of a message when message_size_limit is 0 */
	SENDMAIL_STEP = 64 << 10,
	SENDMAIL_QUIET = 3600000 /* ms that either end may be silent with -bs */
};

enum mode { MODE_SUBMIT, MODE_SMTP, MODE_LIST, MODE_ALIASES, MODE_VERIFY, MODE_FLUSH };

struct sendmail {
	enum mode mode;
	const char *folder; /* -C */
	const char *sender, *full_name, *envid;
	const char *flush; /* behind -q: "", "Rsite", "Iid" */
	uint8_t notify;
	uint32_t flags;
	bool from_headers, keep_dot;
	struct arena arena;
	struct vector recipients; /* of struct slice */
	struct buffer content;
	struct buffer snapshot;
	struct config *config;
	struct submit_place place;
};

static int usage(const char *text)
{
	cli_complain("sendmail", "usage: sendmail [options] [recipient ...]: %s", text);
	return EX_USAGE;
}

/* --- options --- */

static bool take_mode(struct sendmail *s, const char *arg)
{
	static const struct {
		char letter;
		enum mode mode;
	} modes[] = { { 'm', MODE_SUBMIT }, { 's', MODE_SMTP }, { 'p', MODE_LIST },
		{ 'i', MODE_ALIASES }, { 'v', MODE_VERIFY } };

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (arg[0] == modes[i].letter) {
			s->mode = modes[i].mode;
			return true;
		}
	}
	return false;
}

/* RFC 3461 4.1, as -N has it: "never", or some of the others. */
static bool take_notify(struct sendmail *s, const char *arg)
{
	static const struct {
		const char *name;
		uint8_t bit;
	} names[] = { { "never", NOTIFY_NEVER }, { "success", NOTIFY_SUCCESS },
		{ "failure", NOTIFY_FAILURE }, { "delay", NOTIFY_DELAY } };
	struct slice rest = slice_from(arg), word;

	while (slice_word(&rest, ", ", &word)) {
		uint8_t bit = 0;

		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			bit |= slice_equal_nocase(word, slice_from(names[i].name)) ? names[i].bit
										   : 0;
		if (!bit)
			return false;
		s->notify |= bit;
	}
	return !(s->notify & NOTIFY_NEVER) || s->notify == NOTIFY_NEVER;
}

/* One option letter; NULL, or what is wrong with it. */
static const char *take_option(struct sendmail *s, int letter, const char *arg)
{
	switch (letter) {
	case 'b':
		return take_mode(s, arg) ? NULL : "unsupported mode (-b)";
	case 'B':
		if (slice_equal_nocase(slice_from(arg), SLICE("8BITMIME")))
			s->flags |= CLEANUP_8BIT;
		return NULL;
	case 'C':
		s->folder = arg;
		return NULL;
	case 'f':
	case 'r':
		s->sender = arg;
		return NULL;
	case 'F':
		s->full_name = arg;
		return NULL;
	case 'i':
		s->keep_dot = true;
		return NULL;
	case 'I':
		s->mode = MODE_ALIASES;
		return NULL;
	case 'N':
		return take_notify(s, arg) ? NULL : "bad -N value";
	case 'o':
		if (strcmp(arg, "i") == 0)
			s->keep_dot = true;
		return NULL;
	case 'q':
		s->mode = MODE_FLUSH;
		s->flush = arg ? arg : "";
		return NULL;
	case 'R':
		if (slice_equal_nocase(slice_from(arg), SLICE("hdrs")))
			s->flags |= CLEANUP_RET_HEADERS;
		else if (!slice_equal_nocase(slice_from(arg), SLICE("full")))
			return "-R takes full or hdrs";
		return NULL;
	case 't':
		s->from_headers = true;
		return NULL;
	case 'V':
		s->envid = arg;
		return NULL;
	case '?':
	case ':':
		return "unknown option, or one without its value";
	default:
		return NULL; /* accepted for scripts' sake */
	}
}

static const char *take_options(struct sendmail *s, int argc, char **argv)
{
	int letter;

	optind = 0;
	opterr = 0;
	while ((letter = getopt(argc, argv, "+A:B:C:F:GIL:N:O:R:UV:X:b:ce:f:h:imno:p:r:q::tvx")) !=
		-1) {
		const char *wrong = take_option(s, letter, optarg);

		if (wrong)
			return wrong;
	}
	return NULL;
}

/* --- addresses --- */

static bool add_address(void *context, const struct header_address *a)
{
	struct sendmail *s = context;
	struct address address = { .local = a->local, .domain = a->domain };
	struct buffer text = { 0 };
	struct slice *slot;

	if (a->group || !a->local.data || (!a->local.length && !a->domain.length))
		return true;
	slot = vector_add(&s->recipients);
	if (slot && address_write(&address, &text))
		*slot = arena_slice(&s->arena, buffer_slice(&text));
	buffer_free(&text);
	return slot && slot->data;
}

static bool add_list(struct sendmail *s, struct slice list)
{
	return address_list_parse(list, &s->arena, SENDMAIL_RECIPIENTS, add_address, s);
}

/* A recipient as an argument: one plain address, which must be right as it stands, or a list as in a header. */
static int add_argument(struct sendmail *s, const char *argument)
{
	struct slice rest = slice_from(argument);
	struct address address;
	const char *error;

	if (!strpbrk(argument, "<>,;:(\"") &&
		(!address_parse_path(
			 &rest, ADDRESS_BARE | ADDRESS_UTF8, &s->arena, &address, &error) ||
			rest.length)) {
		cli_complain("sendmail", "bad recipient address syntax: %s", argument);
		return EX_NOUSER;
	}
	if (add_list(s, slice_from(argument)))
		return EX_OK;
	cli_complain("sendmail", "too many recipients");
	return EX_USAGE;
}

/* The headers begin here; mbox's separator line, which some programs send, is none. */
static struct slice header_text(const struct sendmail *s)
{
	struct slice text = buffer_slice(&s->content), rest = text, line;

	if (slice_starts(text, SLICE("From ")) && slice_split(&rest, '\n', &line))
		return rest;
	return text;
}

/* Recipients that the headers name: To, Cc and Bcc, or those of the last sending if it was sent again. */
static bool add_from_headers(struct sendmail *s)
{
	static const struct {
		struct slice name;
		bool resent;
	} names[] = { { SLICE("To"), false }, { SLICE("Cc"), false }, { SLICE("Bcc"), false },
		{ SLICE("Resent-To"), true }, { SLICE("Resent-Cc"), true },
		{ SLICE("Resent-Bcc"), true } };
	bool resent = false, ok = true;

	for (int pass = 0; pass < 2; pass++) {
		struct slice rest = header_text(s);
		struct header_field field;
		bool bad;

		while (ok && header_next(&rest, &field, &bad)) {
			for (size_t i = 0; ok && i < sizeof(names) / sizeof(names[0]); i++) {
				if (!slice_equal_nocase(field.name, names[i].name))
					continue;
				if (pass == 0)
					resent = resent || names[i].resent;
				else if (names[i].resent == resent)
					ok = add_list(s, field.value);
			}
		}
	}
	return ok;
}

static bool keep_first(void *context, const struct header_address *a)
{
	struct header_address *first = context;

	if (!a->group && a->local.data && !first->local.data)
		*first = *a;
	return true;
}

/* -f takes an address in any form; "" and "<>" are the null sender. */
static bool sender_address(struct sendmail *s, struct slice *sender)
{
	struct slice given = slice_trim(slice_from(s->sender));
	struct header_address first = { .local = { 0 } };
	struct address address;
	struct buffer text = { 0 };
	bool ok;

	*sender = slice_of("", 0);
	if (!given.length || slice_equal(given, SLICE("<>")))
		return true;
	if (!address_list_parse(given, &s->arena, SENDMAIL_RECIPIENTS, keep_first, &first) ||
		!first.local.data)
		return false;
	address = (struct address){ .local = first.local, .domain = first.domain };
	ok = address_write(&address, &text);
	if (ok)
		*sender = arena_slice(&s->arena, buffer_slice(&text));
	buffer_free(&text);
	return ok && sender->data;
}

/* The caller's own name; "&" in it stands for the login name (passwd(5)). */
static const char *gecos_name(struct sendmail *s, const struct passwd *user)
{
	struct buffer name = { 0 };
	struct slice text = slice_from(user->pw_gecos), part;
	const char *result;

	if (!slice_split(&text, ',', &part))
		return "";
	for (size_t i = 0; i < part.length; i++) {
		if (part.data[i] != '&') {
			buffer_add_byte(&name, part.data[i]);
		} else {
			buffer_add_byte(&name, ascii_upper(user->pw_name[0]));
			buffer_add_text(&name, user->pw_name[0] ? user->pw_name + 1 : "");
		}
	}
	result = arena_dup(&s->arena, buffer_slice(&name));
	buffer_free(&name);
	return result ? result : "";
}

static bool know_the_caller(struct sendmail *s)
{
	const struct passwd *user = getpwuid(getuid());

	if (!s->sender && !user) {
		cli_complain("sendmail", "uid %u has no name: use -f", (unsigned)getuid());
		return false;
	}
	if (!s->sender)
		s->sender = arena_dup(&s->arena, slice_from(user->pw_name));
	if (!s->full_name)
		s->full_name = getenv("NAME");
	if (!s->full_name)
		s->full_name = user && slice_equal(slice_from(s->sender), slice_from(user->pw_name))
				       ? gecos_name(s, user)
				       : "";
	return s->sender != NULL;
}

/* --- the message --- */

/* Standard input to its end, or to a line with one dot. Line ends become LF. */
static int read_content(struct sendmail *s)
{
	int64_t limit = config_int(s->config, PARAM_message_size_limit);
	char *line = NULL;
	size_t room = 0;
	ssize_t length;

	s->content = buffer_limited(limit ? (size_t)limit + 1 : SENDMAIL_CONTENT);
	while ((length = getline(&line, &room, stdin)) > 0) {
		if (length >= 2 && line[length - 1] == '\n' && line[length - 2] == '\r') {
			line[length - 2] = '\n';
			length--;
		}
		if (!s->keep_dot && line[0] == '.' &&
			(length == 1 || (length == 2 && line[1] == '\n')))
			break;
		if (!buffer_append(&s->content, line, (size_t)length))
			break;
	}
	free(line);
	if (ferror(stdin)) {
		cli_complain("sendmail", "standard input: %s", strerror(errno));
		return EX_DATAERR;
	}
	if (s->content.length && s->content.data[s->content.length - 1] != '\n')
		buffer_add_byte(&s->content, '\n');
	if (s->content.failed || (limit && (int64_t)s->content.length > limit)) {
		cli_complain("sendmail", "message file too big");
		return EX_UNAVAILABLE;
	}
	return EX_OK;
}

static int submit_message(struct sendmail *s)
{
	struct submission_text text = {
		.notify = s->notify, .flags = s->flags, .recipients = &s->recipients
	};
	int status;

	if (!s->recipients.count && !s->from_headers)
		return usage("recipient addresses must be specified on the command line or via the "
			     "-t option");
	if (!know_the_caller(s))
		return EX_OSFILE;
	status = read_content(s);
	if (status != EX_OK)
		return status;
	if (s->from_headers && !add_from_headers(s)) {
		cli_complain("sendmail", "too many recipients");
		return EX_DATAERR;
	}
	if (!s->recipients.count) {
		cli_complain("sendmail", "no recipient addresses found in message header");
		return EX_USAGE;
	}
	if (!sender_address(s, &text.sender)) {
		cli_complain("sendmail", "bad sender address: %s", s->sender);
		return EX_USAGE;
	}
	text.full_name = slice_from(s->full_name);
	text.envid = slice_from(s->envid);
	text.content = buffer_slice(&s->content);
	return submit("sendmail", &s->place, &text);
}

/* The arguments have been looked at already. */
static int verify(struct sendmail *s)
{
	for (size_t i = 0; i < s->recipients.count; i++) {
		struct slice *address = vector_at(&s->recipients, i);

		printf("%.*s... syntax is good\n", SLICE_ARG(*address));
	}
	return s->recipients.count ? EX_OK : EX_USAGE;
}

/* --- -bs --- */

/* What is there at `from`, whole, to `to`. False at the end. */
static bool pass(int from, int to)
{
	char bytes[SENDMAIL_STEP];
	ssize_t length = os_read(from, bytes, sizeof(bytes));

	return length > 0 && os_write_all(to, bytes, (size_t)length);
}

static int speak_smtp(struct sendmail *s)
{
	int fd = submit_connect(&s->place, "smtp", SOCK_STREAM);
	struct pollfd ends[2] = { { .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = fd, .events = POLLIN } };

	if (fd < 0) {
		cli_complain(
			"sendmail", "%s/run/public/smtp: %s", s->place.instance, strerror(errno));
		return EX_UNAVAILABLE;
	}
	while (poll(ends, 2, SENDMAIL_QUIET) > 0) {
		if (ends[1].revents && !pass(fd, STDOUT_FILENO))
			break;
		if (ends[0].revents && !pass(STDIN_FILENO, fd)) {
			/* No more commands, but the answers to those that were sent. */
			shutdown(fd, SHUT_WR);
			ends[0].fd = -1;
		}
	}
	close(fd);
	return EX_OK;
}

/* --- */

static int load_config(struct sendmail *s)
{
	struct config_report report = { .count = 0 };
	struct config_source *source = config_read(cli_folder(s->folder), &report);

	if (source && config_snapshot(source, &s->snapshot, &report))
		s->config = config_open(buffer_slice(&s->snapshot));
	config_source_free(&source);
	if (!s->config) {
		cli_complain("sendmail", "configuration in %s: %s", cli_folder(s->folder),
			report.count ? report.faults[0].text : "cannot be read");
		return EX_CONFIG;
	}
	s->place.instance = config_text(s->config, PARAM_instance_directory);
	s->place.queue = config_text(s->config, PARAM_queue_directory);
	return EX_OK;
}

/* Modes that are commands of their own. */
static int run_command(struct sendmail *s)
{
	static char mailq[] = "mailq", aliases[] = "newaliases", queue[] = "postqueue",
		    flush[] = "-f", site[] = "-s", id[] = "-i";
	char *list_argv[] = { mailq, NULL }, *alias_argv[] = { aliases, NULL };
	char *flush_argv[] = { queue, flush, NULL, NULL };

	if (s->folder && setenv("MAIL_CONFIG", s->folder, 1) < 0)
		return EX_OSERR;
	if (s->mode == MODE_LIST)
		return cli_run(1, list_argv);
	if (s->mode == MODE_ALIASES)
		return cli_run(1, alias_argv);
	if (s->flush[0] == 'R' || s->flush[0] == 'I') {
		flush_argv[1] = s->flush[0] == 'R' ? site : id;
		flush_argv[2] = (char *)s->flush + 1;
		return cli_run(3, flush_argv);
	}
	/* "-q30m" asks for a daemon that runs the queue so often; qmgr does in any case. */
	return s->flush[0] ? EX_OK : cli_run(2, flush_argv);
}

static int run(struct sendmail *s)
{
	int status;

	if (s->mode == MODE_LIST || s->mode == MODE_ALIASES || s->mode == MODE_FLUSH)
		return run_command(s);
	if (s->mode == MODE_VERIFY)
		return verify(s);
	status = load_config(s);
	if (status != EX_OK)
		return status;
	return s->mode == MODE_SMTP ? speak_smtp(s) : submit_message(s);
}

int sendmail_main(int argc, char **argv)
{
	struct sendmail s = { .mode = MODE_SUBMIT };
	const char *wrong;
	int status = EX_OK;

	arena_init(&s.arena, SENDMAIL_MEMORY);
	s.recipients = vector_of(sizeof(struct slice), SENDMAIL_RECIPIENTS);
	wrong = take_options(&s, argc, argv);
	if (wrong)
		return usage(wrong);
	for (int i = optind; status == EX_OK && i < argc; i++)
		status = add_argument(&s, argv[i]);
	if (status == EX_OK)
		status = run(&s);
	config_free(&s.config);
	buffer_free(&s.snapshot);
	buffer_free(&s.content);
	vector_free(&s.recipients);
	arena_free(&s.arena);
	return status;
}
