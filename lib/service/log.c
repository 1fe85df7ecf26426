// SPDX-License-Identifier: ISC
/* Log lines, one write each. See log.h. */
#include "service/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"

enum { LOG_LINE_LIMIT = 4096 };

struct writer {
	const char *name;
	pid_t pid;
};

static struct {
	int fd;
	char name[192];
	char host[256];
	pid_t pid; /* 0: to be asked for */
	bool json, verbose;
	int facility; /* of syslog; -1: the descriptor is a file */
	bool torn; /* the file took a part of the last line only */
	log_send send; /* for syslog; NULL: by the descriptor */
	void *send_context;
	time_t full_until; /* nobody read the socket: it is not waited for */
	unsigned lost; /* lines since then */
	/* The stamp changes once a second: localtime_r and strftime are a good part of a line's cost. */
	time_t second;
	char *kept; /* the last error, for whoever wants to tell it; NULL: nobody */
	size_t kept_size;
	char stamp[40], json_stamp[40];
} log_state = { .fd = STDERR_FILENO, .name = "postern", .facility = -1, .second = -1 };

/* What is not printable would let a peer forge lines or move a terminal's cursor. UTF-8 is left. */
static void make_printable(char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < 0x20 || c == 0x7f)
			text[i] = '?';
	}
}

static void forget_pid(void)
{
	log_state.pid = 0;
}

static pid_t own_pid(void)
{
	static bool watching;

	if (!watching)
		watching = pthread_atfork(NULL, NULL, forget_pid) == 0;
	if (!watching)
		return getpid();
	if (!log_state.pid)
		log_state.pid = getpid();
	return log_state.pid;
}

static void copy_text(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from);
}

void log_open(int fd, const char *name, const char *host, bool json, bool verbose)
{
	log_state.fd = fd < 0 ? STDERR_FILENO : fd;
	copy_text(log_state.name, sizeof(log_state.name), name);
	copy_text(log_state.host, sizeof(log_state.host), host);
	log_state.json = json;
	log_state.verbose = verbose;
	log_state.facility = -1;
	log_state.second = -1;
	tzset(); /* now: the zone's file cannot be read from inside a cell */
}

void log_syslog(int facility, log_send send, void *context)
{
	log_state.facility = facility;
	log_state.send = send;
	log_state.send_context = context;
}

int log_facility_of(const char *name)
{
	enum { MAIL = 2, LOCAL_0 = 16 };
	/* In the order of their numbers (RFC 3164 4.1.1, with the names of syslog.conf). */
	static const char *const NAMES[] = { "kern", "user", "mail", "daemon", "auth", "syslog",
		"lpr", "news", "uucp", "cron", "authpriv" };

	for (size_t i = 0; i < sizeof(NAMES) / sizeof(*NAMES); i++)
		if (strcmp(NAMES[i], name) == 0)
			return (int)i;
	if (strncmp(name, "local", 5) == 0 && name[5] >= '0' && name[5] <= '7' && !name[6])
		return LOCAL_0 + name[5] - '0';
	return MAIL;
}

void log_rename(const char *name)
{
	copy_text(log_state.name, sizeof(log_state.name), name);
	make_printable(log_state.name, strlen(log_state.name));
}

void log_keep_errors(char *text, size_t size)
{
	log_state.kept = text;
	log_state.kept_size = size;
}

int log_descriptor(void)
{
	return log_state.fd;
}

static void take_stamps(time_t now)
{
	struct tm broken;

	if (now == log_state.second)
		return;
	localtime_r(&now, &broken);
	if (strftime(log_state.stamp, sizeof(log_state.stamp), "%b %e %H:%M:%S", &broken) == 0)
		log_state.stamp[0] = '\0';
	if (log_state.json && strftime(log_state.json_stamp, sizeof(log_state.json_stamp),
				      "%Y-%m-%dT%H:%M:%S%z", &broken) == 0)
		log_state.json_stamp[0] = '\0';
	log_state.second = now;
}

static void json_string(struct buffer *out, const char *text, size_t length)
{
	buffer_add_byte(out, '"');
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '"' || text[i] == '\\')
			buffer_add_byte(out, '\\');
		buffer_add_byte(out, text[i]);
	}
	buffer_add_byte(out, '"');
}

/* "4XyZ...: " at the start of a text is a queue id: its length, or 0. */
static size_t queue_id_length(const char *text, size_t length)
{
	size_t n = 0;

	while (n < length && ascii_alnum(text[n]))
		n++;
	return n >= 12 && n + 1 < length && text[n] == ':' && text[n + 1] == ' ' ? n : 0;
}

static void compose_json(struct buffer *line, const struct writer *by, const char *level,
	const char *text, size_t length)
{
	size_t id = queue_id_length(text, length);

	buffer_printf(line,
		"{\"time\":\"%s\",\"host\":\"%s\",\"service\":\"%s\",\"pid\":%d,\"level\":\"%s\",",
		log_state.json_stamp, log_state.host, by->name, (int)by->pid, level);
	if (id) {
		buffer_printf(line, "\"queue_id\":\"%.*s\",", (int)id, text);
		text += id + 2;
		length -= id + 2;
	}
	buffer_add_text(line, "\"message\":");
	json_string(line, text, length);
	buffer_add_byte(line, '}');
}

