// SPDX-License-Identifier: ISC
/* JSON Web Tokens. See mech_jwt.h. */
#include "auth/mech_jwt.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/base64.h"
#include "os/file_stamp.h"
#include "os/json_text.h"

enum {
	KEYS_MOST = 32,
	KEY_FILE_MOST = 256 * 1024,
	KEY_ID_MOST = 128,
	RSA_LEAST = 2048, /* bits, RFC 7518 section 3.3 */
	EC_COORDINATE = 32 /* bytes, P-256 */
};

enum algorithm { RS256, ES256 };

struct jwk {
	enum algorithm algorithm;
	char id[KEY_ID_MOST + 1];
	EVP_PKEY *key;
};

struct oauth {
	struct oauth_settings settings;
	struct jwk keys[KEYS_MOST];
	unsigned count;
	struct file_stamp stamp;
};

/* Base64url without padding (RFC 7515 section 2). */
static bool decode_url(struct slice text, struct buffer *out)
{
	struct buffer padded = buffer_limited(text.length + 4);
	bool good = true;

	for (size_t i = 0; i < text.length; i++) {
		char c = text.data[i];

		good = good && c != '+' && c != '/' && c != '=';
		buffer_add_byte(&padded, c == '-' ? '+' : c == '_' ? '/' : c);
	}
	while (padded.length % 4)
		buffer_add_byte(&padded, '=');
	good = good && !padded.failed && base64_decode(buffer_slice(&padded), out);
	buffer_free(&padded);
	return good;
}

/* --- keys --- */

static EVP_PKEY *make_key(const char *type, OSSL_PARAM_BLD *builder)
{
	OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	if (!parameters || !context || EVP_PKEY_fromdata_init(context) <= 0 ||
		EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) <= 0)
		key = NULL;
	EVP_PKEY_CTX_free(context);
	OSSL_PARAM_free(parameters);
	return key;
}

static EVP_PKEY *rsa_key(const json_t *jwk)
{
	struct buffer n = buffer_limited(2048), e = buffer_limited(64);
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	BIGNUM *modulus = NULL, *exponent = NULL;
	EVP_PKEY *key = NULL;

	if (decode_url(json_text_member(jwk, "n"), &n) &&
		decode_url(json_text_member(jwk, "e"), &e)) {
		modulus = BN_bin2bn((const unsigned char *)n.data, (int)n.length, NULL);
		exponent = BN_bin2bn((const unsigned char *)e.data, (int)e.length, NULL);
	}
	if (builder && modulus && exponent && BN_num_bits(modulus) >= RSA_LEAST &&
		OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus) &&
		OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent))
		key = make_key("RSA", builder);
	OSSL_PARAM_BLD_free(builder);
	BN_free(modulus);
	BN_free(exponent);
	buffer_free(&n);
	buffer_free(&e);
	return key;
}

static EVP_PKEY *ec_key(const json_t *jwk)
{
	struct buffer point = buffer_limited(1 + 2 * EC_COORDINATE + 8);
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	EVP_PKEY *key = NULL;

	buffer_add_byte(&point, 4); /* uncompressed */
	if (builder && slice_equal(json_text_member(jwk, "crv"), SLICE("P-256")) &&
		decode_url(json_text_member(jwk, "x"), &point) &&
		point.length == 1 + EC_COORDINATE &&
		decode_url(json_text_member(jwk, "y"), &point) &&
		point.length == 1 + 2 * EC_COORDINATE &&
		OSSL_PARAM_BLD_push_utf8_string(
			builder, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) &&
		OSSL_PARAM_BLD_push_octet_string(
			builder, OSSL_PKEY_PARAM_PUB_KEY, point.data, point.length))
		key = make_key("EC", builder);
	OSSL_PARAM_BLD_free(builder);
	buffer_free(&point);
	return key;
}

