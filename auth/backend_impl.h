// SPDX-License-Identifier: ISC
/* Inside of backend.h: what a kind of back end supplies. */
#ifndef AUTH_BACKEND_IMPL_H
#define AUTH_BACKEND_IMPL_H

#include "auth/backend.h"

struct backend_opening {
	const struct backends_settings *settings;
	const char *name; /* the word of the list */
	const char *argument; /* what stands behind "kind:", or "" */
	char *error;
	size_t error_size;
};

struct backend_type {
	const char *name;
	struct backend *(*open)(const struct backend_opening *opening);
	void (*close)(struct backend *backend);
	/* NULL: it only verifies. */
	enum credentials_status (*read)(
		struct backend *backend, struct slice login, char stored[SCHEME_MAX_STORED]);
	/* NULL: what `read` gives is compared. */
	enum credentials_status (*verify)(struct backend *backend,
		const struct credentials_question *question, char app[CREDENTIALS_MAX_APP + 1]);
	/* The password was good; NULL: nothing is to be done. */
	void (*good)(struct backend *backend, const struct credentials_question *question);
	/* NULL: it cannot be listed. */
	bool (*each)(struct backend *backend, void (*each)(void *context, struct slice stored),
		void *context);
	/* NULL: never. */
	bool (*changed)(const struct backend *backend);
};

/* First member of each kind's struct. */
struct backend {
	const struct backend_type *type;
	const char *name;
};

extern const struct backend_type BACKEND_CREDENTIALS, BACKEND_PASSWD_FILE, BACKEND_SASLAUTHD,
	BACKEND_TABLE;

/* The login without the default realm, when it has that; false otherwise. */
static inline bool backend_short_name(
	const struct backends_settings *settings, struct slice login, struct slice *name)
{
	ptrdiff_t at = slice_find_last(login, '@');

	if (at <= 0 ||
		!slice_equal_nocase(slice_tail(login, (size_t)at + 1), slice_from(settings->realm)))
		return false;
	*name = slice_head(login, (size_t)at);
	return true;
}

#endif
