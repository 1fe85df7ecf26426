// SPDX-License-Identifier: ISC
/* Application passwords. See app_passwords.h. */
#include "auth/app_passwords.h"

#include <stdio.h>

#include "auth/credentials_connection.h"
#include "os/os.h"

enum {
	CHARACTERS = 20, /* of five bits each */
	GROUP = 4, /* characters between two dashes; the first group is the selector */
	APP_COST =
		1 /* yescrypt's least: nobody tries 80 bits, and each login costs a millisecond */
};

/* 32 of them, without those that are mistaken for each other. */
static const char ALPHABET[] = "abcdefghijkmnpqrstuvwxyz23456789";
static const char *const SERVICES[] = { "imap", "pop3", "sieve", "smtp" };

static bool service_known(struct slice name)
{
	for (size_t i = 0; i < sizeof(SERVICES) / sizeof(SERVICES[0]); i++)
		if (slice_equal(name, slice_from(SERVICES[i])))
			return true;
	return false;
}

static bool check_name(const char *name, char *error, size_t error_size)
{
	size_t length = strlen(name);
	bool good = length > 0 && length <= CREDENTIALS_MAX_APP;

	for (size_t i = 0; i < length; i++)
		good = good && (unsigned char)name[i] >= ' ' && name[i] != 0x7f;
	if (!good)
		snprintf(error, error_size,
			"the name of an application password has 1 to %d printable bytes",
			CREDENTIALS_MAX_APP);
	return good;
}

static bool check_services(const char *services, char *error, size_t error_size)
{
	struct slice rest = slice_from(services), name;

	while (slice_split(&rest, ',', &name))
		if (!service_known(name)) {
			snprintf(error, error_size,
				"no such service: %.*s (imap, pop3, sieve, smtp, with commas)",
				SLICE_ARG(slice_head(name, 40)));
			return false;
		}
	return true;
}

static void make_password(char password[CREDENTIALS_APP_PASSWORD + 1])
{
	unsigned char random[CHARACTERS];
	char *out = password;

	os_random(random, sizeof(random));
	for (int i = 0; i < CHARACTERS; i++) {
		if (i && i % GROUP == 0)
			*out++ = '-';
		*out++ = ALPHABET[random[i] % 32];
	}
	*out = '\0';
	explicit_bzero(random, sizeof(random));
}

static size_t without_dashes(struct slice typed, char plain[CHARACTERS + 1])
{
	size_t length = 0;

	for (size_t i = 0; i < typed.length; i++) {
		char c = typed.data[i];

		if (c == '-' || c == ' ')
			continue;
		if (length == CHARACTERS || c == '\0' || !strchr(ALPHABET, c))
			return 0;
		plain[length++] = c;
	}
	plain[length] = '\0';
	return length;
}

/* As it was made, or typed without dashes or with spaces. False, and nothing of it is kept, when it cannot be one. */
static bool normalize(struct slice typed, char plain[CHARACTERS + 1])
{
	bool good = without_dashes(typed, plain) == CHARACTERS;

	if (!good)
		explicit_bzero(plain, CHARACTERS + 1);
	return good;
}

static bool too_many(struct credentials *credentials, struct slice login)
{
	sqlite3_stmt *statement = credentials->query[QUERY_APP_COUNT];
	bool many;

	database_bind(statement, 1, login);
	many = sqlite3_step(statement) == SQLITE_ROW &&
	       sqlite3_column_int(statement, 0) >= CREDENTIALS_APPS;
	database_reset(statement);
	return many;
}

static bool insert(struct credentials *credentials, struct slice login, const char *name,
	const char *services, const char *plain, char *error, size_t error_size)
{
	sqlite3_stmt *statement = credentials->query[QUERY_APP_ADD];
	char hash[CREDENTIALS_MAX_HASH];
	int result;

	if (!schemes_hash(credentials->schemes, slice_from(plain), APP_COST, hash)) {
		snprintf(error, error_size, "the password cannot be hashed");
		return false;
	}
	database_bind(statement, 1, login);
	database_bind(statement, 2, slice_from(name));
	database_bind(statement, 3, slice_head(slice_from(plain), GROUP));
	database_bind(statement, 4, slice_from(hash));
	database_bind(statement, 5, slice_from(services));
	sqlite3_bind_int64(statement, 6, os_now() / 1000000);
	result = sqlite3_step(statement);
	if (result == SQLITE_CONSTRAINT_PRIMARYKEY)
		snprintf(error, error_size, "there is an application password %s already", name);
	else if (result != SQLITE_DONE)
		snprintf(error, error_size, "%s", sqlite3_errmsg(credentials->db));
	database_reset(statement);
	return result == SQLITE_DONE;
}

