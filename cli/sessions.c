// SPDX-License-Identifier: ISC
/* postern who, postern kick: sessions of users. See sessions.h. */
#include "cli/sessions.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/vector.h"
#include "cli/instance.h"
#include "cli/json.h"
#include "config/config.h"
#include "directory/accounts.h"
#include "ipc/channel.h"

enum {
	ANSWER_TIMEOUT = 20000, /* ms; longer than master waits */
	ROWS_MAX = 1000000
};

/* --- asking --- */

static int connect_control(const char *root)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int length = snprintf(address.sun_path, sizeof(address.sun_path), "%s/run/control", root);
	int fd = -1, error = ENAMETOOLONG;

	if (length > 0 && (size_t)length < sizeof(address.sun_path)) {
		fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		error = errno;
	}
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		error = errno;
		close(fd);
		fd = -1;
	}
	errno = error;
	return fd;
}

/* One order and all of its answer. */
static bool ask_some(int fd, struct sessions_query *query, struct slice logins)
{
	int64_t deadline = loop_monotonic() + ANSWER_TIMEOUT;
	struct message message = { .type = MESSAGE_SESSIONS_ORDER };
	struct buffer space = { 0 };
	bool done = false, good;

	message.sessions_order.action = query->action;
	message.sessions_order.logins = logins;
	message.sessions_order.app = slice_from(query->app ? query->app : "");
	good = channel_sync_send(fd, &message, deadline);
	while (good && !done && (good = channel_sync_receive(fd, &message, &space, deadline))) {
		if (message.type == MESSAGE_SESSIONS_ROW && query->row)
			query->row(query->context, &message.sessions_row);
		if (message.type == MESSAGE_SESSIONS_DONE) {
			query->count += message.sessions_done.count;
			query->silent += message.sessions_done.silent;
			done = true;
		}
		message_close_fds(&message);
	}
	buffer_free(&space);
	return done;
}

/* As many names as an order holds. */
static struct slice take_some(struct slice *logins)
{
	struct slice rest = *logins, some;
	size_t length = rest.length;

	if (length > MAX_LOGINS) {
		length = MAX_LOGINS;
		while (length && rest.data[length - 1] != '\0')
			length--;
	}
	some = slice_head(rest, length);
	*logins = slice_tail(rest, length);
	return some;
}

bool sessions_ask(struct sessions_query *query, char *error, size_t size)
{
	struct slice logins = query->logins;
	bool good = true;
	int fd;

	query->count = query->silent = 0;
	if (instance_master(query->root) == 0)
		return true;
	fd = connect_control(query->root);
	do
		good = fd >= 0 && ask_some(fd, query, take_some(&logins));
	while (good && logins.length);
	if (!good)
		snprintf(error, size, "%s/run/control: %s", query->root, strerror(errno));
	else if (query->silent)
		snprintf(error, size, "%u processes did not answer: see the log", query->silent);
	if (fd >= 0)
		close(fd);
	return good && !query->silent;
}

bool sessions_add_login(struct buffer *logins, const char *user)
{
	char login[ACCOUNTS_MAX_ADDRESS + 1], error[300];

	if (!strchr(user, '@') || !accounts_check_address(user, false, login, error, sizeof(error)))
		snprintf(login, sizeof(login), "%s", user);
	return strlen(user) <= MAX_LOGIN && buffer_append(logins, login, strlen(login) + 1);
}

/* --- postern who --- */

struct line {
	char login[MAX_LOGIN + 1], app[MAX_APP + 1], service[17], client_address[65], since[32];
	uint32_t pid;
};

/* Names come from processes that speak with the network: nothing in them may steer a terminal. */
static void copy_shown(struct slice from, char *to, size_t size)
{
	size_t length = from.length < size ? from.length : size - 1;

	for (size_t i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)from.data[i];

		to[i] = (char)(byte < ' ' || byte == 127 ? '?' : byte);
	}
	to[length] = '\0';
}

static void keep_row(void *context, const struct message_sessions_row *row)
{
	struct line *line = vector_add(context);
	time_t seconds = (time_t)(row->since / 1000000);
	struct tm tm;

	if (!line)
		return;
	copy_shown(row->login, line->login, sizeof(line->login));
	copy_shown(row->app, line->app, sizeof(line->app));
	copy_shown(row->service, line->service, sizeof(line->service));
	copy_shown(row->client_address, line->client_address, sizeof(line->client_address));
	line->pid = row->pid;
	line->since[0] = '\0';
	if (gmtime_r(&seconds, &tm))
		strftime(line->since, sizeof(line->since), "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static int by_login(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	int order = strcmp(x->login, y->login);

	return order ? order : strcmp(x->since, y->since);
}

static void print_json(const struct line *line)
{
	struct buffer out = { 0 };

	json_add_member(&out, "{", "user", line->login);
	json_add_member(&out, ", ", "service", line->service);
	json_add_member(&out, ", ", "address", line->client_address);
	json_add_member(&out, ", ", "app", line->app);
	json_add_member(&out, ", ", "since", line->since);
	json_add_member(&out, ", ", "state", line->pid ? "awake" : "asleep");
	if (line->pid)
		buffer_printf(&out, ", \"pid\": %u}", (unsigned)line->pid);
	else
		buffer_add_text(&out, ", \"pid\": null}");
	if (buffer_text(&out))
		puts(buffer_text(&out));
	buffer_free(&out);
}

static void print_line(const struct line *line)
{
	char pid[16] = "asleep";

	if (line->pid)
		snprintf(pid, sizeof(pid), "%u", (unsigned)line->pid);
	printf("%-32s %-8s %-21s %-8s %s%s%s%s\n", line->login, line->service, line->since, pid,
		line->client_address, line->app[0] ? " app=<" : "", line->app,
		line->app[0] ? ">" : "");
}

static void print_lines(const struct vector *lines, bool json)
{
	if (!json)
		printf("%-32s %-8s %-21s %-8s %s\n", "user", "service", "since", "process",
			"client");
	for (size_t i = 0; i < lines->count; i++)
		(json ? print_json : print_line)(vector_at(lines, i));
}

/* --- both commands --- */

struct words {
	struct buffer logins;
	unsigned users;
	const char *app;
	bool json;
};

/* False: the usage is wrong, or asked for. */
static bool parse(int argc, char **argv, struct words *words)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			words->json = true;
		} else if (strcmp(argv[i], "--app") == 0 && i + 1 < argc && argv[i + 1][0] &&
			   strlen(argv[i + 1]) <= MAX_APP) {
			words->app = argv[++i];
		} else if (argv[i][0] == '-' || !argv[i][0] ||
			   !sessions_add_login(&words->logins, argv[i])) {
			return false;
		} else {
			words->users++;
		}
	}
	return true;
}

