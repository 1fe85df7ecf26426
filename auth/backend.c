// SPDX-License-Identifier: ISC
/* The list of back ends. See backend.h. */
#include "auth/backend.h"

#include <stdio.h>
#include <stdlib.h>

#include "auth/backend_impl.h"
#include "base/loop.h"
#include "os/os.h"
#include "service/log.h"

struct backends {
	struct backends_settings settings;
	struct schemes *schemes;
	struct credentials *doors; /* which logins are closed; NULL: none are */
	unsigned count;
	struct backend *backend[BACKENDS_MOST];
	char *name[BACKENDS_MOST];
};

static const struct backend_type *const TYPES[] = { &BACKEND_CREDENTIALS, &BACKEND_PASSWD_FILE,
	&BACKEND_SASLAUTHD };

/* What is none of them is a table. */
static const struct backend_type *type_of(struct slice kind)
{
	for (size_t i = 0; i < sizeof(TYPES) / sizeof(TYPES[0]); i++)
		if (slice_equal(kind, slice_from(TYPES[i]->name)))
			return TYPES[i];
	return &BACKEND_TABLE;
}

static bool open_one(struct backends *backends, struct slice word, char *error, size_t error_size)
{
	ptrdiff_t colon = slice_find(word, ':');
	const struct backend_type *type =
		type_of(colon < 0 ? word : slice_head(word, (size_t)colon));
	struct backend_opening opening = {
		.settings = &backends->settings, .error = error, .error_size = error_size
	};
	char *name = slice_dup(word);

	if (!name || backends->count == BACKENDS_MOST) {
		snprintf(error, error_size, "auth_backends: no memory, or more than %d",
			BACKENDS_MOST);
		free(name);
		return false;
	}
	opening.name = name;
	opening.argument = colon < 0 ? "" : name + colon + 1;
	backends->name[backends->count] = name;
	backends->backend[backends->count] = type->open(&opening);
	if (!backends->backend[backends->count]) {
		free(name);
		return false;
	}
	backends->backend[backends->count]->type = type;
	backends->backend[backends->count]->name = name;
	backends->count++;
	return true;
}

static bool open_doors(struct backends *backends, char *error, size_t error_size)
{
	const struct backends_settings *settings = &backends->settings;

	if (!settings->file)
		return !settings->credentials || credentials_open(settings->credentials, true,
							 &backends->doors, error, error_size);
	backends->doors = credentials_file_connect(settings->file);
	if (!backends->doors)
		snprintf(error, error_size, "no memory");
	return backends->doors != NULL;
}

/* credentials.db knows who is disabled or deleted, whoever has the password. CREDENTIALS_BAD: he; _ERROR: not known now. */
static enum credentials_status door(struct backends *backends, struct slice login)
{
	char stored[CREDENTIALS_MAX_HASH];
	enum credentials_status status = CREDENTIALS_UNKNOWN;

	if (backends->doors)
		status = credentials_read(backends->doors, login, stored);
	explicit_bzero(stored, sizeof(stored));
	return status;
}

struct backends *backends_open(
	const struct backends_settings *settings, char *error, size_t error_size)
{
	struct backends *backends = calloc(1, sizeof(*backends));
	struct slice rest = slice_from(settings->list), word;

	if (!backends || !(backends->schemes = schemes_new(&settings->schemes))) {
		snprintf(error, error_size, "no memory");
		free(backends);
		return NULL;
	}
	backends->settings = *settings;
	if (!open_doors(backends, error, error_size)) {
		backends_close(&backends);
		return NULL;
	}
	while (slice_word(&rest, ", \t\r\n", &word))
		if (!open_one(backends, word, error, error_size)) {
			backends_close(&backends);
			return NULL;
		}
	if (backends->count)
		return backends;
	snprintf(error, error_size, "auth_backends is empty");
	backends_close(&backends);
	return NULL;
}

void backends_close(struct backends **backends)
{
	if (!*backends)
		return;
	for (unsigned i = 0; i < (*backends)->count; i++) {
		(*backends)->backend[i]->type->close((*backends)->backend[i]);
		free((*backends)->name[i]);
	}
	credentials_close(&(*backends)->doors);
	schemes_free(&(*backends)->schemes);
	free(*backends);
	*backends = NULL;
}

/* A hash that nobody can read looks like a wrong password to its user; that of a locked account ("!", "*") is meant to. */
static void tell_unreadable(
	struct backends *backends, const struct credentials_question *question, struct slice stored)
{
	char why[200];

	if (stored.length && (stored.data[0] == '!' || stored.data[0] == '*'))
		return;
	if (!schemes_known(backends->schemes, stored, why, sizeof(why)))
		log_warning("what is stored for <%.*s> fits no password: %s",
			SLICE_ARG(question->login), why);
}

/* The password and what is stored, with the cache between them. */
static enum credentials_status compare(
	struct backends *backends, const struct credentials_question *question, struct slice stored)
{
	struct cache *cache = backends->settings.cache;
	struct cache_question cached = { question->login, question->service, question->mechanism,
		question->password, stored, question->secured };
	int64_t now = loop_monotonic();

