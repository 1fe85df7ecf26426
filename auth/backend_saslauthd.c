// SPDX-License-Identifier: ISC
/*
 * saslauthd as a back end, and with it PAM, shadow, LDAP and what else it is set to. Its protocol: login, password, service and realm,
 * each behind a length of two bytes; the answer, likewise, begins with OK or NO. One question a connection. See backend.h.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auth/backend_impl.h"
#include "base/buffer.h"
#include "base/loop.h"

enum { ANSWER_TIMEOUT = 30000 /* ms; PAM delays its no */, ANSWER_MOST = 1024 };

struct asker {
	struct backend backend;
	const struct backends_settings *settings;
};

static struct backend *open_asker(const struct backend_opening *opening)
{
	struct asker *asker = opening->settings->saslauthd ? calloc(1, sizeof(*asker)) : NULL;

	if (!asker) {
		snprintf(opening->error, opening->error_size, "saslauthd: no way to it");
		return NULL;
	}
	asker->settings = opening->settings;
	return &asker->backend;
}

static void close_asker(struct backend *backend)
{
	free(backend);
}

static bool add_counted(struct buffer *question, struct slice text)
{
	return text.length <= UINT16_MAX && buffer_add_byte(question, (char)(text.length >> 8)) &&
	       buffer_add_byte(question, (char)(text.length & 0xff)) && buffer_add(question, text);
}

/* Wait until the socket is ready for `events`; false when the time is over. */
static bool wait_for(int fd, short events, int64_t until)
{
	struct pollfd ready = { .fd = fd, .events = events };
	int64_t left = until - loop_monotonic();
	int result;

	do
		result = poll(&ready, 1, left > 0 ? (int)left : 0);
	while (result < 0 && errno == EINTR);
	return result > 0;
}

static bool send_all(int fd, struct slice data, int64_t until)
{
	while (data.length) {
		ssize_t sent = wait_for(fd, POLLOUT, until)
				       ? send(fd, data.data, data.length, MSG_NOSIGNAL)
				       : -1;

		if (sent < 0 && errno != EINTR && errno != EAGAIN)
			return false;
		if (sent < 0 && loop_monotonic() >= until)
			return false;
		data = slice_tail(data, sent > 0 ? (size_t)sent : 0);
	}
	return true;
}

/* The answer's text; false when it did not come whole. */
static bool receive_answer(int fd, char answer[ANSWER_MOST], size_t *length, int64_t until)
{
	size_t have = 0, want = 2;

	while (have < want) {
		ssize_t got =
			wait_for(fd, POLLIN, until) ? recv(fd, answer + have, want - have, 0) : -1;

		if (got < 0 && (errno == EINTR || errno == EAGAIN) && loop_monotonic() < until)
			continue;
		if (got <= 0)
			return false;
		have += (size_t)got;
		if (have == 2 && want == 2) {
			want += (size_t)(unsigned char)answer[0] << 8 | (unsigned char)answer[1];
			if (want > ANSWER_MOST)
				return false;
		}
	}
	*length = have - 2;
	memmove(answer, answer + 2, *length);
	return true;
}

static enum credentials_status ask(int fd, struct slice question)
{
	int64_t until = loop_monotonic() + ANSWER_TIMEOUT;
	char answer[ANSWER_MOST];
	size_t length;

	if (!send_all(fd, question, until) || !receive_answer(fd, answer, &length, until))
		return CREDENTIALS_ERROR;
	if (slice_starts(slice_of(answer, length), SLICE("OK")))
		return CREDENTIALS_GOOD;
	return slice_starts(slice_of(answer, length), SLICE("NO")) ? CREDENTIALS_UNKNOWN
								   : CREDENTIALS_ERROR;
}

static enum credentials_status verify_asker(struct backend *backend,
	const struct credentials_question *question, char app[CREDENTIALS_MAX_APP + 1])
{
	struct asker *asker = (struct asker *)backend;
	enum credentials_status status = CREDENTIALS_ERROR;
	struct slice user = question->login, realm = slice_of("", 0);
	struct buffer text = buffer_secret(4096);
	int fd;

	/* System users have no domain: what is of the default realm is asked for without it. */
	if (!backend_short_name(asker->settings, question->login, &user))
		user = question->login;
	if (slice_find(question->password, '\0') >= 0 || question->password.length == 0)
		return CREDENTIALS_UNKNOWN;
	fd = asker->settings->saslauthd(asker->settings->context);
	if (fd >= 0 && add_counted(&text, user) && add_counted(&text, question->password) &&
		add_counted(&text, question->service) && add_counted(&text, realm))
		status = ask(fd, buffer_slice(&text));
	if (fd >= 0)
		close(fd);
	buffer_free(&text);
	return status;
}

const struct backend_type BACKEND_SASLAUTHD = {
	.name = "saslauthd", .open = open_asker, .close = close_asker, .verify = verify_asker
};
