// SPDX-License-Identifier: ISC
/* credentials.db as a back end. See backend.h and credentials.h. */
#include <stdio.h>
#include <stdlib.h>

#include "auth/backend_impl.h"

struct own {
	struct backend backend;
	struct credentials *credentials;
	bool upgrade;
};

static bool open_connection(struct own *own, const struct backend_opening *opening)
{
	const struct backends_settings *settings = opening->settings;

	if (!settings->file)
		return credentials_open(settings->credentials, true, &own->credentials,
			opening->error, opening->error_size);
	own->credentials = credentials_file_connect(settings->file);
	if (!own->credentials)
		snprintf(opening->error, opening->error_size, "no memory");
	return own->credentials != NULL;
}

static struct backend *open_own(const struct backend_opening *opening)
{
	const struct backends_settings *settings = opening->settings;
	struct own *own = calloc(1, sizeof(*own));

	if (!own) {
		snprintf(opening->error, opening->error_size, "no memory");
		return NULL;
	}
	if (!open_connection(own, opening)) {
		free(own);
		return NULL;
	}
	credentials_settings(own->credentials, &settings->schemes);
	if (settings->cache)
		credentials_remember(own->credentials, settings->cache);
	own->upgrade = settings->upgrade;
	return &own->backend;
}

static void close_own(struct backend *backend)
{
	credentials_close(&((struct own *)backend)->credentials);
	free(backend);
}

static enum credentials_status read_own(
	struct backend *backend, struct slice login, char stored[SCHEME_MAX_STORED])
{
	return credentials_read(((struct own *)backend)->credentials, login, stored);
}

static enum credentials_status verify_own(struct backend *backend,
	const struct credentials_question *question, char app[CREDENTIALS_MAX_APP + 1])
{
	return credentials_verify(((struct own *)backend)->credentials, question, app);
}

static bool each_own(
	struct backend *backend, void (*each)(void *context, struct slice stored), void *context)
{
	return credentials_each(((struct own *)backend)->credentials, each, context);
}

static void upgrade_own(struct backend *backend, const struct credentials_question *question)
{
	struct own *own = (struct own *)backend;

	if (own->upgrade)
		credentials_upgrade(own->credentials, question->login, question->password);
}

const struct backend_type BACKEND_CREDENTIALS = { .name = "credentials",
	.open = open_own,
	.close = close_own,
	.read = read_own,
	.verify = verify_own,
	.good = upgrade_own,
	.each = each_own };
