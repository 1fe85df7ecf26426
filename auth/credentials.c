// SPDX-License-Identifier: ISC
/* credentials.db. See credentials.h. */
#include "auth/credentials.h"

#include <crypt.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/loop.h"
#include "base/map.h"
#include "os/database.h"
#include "os/os.h"

enum {
	CREDENTIALS_BUSY = 5000, /* ms to wait for a lock */
	MEMORY_ENTRIES = 10000,
	SALT_BYTES = 32
};

enum credentials_query { QUERY_GET, QUERY_SET, QUERY_ENABLE, QUERY_DELETE, QUERY_COUNT };

struct credentials {
	sqlite3 *db;
	sqlite3_stmt *query[QUERY_COUNT];
	struct credentials_memory *memory; /* or NULL */
	struct crypt_data *crypt; /* 32 KB: not for a thread's stack */
	char dummy[CREDENTIALS_MAX_HASH];
};

static const char SCHEMA[] =
	"CREATE TABLE IF NOT EXISTS credentials (login TEXT PRIMARY KEY, hash TEXT NOT NULL,"
	" enabled INTEGER NOT NULL DEFAULT 1, changed INTEGER NOT NULL) STRICT;"
	"PRAGMA user_version = 1;";

static const char *const QUERIES[QUERY_COUNT] = {
	[QUERY_GET] = "SELECT hash FROM credentials WHERE login = ?1 AND enabled",
	[QUERY_SET] = "INSERT INTO credentials (login, hash, changed) VALUES (?1, ?2, ?3)"
		      " ON CONFLICT (login) DO UPDATE SET hash = ?2, changed = ?3",
	[QUERY_ENABLE] = "UPDATE credentials SET enabled = ?2, changed = ?3 WHERE login = ?1",
	[QUERY_DELETE] = "DELETE FROM credentials WHERE login = ?1",
};

/* --- the memory of good passwords --- */

struct credentials_memory {
	pthread_mutex_t lock;
	struct map good; /* digest -> struct memory_entry */
	int64_t lifetime;
};

struct memory_entry {
	int64_t until;
};

struct memory_key {
	uint64_t halves[2];
};

struct credentials_memory *credentials_memory_new(int64_t lifetime_ms)
{
	struct credentials_memory *memory = calloc(1, sizeof(*memory));

	if (memory) {
		pthread_mutex_init(&memory->lock, NULL);
		memory->lifetime = lifetime_ms;
		memory->good.limit = MEMORY_ENTRIES;
	}
	return memory;
}

static bool memory_drop(void *context, struct slice key, void *value)
{
	struct credentials_memory *memory = context;

	map_remove(&memory->good, key);
	free(value);
	return true;
}

void credentials_memory_free(struct credentials_memory **memory)
{
	if (!*memory)
		return;
	map_each(&(*memory)->good, memory_drop, *memory);
	map_free(&(*memory)->good);
	pthread_mutex_destroy(&(*memory)->lock);
	free(*memory);
	*memory = NULL;
}

void credentials_remember(struct credentials *credentials, struct credentials_memory *memory)
{
	credentials->memory = memory;
}

/* 128 bits under the process's random key, of hash and password with both lengths. */
static bool memory_digest(struct slice hash, struct slice password, struct memory_key *key)
{
	unsigned char text[1 + 8 + CREDENTIALS_MAX_HASH + CREDENTIALS_MAX_PASSWORD];
	size_t length = 9 + hash.length + password.length;
	uint64_t hash_length = hash.length;

	if (hash.length > CREDENTIALS_MAX_HASH || password.length > CREDENTIALS_MAX_PASSWORD)
		return false;
	memcpy(text + 1, &hash_length, 8);
	memcpy(text + 9, hash.data, hash.length);
	memcpy(text + 9 + hash.length, password.data, password.length);
	for (unsigned char i = 0; i < 2; i++) {
		text[0] = i;
		key->halves[i] = hash_keyed(slice_of(text, length));
	}
	explicit_bzero(text, sizeof(text));
	return true;
}

static bool memory_knows(struct credentials_memory *memory, const struct memory_key *key)
{
	struct memory_entry *entry;
	bool known;

	pthread_mutex_lock(&memory->lock);
	entry = map_get(&memory->good, slice_of(key, sizeof(*key)));
	known = entry && entry->until > loop_monotonic();
	if (entry && !known)
		free(map_remove(&memory->good, slice_of(key, sizeof(*key))));
	pthread_mutex_unlock(&memory->lock);
	return known;
}

