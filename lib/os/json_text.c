// SPDX-License-Identifier: ISC
/* Reading JSON. See json_text.h. */
#include "os/json_text.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/secret.h"
#include "os/os.h"

/* The seed of its hash tables is given to it: where there is no /dev/urandom it would take the time. */
static void set_up(void)
{
	size_t seed;

	os_random(&seed, sizeof(seed));
	json_set_alloc_funcs(malloc, secret_free);
	json_object_seed(seed | 1);
}

/* The library's own bound is a constant that is too large for the stacks of threads. */
static bool too_deep(struct slice text)
{
	unsigned depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < text.length; i++) {
		char c = text.data[i];

		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == '[' || c == '{') && ++depth > JSON_TEXT_DEPTH)
			return true;
		else if (!quoted && (c == ']' || c == '}') && depth > 0)
			depth--;
	}
	return false;
}

json_t *json_text_read(struct slice text, size_t flags, char *error, size_t error_size)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	json_error_t fault;
	json_t *value = NULL;
	char *near;

	pthread_once(&once, set_up);
	if (text.length > JSON_TEXT_MOST) {
		snprintf(error, error_size, "too large");
	} else if (too_deep(text)) {
		snprintf(error, error_size, "too deep");
	} else {
		value = json_loadb(text.data ? text.data : "", text.length,
			flags | JSON_REJECT_DUPLICATES, &fault);
		if (!value) {
			/* What follows is a piece of the text. */
			near = strstr(fault.text, " near ");
			snprintf(error, error_size, "%.*s at byte %d",
				near ? (int)(near - fault.text) : (int)strlen(fault.text),
				fault.text, fault.position);
		}
		explicit_bzero(&fault, sizeof(fault));
	}
	return value;
}

struct slice json_text_member(const json_t *object, const char *name)
{
	const json_t *member = json_object_get(object, name);

	return slice_of(json_is_string(member) ? json_string_value(member) : "",
		json_string_length(member));
}

bool json_text_is(const json_t *value, const char *text)
{
	return json_is_string(value) &&
	       slice_equal(slice_of(json_string_value(value), json_string_length(value)),
		       slice_from(text));
}
