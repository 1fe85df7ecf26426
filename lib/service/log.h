// SPDX-License-Identifier: ISC
/*
 * Log lines in Postfix's form, "Nov 21 22:42:44 host postern/smtpd[123]: text", one write(2) a line on an append-only
 * descriptor, or one JSON object a line with log_format = json (time, host, service, pid, level, queue_id if the text starts with
 * one, message). Bytes that are not printable come out as "?", so that a peer cannot forge a line.
 */
#ifndef SERVICE_LOG_H
#define SERVICE_LOG_H

#include "base/slice.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

/* `name` is "postern/smtpd"; strings are copied. fd -1: standard error. */
void log_open(int fd, const char *name, const char *host, bool json, bool verbose);
/* After a fork: another name ("postern/imap(user)") and the new pid. */
void log_rename(const char *name);
/* The descriptor lines go to, for those who close all others. */
int log_descriptor(void);
/* "warning: " and "error: " stand before the text, as Postfix writes them; info has none. Debug only with verbose. */
void log_debug(const char *format, ...) PRINTF_LIKE(1, 2);
void log_info(const char *format, ...) PRINTF_LIKE(1, 2);
void log_warning(const char *format, ...) PRINTF_LIKE(1, 2);
void log_error(const char *format, ...) PRINTF_LIKE(1, 2);
/* An info line in the name of another process of the suite, `program` ("smtpd"), that cannot write it in time itself. */
void log_info_of(const char *program, unsigned pid, const char *format, ...) PRINTF_LIKE(3, 4);

#endif
