// SPDX-License-Identifier: ISC
/*
 * BDAT: the same content in one chunk and in many is the same message, or is refused in both forms; and in either case the
 * session knows where the content ended. Input: settings, number of cuts, the cuts, the content.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "service/log.h"
#include "tests/unit/smtp_world.h"

static void open_session(struct world *w, bool normalize)
{
	world_open(w);
	w->settings.normalize_newlines = normalize;
	world_connect(w, "192.0.2.1");
	world_say(w, "EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<one@example.test>\r\n");
}

static void chunk(struct buffer *input, struct slice bytes, bool last)
{
	buffer_printf(input, "BDAT %zu%s\r\n", bytes.length, last ? " LAST" : "");
	buffer_add(input, bytes);
}

static void finish(struct world *w, struct buffer *input)
{
	world_send(w, input->data, input->length);
	if (session_state(&w->session) != STATE_HELO)
		abort();
	world_say(w, "NOOP\r\n");
	if (world_code(w) != 250 || w->session.closing)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	static bool quiet;
	struct world one, many;
	struct buffer input = { 0 };
	struct slice content;
	size_t cuts;

	if (length < 2)
		return 0;
	if (!quiet)
		log_open(open("/dev/null", O_WRONLY | O_CLOEXEC), "fuzz", "host", false, false);
	quiet = true;
	cuts = data[1] % 16;
	if (length < 2 + cuts)
		return 0;
	content = slice_of((const char *)data + 2 + cuts, length - 2 - cuts);
	open_session(&one, data[0] & 1);
	chunk(&input, content, true);
	finish(&one, &input);

	buffer_clear(&input);
	open_session(&many, data[0] & 1);
	many.step = data[0] & 2 ? 3 : 0;
	for (size_t i = 0; i < cuts; i++) {
		struct slice part = slice_head(content, data[2 + i]);

		chunk(&input, part, false);
		content = slice_tail(content, part.length);
	}
	chunk(&input, content, true);
	finish(&many, &input);
	if (one.delivered != many.delivered ||
		(one.delivered &&
			!slice_equal(buffer_slice(&one.content), buffer_slice(&many.content))))
		abort();
	world_close(&one);
	world_close(&many);
	buffer_free(&input);
	return 0;
}