	if (cache && cache_knows(cache, now, &cached))
		return CREDENTIALS_GOOD;
	switch (schemes_verify(backends->schemes, stored, question->password)) {
	case SCHEME_FITS:
		if (cache)
			cache_keep(cache, now, &cached);
		return CREDENTIALS_GOOD;
	case SCHEME_ERROR:
		return CREDENTIALS_ERROR;
	case SCHEME_SILENT:
		tell_unreadable(backends, question, stored);
		schemes_waste(backends->schemes, question->password);
		return CREDENTIALS_BAD;
	default:
		return CREDENTIALS_BAD;
	}
}

static enum credentials_status verify_at(struct backends *backends, struct backend *backend,
	const struct credentials_question *question, char app[CREDENTIALS_MAX_APP + 1])
{
	char stored[SCHEME_MAX_STORED];
	enum credentials_status status;

	if (backend->type->verify)
		return backend->type->verify(backend, question, app);
	status = backend->type->read(backend, question->login, stored);
	if (status == CREDENTIALS_GOOD)
		status = compare(backends, question, slice_from(stored));
	else if (status == CREDENTIALS_BAD)
		schemes_waste(backends->schemes, question->password);
	explicit_bzero(stored, sizeof(stored));
	return status;
}

enum credentials_status backends_verify(struct backends *backends,
	const struct credentials_question *question, char app[CREDENTIALS_MAX_APP + 1])
{
	enum credentials_status status = door(backends, question->login);

	app[0] = '\0';
	if (status == CREDENTIALS_ERROR)
		return status;
	for (unsigned i = 0; status != CREDENTIALS_BAD && i < backends->count; i++) {
		struct backend *backend = backends->backend[i];

		status = verify_at(backends, backend, question, app);
		if (status == CREDENTIALS_GOOD && backend->type->good && !app[0])
			backend->type->good(backend, question);
		if (status != CREDENTIALS_UNKNOWN)
			return status;
	}
	schemes_waste(backends->schemes, question->password);
	return CREDENTIALS_BAD;
}

/* `*at`: the one that knows him. */
static enum credentials_status read_all(struct backends *backends, struct slice login,
	char stored[SCHEME_MAX_STORED], const struct backend **at)
{
	enum credentials_status closed = door(backends, login);

	*at = NULL;
	if (closed == CREDENTIALS_BAD || closed == CREDENTIALS_ERROR)
		return closed;
	for (unsigned i = 0; i < backends->count; i++) {
		struct backend *backend = backends->backend[i];
		enum credentials_status status =
			backend->type->read ? backend->type->read(backend, login, stored)
					    : CREDENTIALS_UNKNOWN;

		*at = backend;
		if (status != CREDENTIALS_UNKNOWN)
			return status;
	}
	return CREDENTIALS_UNKNOWN;
}

enum credentials_status backends_read(
	struct backends *backends, struct slice login, char stored[SCHEME_MAX_STORED])
{
	const struct backend *at;

	return read_all(backends, login, stored, &at);
}

static bool has_unlisted(const struct backends *backends)
{
	for (unsigned i = 0; i < backends->count; i++)
		if (backends->backend[i]->type->read && !backends->backend[i]->type->each)
			return true;
	return false;
}

void backends_seen(struct backends *backends, struct slice login)
{
	struct scram_sample *sample = backends->settings.sample;
	int64_t now = os_now() / 1000000;
	char stored[SCHEME_MAX_STORED];
	const struct backend *at;

	if (!sample || !has_unlisted(backends) || !scram_sample_wants(sample, login, now))
		return;
	if (read_all(backends, login, stored, &at) == CREDENTIALS_GOOD)
		scram_sample_take(
			sample, login, at->type->each ? SLICE("") : slice_from(stored), now);
	explicit_bzero(stored, sizeof(stored));
}

struct scram_sample *backends_sample(struct backends *backends)
{
	return backends->settings.sample;
}

bool backends_each(
	struct backends *backends, void (*each)(void *context, struct slice stored), void *context)
{
	bool all = true;

	for (unsigned i = 0; i < backends->count; i++) {
		struct backend *backend = backends->backend[i];

		if (backend->type->each && !backend->type->each(backend, each, context))
			all = false;
	}
	return all;
}

struct schemes *backends_schemes(struct backends *backends)
{
	return backends->schemes;
}

bool backends_plain(const struct backends *backends)
{
	return backends->settings.schemes.plain;
}

unsigned backends_iterations(const struct backends *backends)
{
	return backends->settings.schemes.iterations ? backends->settings.schemes.iterations
						     : SCRAM_ITERATIONS;
}

const char *backends_changed(const struct backends *backends)
{
	for (unsigned i = 0; i < backends->count; i++) {
		const struct backend *backend = backends->backend[i];

		if (backend->type->changed && backend->type->changed(backend))
			return backend->name;
	}
	return NULL;
}