/* "Nov 22 10:00:00 host postern/smtpd[123]: ", piece by piece: each message has seven lines, and formatting them shows. */
static void add_head(struct buffer *line, const struct writer *by, bool host)
{
	buffer_add_text(line, log_state.stamp);
	buffer_add_byte(line, ' ');
	if (host) {
		buffer_add_text(line, log_state.host);
		buffer_add_byte(line, ' ');
	}
	buffer_add_text(line, by->name);
	buffer_add_byte(line, '[');
	buffer_add_u64(line, (uint64_t)by->pid);
	buffer_add_text(line, "]: ");
}

static void compose(struct buffer *line, const struct writer *by, enum log_level level,
	const char *text, size_t length)
{
	static const char *const NAMES[] = { "debug", "info", "warning", "error" };
	static const char *const PREFIXES[] = { "debug: ", "", "warning: ", "error: " };
	static const int SEVERITIES[] = { 7, 6, 4, 3 };
	bool syslog = log_state.facility >= 0;

	take_stamps(time(NULL));
	if (syslog)
		buffer_printf(line, "<%d>", log_state.facility * 8 + SEVERITIES[level]);
	if (syslog || !log_state.json)
		add_head(line, by, !syslog);
	if (log_state.json) {
		compose_json(line, by, NAMES[level], text, length);
	} else {
		buffer_add_text(line, PREFIXES[level]);
		buffer_append(line, text, length);
	}
	if (!syslog)
		buffer_add_byte(line, '\n');
}

size_t log_compose_syslog(
	char *line, size_t size, const char *program, pid_t pid, char *text, size_t length)
{
	char name[sizeof(log_state.name) + 64];
	const struct writer by = { name, pid };
	struct buffer out = { .data = line, .capacity = size, .limit = size };

	snprintf(name, sizeof(name), "%s/%s", log_state.name, program);
	make_printable(text, length);
	compose(&out, &by, LOG_LEVEL_WARNING, text, length);
	return out.length;
}

/* --- writing --- */

static bool write_packet(struct slice line)
{
	enum { PATIENCE = 10 /* s without waiting once the reader was waited for in vain */ };
	struct iovec part = { (void *)line.data, line.length };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	bool full = log_state.full_until > log_state.second;

	if (log_state.send)
		return log_state.send(log_state.send_context, line);
	if (sendmsg(log_state.fd, &message, MSG_NOSIGNAL | (full ? MSG_DONTWAIT : 0)) >= 0) {
		log_state.full_until = 0;
		return true;
	}
	if (!full)
		log_state.full_until = log_state.second + PATIENCE;
	return false;
}

/* A full disk may take the beginning of a line: it is ended, so that the next one stands by itself. */
static bool write_file(struct slice line)
{
	ssize_t written;

	if (log_state.torn && write(log_state.fd, "\n", 1) != 1)
		return false;
	written = write(log_state.fd, line.data, line.length);
	log_state.torn = written > 0 && (size_t)written < line.length;
	return written == (ssize_t)line.length;
}

static bool write_once(struct slice line)
{
	return log_state.facility < 0 ? write_file(line) : write_packet(line);
}

/* A log that cannot be written must not stop the mail. */
static void write_line(const struct writer *by, struct slice line)
{
	char text[100];
	char space[400];
	struct buffer note = { .data = space, .capacity = sizeof(space), .limit = sizeof(space) };
	int length;

	if (!write_once(line)) {
		log_state.lost++;
	} else if (log_state.lost) {
		length = snprintf(text, sizeof(text), "%u log lines were lost", log_state.lost);
		log_state.lost = 0;
		compose(&note, by, LOG_LEVEL_WARNING, text, (size_t)length);
		(void)!write_once(buffer_slice(&note));
	}
}

static void log_line(
	const struct writer *by, enum log_level level, const char *format, va_list args)
{
	char text[LOG_LINE_LIMIT], space[2 * LOG_LINE_LIMIT + 1024];
	struct buffer line = { .data = space, .capacity = sizeof(space), .limit = sizeof(space) };
	int length = vsnprintf(text, sizeof(text), format, args);

	if (length < 0)
		return;
	if ((size_t)length >= sizeof(text))
		length = (int)sizeof(text) - 1;
	make_printable(text, (size_t)length);
	if (level == LOG_LEVEL_ERROR && log_state.kept)
		copy_text(log_state.kept, log_state.kept_size, text);
	compose(&line, by, level, text, (size_t)length);
	if (line.length)
		write_line(by, buffer_slice(&line));
}

#define LOG_FUNCTION(function, level, condition) \
	void function(const char *format, ...) \
	{ \
		const struct writer by = { log_state.name, own_pid() }; \
		va_list args; \
		if (!(condition)) \
			return; \
		va_start(args, format); \
		log_line(&by, level, format, args); \
		va_end(args); \
	}
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG, log_state.verbose)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO, true)
LOG_FUNCTION(log_warning, LOG_LEVEL_WARNING, true)
LOG_FUNCTION(log_error, LOG_LEVEL_ERROR, true)

void log_info_of(const char *program, unsigned pid, const char *format, ...)
{
	const char *slash = strrchr(log_state.name, '/');
	int suite = slash ? (int)(slash - log_state.name) : (int)strlen(log_state.name);
	char name[sizeof(log_state.name) + 32];
	const struct writer by = { name, (pid_t)pid };
	va_list args;

	if (strchr(program, '/'))
		snprintf(name, sizeof(name), "%s", program);
	else
		snprintf(name, sizeof(name), "%.*s/%s", suite, log_state.name, program);
	va_start(args, format);
	log_line(&by, LOG_LEVEL_INFO, format, args);
	va_end(args);
}
