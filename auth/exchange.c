// SPDX-License-Identifier: ISC
/* SASL exchanges through libsasl2. See exchange.h. */
#include "auth/exchange.h"

#include <pthread.h>
#include <sasl/sasl.h>
#include <stdio.h>
#include <stdlib.h>

#include "mail/address.h"
#include "mail/utf8.h"

enum { EXCHANGE_STEPS = 8 /* responses of one exchange */, DOMAIN_MEMORY = 8 << 10 };

static const struct mechanism {
	const char *name;
	bool password; /* ends with a password that credentials.h checks */
} MECHANISMS[] = {
	{ "PLAIN", true }, /* RFC 4616 */
	{ "LOGIN", true }, /* draft-murchison-sasl-login */
};
enum { MECHANISM_COUNT = sizeof(MECHANISMS) / sizeof(MECHANISMS[0]) };

struct exchange {
	const struct mechanism *mechanism;
	char service[17], client[65], local[65];
	char login[CREDENTIALS_MAX_LOGIN + 1], app[CREDENTIALS_MAX_APP + 1];
	bool secured, begun, has_input;
	unsigned steps;
	struct buffer input, output;
	sasl_conn_t *connection;
	sasl_callback_t callbacks[3];
	struct credentials *credentials; /* of the thread that runs the step */
	enum credentials_status verdict;
	bool checked; /* `verdict` holds */
	bool nobody; /* the name that was claimed is none */
	enum auth_status status;
};

/* What sasl_server_init wants once in a process. */
static struct {
	const char *realm, *host;
} library;

/* --- the library's questions --- */

static int get_option(void *context, const char *plugin, const char *option, const char **result,
	unsigned *length)
{
	static const char *const OPTIONS[][2] = {
		{ "mech_list", "PLAIN LOGIN" },
		/* Passwords are checked by our callback alone; there is no other way. */
		{ "pwcheck_method", "none" },
		{ "auxprop_plugin", "none" },
		{ "auto_transition", "no" },
		{ "log_level", "0" },
	};

	for (size_t i = 0; i < sizeof(OPTIONS) / sizeof(OPTIONS[0]); i++)
		if (strcmp(option, OPTIONS[i][0]) == 0) {
			*result = OPTIONS[i][1];
			if (length)
				*length = (unsigned)strlen(*result);
			return SASL_OK;
		}
	return SASL_FAIL;
}

/* It would write to syslog, of failures that are told to the caller anyway. */
static int be_quiet(void *context, int level, const char *text)
{
	return SASL_OK;
}

/* No configuration file of the system has a say here. */
static int no_configuration(void *context, char **path)
{
	static char *nowhere;

	if (!nowhere)
		nowhere = strdup("/nonexistent");
	*path = nowhere;
	return nowhere ? SASL_OK : SASL_NOMEM;
}

/* U-labels become the A-labels that accounts are kept under; what is no domain name stays, and is nobody's. */
static bool ascii_domain(char *login, size_t size)
{
	const char *at = strrchr(login, '@');
	struct slice domain = slice_from(at ? at + 1 : ""), ascii;
	size_t before = at ? (size_t)(at + 1 - login) : 0;
	struct arena arena;
	bool fits = true;

	if (utf8_ascii_prefix(domain) == domain.length)
		return true;
	arena_init(&arena, DOMAIN_MEMORY);
	if (address_domain(domain, true, &arena, &ascii))
		fits = slice_to_string(ascii, login + before, size - before);
	arena_free(&arena);
	return fits;
}

/* The claimed name in lower case, U-labels as A-labels, with the realm. False when it cannot be anybody's: empty, too long, or with bytes that are not
 * in a name (and would end up in the log). */
static bool canonical_login(struct slice name, char *login, size_t size)
{
	bool whole = slice_find(name, '@') >= 0 || !library.realm[0];
	int length;

	if (name.length == 0 || name.length > CREDENTIALS_MAX_LOGIN)
		return false;
	for (size_t i = 0; i < name.length; i++)
		if ((unsigned char)name.data[i] <= ' ' || name.data[i] == 0x7f)
			return false;
	length = snprintf(login, size, "%.*s%s%s", SLICE_ARG(name), whole ? "" : "@",
		whole ? "" : library.realm);
	if (length <= 0 || (size_t)length >= size)
		return false;
	for (char *p = login; *p; p++)
		*p = ascii_lower(*p);
	return ascii_domain(login, size);
}

/* It always succeeds: where it fails, the LOGIN plugin loses the password's memory. A name that cannot be becomes one that
 * nobody has. */
