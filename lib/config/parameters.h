// SPDX-License-Identifier: ISC
/*
 * The table of parameters: name, type, default, least, most, help. postconf, the checks and the manual page come from it.
 * Names are Postfix's where the meaning is the same. Sizes take K M G; times take s m h d w (default s unless the help says so).
 */
#ifndef CONFIG_PARAMETERS_H
#define CONFIG_PARAMETERS_H

#include <stddef.h>
#include <stdint.h>

enum parameter_type { PARAMETER_TEXT, PARAMETER_BOOL, PARAMETER_INT, PARAMETER_SIZE, PARAMETER_TIME, PARAMETER_OBSOLETE };

#include "config/parameters.def"

#define PARAMETER_ENUM(type, name, value, least, most, help) PARAM_##name,
enum parameter { PARAMETERS(PARAMETER_ENUM) PARAM_COUNT };
#undef PARAMETER_ENUM

struct parameter_info {
	const char *name;
	enum parameter_type type;
	const char *value; /* default, as it would stand in main.cf; may hold $name */
	int64_t least, most; /* INT, SIZE (bytes), TIME (seconds); 0 0: no bounds */
	const char *help;
};
const struct parameter_info *parameter_info(enum parameter p);
/* PARAM_COUNT when there is none. */
enum parameter parameter_of(const char *name);

#endif
