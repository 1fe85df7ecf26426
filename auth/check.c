// SPDX-License-Identifier: ISC
/* authd --check: each back end, table and file of keys as the start would open it. See parts.h. */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "auth/mech_jwt.h"
#include "auth/parts.h"
#include "config/self_check.h"
#include "table/table_sql.h"

/* Tables of servers are not asked. */
static enum table_status ask_nobody(
	void *context, const char *spec, struct slice key, struct buffer *value)
{
	return TABLE_ERROR;
}

static int reach_nobody(void *context)
{
	return -1;
}

/* One by itself, so that each fault is told. credentials.db may be away. */
static void check_backend(const struct config *config, struct slice word)
{
	char *name = slice_dup(word), error[400] = "out of memory";
	struct backends_settings settings = { .list = name,
		.folder = config_text(config, PARAM_config_directory),
		.realm = config_text(config, PARAM_auth_default_realm),
		.saslauthd = reach_nobody };
	struct backends *backends = NULL;

	if (name && (slice_equal(word, SLICE("credentials")) ||
			    (backends = backends_open(&settings, error, sizeof(error)))))
		backends_close(&backends);
	else
		self_check_fault(true, "auth_backends", error);
	free(name);
}

static void check_backends(const struct config *config)
{
	struct slice rest = slice_from(config_text(config, PARAM_auth_backends)), word;
	unsigned count = 0;
	char error[80];

	while (slice_word(&rest, ", \t\r\n", &word)) {
		check_backend(config, word);
		count++;
	}
	snprintf(error, sizeof(error), "more than %d", BACKENDS_MOST);
	if (!count)
		self_check_fault(true, "auth_backends", "is empty: nobody could log in");
	else if (count > BACKENDS_MOST)
		self_check_fault(true, "auth_backends", error);
}

static void check_keys(const struct config *config)
{
	const struct oauth_settings settings = { .keys = config_text(
							 config, PARAM_auth_oauth_keys) };
	char error[400];
	struct oauth *oauth = NULL;

	if (settings.keys[0] && !(oauth = oauth_open(&settings, error, sizeof(error))))
		self_check_fault(true, "auth_oauth_keys", error);
	if (oauth)
		oauth_close(&oauth);
}

static void check_certificate_maps(const struct config *config)
{
	const char *maps = config_text(config, PARAM_auth_certificate_maps);
	char error[400];
	struct table_list *list = table_list_open(
		maps, config_text(config, PARAM_config_directory), 0, error, sizeof(error));

	if (list)
		table_list_close(&list);
	else
		self_check_fault(true, "auth_certificate_maps", error);
}

/* Mechanisms are offered by name: what lacks something is refused to each client anew. */
static void check_mechanisms(const struct config *config)
{
	const struct {
		const char *names[2], *lacks;
		bool usable;
	} NEEDS[] = {
		{ { "CRAM-MD5", "DIGEST-MD5" },
			"can never be used while auth_allow_plain_scheme is no",
			config_bool(config, PARAM_auth_allow_plain_scheme) },
		{ { "OAUTHBEARER", "XOAUTH2" },
			"can never be used without auth_oauth_keys and "
			"auth_oauth_introspection_command",
			config_text(config, PARAM_auth_oauth_keys)[0] ||
				config_text(config, PARAM_auth_oauth_introspection_command)[0] },
	};
	struct slice rest = slice_from(config_text(config, PARAM_auth_mechanisms)), word;
	char text[200];

	while (slice_word(&rest, ", \t\r\n", &word))
		for (size_t i = 0; i < sizeof(NEEDS) / sizeof(NEEDS[0]); i++)
			for (size_t k = 0; k < 2; k++) {
				if (NEEDS[i].usable ||
					!slice_equal_nocase(word, slice_from(NEEDS[i].names[k])))
					continue;
				snprintf(text, sizeof(text), "%s %s", NEEDS[i].names[k],
					NEEDS[i].lacks);
				self_check_fault(false, "auth_mechanisms", text);
			}
}

int parts_check(void)
{
	struct config *config = self_check_open();

	if (!config)
		return EX_SOFTWARE;
	sql_tables_through(ask_nobody, NULL);
	check_backends(config);
	check_keys(config);
	check_certificate_maps(config);
	check_mechanisms(config);
	return self_check_close(&config);
}
