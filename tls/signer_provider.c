// SPDX-License-Identifier: ISC
/*
 * The OpenSSL provider of keys that keyd holds: key management for RSA, EC and Ed25519 (all that asks about a key is answered by its public
 * part), and one signature algorithm that takes the whole of what is to be signed. See signer.h, provider-keymgmt(7), provider-signature(7).
 */
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <stdlib.h>

#include "tls/signer_impl.h"
#include "tls/to_sign.h"

#define PROVIDER_NAME  "postern"
#define PROPERTIES     "provider=" PROVIDER_NAME
#define SIGNATURE_NAME "POSTERN-KEYD"
/* The one parameter that makes a key: a pointer to struct remote_key, which is copied. */
#define PARAM_REMOTE "postern-remote-key"

struct remote_key {
	EVP_PKEY *public_key;
	uint32_t number;
	enum key_kind kind;
};

/* --- key management --- */

static void *key_new(void *provider)
{
	return calloc(1, sizeof(struct remote_key));
}

static void key_free(void *data)
{
	struct remote_key *key = data;

	if (key)
		EVP_PKEY_free(key->public_key);
	free(key);
}

static int key_has(const void *data, int selection)
{
	return data && ((const struct remote_key *)data)->public_key;
}

static const OSSL_PARAM *key_import_types(int selection)
{
	static const OSSL_PARAM TYPES[] = { OSSL_PARAM_octet_string(PARAM_REMOTE, NULL, 0),
		OSSL_PARAM_END };

	return TYPES;
}

static int key_import(void *data, int selection, const OSSL_PARAM params[])
{
	const OSSL_PARAM *given = OSSL_PARAM_locate_const(params, PARAM_REMOTE);
	struct remote_key *key = data;

	if (!given || given->data_size != sizeof(*key) || key->public_key)
		return 0;
	memcpy(key, given->data, sizeof(*key));
	return EVP_PKEY_up_ref(key->public_key);
}

/* The public part only: for comparing with the certificate's. */
static int key_export(void *data, int selection, OSSL_CALLBACK *callback, void *context)
{
	const struct remote_key *key = data;
	OSSL_PARAM *params = NULL;
	int good;

	if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) ||
		!EVP_PKEY_todata(key->public_key, EVP_PKEY_PUBLIC_KEY, &params))
		return 0;
	good = callback(params, context);
	OSSL_PARAM_free(params);
	return good;
}

static const OSSL_PARAM *key_export_types(int selection)
{
	static const OSSL_PARAM TYPES[] = {
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0), OSSL_PARAM_END
	};

	return selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY ? NULL : TYPES;
}

static const OSSL_PARAM *key_gettable_params(void *provider)
{
	static const OSSL_PARAM PARAMS[] = { OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0), OSSL_PARAM_END };

	return PARAMS;
}

static int key_get_params(void *data, OSSL_PARAM params[])
{
	return EVP_PKEY_get_params(((struct remote_key *)data)->public_key, params);
}

static const char *key_operation(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? SIGNATURE_NAME : NULL;
}

#define FUNCTION(id, function) \
	{ \
		id, (void (*)(void))function \
	}
static const OSSL_DISPATCH KEY_FUNCTIONS[] = { FUNCTION(OSSL_FUNC_KEYMGMT_NEW, key_new),
	FUNCTION(OSSL_FUNC_KEYMGMT_FREE, key_free), FUNCTION(OSSL_FUNC_KEYMGMT_HAS, key_has),
	FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT, key_import),
	FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, key_import_types),
	FUNCTION(OSSL_FUNC_KEYMGMT_EXPORT, key_export),
	FUNCTION(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, key_export_types),
	FUNCTION(OSSL_FUNC_KEYMGMT_GET_PARAMS, key_get_params),
	FUNCTION(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, key_gettable_params),
	FUNCTION(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, key_operation), { 0, NULL } };

/* --- signatures --- */

struct operation {
	struct signer *signer;
	const struct remote_key *key; /* OpenSSL keeps it as long as the operation */
	char digest[32];
	bool pss;
};

static void *sign_new(void *provider, const char *properties)
{
	struct operation *operation = calloc(1, sizeof(*operation));

	if (operation)
		operation->signer = provider;
	return operation;
}

static void sign_free(void *data)
{
	free(data);
}

static int sign_set_params(void *data, const OSSL_PARAM params[])
{
	struct operation *operation = data;
	const OSSL_PARAM *padding =
		params ? OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE) : NULL;
	int mode;

	if (!padding)
		return 1;
	if (padding->data_type == OSSL_PARAM_UTF8_STRING) {
		operation->pss = strcmp(padding->data, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0;
		return 1;
	}
	if (!OSSL_PARAM_get_int(padding, &mode))
		return 0;
	operation->pss = mode == RSA_PKCS1_PSS_PADDING;
	return 1;
}

/* The salt is always as long as the digest, as TLS has it: keyd sets that. */
static const OSSL_PARAM *sign_settable(void *data, void *provider)
{
	static const OSSL_PARAM PARAMS[] = { OSSL_PARAM_int(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0), OSSL_PARAM_END };

	return PARAMS;
}