static void memory_keep(struct credentials_memory *memory, const struct memory_key *key)
{
	struct slice name = slice_of(key, sizeof(*key));
	struct memory_entry *entry;

	pthread_mutex_lock(&memory->lock);
	if (memory->good.count >= MEMORY_ENTRIES)
		map_each(&memory->good, memory_drop, memory);
	entry = map_get(&memory->good, name);
	if (!entry) {
		entry = calloc(1, sizeof(*entry));
		if (entry && !map_put(&memory->good, name, entry)) {
			free(entry);
			entry = NULL;
		}
	}
	if (entry)
		entry->until = loop_monotonic() + memory->lifetime;
	pthread_mutex_unlock(&memory->lock);
}

/* --- the database --- */

bool credentials_open(
	const char *path, bool create, struct credentials **result, char *error, size_t error_size)
{
	struct credentials *credentials = calloc(1, sizeof(*credentials));

	if (!credentials || !(credentials->crypt = calloc(1, sizeof(*credentials->crypt)))) {
		snprintf(error, error_size, "%s: no memory", path);
		free(credentials);
		return false;
	}
	credentials->db = database_open(
		path, create ? DATABASE_CREATE : 0, CREDENTIALS_BUSY, error, error_size);
	if (!credentials->db ||
		(create && !database_run(credentials->db, SCHEMA, error, error_size)))
		goto failed;
	for (int i = 0; i < QUERY_COUNT; i++) {
		credentials->query[i] =
			database_prepare(credentials->db, QUERIES[i], error, error_size);
		if (!credentials->query[i])
			goto failed;
	}
	*result = credentials;
	return true;
failed:
	credentials_close(&credentials);
	return false;
}

void credentials_close(struct credentials **credentials)
{
	if (!*credentials)
		return;
	for (int i = 0; i < QUERY_COUNT; i++)
		sqlite3_finalize((*credentials)->query[i]);
	sqlite3_close((*credentials)->db);
	free((*credentials)->crypt);
	free(*credentials);
	*credentials = NULL;
}

/* Lower case; false when it is no login name: empty, too long, or with bytes that would disturb a log line. */
static bool fold_login(struct slice login, char text[CREDENTIALS_MAX_LOGIN + 1])
{
	if (login.length == 0 || login.length > CREDENTIALS_MAX_LOGIN)
		return false;
	for (size_t i = 0; i < login.length; i++) {
		if ((unsigned char)login.data[i] <= ' ' || login.data[i] == 0x7f)
			return false;
		text[i] = ascii_lower(login.data[i]);
	}
	text[login.length] = '\0';
	return true;
}

static bool run_change(struct credentials *credentials, enum credentials_query query,
	const char *login, const char *hash, bool enabled, char *error, size_t error_size)
{
	sqlite3_stmt *statement = credentials->query[query];
	char name[CREDENTIALS_MAX_LOGIN + 1];
	int result;

	if (!fold_login(slice_from(login), name)) {
		snprintf(error, error_size, "not a login name: %.100s", login);
		return false;
	}
	database_bind(statement, 1, slice_from(name));
	if (query == QUERY_SET)
		database_bind(statement, 2, slice_from(hash));
	else if (query == QUERY_ENABLE)
		sqlite3_bind_int(statement, 2, enabled);
	if (query != QUERY_DELETE)
		sqlite3_bind_int64(statement, 3, os_now() / 1000000);
	result = sqlite3_step(statement);
	database_reset(statement);
	if (result == SQLITE_DONE && sqlite3_changes(credentials->db) > 0)
		return true;
	if (result == SQLITE_DONE)
		snprintf(error, error_size, "no such login: %s", name);
	else
		snprintf(error, error_size, "%s", sqlite3_errmsg(credentials->db));
	return false;
}

/* crypt(3) takes a C string: a password with NUL, or a longer one, fits nothing. */
static bool hash_password(struct credentials *credentials, struct slice password,
	const char *setting, char hash[CREDENTIALS_MAX_HASH])
{
	char text[CREDENTIALS_MAX_PASSWORD + 1];
	const char *result = NULL;

	if (slice_to_string(password, text, sizeof(text)))
		result = crypt_rn(
			text, setting, credentials->crypt, (int)sizeof(*credentials->crypt));
	if (result && (result[0] == '*' ||
			      !slice_to_string(slice_from(result), hash, CREDENTIALS_MAX_HASH)))
		result = NULL;
	explicit_bzero(text, sizeof(text));
	return result != NULL;
}

static bool new_hash(struct credentials *credentials, struct slice password, int cost,
	char hash[CREDENTIALS_MAX_HASH])
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE], random[SALT_BYTES];

	os_random(random, sizeof(random));
	return cost >= 1 && cost <= 11 &&
	       crypt_gensalt_rn("$y$", (unsigned long)cost, random, sizeof(random), setting,
		       sizeof(setting)) &&
	       hash_password(credentials, password, setting, hash);
}