static int make_canonical(sasl_conn_t *connection, void *context, const char *in,
	unsigned in_length, unsigned flags, const char *user_realm, char *out, unsigned out_most,
	unsigned *out_length)
{
	struct exchange *exchange = context;
	size_t length;

	exchange->nobody = exchange->nobody || !canonical_login(slice_of(in, in_length),
						       exchange->login, sizeof(exchange->login));
	if (exchange->nobody)
		snprintf(exchange->login, sizeof(exchange->login), "-");
	length = strlen(exchange->login);
	if (length >= out_most)
		return SASL_BUFOVER;
	memcpy(out, exchange->login, length + 1);
	*out_length = (unsigned)length;
	return SASL_OK;
}

static int check_password(sasl_conn_t *connection, void *context, const char *user,
	const char *password, unsigned password_length, struct propctx *properties)
{
	struct exchange *exchange = context;

	/* For nobody, too, the time of a hash passes. */
	exchange->verdict = credentials_verify(exchange->credentials,
		&(struct credentials_question){ .login = slice_from(exchange->nobody ? "" : user),
			.password = slice_of(password, password_length),
			.service = slice_from(exchange->service),
			.mechanism = slice_from(exchange->mechanism->name),
			.secured = exchange->secured },
		exchange->app);
	if (exchange->verdict == CREDENTIALS_UNKNOWN) {
		schemes_waste(credentials_schemes(exchange->credentials),
			slice_of(password, password_length));
		exchange->verdict = CREDENTIALS_BAD;
	}
	exchange->checked = true;
	return exchange->verdict == CREDENTIALS_GOOD  ? SASL_OK
	       : exchange->verdict == CREDENTIALS_BAD ? SASL_BADAUTH
						      : SASL_UNAVAIL;
}

/* --- the library --- */

static void *mutex_new(void)
{
	pthread_mutex_t *mutex = malloc(sizeof(*mutex));

	if (mutex)
		pthread_mutex_init(mutex, NULL);
	return mutex;
}

static int mutex_lock(void *mutex)
{
	return pthread_mutex_lock(mutex) == 0 ? SASL_OK : SASL_FAIL;
}

static int mutex_unlock(void *mutex)
{
	return pthread_mutex_unlock(mutex) == 0 ? SASL_OK : SASL_FAIL;
}

static void mutex_free(void *mutex)
{
	if (!mutex)
		return;
	pthread_mutex_destroy(mutex);
	free(mutex);
}

/* sasl.h declares the functions of callbacks as int (*)(void). */
typedef int (*callback)(void);

bool exchange_library_open(const char *realm, const char *host, char *error, size_t error_size)
{
	static const sasl_callback_t CALLBACKS[] = {
		{ SASL_CB_GETOPT, (callback)(void (*)(void))get_option, NULL },
		{ SASL_CB_LOG, (callback)(void (*)(void))be_quiet, NULL },
		{ SASL_CB_GETCONFPATH, (callback)(void (*)(void))no_configuration, NULL },
		{ SASL_CB_LIST_END, NULL, NULL }
	};
	const char **known;
	unsigned found = 0;
	int result;

	library.realm = realm;
	library.host = host;
	sasl_set_mutex(mutex_new, mutex_lock, mutex_unlock, mutex_free);
	result = sasl_server_init(CALLBACKS, "postern");
	if (result != SASL_OK) {
		snprintf(error, error_size, "libsasl2: %s", sasl_errstring(result, NULL, NULL));
		return false;
	}
	known = sasl_global_listmech();
	for (; known && *known; known++)
		for (size_t i = 0; i < MECHANISM_COUNT; i++)
			found += strcmp(*known, MECHANISMS[i].name) == 0;
	if (found == MECHANISM_COUNT)
		return true;
	snprintf(error, error_size,
		"libsasl2 lacks the plugins of PLAIN and LOGIN (libsasl2-modules)");
	return false;
}

static const struct mechanism *mechanism_of(struct slice name)
{
	for (size_t i = 0; i < MECHANISM_COUNT; i++)
		if (slice_equal_nocase(name, slice_from(MECHANISMS[i].name)))
			return &MECHANISMS[i];
	return NULL;
}

bool exchange_mechanism_known(struct slice name)
{
	return mechanism_of(name) != NULL;
}

bool exchange_mechanisms(struct buffer *out)
{
	for (size_t i = 0; i < MECHANISM_COUNT; i++)
		buffer_printf(out, "%s%s", i ? " " : "", MECHANISMS[i].name);
	return !out->failed;
}

/* --- exchanges --- */

struct exchange *exchange_new(const struct exchange_start *start)
{
	struct exchange *exchange = calloc(1, sizeof(*exchange));

	if (!exchange)
		return NULL;
	exchange->mechanism = mechanism_of(start->mechanism);
	exchange->secured = start->secured;
	exchange->input = buffer_limited(MAX_SASL);
	exchange->output = buffer_limited(MAX_SASL);
	if (exchange->mechanism &&
		slice_to_string(start->service, exchange->service, sizeof(exchange->service)) &&
		slice_to_string(
			start->client_address, exchange->client, sizeof(exchange->client)) &&
		slice_to_string(start->local_address, exchange->local, sizeof(exchange->local)))
		return exchange;
	exchange_free(&exchange);
	return NULL;
}

