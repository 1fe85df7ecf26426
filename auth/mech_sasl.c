// SPDX-License-Identifier: ISC
/*
 * PLAIN, LOGIN, CRAM-MD5 (RFC 2195) and DIGEST-MD5 (RFC 2831) through libsasl2. Passwords that it gets are checked by the back
 * ends; for the two others, which need the password itself or a key made of it, it asks for these as "auxiliary properties".
 */
#include "auth/mech_sasl.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <sasl/sasl.h>
#include <sasl/saslplug.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/secret.h"
#include "auth/scheme_bytes.h"
#include "auth/mech_digest.h"

/* libsasl2's form of the key of HMAC-MD5: the inner state and the outer one, each four words, high byte first. */
enum { MD5_BYTES = 16, CRAM_KEY = 2 * MD5_BYTES };

struct library {
	bool begun;
	struct buffer challenge; /* the last one */
	sasl_conn_t *connection;
	sasl_callback_t callbacks[3];
	enum credentials_status verdict;
	bool checked; /* `verdict` holds */
	bool nobody; /* the name that was claimed is none */
	bool stranger; /* the wish is to act for another */
};

static const char *const PLUGINS[] = { "PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5" };

/* --- the library's questions --- */

static int get_option(void *context, const char *plugin, const char *option, const char **result,
	unsigned *length)
{
	static const char *const OPTIONS[][2] = {
		{ "mech_list", "PLAIN LOGIN CRAM-MD5 DIGEST-MD5" },
		/* Passwords are checked by our callback alone; there is no other way. */
		{ "pwcheck_method", "none" },
		{ "auxprop_plugin", "postern" },
		{ "auto_transition", "no" },
		{ "reauth_timeout", "0" },
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

/*
 * It always succeeds: where it fails, the LOGIN plugin loses the password's memory. A name that cannot be becomes one that
 * nobody has. exchange->login is who proves himself, and that alone is counted and logged: a wish to act for another must not
 * put the attempt under another name. To the library both are the same; whether the wish is one for oneself, in whatever form,
 * is not left to it.
 */
static int make_canonical(sasl_conn_t *connection, void *context, const char *in,
	unsigned in_length, unsigned flags, const char *user_realm, char *out, unsigned out_most,
	unsigned *out_length)
{
	struct exchange *exchange = context;
	struct library *library = exchange->state;
	const struct slice name = slice_of(in, in_length);
	size_t length;

	if (flags & SASL_CU_AUTHID) {
		library->nobody =
			library->nobody || !mech_find_login(exchange, name, exchange->login);
		if (library->nobody)
			snprintf(exchange->login, sizeof(exchange->login), "-");
	} else if (!mech_may_act_for(exchange, name)) {
		library->stranger = true;
		exchange->note = "it may act for itself only";
	}
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
	struct library *library = exchange->state;

	/* For nobody, too, the time of a hash passes. */
	library->verdict = backends_verify(exchange->backends,
		&(struct credentials_question){ .login = slice_from(library->nobody ? "" : user),
			.password = slice_of(password, password_length),
			.service = slice_from(exchange->service),
			.mechanism = slice_from(exchange->mech->name),
			.secured = exchange->secured },
		exchange->app);
	library->checked = true;
	return library->verdict == CREDENTIALS_GOOD  ? SASL_OK
	       : library->verdict == CREDENTIALS_BAD ? SASL_BADAUTH
						     : SASL_UNAVAIL;
}

/* --- keys of mechanisms that see no password --- */

static ptrdiff_t hex(struct slice text, unsigned char *bytes, size_t most)
{
	ptrdiff_t length = scheme_hex(text, bytes, most);

	return length == (ptrdiff_t)most ? length : -1;
}

/* Dovecot keeps the outer state before the inner one, and the words with the low byte first. */
static bool cram_key(struct slice value, unsigned char key[CRAM_KEY])
{
	unsigned char bytes[CRAM_KEY];

	if (hex(value, bytes, sizeof(bytes)) < 0)
		return false;
	for (int i = 0; i < CRAM_KEY; i++)
		key[i] = bytes[((i + MD5_BYTES) % CRAM_KEY) ^ 3];
	return true;
}

static bool is_digest(const struct exchange *exchange)
{
	return strcmp(exchange->mech->name, "DIGEST-MD5") == 0;
}

/* "name digest" (RFC 2195 section 2) */
static bool cram_fits(struct slice challenge, struct slice response, struct slice password)
{
	ptrdiff_t space = slice_find_last(response, ' ');
	unsigned char given[MD5_BYTES], made[EVP_MAX_MD_SIZE];

	return space >= 0 &&
	       hex(slice_tail(response, (size_t)space + 1), given, sizeof(given)) > 0 &&
	       HMAC(EVP_md5(), password.data, (int)password.length,
		       (const unsigned char *)challenge.data, challenge.length, made, NULL) &&
	       memcmp(given, made, MD5_BYTES) == 0;
}

static bool is_made_of(const struct exchange *exchange, struct slice password)
{
	const struct library *library = exchange->state;
	struct slice response = buffer_slice(&exchange->input);

	return is_digest(exchange)
		       ? mech_digest_fits(response, password)
		       : cram_fits(buffer_slice(&library->challenge), response, password);
}

/*
 * Neither RFC says how a password is prepared, and there are clients that do it (RFC 4013) and such that take the bytes that were
 * typed. The library compares with one form; it gets the one that the response is made of.
 */
static struct slice form_of(
	const struct exchange *exchange, struct slice password, char prepared[SCHEME_MAX_PASSWORD])
{
	struct slice form = schemes_prepared(password, prepared);

	if (slice_equal(form, password) || is_made_of(exchange, form))
		return form;
	return is_made_of(exchange, password) ? password : form;
}

/* Give the library one property of the login, if it is kept. */
static bool give(sasl_server_params_t *parameters, const char *name, struct exchange *exchange,
	struct slice stored)
{
	struct slice value;
	unsigned char key[CRAM_KEY];
	char prepared[SCHEME_MAX_PASSWORD];
	const char *data = (const char *)key;
	int length = -1;
	bool given;

	if (strcmp(name, SASL_AUX_PASSWORD) == 0 &&
		schemes_plain(backends_schemes(exchange->backends), stored, &value)) {
		value = form_of(exchange, value, prepared);
		data = value.data;
		length = (int)value.length;
	} else if (strcmp(name, "*cmusaslsecretCRAM-MD5") == 0 &&
		   schemes_value(stored, "CRAM-MD5", &value) && cram_key(value, key)) {
		length = CRAM_KEY;
	} else if (strcmp(name, "*cmusaslsecretDIGEST-MD5") == 0 &&
		   schemes_value(stored, "DIGEST-MD5", &value) && hex(value, key, MD5_BYTES) > 0) {
		length = MD5_BYTES;
	}
	given = length > 0 &&
		parameters->utils->prop_set(parameters->propctx, name, data, length) == SASL_OK;
	explicit_bzero(prepared, sizeof(prepared));
	return given;
}

static void give_all(
	sasl_server_params_t *parameters, struct exchange *exchange, struct slice stored)
{
	struct library *library = exchange->state;
	const struct propval *wanted = parameters->utils->prop_get(parameters->propctx);
	bool any = false;

	/* A "*" before the name: of who proves himself, not of whom he wants to act for. */
	for (; wanted && wanted->name; wanted++)
		if (wanted->name[0] == '*' && !wanted->values &&
			give(parameters, wanted->name, exchange, stored))
			any = true;
	if (!any && exchange->note[0] == '\0')
		exchange->note = "neither plain text nor a key of the mechanism is stored for it";
	if (any)
		library->verdict = CREDENTIALS_GOOD;
}

static int look_up(void *context, sasl_server_params_t *parameters, unsigned flags,
	const char *user, unsigned length)
{
	char stored[SCHEME_MAX_STORED];
	sasl_callback_ft function;
	struct exchange *exchange;
	struct library *library;
	void *found = NULL;

	if (parameters->utils->getcallback(parameters->utils->conn, SASL_CB_SERVER_USERDB_CHECKPASS,
		    &function, &found) != SASL_OK ||
		!found)
		return SASL_NOUSER;
	exchange = found;
	library = exchange->state;
	if (flags & SASL_AUXPROP_AUTHZID)
		return SASL_OK;
	if (library->nobody || library->checked || strstr(exchange->mech->name, "MD5") == NULL)
		return SASL_NOUSER;
	library->checked = true;
	library->verdict = backends_read(exchange->backends, slice_of(user, length), stored);
	if (library->verdict == CREDENTIALS_GOOD) {
		library->verdict = CREDENTIALS_BAD;
		if (backends_plain(exchange->backends))
			give_all(parameters, exchange, slice_from(stored));
		else
			exchange->note = "auth_allow_plain_scheme is off";
	}
	explicit_bzero(stored, sizeof(stored));
	return library->verdict == CREDENTIALS_GOOD ? SASL_OK : SASL_NOUSER;
}

static int open_properties(const sasl_utils_t *utils, int most, int *version,
	sasl_auxprop_plug_t **plugin, const char *name)
{
	static sasl_auxprop_plug_t own = { .auxprop_lookup = look_up, .name = (char *)"postern" };

	if (most < SASL_AUXPROP_PLUG_VERSION)
		return SASL_BADVERS;
	*version = SASL_AUXPROP_PLUG_VERSION;
	*plugin = &own;
	return SASL_OK;
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

static bool has_plugins(void)
{
	enum { COUNT = sizeof(PLUGINS) / sizeof(PLUGINS[0]) };
	const char **known = sasl_global_listmech();
	unsigned found = 0;

	for (; known && *known; known++)
		for (int i = 0; i < COUNT; i++)
			found += strcmp(*known, PLUGINS[i]) == 0;
	return found == COUNT;
}

bool mech_sasl_open(char *error, size_t error_size)
{
	static const sasl_callback_t CALLBACKS[] = {
		{ SASL_CB_GETOPT, (callback)(void (*)(void))get_option, NULL },
		{ SASL_CB_LOG, (callback)(void (*)(void))be_quiet, NULL },
		{ SASL_CB_GETCONFPATH, (callback)(void (*)(void))no_configuration, NULL },
		{ SASL_CB_LIST_END, NULL, NULL }
	};
	static bool opened;
	int result;

	if (opened)
		return true;
	/* It does not wipe all that it knows of a password. */
	sasl_set_alloc(malloc, calloc, secret_realloc, secret_free);
	sasl_set_mutex(mutex_new, mutex_lock, mutex_unlock, mutex_free);
	result = sasl_server_init(CALLBACKS, "postern");
	if (result == SASL_OK)
		result = sasl_auxprop_add_plugin("postern", open_properties);
	if (result != SASL_OK) {
		snprintf(error, error_size, "libsasl2: %s", sasl_errstring(result, NULL, NULL));
		return false;
	}
	opened = has_plugins();
	if (!opened)
		snprintf(error, error_size,
			"libsasl2 lacks the plugins of PLAIN, LOGIN, CRAM-MD5 or DIGEST-MD5 "
			"(libsasl2-modules)");
	return opened;
}

/* --- exchanges --- */

void mech_sasl_free(struct exchange *exchange)
{
	struct library *library = exchange->state;

	if (!library)
		return;
	if (library->connection)
		sasl_dispose(&library->connection);
	buffer_free(&library->challenge);
	free(library);
	exchange->state = NULL;
}

/* As it is registered for SASL, which clients put into what they sign (RFC 5034 section 4). */
static const char *registered_service(const char *service)
{
	return strcmp(service, "pop3") == 0 ? "pop" : service;
}

static bool connect_library(struct exchange *exchange)
{
	struct library *library = exchange->state;
	sasl_security_properties_t properties = { .maxbufsize = 0 };
	sasl_ssf_t strength = 128;
	const char *realm = mech_settings.realm[0] ? mech_settings.realm : NULL;

	library->callbacks[0] = (sasl_callback_t){ SASL_CB_CANON_USER,
		(callback)(void (*)(void))make_canonical, exchange };
	library->callbacks[1] = (sasl_callback_t){ SASL_CB_SERVER_USERDB_CHECKPASS,
		(callback)(void (*)(void))check_password, exchange };
	library->callbacks[2] = (sasl_callback_t){ SASL_CB_LIST_END, NULL, NULL };
	/* With our name given, the library does not ask the resolver for it. */
	if (sasl_server_new(registered_service(exchange->service), mech_settings.host, realm, NULL,
		    NULL, library->callbacks, SASL_SUCCESS_DATA, &library->connection) != SASL_OK)
		return false;
	return sasl_setprop(library->connection, SASL_SEC_PROPS, &properties) == SASL_OK &&
	       (!exchange->secured ||
		       sasl_setprop(library->connection, SASL_SSF_EXTERNAL, &strength) == SASL_OK);
}

/* What the library's result means. It says "no mechanism" and more when our callback refused: the callback knows best. */
static enum auth_status status_of(const struct library *library, int result)
{
	if (library->checked)
		return library->verdict == CREDENTIALS_ERROR ? AUTH_TEMPORARY
		       : library->verdict == CREDENTIALS_GOOD && result == SASL_OK &&
				       !library->stranger
			       ? AUTH_OK
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
	struct library *library = exchange->state;
	const char *input =
		exchange->has_input ? (exchange->input.data ? exchange->input.data : "") : NULL;

	if (exchange->input.length && is_digest(exchange) &&
		!mech_digest_is_sound(buffer_slice(&exchange->input)))
		return SASL_BADPROT;
	if (library->begun)
		return sasl_server_step(
			library->connection, input, (unsigned)exchange->input.length, out, length);
	library->begun = true;
	return sasl_server_start(library->connection, exchange->mech->name, input,
		(unsigned)exchange->input.length, out, length);
}

static bool keep_challenge(struct exchange *exchange)
{
	struct library *library = exchange->state;

	buffer_clear(&library->challenge);
	return buffer_add(&library->challenge, buffer_slice(&exchange->output));
}

bool mech_sasl_step(struct exchange *exchange)
{
	const char *out = NULL;
	unsigned length = 0;
	int result;

	if (!exchange->state)
		exchange->state = calloc(1, sizeof(struct library));
	if (!exchange->state ||
		(!((struct library *)exchange->state)->connection && !connect_library(exchange)))
		return mech_done(exchange, AUTH_TEMPORARY);
	result = run_library(exchange, &out, &length);
	if ((result == SASL_OK || result == SASL_CONTINUE) && out && length &&
		!buffer_append(&exchange->output, out, length))
		return mech_done(exchange, AUTH_TEMPORARY);
	if (result == SASL_CONTINUE)
		return keep_challenge(exchange) ? false : mech_done(exchange, AUTH_TEMPORARY);
	return mech_done(exchange, status_of(exchange->state, result));
}
