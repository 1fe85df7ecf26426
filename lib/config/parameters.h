// SPDX-License-Identifier: ISC
/*
 * The table of parameters: name, type, default, least, most, help. postconf, the checks and the manual page come from it.
 * Names are Postfix's where the meaning is the same. Sizes take K M G; times take s m h d w (default s unless the help says so).
 */
#ifndef CONFIG_PARAMETERS_H
#define CONFIG_PARAMETERS_H

#include "base/slice.h"

enum parameter_type {
	PARAMETER_TEXT,
	PARAMETER_BOOL,
	PARAMETER_INT,
	PARAMETER_SIZE,
	PARAMETER_TIME,
	PARAMETER_OBSOLETE,
	/* Known, but without effect in this version; parameter_info tells it as `later`. */
	PARAMETER_LATER = 8,
	PARAMETER_LATER_TEXT = PARAMETER_LATER | PARAMETER_TEXT,
	PARAMETER_LATER_BOOL = PARAMETER_LATER | PARAMETER_BOOL,
	PARAMETER_LATER_INT = PARAMETER_LATER | PARAMETER_INT,
	PARAMETER_LATER_SIZE = PARAMETER_LATER | PARAMETER_SIZE,
	PARAMETER_LATER_TIME = PARAMETER_LATER | PARAMETER_TIME
};

#include "config/parameters.def"

#define PARAMETER_ENUM(type, name, value, least, most, help) PARAM_##name,
enum parameter { PARAMETERS(PARAMETER_ENUM) PARAM_COUNT };
#undef PARAMETER_ENUM

struct parameter_info {
	const char *name;
	enum parameter_type type; /* without PARAMETER_LATER */
	bool later;
	const char *value; /* default, as it would stand in main.cf; may hold $name */
	int64_t least, most; /* INT, SIZE (bytes), TIME (seconds); 0 0: no bounds */
	const char *help;
};
const struct parameter_info *parameter_info(enum parameter p);
/* PARAM_COUNT when there is none. */
enum parameter parameter_of(const char *name);

/*
 * TRANSPORT_destination_concurrency_limit and its like: parameters of any service name. The standard one whose type, bounds
 * and value hold (PARAM_default_destination_concurrency_limit); PARAM_COUNT when `name` is none of them.
 */
enum parameter parameter_of_transport(const char *name);
/* Known to Postfix for a transport, without effect here (TRANSPORT_time_limit and so on). */
bool parameter_transport_ignored(const char *name);

/*
 * A value in its number: BOOL 0 or 1, SIZE bytes, TIME milliseconds, INT itself; TEXT and OBSOLETE 0. On failure `error` says
 * what is expected, bounds included.
 */
MUST_CHECK bool parameter_parse(const struct parameter_info *info, struct slice text,
	int64_t *value, char *error, size_t error_size);
/* The known name that is most like `name`; NULL when none is near. */
const char *parameter_nearest(const char *name);

#endif