static void wipe(struct buffer *buffer)
{
	if (buffer->data)
		explicit_bzero(buffer->data, buffer->capacity);
	buffer_free(buffer);
}

void exchange_free(struct exchange **exchange)
{
	if (!*exchange)
		return;
	if ((*exchange)->connection)
		sasl_dispose(&(*exchange)->connection);
	wipe(&(*exchange)->input);
	wipe(&(*exchange)->output);
	free(*exchange);
	*exchange = NULL;
}

bool exchange_input(struct exchange *exchange, bool has_input, struct slice input)
{
	exchange->has_input = has_input;
	buffer_clear(&exchange->input);
	return !has_input || buffer_add(&exchange->input, input);
}

static bool connect_library(struct exchange *exchange)
{
	sasl_security_properties_t properties = { .maxbufsize = 0 };
	sasl_ssf_t strength = 128;

	exchange->callbacks[0] = (sasl_callback_t){ SASL_CB_CANON_USER,
		(callback)(void (*)(void))make_canonical, exchange };
	exchange->callbacks[1] = (sasl_callback_t){ SASL_CB_SERVER_USERDB_CHECKPASS,
		(callback)(void (*)(void))check_password, exchange };
	exchange->callbacks[2] = (sasl_callback_t){ SASL_CB_LIST_END, NULL, NULL };
	/* With our name given, the library does not ask the resolver for it. */
	if (sasl_server_new(exchange->service, library.host, NULL, NULL, NULL, exchange->callbacks,
		    SASL_SUCCESS_DATA, &exchange->connection) != SASL_OK)
		return false;
	return sasl_setprop(exchange->connection, SASL_SEC_PROPS, &properties) == SASL_OK &&
	       (!exchange->secured ||
		       sasl_setprop(exchange->connection, SASL_SSF_EXTERNAL, &strength) == SASL_OK);
}

/* What the library's result means. It says "no mechanism" and more when our callback refused: the callback knows best. */
static enum auth_status status_of(const struct exchange *exchange, int result)
{
	if (exchange->checked)
		return exchange->verdict == CREDENTIALS_GOOD && result == SASL_OK ? AUTH_OK
		       : exchange->verdict == CREDENTIALS_ERROR                   ? AUTH_TEMPORARY
										  : AUTH_FAILED;
	switch (result) {
	case SASL_OK: /* without a password that was checked: no */
	case SASL_BADAUTH:
	case SASL_NOUSER:
	case SASL_NOAUTHZ:
		return AUTH_FAILED;
	case SASL_NOMECH:
		return AUTH_NO_MECHANISM;
	case SASL_BADPROT:
	case SASL_BADPARAM:
	case SASL_BUFOVER:
		return AUTH_BAD;
	default:
		return AUTH_TEMPORARY;
	}
}

static int run_library(struct exchange *exchange, const char **out, unsigned *length)
{
	const char *input =
		exchange->has_input ? (exchange->input.data ? exchange->input.data : "") : NULL;

	if (exchange->begun)
		return sasl_server_step(
			exchange->connection, input, (unsigned)exchange->input.length, out, length);
	exchange->begun = true;
	return sasl_server_start(exchange->connection, exchange->mechanism->name, input,
		(unsigned)exchange->input.length, out, length);
}

bool exchange_step(struct exchange *exchange, struct credentials *credentials)
{
	const char *out = NULL;
	unsigned length = 0;
	int result;

	buffer_clear(&exchange->output);
	exchange->credentials = credentials;
	exchange->status = AUTH_TEMPORARY;
	if (!exchange->connection && !connect_library(exchange))
		return true;
	if (++exchange->steps > EXCHANGE_STEPS) {
		exchange->status = AUTH_BAD;
		return true;
	}
	result = run_library(exchange, &out, &length);
	if (exchange->input.data)
		explicit_bzero(exchange->input.data, exchange->input.capacity);
	if ((result == SASL_OK || result == SASL_CONTINUE) && out && length &&
		!buffer_append(&exchange->output, out, length))
		return true;
	if (result == SASL_CONTINUE)
		return false;
	exchange->status = status_of(exchange, result);
	return true;
}

enum auth_status exchange_status(const struct exchange *exchange)
{
	return exchange->status;
}

struct slice exchange_output(const struct exchange *exchange)
{
	return buffer_slice(&exchange->output);
}

const char *exchange_login(const struct exchange *exchange)
{
	return exchange->login;
}

const char *exchange_app(const struct exchange *exchange)
{
	return exchange->app;
}

const char *exchange_service(const struct exchange *exchange)
{
	return exchange->service;
}

const char *exchange_mechanism(const struct exchange *exchange)
{
	return exchange->mechanism->name;
}

const char *exchange_client(const struct exchange *exchange)
{
	return exchange->client;
}