/* Keys of other kinds and for other uses may stand in the set: they are passed over. */
static bool add_key(struct oauth *oauth, const json_t *jwk)
{
	struct slice type = json_text_member(jwk, "kty"), use = json_text_member(jwk, "use");
	struct jwk *own = &oauth->keys[oauth->count];

	if (use.length && !slice_equal(use, SLICE("sig")))
		return true;
	if (slice_equal(type, SLICE("RSA"))) {
		own->algorithm = RS256;
		own->key = rsa_key(jwk);
	} else if (slice_equal(type, SLICE("EC")) &&
		   slice_equal(json_text_member(jwk, "crv"), SLICE("P-256"))) {
		own->algorithm = ES256;
		own->key = ec_key(jwk);
	} else {
		return true;
	}
	if (!own->key || !slice_to_string(json_text_member(jwk, "kid"), own->id, sizeof(own->id)))
		return false;
	oauth->count++;
	return true;
}

static bool add_keys(struct oauth *oauth, const json_t *set, char *error, size_t error_size)
{
	const json_t *keys = json_object_get(set, "keys"), *key;
	size_t i;

	if (!json_is_array(keys)) {
		snprintf(error, error_size, "%s: not a JSON Web Key set", oauth->settings.keys);
		return false;
	}
	json_array_foreach(keys, i, key) if (oauth->count == KEYS_MOST || !add_key(oauth, key))
	{
		snprintf(error, error_size,
			"%s: a key that cannot be used (RSA from %d bits, P-256; at most "
			"%d)",
			oauth->settings.keys, RSA_LEAST, KEYS_MOST);
		return false;
	}
	if (oauth->count)
		return true;
	snprintf(error, error_size, "%s: no key for RS256 or ES256", oauth->settings.keys);
	return false;
}

static bool read_keys(struct oauth *oauth, int fd, char *error, size_t error_size)
{
	char *text = malloc(KEY_FILE_MOST), fault[200];
	json_t *set = NULL;
	ssize_t length = -1;
	bool done = false;

	if (text)
		length = os_pread(fd, text, KEY_FILE_MOST, 0);
	if (length < 0 || length == KEY_FILE_MOST)
		snprintf(error, error_size, "%s: %s", oauth->settings.keys,
			length < 0 ? strerror(errno) : "too large");
	else if (!(set = json_text_read(slice_of(text, (size_t)length), 0, fault, sizeof(fault))))
		snprintf(error, error_size, "%s: not a JSON Web Key set: %s", oauth->settings.keys,
			fault);
	else
		done = add_keys(oauth, set, error, error_size);
	free(text);
	json_decref(set);
	return done;
}

struct oauth *oauth_open(const struct oauth_settings *settings, char *error, size_t error_size)
{
	struct oauth *oauth = calloc(1, sizeof(*oauth));
	bool done = false;
	int fd = -1;

	if (!oauth) {
		snprintf(error, error_size, "no memory");
		return NULL;
	}
	oauth->stamp = FILE_STAMP_NONE;
	oauth->settings = *settings;
	if (file_stamp_take(&oauth->stamp, settings->keys))
		fd = os_open(settings->keys, O_RDONLY, 0);
	if (fd < 0)
		snprintf(error, error_size, "%s: %s", settings->keys, strerror(errno));
	else
		done = read_keys(oauth, fd, error, error_size);
	os_close(&fd);
	if (!done)
		oauth_close(&oauth);
	return oauth;
}

void oauth_close(struct oauth **oauth)
{
	if (!*oauth)
		return;
	for (unsigned i = 0; i < (*oauth)->count; i++)
		EVP_PKEY_free((*oauth)->keys[i].key);
	file_stamp_free(&(*oauth)->stamp);
	free(*oauth);
	*oauth = NULL;
}

bool oauth_changed(const struct oauth *oauth)
{
	return file_stamp_changed(&oauth->stamp);
}

const char *oauth_scope(const struct oauth *oauth)
{
	return oauth->settings.scope;
}

/* --- tokens --- */

