// SPDX-License-Identifier: ISC
/* Addresses: what is accepted is written and read again as the same; lists give nothing that was not there, valid ones no routes. */
#include <stdlib.h>

#include "mail/address.h"

static size_t list_bytes;
static unsigned routes;

static bool see(void *context, const struct header_address *a)
{
	list_bytes += a->name.length + a->route.length + a->local.length + a->domain.length;
	if ((a->group != 0) != (a->local.data == NULL))
		abort();
	routes += a->route.data != NULL;
	return true;
}

static void read_path(struct slice text, unsigned flags, struct arena *arena)
{
	struct address a, again;
	struct buffer written = { 0 };
	struct slice rest = text;
	const char *error = NULL;

	if (!address_parse_path(&rest, flags, arena, &a, &error)) {
		if (!error)
			abort();
		return;
	}
	if (rest.length >= text.length || a.local.length + a.domain.length > 1024)
		abort();
	if (a.local.length == 0)
		return;
	buffer_add_byte(&written, '<');
	if (!address_write(&a, &written))
		abort();
	buffer_add_byte(&written, '>');
	rest = buffer_slice(&written);
	if (!address_parse_path(&rest, flags, arena, &again, &error) || rest.length ||
		!slice_equal(a.local, again.local) || !slice_equal(a.domain, again.domain))
		abort();
	buffer_free(&written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	struct slice text = slice_of(data, size);

	if (size == 0)
		return 0;
	arena_init(&arena, 16 << 20);
	read_path(slice_tail(text, 1), data[0] & 7, &arena);
	list_bytes = routes = 0;
	address_list_parse(slice_tail(text, 1), &arena, 100000, see, NULL);
	if (list_bytes > size || (routes && address_list_valid(slice_tail(text, 1))))
		abort();
	arena_free(&arena);
	return 0;
}
