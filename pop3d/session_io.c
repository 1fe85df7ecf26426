// SPDX-License-Identifier: ISC
/* The POP3 session's input and output, and what ends a wait. See session.h. */
#include "pop3d/session.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

static volatile sig_atomic_t
	told_to_end; /* SIGTERM: the suite stops; SIGHUP: this user has to go */

static sigset_t wait_mask; /* while waiting: both let in */

static void on_signal(int signal_number)
{
	told_to_end = signal_number;
}

/* Let in while waiting only, so that none is missed between a look and a wait. */
void pop3_catch_stop(void)
{
	static const int SIGNALS[] = { SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t block;

	sigemptyset(&block);
	for (size_t i = 0; i < sizeof(SIGNALS) / sizeof(SIGNALS[0]); i++)
		sigaddset(&block, SIGNALS[i]);
	sigprocmask(SIG_BLOCK, &block, &wait_mask);
	for (size_t i = 0; i < sizeof(SIGNALS) / sizeof(SIGNALS[0]); i++) {
		sigdelset(&wait_mask, SIGNALS[i]);
		sigaction(SIGNALS[i], &action, NULL);
	}
}

/* Wait for the client; false at the deadline, at its end, or when the suite stops. */
static bool wait_client(struct pop3_session *session, short events)
{
	int64_t deadline = loop_monotonic() + session->timeout;
	struct pollfd fds[2] = { { .fd = session->client, .events = events },
		{ .fd = session->channel, .events = 0 } };

	for (;;) {
		int64_t left = deadline - loop_monotonic();
		struct timespec time = { .tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000 };
		int n = left <= 0 ? 0 : ppoll(fds, 2, &time, &wait_mask);

		if (told_to_end)
			return false;
		if (n < 0 && errno != EINTR)
			return false;
		if (n == 0 && deadline <= loop_monotonic())
			return false;
		if (n > 0 && fds[1].revents)
			return false; /* without its spawner a session is nobody's */
		if (n > 0 && fds[0].revents)
			return true;
	}
}

void pop3_flush(struct pop3_session *session)
{
	size_t done = 0;

	while (!session->gone && done < session->out.length) {
		ssize_t n = send(session->client, session->out.data + done,
			session->out.length - done, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n >= 0)
			done += (size_t)n;
		else if (errno == EAGAIN || errno == EINTR)
			session->gone = errno == EAGAIN && !wait_client(session, POLLOUT);
		else
			session->gone = true;
	}
	if (session->out.failed)
		session->gone = true;
	buffer_clear(&session->out);
}

void pop3_reply(struct pop3_session *session, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	buffer_vprintf(&session->out, format, args);
	va_end(args);
	buffer_add_text(&session->out, "\r\n");
	if (session->out.length >= POP3_OUT_FLUSH)
		pop3_flush(session);
}

/* More input; pending replies go out first (RFC 2449 6.6: a client may send on without waiting). */
static bool fill(struct pop3_session *session)
{
	char *to;
	ssize_t n;

	pop3_flush(session);
	if (session->gone)
		return false;
	to = buffer_reserve(&session->in, POP3_COMMAND_MAX);
	if (!to || !wait_client(session, POLLIN))
		return false;
	n = recv(session->client, to, POP3_COMMAND_MAX, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0) {
		session->gone = true;
		return false;
	}
	session->in.length += (size_t)n;
	return true;
}

bool pop3_line(struct pop3_session *session, struct slice *line)
{
	ptrdiff_t end;

	while ((end = slice_find(buffer_slice(&session->in), '\n')) < 0) {
		if (session->in.length > POP3_COMMAND_MAX) {
			pop3_reply(session, "-ERR Line too long");
			session->refused = true;
			return false;
		}
		if (!fill(session))
			return false;
	}
	*line = slice_head(buffer_slice(&session->in), (size_t)end);
	return true;
}

const char *pop3_stop_reason(void)
{
	return told_to_end == SIGTERM  ? "-ERR [SYS/TEMP] Server is shutting down"
	       : told_to_end == SIGHUP ? "-ERR [AUTH] Disconnected by the administrator"
				       : "-ERR Disconnected for inactivity";
}
