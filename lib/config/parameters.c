// SPDX-License-Identifier: ISC
/*
 * The table of parameters as data, and values as numbers. See parameters.h.
 */
#include <stdio.h>

#include "config/parameters.h"

static const struct parameter_info TABLE[PARAM_COUNT] = {
#define PARAMETER_ROW(kind, name_, value_, least_, most_, help_) \
	{ .name = #name_, \
		.type = (enum parameter_type)(PARAMETER_##kind & ~PARAMETER_LATER), \
		.later = (PARAMETER_##kind & PARAMETER_LATER) != 0, \
		.value = value_, \
		.least = least_, \
		.most = most_, \
		.help = help_ },
	PARAMETERS(PARAMETER_ROW)
#undef PARAMETER_ROW
};

/* What stands behind the transport's name, and the parameter that tells type, bounds and default. */
static const struct {
	const char *suffix;
	enum parameter standard;
} TRANSPORT_SUFFIXES[] = {
	{ "_destination_concurrency_limit", PARAM_default_destination_concurrency_limit },
	{ "_destination_recipient_limit", PARAM_default_destination_recipient_limit },
	{ "_destination_rate_delay", PARAM_default_destination_rate_delay },
};

static const char *const IGNORED_SUFFIXES[] = {
	"_delivery_slot_cost",
	"_delivery_slot_discount",
	"_delivery_slot_loan",
	"_destination_concurrency_failed_cohort_limit",
	"_destination_concurrency_negative_feedback",
	"_destination_concurrency_positive_feedback",
	"_extra_recipient_limit",
	"_initial_destination_concurrency",
	"_minimum_delivery_slots",
	"_recipient_limit",
	"_recipient_refill_delay",
	"_recipient_refill_limit",
	"_time_limit",
	"_transport_rate_delay",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const struct parameter_info *parameter_info(enum parameter p)
{
	return &TABLE[p];
}

enum parameter parameter_of(const char *name)
{
	for (int p = 0; p < PARAM_COUNT; p++)
		if (TABLE[p].name[0] == name[0] && strcmp(TABLE[p].name, name) == 0)
			return (enum parameter)p;
	return PARAM_COUNT;
}

/* Something has to stand before the suffix. */
static bool has_suffix(const char *name, const char *suffix)
{
	size_t length = strlen(name), tail = strlen(suffix);

	return length > tail && strcmp(name + length - tail, suffix) == 0;
}

enum parameter parameter_of_transport(const char *name)
{
	for (size_t i = 0; i < COUNT(TRANSPORT_SUFFIXES); i++)
		if (has_suffix(name, TRANSPORT_SUFFIXES[i].suffix))
			return TRANSPORT_SUFFIXES[i].standard;
	return PARAM_COUNT;
}

bool parameter_transport_ignored(const char *name)
{
	for (size_t i = 0; i < COUNT(IGNORED_SUFFIXES); i++)
		if (has_suffix(name, IGNORED_SUFFIXES[i]))
			return true;
	return false;
}

/* --- values --- */

struct unit {
	char letter;
	int64_t factor;
};
static const struct unit SIZE_UNITS[] = { { 'k', 1ll << 10 }, { 'm', 1ll << 20 },
	{ 'g', 1ll << 30 }, { 't', 1ll << 40 } };
static const struct unit TIME_UNITS[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 },
	{ 'w', 604800 } };

static int64_t unit_factor(const struct unit *units, size_t count, char letter)
{
	for (size_t i = 0; i < count; i++)
		if (units[i].letter == ascii_lower(letter))
			return units[i].factor;
	return 0;
}

/* Digits and at most one unit letter. `factor` is that of a bare number. */
static bool parse_scaled(
	struct slice text, const struct unit *units, size_t count, int64_t factor, int64_t *value)
{
	char last = text.length ? text.data[text.length - 1] : 0;
	uint64_t number;

	if (ascii_alpha(last)) {
		factor = unit_factor(units, count, last);
		if (!factor)
			return false;
		text.length--;
	}
	/* Room for the factor and for a time's thousand. */
	if (!slice_to_u64(text, (uint64_t)(INT64_MAX / 1000 / factor), &number))
		return false;
	*value = (int64_t)number * factor;
	return true;
}

static int64_t default_time_factor(const struct parameter_info *info)
{
	size_t length = strlen(info->value);
	int64_t factor =
		length ? unit_factor(TIME_UNITS, COUNT(TIME_UNITS), info->value[length - 1]) : 0;

	return factor ? factor : 1;
}

static bool parse_bool(struct slice text, int64_t *value)
{
	*value = slice_equal_nocase(text, SLICE("yes"));
	return *value || slice_equal_nocase(text, SLICE("no"));
}

static const char *const EXPECTED[] = {
	[PARAMETER_TEXT] = "a text",
	[PARAMETER_BOOL] = "yes or no",
	[PARAMETER_INT] = "a whole number",
	[PARAMETER_SIZE] = "a number of bytes, with K, M, G or T",
	[PARAMETER_TIME] = "a time, with s, m, h, d or w",
	[PARAMETER_OBSOLETE] = "a text",
};

bool parameter_parse(const struct parameter_info *info, struct slice text, int64_t *value,
	char *error, size_t error_size)
{
	bool good = true;

	*value = 0;
	switch (info->type) {
	case PARAMETER_BOOL:
		good = parse_bool(text, value);
		break;
	case PARAMETER_INT:
		good = slice_to_i64(text, value);
		break;
	case PARAMETER_SIZE:
		good = parse_scaled(text, SIZE_UNITS, COUNT(SIZE_UNITS), 1, value);
		break;
	case PARAMETER_TIME:
		good = parse_scaled(
			text, TIME_UNITS, COUNT(TIME_UNITS), default_time_factor(info), value);
		break;
	default:
		return true;
	}
	if (!good) {
		snprintf(error, error_size, "\"%.*s\" is not %s", SLICE_ARG(slice_head(text, 100)),
			EXPECTED[info->type]);
		return false;
	}
	if ((info->least || info->most) && (*value < info->least || *value > info->most)) {
		snprintf(error, error_size, "\"%.*s\" is not between %lld and %lld%s",
			SLICE_ARG(slice_head(text, 100)), (long long)info->least,
			(long long)info->most, info->type == PARAMETER_TIME ? " seconds" : "");
		return false;
	}
	if (info->type == PARAMETER_TIME)
		*value *= 1000;
	return true;
}

/* --- spelling --- */

enum { NAME_LENGTH_MAX = 64 };

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Levenshtein's distance, for names up to NAME_LENGTH_MAX. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[NAME_LENGTH_MAX + 1];
	size_t width = strlen(b);

	for (unsigned j = 0; j <= width; j++)
		row[j] = j;
	for (unsigned i = 0; a[i]; i++) {
		unsigned diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < width; j++) {
			unsigned above = row[j + 1];

			row[j + 1] = least(least(above, row[j]) + 1, diagonal + (a[i] != b[j]));
			diagonal = above;
		}
	}
	return row[width];
}

const char *parameter_nearest(const char *name)
{
	size_t length = strlen(name);
	unsigned best = (unsigned)(length / 4) + 1;
	const char *found = NULL;

	if (length > NAME_LENGTH_MAX)
		return NULL;
	for (int p = 0; p < PARAM_COUNT; p++) {
		unsigned d;

		if (strlen(TABLE[p].name) > NAME_LENGTH_MAX)
			continue;
		d = distance(name, TABLE[p].name);
		if (d < best || (d == best && !found)) {
			best = d;
			found = TABLE[p].name;
		}
	}
	return found;
}