bool credentials_set(struct credentials *credentials, const char *login, struct slice password,
	int cost, char *error, size_t error_size)
{
	char hash[CREDENTIALS_MAX_HASH];

	if (password.length == 0 || password.length >= CREDENTIALS_MAX_PASSWORD ||
		slice_find(password, '\0') >= 0) {
		snprintf(error, error_size, "a password has 1 to %d bytes, none of them NUL",
			CREDENTIALS_MAX_PASSWORD - 1);
		return false;
	}
	if (!new_hash(credentials, password, cost, hash)) {
		snprintf(error, error_size, "the password cannot be hashed with cost %d: %s", cost,
			strerror(errno));
		return false;
	}
	return run_change(credentials, QUERY_SET, login, hash, true, error, error_size);
}

bool credentials_set_hash(struct credentials *credentials, const char *login, const char *hash,
	char *error, size_t error_size)
{
	char computed[CREDENTIALS_MAX_HASH];

	if (slice_starts_nocase(slice_from(hash), SLICE("{CRYPT}")))
		hash += strlen("{CRYPT}");
	if (!hash_password(credentials, SLICE("x"), hash, computed) ||
		strlen(computed) != strlen(hash)) {
		snprintf(error, error_size, "not a hash that crypt(3) of this system knows");
		return false;
	}
	return run_change(credentials, QUERY_SET, login, hash, true, error, error_size);
}

bool credentials_enable(struct credentials *credentials, const char *login, bool enabled,
	char *error, size_t error_size)
{
	return run_change(credentials, QUERY_ENABLE, login, NULL, enabled, error, error_size);
}

bool credentials_delete(
	struct credentials *credentials, const char *login, char *error, size_t error_size)
{
	return run_change(credentials, QUERY_DELETE, login, NULL, false, error, error_size);
}

/* The hash of an enabled login; CREDENTIALS_BAD when there is none. */
static enum credentials_status read_hash(
	struct credentials *credentials, struct slice login, char hash[CREDENTIALS_MAX_HASH])
{
	sqlite3_stmt *statement = credentials->query[QUERY_GET];
	enum credentials_status status = CREDENTIALS_ERROR;
	char name[CREDENTIALS_MAX_LOGIN + 1];
	int result;

	if (!fold_login(login, name))
		return CREDENTIALS_BAD;
	if (!database_bind(statement, 1, slice_from(name)))
		return CREDENTIALS_ERROR;
	result = sqlite3_step(statement);
	if (result == SQLITE_DONE)
		status = CREDENTIALS_BAD;
	else if (result == SQLITE_ROW &&
		 slice_to_string(database_column(statement, 0), hash, CREDENTIALS_MAX_HASH))
		status = CREDENTIALS_GOOD;
	database_reset(statement);
	return status;
}

enum credentials_status credentials_exists(struct credentials *credentials, const char *login)
{
	char hash[CREDENTIALS_MAX_HASH];

	return read_hash(credentials, slice_from(login), hash);
}

/* No early end at the first difference. */
static bool equal_in_constant_time(const char *a, const char *b)
{
	size_t length = strlen(a);
	unsigned char difference = 0;

	if (strlen(b) != length)
		return false;
	for (size_t i = 0; i < length; i++)
		difference |= (unsigned char)(a[i] ^ b[i]);
	return difference == 0;
}

enum credentials_status credentials_verify(
	struct credentials *credentials, struct slice login, struct slice password)
{
	char hash[CREDENTIALS_MAX_HASH] = "", computed[CREDENTIALS_MAX_HASH];
	struct credentials_memory *memory = credentials->memory;
	enum credentials_status status = read_hash(credentials, login, hash);
	struct memory_key key;

	if (status == CREDENTIALS_ERROR)
		return status;
	if (status == CREDENTIALS_BAD) {
		if (credentials->dummy[0])
			(void)!hash_password(credentials, password, credentials->dummy, computed);
		return status;
	}
	if (memory && !memory_digest(slice_from(hash), password, &key))
		memory = NULL;
	if (memory && memory_knows(memory, &key))
		return CREDENTIALS_GOOD;
	if (!hash_password(credentials, password, hash, computed))
		return errno == ENOMEM ? CREDENTIALS_ERROR : CREDENTIALS_BAD;
	if (!equal_in_constant_time(hash, computed))
		return CREDENTIALS_BAD;
	if (memory)
		memory_keep(memory, &key);
	return CREDENTIALS_GOOD;
}

bool credentials_set_dummy_cost(struct credentials *credentials, int cost)
{
	return new_hash(credentials, SLICE("no password"), cost, credentials->dummy);
}