static int sign_init(void *data, const char *digest, void *key, const OSSL_PARAM params[])
{
	struct operation *operation = data;

	if (key)
		operation->key = key;
	operation->pss = false;
	if (!slice_to_string(slice_from(digest), operation->digest, sizeof(operation->digest)))
		return 0;
	return operation->key && sign_set_params(data, params);
}

static int sign(void *data, unsigned char *signature, size_t *length, size_t room,
	const unsigned char *text, size_t text_length)
{
	struct operation *operation = data;
	uint16_t scheme = to_sign_number(operation->key->kind, operation->digest, operation->pss);

	if (!signature) {
		*length = (size_t)EVP_PKEY_get_size(operation->key->public_key);
		return 1;
	}
	*length = room;
	return scheme && signer_sign(operation->signer, operation->key->number, scheme,
				 slice_of(text, text_length), signature, length);
}

static const OSSL_DISPATCH SIGN_FUNCTIONS[] = { FUNCTION(OSSL_FUNC_SIGNATURE_NEWCTX, sign_new),
	FUNCTION(OSSL_FUNC_SIGNATURE_FREECTX, sign_free),
	FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, sign_init),
	FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, sign),
	FUNCTION(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, sign_set_params),
	FUNCTION(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, sign_settable), { 0, NULL } };

/* --- the provider --- */

static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_store)
{
	static const OSSL_ALGORITHM KEYS[] = { { "RSA:rsaEncryption:1.2.840.113549.1.1.1",
						       PROPERTIES, KEY_FUNCTIONS, NULL },
		{ "EC:id-ecPublicKey:1.2.840.10045.2.1", PROPERTIES, KEY_FUNCTIONS, NULL },
		{ "ED25519:1.3.101.112", PROPERTIES, KEY_FUNCTIONS, NULL },
		{ NULL, NULL, NULL, NULL } };
	static const OSSL_ALGORITHM SIGNATURES[] = {
		{ SIGNATURE_NAME, PROPERTIES, SIGN_FUNCTIONS, NULL }, { NULL, NULL, NULL, NULL }
	};

	*no_store = 0;
	if (operation == OSSL_OP_KEYMGMT)
		return KEYS;
	return operation == OSSL_OP_SIGNATURE ? SIGNATURES : NULL;
}

static const OSSL_DISPATCH PROVIDER_FUNCTIONS[] = {
	FUNCTION(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query), { 0, NULL }
};

/* The core hands no argument through: the signer waits in the one place there is. */
static struct signer *signer_being_made;

static int provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
	const OSSL_DISPATCH **out, void **context)
{
	*out = PROVIDER_FUNCTIONS;
	*context = signer_being_made;
	return 1;
}

struct signer *signer_new(signer_ask ask, void *context)
{
	struct signer *signer = calloc(1, sizeof(*signer));

	if (!signer)
		return NULL;
	signer->ask = ask;
	signer->context = context;
	signer_being_made = signer;
	/* Our algorithms have the names of the standard ones: those come first for whoever does not ask for ours. */
	signer->standard = OSSL_PROVIDER_load(NULL, "default");
	if (signer->standard && OSSL_PROVIDER_add_builtin(NULL, PROVIDER_NAME, provider_init) &&
		EVP_set_default_properties(NULL, "?provider=default"))
		signer->provider = OSSL_PROVIDER_load(NULL, PROVIDER_NAME);
	signer_being_made = NULL;
	if (!signer->provider)
		signer_free(&signer);
	return signer;
}

void signer_free(struct signer **signer)
{
	if (!*signer)
		return;
	if ((*signer)->provider)
		OSSL_PROVIDER_unload((*signer)->provider);
	if ((*signer)->standard)
		OSSL_PROVIDER_unload((*signer)->standard);
	free(*signer);
	*signer = NULL;
}

EVP_PKEY *signer_key(struct signer *signer, EVP_PKEY *public_key, uint32_t number)
{
	static const struct {
		const char *name;
		enum key_kind kind;
	} KINDS[] = { { "RSA", KEY_RSA }, { "EC", KEY_EC }, { "ED25519", KEY_ED25519 } };
	struct remote_key remote = { .public_key = public_key, .number = number };
	OSSL_PARAM params[] = { OSSL_PARAM_construct_octet_string(
					PARAM_REMOTE, &remote, sizeof(remote)),
		OSSL_PARAM_construct_end() };
	EVP_PKEY_CTX *context = NULL;
	EVP_PKEY *key = NULL;

	for (size_t i = 0; i < sizeof(KINDS) / sizeof(KINDS[0]); i++)
		if (EVP_PKEY_is_a(public_key, KINDS[i].name)) {
			remote.kind = KINDS[i].kind;
			context = EVP_PKEY_CTX_new_from_name(NULL, KINDS[i].name, PROPERTIES);
		}
	if (context && EVP_PKEY_fromdata_init(context) == 1 &&
		EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEYPAIR, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(context);
	return key;
}