bool credentials_app_add(struct credentials *credentials, const char *login, const char *name,
	const char *services, char password[CREDENTIALS_APP_PASSWORD + 1], char *error,
	size_t error_size)
{
	char folded[CREDENTIALS_MAX_LOGIN + 1], plain[CHARACTERS + 1];
	bool done;

	if (!check_name(name, error, error_size) || !check_services(services, error, error_size))
		return false;
	if (!credentials_fold(slice_from(login), folded)) {
		snprintf(error, error_size, "not a login name: %.100s", login);
		return false;
	}
	if (too_many(credentials, slice_from(folded))) {
		snprintf(error, error_size, "%s has %d application passwords already", folded,
			CREDENTIALS_APPS);
		return false;
	}
	make_password(password);
	done = normalize(slice_from(password), plain) &&
	       insert(credentials, slice_from(folded), name, services, plain, error, error_size);
	explicit_bzero(plain, sizeof(plain));
	return done;
}

bool credentials_app_delete(struct credentials *credentials, const char *login, const char *name,
	char *error, size_t error_size)
{
	sqlite3_stmt *statement = credentials->query[QUERY_APP_DELETE];
	char folded[CREDENTIALS_MAX_LOGIN + 1];
	int result = SQLITE_DONE, changes = 0;

	if (credentials_fold(slice_from(login), folded)) {
		database_bind(statement, 1, slice_from(folded));
		database_bind(statement, 2, slice_from(name));
		result = sqlite3_step(statement);
		changes = sqlite3_changes(credentials->db);
		if (result != SQLITE_DONE)
			snprintf(error, error_size, "%s", sqlite3_errmsg(credentials->db));
		database_reset(statement);
	}
	if (result == SQLITE_DONE && changes == 0)
		snprintf(error, error_size, "%.100s has no application password %.100s", login,
			name);
	return result == SQLITE_DONE && changes > 0;
}

bool credentials_app_each(struct credentials *credentials, const char *login,
	void (*each)(void *context, const struct credentials_app *app), void *context, char *error,
	size_t error_size)
{
	sqlite3_stmt *statement = credentials->query[QUERY_APP_LIST];
	char folded[CREDENTIALS_MAX_LOGIN + 1];
	int result;

	if (!credentials_fold(slice_from(login), folded)) {
		snprintf(error, error_size, "not a login name: %.100s", login);
		return false;
	}
	database_bind(statement, 1, slice_from(folded));
	while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
		const struct credentials_app app = { database_column(statement, 0),
			database_column(statement, 1), sqlite3_column_int64(statement, 2) };

		each(context, &app);
	}
	if (result != SQLITE_DONE)
		snprintf(error, error_size, "%s", sqlite3_errmsg(credentials->db));
	database_reset(statement);
	return result == SQLITE_DONE;
}

/* An empty list is all services. */
static bool serves(struct slice services, struct slice service)
{
	struct slice name;

	if (services.length == 0)
		return true;
	while (slice_split(&services, ',', &name))
		if (slice_equal(name, service))
			return true;
	return false;
}

enum credentials_status credentials_app_verify(struct credentials *credentials,
	const struct credentials_question *question, char app[CREDENTIALS_MAX_APP + 1])
{
	sqlite3_stmt *statement = credentials->query[QUERY_APP_FIND];
	char folded[CREDENTIALS_MAX_LOGIN + 1], plain[CHARACTERS + 1], hash[CREDENTIALS_MAX_HASH];
	enum credentials_status status = CREDENTIALS_BAD;
	int result;

	if (!credentials_fold(question->login, folded) || !normalize(question->password, plain))
		return CREDENTIALS_BAD;
	database_bind(statement, 1, slice_from(folded));
	database_bind(statement, 2, slice_head(slice_from(plain), GROUP));
	result = credentials_step(credentials, statement);
	if (result == SQLITE_ROW && serves(database_column(statement, 1), question->service) &&
		slice_to_string(database_column(statement, 0), app, CREDENTIALS_MAX_APP + 1) &&
		slice_to_string(database_column(statement, 2), hash, sizeof(hash)))
		status = CREDENTIALS_GOOD;
	else if (result != SQLITE_ROW && result != SQLITE_DONE)
		status = CREDENTIALS_ERROR;
	database_reset(statement);
	if (status == CREDENTIALS_GOOD)
		status = credentials_fits(credentials, slice_from(plain), hash);
	explicit_bzero(plain, sizeof(plain));
	return status;
}
