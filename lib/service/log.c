// SPDX-License-Identifier: ISC
/* Log lines, one write each. See log.h. */
#include "service/log.h"

#include <stdarg.h>
#include <stdio.h>
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
	bool json, verbose;
	/* The stamp changes once a second: localtime_r and strftime are a good part of a line's cost. */
	time_t second;
	char stamp[40];
} log_state = { .fd = STDERR_FILENO, .name = "postern", .second = -1 };

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
	log_state.second = -1;
	tzset(); /* now: the zone's file cannot be read from inside a cell */
}

void log_rename(const char *name)
{
	copy_text(log_state.name, sizeof(log_state.name), name);
}

int log_descriptor(void)
{
	return log_state.fd;
}

static const char *stamp_of(time_t now)
{
	if (now != log_state.second) {
		struct tm broken;

		localtime_r(&now, &broken);
		if (strftime(log_state.stamp, sizeof(log_state.stamp),
			    log_state.json ? "%Y-%m-%dT%H:%M:%S%z" : "%b %e %H:%M:%S",
			    &broken) == 0)
			log_state.stamp[0] = '\0';
		log_state.second = now;
	}
	return log_state.stamp;
}

/* What is not printable would let a peer forge lines or move a terminal's cursor. UTF-8 is left. */
static void make_printable(char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < 0x20 || c == 0x7f)
			text[i] = '?';
	}
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

static void compose_json(struct buffer *line, const struct writer *by, time_t now,
	const char *level, const char *text, size_t length)
{
	size_t id = queue_id_length(text, length);

	buffer_printf(line,
		"{\"time\":\"%s\",\"host\":\"%s\",\"service\":\"%s\",\"pid\":%d,\"level\":\"%s\",",
		stamp_of(now), log_state.host, by->name, (int)by->pid, level);
	if (id) {
		buffer_printf(line, "\"queue_id\":\"%.*s\",", (int)id, text);
		text += id + 2;
		length -= id + 2;
	}
	buffer_add_text(line, "\"message\":");
	json_string(line, text, length);
	buffer_add_text(line, "}\n");
}

static void compose(struct buffer *line, const struct writer *by, enum log_level level,
	const char *text, size_t length)
{
	static const char *const NAMES[] = { "debug", "info", "warning", "error" };
	static const char *const PREFIXES[] = { "debug: ", "", "warning: ", "error: " };
	time_t now = time(NULL);

	if (log_state.json) {
		compose_json(line, by, now, NAMES[level], text, length);
		return;
	}
	buffer_printf(line, "%s %s %s[%d]: %s", stamp_of(now), log_state.host, by->name,
		(int)by->pid, PREFIXES[level]);
	buffer_append(line, text, length);
	buffer_add_byte(line, '\n');
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
	compose(&line, by, level, text, (size_t)length);
	/* A log that cannot be written must not stop the mail. */
	if (line.length && write(log_state.fd, line.data, line.length) < 0)
		return;
}

#define LOG_FUNCTION(function, level, condition) \
	void function(const char *format, ...) \
	{ \
		const struct writer by = { log_state.name, getpid() }; \
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

	snprintf(name, sizeof(name), "%.*s/%s", suite, log_state.name, program);
	va_start(args, format);
	log_line(&by, LOG_LEVEL_INFO, format, args);
	va_end(args);
}
