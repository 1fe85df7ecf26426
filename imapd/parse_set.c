// SPDX-License-Identifier: ISC
/* Sequence sets (RFC 3501 section 9, "sequence-set"): reading, resolving "*", membership. See parse.h. */
#include "imapd/parse.h"

#include <stdlib.h>

static bool parse_set_number(struct parser *p, uint32_t *number)
{
	uint64_t n;

	if (parse_next_is(p, '*')) {
		p->rest = slice_tail(p->rest, 1);
		*number = SET_STAR;
		return true;
	}
	if (!parse_number(p, UINT32_MAX, &n))
		return false;
	*number = (uint32_t)n;
	return n != 0 || parse_fail(p, "Zero in a sequence set");
}

bool parse_set(struct parser *p, struct sequence_set *set)
{
	unsigned commas = 0;

	for (size_t i = 0; i < p->rest.length && p->rest.data[i] != ' ' && p->rest.data[i] != ')';
		i++)
		commas += p->rest.data[i] == ',';
	*set = (struct sequence_set){
		.ranges = arena_array(p->arena, commas + 1, sizeof(struct set_range)),
	};
	if (!set->ranges)
		return parse_fail(p, "Command is too large");
	do {
		struct set_range *range = &set->ranges[set->count];

		if (set->count && !parse_byte(p, ','))
			return false;
		if (!parse_set_number(p, &range->low))
			return false;
		range->high = range->low;
		if (parse_next_is(p, ':')) {
			p->rest = slice_tail(p->rest, 1);
			if (!parse_set_number(p, &range->high))
				return false;
		}
		set->count++;
	} while (parse_next_is(p, ',') && set->count <= commas);
	return true;
}

static int range_order(const void *a, const void *b)
{
	const struct set_range *x = a, *y = b;

	return x->low < y->low ? -1 : x->low > y->low;
}

bool set_resolve(const struct sequence_set *set, uint32_t max, struct arena *arena,
	struct sequence_set *resolved)
{
	struct set_range *ranges = arena_array(arena, set->count ? set->count : 1, sizeof(*ranges));
	unsigned count = 0;

	if (!ranges)
		return false;
	for (unsigned i = 0; i < set->count; i++) {
		uint32_t low = set->ranges[i].low == SET_STAR ? max : set->ranges[i].low;
		uint32_t high = set->ranges[i].high == SET_STAR ? max : set->ranges[i].high;

		ranges[i] = low <= high ? (struct set_range){ low, high }
					: (struct set_range){ high, low };
	}
	qsort(ranges, set->count, sizeof(*ranges), range_order);
	for (unsigned i = 0; i < set->count; i++) {
		if (count && ranges[i].low <= ranges[count - 1].high) {
			if (ranges[i].high > ranges[count - 1].high)
				ranges[count - 1].high = ranges[i].high;
		} else {
			ranges[count++] = ranges[i];
		}
	}
	*resolved = (struct sequence_set){ .ranges = ranges, .count = count };
	return true;
}

bool set_holds(const struct sequence_set *resolved, uint32_t number)
{
	unsigned low = 0, high = resolved->count;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (resolved->ranges[middle].high < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < resolved->count && resolved->ranges[low].low <= number;
}
