// SPDX-License-Identifier: ISC
/* Lists of restrictions looked at, not run. See restriction_names.h. */
#include "smtpd/restriction_names.h"

#include <stdio.h>

#include "config/config.h"

static const struct {
	const char *name;
	enum restriction_argument argument;
} NAMES[] = {
#define NAME_ROW(name, argument, run, subject) { #name, argument },
	RESTRICTIONS(NAME_ROW)
#undef NAME_ROW
};
enum { NAMES_COUNT = sizeof(NAMES) / sizeof(NAMES[0]) };

/* Known to administrators of other systems, but it asks the DNS or a policy service. */
static const char *const NOT_HERE[] = { "reject_unknown_", "reject_rbl_", "reject_rhsbl_",
	"permit_dnswl_", "permit_rhswl_", "check_policy_service", "reject_unverified_",
	"permit_mx_backup" };

/* The next item, separated by comma and white space; "inline:{ a = b, c = d }" and "{ sleep 1 }" are one. */
bool restriction_next(struct slice *rest, struct slice *item)
{
	size_t depth = 0, i;

	while (rest->length && strchr(", \t\r\n", rest->data[0]) && rest->data[0])
		*rest = slice_tail(*rest, 1);
	for (i = 0; i < rest->length; i++) {
		char c = rest->data[i];

		depth += c == '{';
		depth -= c == '}' && depth;
		if (!depth && (c == ',' || c == ' ' || c == '\t' || c == '\r' || c == '\n'))
			break;
	}
	*item = slice_head(*rest, i);
	*rest = slice_tail(*rest, i);
	return item->length > 0;
}

bool restriction_in(const char *list, struct slice name)
{
	struct slice rest = slice_from(list), word;

	while (slice_word(&rest, ", \t\r\n", &word)) {
		if (slice_equal(word, name))
			return true;
	}
	return false;
}

static size_t name_index(struct slice name)
{
	size_t i = 0;

	while (i < NAMES_COUNT && !slice_equal_nocase(name, slice_from(NAMES[i].name)))
		i++;
	return i;
}

static bool unknown(struct slice name, char *error, size_t error_size)
{
	const char *why = "unknown restriction";

	for (size_t i = 0; i < sizeof(NOT_HERE) / sizeof(NOT_HERE[0]); i++) {
		if (slice_starts_nocase(name, slice_from(NOT_HERE[i])))
			why = "restriction that this version does not have";
	}
	snprintf(error, error_size, "%s \"%.*s\"", why, SLICE_ARG(slice_head(name, 100)));
	return false;
}

static bool argument_fits(enum restriction_argument wanted, struct slice argument)
{
	uint64_t number;

	return wanted == ARGUMENT_TABLE ? slice_find(argument, ':') > 0
					: slice_to_u64(argument, RESTRICTION_SLEEP_MOST, &number);
}

bool restrictions_check(const char *list, const char *classes, char *error, size_t error_size)
{
	struct slice rest = slice_from(list), item, argument;

	while (restriction_next(&rest, &item)) {
		size_t i = name_index(item);

		if (i == NAMES_COUNT && !restriction_in(classes, item))
			return unknown(item, error, error_size);
		if (i == NAMES_COUNT || NAMES[i].argument == ARGUMENT_NONE)
			continue;
		if (!restriction_next(&rest, &argument)) {
			snprintf(error, error_size, "%s needs an argument", NAMES[i].name);
			return false;
		}
		if (!argument_fits(NAMES[i].argument, argument)) {
			snprintf(error, error_size, "%s: bad argument \"%.*s\"", NAMES[i].name,
				SLICE_ARG(slice_head(argument, 100)));
			return false;
		}
	}
	return true;
}

/* A configuration that stops nobody would make this an open relay. */
bool restrictions_closed(const char *relay, const char *recipient)
{
	static const char *const STOPS[] = { "reject_unauth_destination",
		"defer_unauth_destination", "reject", "defer" };
	const char *const lists[] = { relay, recipient };

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct slice rest = slice_from(lists[i]), item;
		bool warned = false;

		while (restriction_next(&rest, &item)) {
			for (size_t j = 0; j < sizeof(STOPS) / sizeof(STOPS[0]) && !warned; j++) {
				if (slice_equal_nocase(item, slice_from(STOPS[j])))
					return true;
			}
			warned = slice_equal_nocase(item, SLICE("warn_if_reject"));
		}
	}
	return false;
}

static bool check_classes(const struct config *config, const char *classes,
	void (*fault)(void *context, const char *parameter, const char *text), void *context)
{
	struct slice rest = slice_from(classes), class;
	char name[128], error[300];
	bool good = true;

	while (restriction_next(&rest, &class)) {
		const char *value = slice_to_string(class, name, sizeof(name))
					    ? config_lookup(config, name)
					    : NULL;

		if (!value)
			snprintf(error, sizeof(error), "restriction class \"%.*s\" is not set",
				SLICE_ARG(slice_head(class, 100)));
		if (value && restrictions_check(value, classes, error, sizeof(error)))
			continue;
		fault(context, value ? name : "smtpd_restriction_classes", error);
		good = false;
	}
	return good;
}

bool restrictions_check_config(const struct config *config,
	void (*fault)(void *context, const char *parameter, const char *text), void *context)
{
	static const enum parameter LISTS[] = { PARAM_smtpd_client_restrictions,
		PARAM_smtpd_helo_restrictions, PARAM_smtpd_sender_restrictions,
		PARAM_smtpd_relay_restrictions, PARAM_smtpd_recipient_restrictions,
		PARAM_smtpd_data_restrictions, PARAM_smtpd_end_of_data_restrictions };
	const char *classes = config_text(config, PARAM_smtpd_restriction_classes);
	bool good = check_classes(config, classes, fault, context);
	char error[300];

	for (size_t i = 0; i < sizeof(LISTS) / sizeof(LISTS[0]); i++) {
		if (restrictions_check(
			    config_text(config, LISTS[i]), classes, error, sizeof(error)))
			continue;
		fault(context, parameter_info(LISTS[i])->name, error);
		good = false;
	}
	if (!restrictions_closed(config_text(config, PARAM_smtpd_relay_restrictions),
		    config_text(config, PARAM_smtpd_recipient_restrictions))) {
		fault(context, "smtpd_relay_restrictions",
			"neither this nor smtpd_recipient_restrictions has "
			"reject_unauth_destination, "
			"defer_unauth_destination, reject or defer: an open relay");
		good = false;
	}
	return good;
}
