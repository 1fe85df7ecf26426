// SPDX-License-Identifier: ISC
/*
 * Any bytes as a message through cleanup's header filter: what comes out does not depend on how the text was cut into packets,
 * and the second passage changes nothing any more.
 */
#include <stdlib.h>

#include "cleanup/headers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool gather(void *context, struct slice text)
{
	return buffer_add(context, text);
}

static enum headers_status pass(struct slice text, size_t step, bool complete, struct buffer *out)
{
	struct headers_facts facts = { .id = "1HABCDEFGHJKMNPQ",
		.host = "mx.example.test",
		.origin = "origin.test",
		.sender = slice_head(text, 60),
		.full_name = slice_tail(text, text.length > 60 ? text.length - 60 : 0),
		.arrival = 1700000000000000,
		.size_limit = 300,
		.hop_limit = 10,
		.complete = complete };
	struct headers h = { 0 };
	enum headers_status status;

	headers_begin(&h, &facts, gather, out);
	for (size_t at = 0; at < text.length; at += step)
		headers_feed(&h, slice_head(slice_tail(text, at), step));
	status = headers_end(&h);
	headers_free(&h);
	return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer whole = { 0 }, parts = { 0 }, again = { 0 };
	struct slice text;
	size_t step;
	bool complete;

	if (size < 2)
		return 0;
	complete = data[0] & 1;
	step = (size_t)(data[0] >> 1) + 1;
	text = slice_of(data + 1, size - 1);
	/* The first five bytes decide about mbox's separator and come in one packet. */
	if (step < 64)
		step += 64;
	if (pass(text, text.length, complete, &whole) != pass(text, step, complete, &parts) ||
		!slice_equal(buffer_slice(&whole), buffer_slice(&parts)))
		abort();
	if (!complete && pass(buffer_slice(&whole), 100000, false, &again) == HEADERS_GOOD &&
		!slice_equal(buffer_slice(&whole), buffer_slice(&again)))
		abort();
	buffer_free(&whole);
	buffer_free(&parts);
	buffer_free(&again);
	return 0;
}
