// SPDX-License-Identifier: ISC
/* Headers: reading them whole and reading them in pieces agree; decoding gives UTF-8; dates and names survive a round trip. */
#include <stdlib.h>

#include "mail/crlf.h"
#include "mail/date.h"
#include "mail/header.h"
#include "mail/utf7.h"
#include "mail/utf8.h"

struct pieces {
	struct slice rest; /* of the whole text */
};

static void see(void *context, struct slice whole)
{
	struct pieces *pieces = context;
	struct header_field field;
	bool bad;

	if (!header_next(&pieces->rest, &field, &bad) || !slice_equal(field.whole, whole))
		abort();
}

static void read_in_pieces(struct slice text, size_t size)
{
	struct pieces pieces = { text };
	struct header_stream stream = { .field = see, .context = &pieces };
	size_t total = 0;

	for (size_t at = 0; at < text.length && !stream.done; at += size)
		total += header_stream_feed(&stream, slice_head(slice_tail(text, at), size));
	header_stream_end(&stream);
	if (total - stream.excess != header_length(text))
		abort();
	header_stream_free(&stream);
}

static void read_value(struct slice value)
{
	struct buffer out = { 0 }, again = { 0 };
	int64_t seconds, back;
	int zone;

	if (!header_decode(value, &out) || !utf8_valid(buffer_slice(&out)))
		abort();
	buffer_clear(&out);
	if (!header_unfold(value, &out) || slice_find(buffer_slice(&out), '\n') >= 0)
		abort();
	buffer_clear(&out);
	if (date_parse(value, &seconds, &zone) && date_write_imap(seconds, zone, &out) &&
		seconds > 0 &&
		(!date_parse_imap(buffer_slice(&out), &back, &zone) || back != seconds))
		abort();
	buffer_clear(&out);
	if (utf7_decode(value, &out) && (!utf7_encode(buffer_slice(&out), &again) ||
						!slice_equal(buffer_slice(&again), value)))
		abort();
	buffer_free(&out);
	buffer_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text, rest;
	struct header_field field;
	struct crlf_state counted = { 0 };
	struct buffer wide = { 0 };
	bool bad;

	if (size == 0)
		return 0;
	text = slice_of(data + 1, size - 1);
	read_in_pieces(text, data[0] % 32 + 1u);
	rest = text;
	while (header_next(&rest, &field, &bad))
		read_value(field.value);
	rest = text;
	while (header_next_lax(&rest, &field))
		;
	read_value(text);
	header_find(text, "Subject", &field);
	crlf_count_next(&counted, text);
	if (!crlf_expand(text, &wide) || wide.length != crlf_state_size(&counted))
		abort();
	buffer_free(&wide);
	return 0;
}