/* The two numbers of an ES256 signature (RFC 7518 section 3.4) as libcrypto wants them. */
static int ec_signature(struct slice raw, unsigned char **der)
{
	const unsigned char *bytes = (const unsigned char *)raw.data;
	ECDSA_SIG *signature = ECDSA_SIG_new();
	BIGNUM *r = NULL, *s = NULL;
	int length = -1;

	if (signature && raw.length == 2 * EC_COORDINATE) {
		r = BN_bin2bn(bytes, EC_COORDINATE, NULL);
		s = BN_bin2bn(bytes + EC_COORDINATE, EC_COORDINATE, NULL);
	}
	if (r && s && ECDSA_SIG_set0(signature, r, s))
		length = i2d_ECDSA_SIG(signature, der);
	else
		BN_free(r), BN_free(s);
	ECDSA_SIG_free(signature);
	return length;
}

static bool signature_fits(const struct jwk *jwk, struct slice text, struct slice signature)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char *der = NULL;
	const unsigned char *bytes = (const unsigned char *)signature.data;
	int length = (int)signature.length;
	bool fits;

	if (jwk->algorithm == ES256) {
		length = ec_signature(signature, &der);
		bytes = der;
	}
	fits = context && length > 0 &&
	       EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, jwk->key) == 1 &&
	       EVP_DigestVerify(context, bytes, (size_t)length, (const unsigned char *)text.data,
		       text.length) == 1;
	EVP_MD_CTX_free(context);
	OPENSSL_free(der);
	return fits;
}

/* The algorithm is the key's, never the token's choice: what the header says must be the same. */
static bool signed_by_us(
	const struct oauth *oauth, const json_t *header, struct slice text, struct slice signature)
{
	struct slice id = json_text_member(header, "kid"), name = json_text_member(header, "alg");

	if (json_object_get(header, "crit"))
		return false;
	for (unsigned i = 0; i < oauth->count; i++) {
		const struct jwk *jwk = &oauth->keys[i];

		if (slice_equal(name, jwk->algorithm == RS256 ? SLICE("RS256") : SLICE("ES256")) &&
			(id.length == 0 || slice_equal(id, slice_from(jwk->id))) &&
			signature_fits(jwk, text, signature))
			return true;
	}
	return false;
}

/* Numbers of any size may stand in a token: those that count are read as they are. */
static json_t *read_part(const struct buffer *part)
{
	char error[200];

	return json_text_read(buffer_slice(part), JSON_DECODE_INT_AS_REAL, error, sizeof(error));
}

bool oauth_is_jwt(struct slice token)
{
	struct slice rest = token, part;
	unsigned parts = 0;

	while (slice_split(&rest, '.', &part))
		parts++;
	return parts == 3;
}

bool oauth_check(const struct oauth *oauth, struct slice token, int64_t now,
	char name[CLAIMS_NAME_MOST + 1], const char **reason)
{
	struct buffer header = buffer_limited(JWT_MOST), payload = buffer_limited(JWT_MOST),
		      signature = buffer_limited(1024);
	ptrdiff_t end = slice_find_last(token, '.');
	struct slice text = slice_head(token, end < 0 ? 0 : (size_t)end), rest = text, part[2];
	json_t *head = NULL, *claims = NULL;
	bool good = false;

	*reason = "the token is malformed";
	if (token.length <= JWT_MOST && end > 0 && slice_split(&rest, '.', &part[0]) &&
		slice_find(rest, '.') < 0 && decode_url(part[0], &header) &&
		decode_url(rest, &payload) &&
		decode_url(slice_tail(token, (size_t)end + 1), &signature)) {
		*reason = "the token is not signed with one of the keys";
		head = read_part(&header);
		good = signed_by_us(oauth, head, text, buffer_slice(&signature));
		claims = good ? read_part(&payload) : NULL;
		good = good && claims_check(&oauth->settings, claims, now, true, name, reason);
	}
	json_decref(head);
	json_decref(claims);
	buffer_free(&header);
	buffer_free(&payload);
	buffer_free(&signature);
	return good;
}