static int ask_master(const char *command, struct sessions_query *query)
{
	char root[PATH_MAX], error[PATH_MAX + 200];

	if (!instance_find(command, root))
		return EX_CONFIG;
	query->root = root;
	if (instance_master(root) == 0) {
		cli_complain(command, "the mail system is not running");
		return 1;
	}
	if (sessions_ask(query, error, sizeof(error)))
		return EX_OK;
	cli_complain(command, "%s", error);
	return EX_TEMPFAIL;
}

static int usage(int argc, char **argv, const char *text)
{
	bool help = argc > 1 && strcmp(argv[1], "--help") == 0;

	fputs(text, help ? stdout : stderr);
	return help ? EX_OK : EX_USAGE;
}

int who_main(int argc, char **argv)
{
	struct words words = { 0 };
	struct vector lines = vector_of(sizeof(struct line), ROWS_MAX);
	int status;

	if (parse(argc, argv, &words)) {
		struct sessions_query query = { .action = SESSIONS_LIST,
			.logins = buffer_slice(&words.logins),
			.app = words.app,
			.row = keep_row,
			.context = &lines };

		status = ask_master("who", &query);
		if (lines.count)
			qsort(lines.items, lines.count, sizeof(struct line), by_login);
		if (status != 1)
			print_lines(&lines, words.json);
	} else {
		status = usage(argc, argv,
			"usage: postern [-c FOLDER] who [USER ...] [--app NAME] [--json]\n"
			"Who is logged in by IMAP, POP3 and SMTP: since when, from where, by which "
			"process;\n"
			"with --app: with the application password of that name.\n");
	}
	vector_free(&lines);
	buffer_free(&words.logins);
	return status;
}

void sessions_print_ended(unsigned count, bool json)
{
	printf(json ? "{\"sessions_ended\": %u}\n" : "%u session%s ended\n", count,
		count == 1 ? "" : "s");
}

/* accounts.db, for a look; NULL when it cannot be read, which is no matter. */
static struct accounts *open_accounts(void)
{
	static struct config_report report;
	struct config_source *source = config_read(cli_folder(NULL), &report);
	struct accounts *accounts = NULL;
	struct buffer data = { 0 };
	char path[PATH_MAX + 64], error[300];

	if (source && config_value(source, "data_directory", &data, error, sizeof(error)) &&
		buffer_text(&data)) {
		snprintf(path, sizeof(path), "%s/directory/accounts.db", buffer_text(&data));
		if (!accounts_open(path, false, &accounts, error, sizeof(error)))
			accounts = NULL;
	}
	buffer_free(&data);
	config_source_free(&source);
	return accounts;
}

/* None of them had a session: are they mistyped? Names that other back ends of authd may know are not. */
static int check_users(const struct words *words)
{
	struct slice logins = buffer_slice(&words->logins), login;
	struct accounts *accounts = open_accounts();
	struct accounts_mailbox mailbox;
	int status = EX_OK;

	while (accounts && slice_split(&logins, '\0', &login)) {
		ptrdiff_t at = slice_find_last(login, '@');

		if (at < 0 || accounts_mailbox(accounts, login, &mailbox) != ACCOUNTS_NOT_FOUND)
			continue;
		cli_complain("kick", "no such mailbox: %.*s", SLICE_ARG(login));
		status = EX_DATAERR;
	}
	accounts_close(&accounts);
	return status;
}

int kick_main(int argc, char **argv)
{
	struct words words = { 0 };
	int status;

	if (parse(argc, argv, &words) && words.users) {
		struct sessions_query query = { .action = SESSIONS_END,
			.logins = buffer_slice(&words.logins),
			.app = words.app };

		status = ask_master("kick", &query);
		if (status != 1)
			sessions_print_ended(query.count, words.json);
		if (status == EX_OK && query.count == 0)
			status = check_users(&words);
	} else {
		status = usage(argc, argv,
			"usage: postern [-c FOLDER] kick USER ... [--app NAME] [--json]\n"
			"End all IMAP, POP3 and SMTP sessions of these users; with --app: those "
			"opened with\n"
			"the application password of that name. They may log in again: "
			"see \"postern user disable --kick\".\n");
	}
	buffer_free(&words.logins);
	return status;
}
