// SPDX-License-Identifier: ISC
/*
 * Log lines in Postfix's form, "Nov 21 22:42:44 host postern/smtpd[123]: text", one write(2) a line on an append-only
 * descriptor (what a full disk does not take is counted, and told when there is room again), or one JSON object a line with log_format = json (time, host, service, pid, level, queue_id if the text starts with
 * one, message). Bytes that are not printable come out as "?", so that a peer cannot forge a line.
 *
 * For the system's logger a line is a datagram in RFC 3164's form as local loggers take it (4.1.1 and 4.1.3, without the host):
 * "<22>Nov 21 22:42:44 postern/smtpd[123]: text".
 */
#ifndef SERVICE_LOG_H
#define SERVICE_LOG_H

#include <sys/types.h>

#include "base/slice.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

/* `name` is "postern/smtpd"; strings are copied. fd -1: standard error. */
void log_open(int fd, const char *name, const char *host, bool json, bool verbose);
/*
 * Lines in syslog's form from now on, until the next log_open. They are sent by `send`, or, when that is NULL, on the
 * descriptor, a socket that keeps packets apart and has a send timeout: while nobody reads it lines are dropped, and counted.
 */
typedef bool (*log_send)(void *context, struct slice line);
void log_syslog(int facility, log_send send, void *context);
/* "mail" is 2, and so on (RFC 3164 4.1.1); 2 for a name that is none. */
int log_facility_of(const char *name);
/* A warning in syslog's form for text that somebody else wrote, which is made printable; `program` without the suite's name. Its length. */
size_t log_compose_syslog(
	char *line, size_t size, const char *program, pid_t pid, char *text, size_t length);
/* After a fork: another name ("postern/imap(user)") and the new pid. */
void log_rename(const char *name);
/* The text of each error line is kept in `text`, too, the last one in place of those before; NULL: no more. Until then it stays the
 * log's. For the time of a start. */
void log_keep_errors(char *text, size_t size);
/* The descriptor lines go to, for those who close all others. */
int log_descriptor(void);
/* "warning: " and "error: " stand before the text, as Postfix writes them; info has none. Debug only with verbose. */
void log_debug(const char *format, ...) PRINTF_LIKE(1, 2);
void log_info(const char *format, ...) PRINTF_LIKE(1, 2);
void log_warning(const char *format, ...) PRINTF_LIKE(1, 2);
void log_error(const char *format, ...) PRINTF_LIKE(1, 2);
/* An info line in the name of another process of the suite, `program` ("smtpd", or a whole name with a slash), that cannot write
 * it in time itself. */
void log_info_of(const char *program, unsigned pid, const char *format, ...) PRINTF_LIKE(3, 4);

#endif
