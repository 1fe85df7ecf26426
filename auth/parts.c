// SPDX-License-Identifier: ISC
/* What authd opens at its start. See parts.h. */
#include "auth/parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "auth/mech_jwt.h"
#include "os/os.h"
#include "service/log.h"
#include "table/table.h"

/* Made once, so that a name that nobody has is answered the same after a start as before it. */
static bool read_secret(const char *path, unsigned char secret[32])
{
	int fd = os_open(path, O_RDWR | O_CREAT, 0600);
	ssize_t length = fd < 0 ? -1 : os_pread(fd, secret, 32, 0);
	bool done = length == 32;

	if (!done && length >= 0) {
		os_random(secret, 32);
		done = true;
		/* A full disk keeps nobody from logging in. */
		if (!os_pwrite_all(fd, secret, 32, 0) || !os_fsync(fd))
			log_warning("%s: %s: another one is made at the next start", path,
				strerror(errno));
	}
	if (fd >= 0)
		close(fd);
	return done;
}

static bool open_backends(struct parts *parts, const struct backends_settings *settings,
	unsigned count, char *error, size_t error_size)
{
	for (; parts->count < count; parts->count++) {
		struct backends *backends = backends_open(settings, error, error_size);

		if (!backends)
			return false;
		parts->backends[parts->count] = backends;
		if (!schemes_waste(backends_schemes(backends), SLICE("x"))) {
			snprintf(error, error_size, "crypt(3) does not do password_hash_cost = %d",
				settings->schemes.cost);
			parts->count++;
			return false;
		}
	}
	return true;
}

/* Nothing of it is asked for a password. */
static bool open_survey(struct parts *parts, const struct backends_settings *settings, char *error,
	size_t error_size)
{
	parts->surveyed = backends_open(settings, error, error_size);
	if (!parts->surveyed)
		return false;
	parts->survey = survey_new(parts->surveyed, parts->sample_path);
	if (!parts->survey)
		snprintf(error, error_size, "out of memory");
	return parts->survey != NULL;
}

static bool open_keys(
	struct parts *parts, const struct config *config, char *error, size_t error_size)
{
	const char *maps = config_text(config, PARAM_auth_certificate_maps);
	const struct oauth_settings oauth = { .keys = config_text(config, PARAM_auth_oauth_keys),
		.issuer = config_text(config, PARAM_auth_oauth_issuer),
		.audience = config_text(config, PARAM_auth_oauth_audience),
		.scope = config_text(config, PARAM_auth_oauth_scope),
		.claim = config_text(config, PARAM_auth_oauth_claim) };

	if (maps[0]) {
		parts->certificates = table_list_open(
			maps, config_text(config, PARAM_config_directory), 0, error, error_size);
		if (!parts->certificates)
			return false;
	}
	parts->introspection = oauth;
	parts->introspection.claim = config_text(config, PARAM_auth_oauth_introspection_claim);
	if (oauth.keys[0])
		parts->oauth = oauth_open(&oauth, error, error_size);
	return !oauth.keys[0] || parts->oauth;
}

/* The sample is marked with the secret, and what was marked with another one is of no use. */
static bool open_sample(struct parts *parts, const char *data, const unsigned char secret[32])
{
	snprintf(parts->sample_path, sizeof(parts->sample_path), "%s/scram-sample", data);
	parts->sample = scram_sample_new(secret);
	if (!parts->sample)
		return false;
	if (!scram_sample_load(parts->sample, parts->sample_path) && errno != ENOENT)
		log_warning("%s: %s", parts->sample_path, strerror(errno));
	return true;
}

static bool open_library(struct parts *parts, const struct config *config,
	const unsigned char secret[32], char *error, size_t error_size)
{
	struct exchange_settings settings = { .realm =
						      config_text(config, PARAM_auth_default_realm),
		.host = config_text(config, PARAM_myhostname),
		.mechanisms = config_text(config, PARAM_auth_mechanisms),
		.scram_iterations = (unsigned)config_int(config, PARAM_auth_scram_iterations),
		.oauth = parts->oauth,
		.survey = parts->survey,
		.certificates = parts->certificates };

	if (config_text(config, PARAM_auth_oauth_introspection_command)[0])
		settings.introspection = &parts->introspection;
	memcpy(settings.secret, secret, sizeof(settings.secret));
	return exchange_library_open(&settings, error, error_size);
}

bool parts_open(struct parts *parts, const struct config *config, const char *data,
	backend_connect saslauthd, void *context, char *error, size_t error_size)
{
	int64_t lifetime = config_time(config, PARAM_auth_cache_lifetime);
	unsigned count = (unsigned)config_int(config, PARAM_auth_worker_limit);
	unsigned char secret[32];
	char path[1100];
	struct backends_settings settings = { .list = config_text(config, PARAM_auth_backends),
		.folder = config_text(config, PARAM_config_directory),
		.credentials = path,
		.realm = config_text(config, PARAM_auth_default_realm),
		.schemes = { .cost = (int)config_int(config, PARAM_password_hash_cost),
			.iterations = (unsigned)config_int(config, PARAM_auth_scram_iterations),
			.plain = config_bool(config, PARAM_auth_allow_plain_scheme) },
		.upgrade = config_bool(config, PARAM_auth_password_upgrade),
		.saslauthd = saslauthd,
		.context = context };

	snprintf(path, sizeof(path), "%s/secret", data);
	if (!read_secret(path, secret)) {
		snprintf(error, error_size, "%s: %s", path, strerror(errno));
		return false;
	}
	snprintf(path, sizeof(path), "%s/credentials.db", data);
	parts->credentials = credentials_file_new(path);
	if (!parts->credentials || (lifetime > 0 && !(parts->cache = cache_new(lifetime))) ||
		!open_sample(parts, data, secret)) {
		snprintf(error, error_size, "out of memory");
		parts_close(parts);
		return false;
	}
	settings.cache = parts->cache;
	settings.sample = parts->sample;
	settings.file = parts->credentials;
	if (open_keys(parts, config, error, error_size) &&
		open_backends(parts, &settings, count, error, error_size) &&
		open_survey(parts, &settings, error, error_size) &&
		open_library(parts, config, secret, error, error_size))
		return true;
	parts_close(parts);
	return false;
}

void parts_close(struct parts *parts)
{
	survey_free(&parts->survey);
	backends_close(&parts->surveyed);
	while (parts->count)
		backends_close(&parts->backends[--parts->count]);
	scram_sample_free(&parts->sample);
	credentials_file_free(&parts->credentials);
	cache_free(&parts->cache);
	oauth_close(&parts->oauth);
	if (parts->certificates)
		table_list_close(&parts->certificates);
}

const char *parts_changed(const struct parts *parts)
{
	const char *changed = parts->count ? backends_changed(parts->backends[0]) : NULL;

	if (!changed && parts->oauth && oauth_changed(parts->oauth))
		changed = "auth_oauth_keys";
	if (!changed && parts->certificates && table_list_changed(parts->certificates))
		changed = "auth_certificate_maps";
	return changed;
}
