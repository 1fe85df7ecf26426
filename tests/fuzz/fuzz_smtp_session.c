// SPDX-License-Identifier: ISC
/*
 * A whole SMTP session: whatever the client sends, replies are lines of SMTP, cleanup sees a protocol without faults (the world
 * ends the process otherwise), and it makes no difference in how many pieces the input comes. The first byte chooses settings.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "service/log.h"
#include "tests/unit/smtp_world.h"

static void check_replies(struct slice out)
{
	struct slice line;

	while (slice_split(&out, '\n', &line)) {
		bool good = line.length >= 5 && line.data[line.length - 1] == '\r' &&
			    line.data[0] >= '2' && line.data[0] <= '5' &&
			    ascii_digit(line.data[1]) && ascii_digit(line.data[2]) &&
			    (line.data[3] == ' ' || line.data[3] == '-');

		for (size_t i = 0; good && i + 1 < line.length; i++)
			good = (unsigned char)line.data[i] >= ' ' && line.data[i] != 127;
		if (!good) {
			fprintf(stderr, "no reply line: %.*s\n", SLICE_ARG(line));
			abort();
		}
	}
}

static void run(struct world *w, unsigned char flags, const uint8_t *data, size_t length,
	size_t step, enum tls_level tls)
{
	world_open(w);
	if (tls != TLS_LEVEL_NONE)
		world_has_tls(w, tls);
	w->tls_fails = flags & 8 ? "no shared cipher" : NULL;
	w->settings.normalize_newlines = flags & 1;
	w->settings.delay_reject = !(flags & 2);
	w->settings.strict_envelopes = flags & 4;
	w->settings.size_limit = flags & 8 ? 200 : 100000;
	w->cleanup_code = flags & 16 ? 451 : 250;
	w->settings.hard_errors = flags & 32 ? 3 : 1000;
	w->settings.restrictions[STAGE_SENDER] =
		"reject_non_fqdn_sender, check_sender_access hash:x";
	w->settings.restrictions[STAGE_HELO] = "warn_if_reject reject_invalid_helo_hostname";
	w->settings.auth.enabled = true;
	w->settings.auth.options = flags & 4 ? "noanonymous, noplaintext" : "noanonymous";
	w->auth_dead = flags & 16;
	w->stalls = flags & 64;
	world_connect(w, flags & 128 ? "127.0.0.1" : "2001:db8::1");
	world_run(w, data, length, step);
	if (w->begun)
		abort();
	check_replies(buffer_slice(&w->out));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	static bool quiet;
	struct world whole, pieces, secure;

	if (length == 0)
		return 0;
	if (!quiet)
		log_open(open("/dev/null", O_WRONLY | O_CLOEXEC), "fuzz", "host", false, false);
	quiet = true;
	run(&whole, data[0], data + 1, length - 1, 0, TLS_LEVEL_NONE);
	run(&pieces, data[0], data + 1, length - 1, 1 + length % 3, TLS_LEVEL_NONE);
	if (!slice_equal(buffer_slice(&whole.out), buffer_slice(&pieces.out)) ||
		whole.delivered != pieces.delivered ||
		strcmp(whole.session.auth.login, pieces.session.auth.login) != 0 ||
		!slice_equal(buffer_slice(&whole.content), buffer_slice(&pieces.content)))
		abort();
	/* What is dropped at STARTTLS depends on the pieces: here it is only to do no harm. */
	run(&secure, data[0], data + 1, length - 1, length % 3,
		data[0] & 1 ? TLS_LEVEL_ENCRYPT : TLS_LEVEL_MAY);
	world_close(&secure);
	world_close(&whole);
	world_close(&pieces);
	return 0;
}
