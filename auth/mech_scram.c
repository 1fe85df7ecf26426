// SPDX-License-Identifier: ISC
/*
 * SCRAM-SHA-1, SCRAM-SHA-256 (RFC 5802, RFC 7677) and their -PLUS forms with the channel bindings tls-exporter (RFC 9266),
 * tls-server-end-point and tls-unique (RFC 5929).
 *
 * They are not libsasl2's: its server knows one binding for a connection, does not notice that a client was made to believe there is
 * none ("y"), and is not safe from a client that binds although there is nothing to bind to.
 *
 * Somebody who is nobody gets a salt, too, always the same one, and fails at the end like a wrong password.
 */
#include "auth/mech_scram.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

#include "auth/survey.h"
#include "base/base64.h"
#include "os/os.h"

enum {
	NONCE_BYTES = 18, /* 24 characters of base64, none of them a comma */
	CLIENT_NONCE_MOST = 256,
	MESSAGE_MOST = 4096,
	SECRET_BYTES = 32 /* of HMAC-SHA-256 */
};

struct scram {
	const char *digest_name;
	enum scram_digest kind;
	const EVP_MD *digest;
	bool plus, first_done, known, temporary;
	struct buffer header; /* gs2-header, as it came */
	struct buffer message; /* AuthMessage, as far as it is known */
	struct buffer nonce; /* the client's and ours */
	struct slice
		binding; /* the data that the client must have signed; borrowed from the exchange */
	char authzid[CREDENTIALS_MAX_LOGIN + 1];
	struct scram_keys keys;
};

void mech_scram_free(struct exchange *exchange)
{
	struct scram *scram = exchange->state;

	if (!scram)
		return;
	buffer_free(&scram->header);
	buffer_free(&scram->message);
	buffer_free(&scram->nonce);
	explicit_bzero(scram, sizeof(*scram));
	free(scram);
	exchange->state = NULL;
}

static struct scram *scram_new(struct exchange *exchange)
{
	struct slice name = slice_from(exchange->mech->name);
	struct scram *scram = calloc(1, sizeof(*scram));

	if (!scram)
		return NULL;
	scram->plus = slice_ends_nocase(name, SLICE("-PLUS"));
	scram->digest_name = slice_search(name, SLICE("SHA-256")) >= 0 ? "SHA-256" : "SHA-1";
	scram->kind = scram->digest_name[4] == '2' ? SCRAM_SHA_256 : SCRAM_SHA_1;
	scram->digest = scram->kind == SCRAM_SHA_256 ? EVP_sha256() : EVP_sha1();
	scram->header = buffer_limited(MESSAGE_MOST);
	scram->message = buffer_limited(3 * MESSAGE_MOST);
	scram->nonce = buffer_limited(CLIENT_NONCE_MOST + NONCE_BYTES * 2);
	exchange->state = scram;
	return scram;
}

/* saslname (section 5.1): "=2C" is a comma, "=3D" an equals sign, and no other "=" is allowed. */
static bool decode_saslname(struct slice name, char *text, size_t size)
{
	size_t out = 0;

	for (size_t i = 0; i < name.length; i++) {
		char c = name.data[i];

		if (c == '=') {
			struct slice code = slice_head(slice_tail(name, i), 3);

			if (slice_equal(code, SLICE("=2C")))
				c = ',';
			else if (!slice_equal(code, SLICE("=3D")))
				return false;
			i += 2;
		}
		if (c == '\0' || out + 1 >= size)
			return false;
		text[out++] = c;
	}
	text[out] = '\0';
	return true;
}

/* "x=value," off the front; false when it is not there. */
static bool take_attribute(struct slice *rest, char name, struct slice *value)
{
	if (rest->length < 2 || rest->data[0] != name || rest->data[1] != '=')
		return false;
	*rest = slice_tail(*rest, 2);
	if (!slice_split(rest, ',', value))
		*value = slice_of("", 0);
	return true;
}

/* --- channel bindings --- */

static struct slice binding_of(const struct exchange *exchange, struct slice name)
{
	const struct {
		struct slice name, data;
	} bindings[] = {
		{ SLICE("tls-exporter"), exchange->tls.exporter },
		{ SLICE("tls-server-end-point"), exchange->tls.end_point },
		{ SLICE("tls-unique"), exchange->tls.unique },
	};

	for (size_t i = 0; exchange->has_tls && i < sizeof(bindings) / sizeof(bindings[0]); i++)
		if (slice_equal(name, bindings[i].name))
			return bindings[i].data;
	return slice_of("", 0);
}

/* Was the -PLUS form on offer? Then a client that could have used it and did not was lied to. */
static bool plus_offered(const struct exchange *exchange, const struct scram *scram)
{
	char name[32];
	const struct mechanism_situation situation = {
		.bindings = exchange->has_tls &&
			    (exchange->tls.exporter.length || exchange->tls.end_point.length ||
				    exchange->tls.unique.length)
	};

	snprintf(name, sizeof(name), "SCRAM-%s-PLUS", scram->digest_name);
	return mechanism_allowed(slice_from(name), mech_settings.mechanisms, "", &situation);
}

/* gs2-cbind-flag (section 6). AUTH_OK: go on. */
static enum auth_status take_flag(
	struct exchange *exchange, struct scram *scram, struct slice *rest)
{
	struct slice name;
	char flag = rest->length ? rest->data[0] : '\0';

	if (flag == 'p') {
		if (!take_attribute(rest, 'p', &name) || !scram->plus)
			return AUTH_BAD;
		scram->binding = binding_of(exchange, name);
		if (scram->binding.length)
			return AUTH_OK;
		exchange->note = "the channel binding is not there";
		return AUTH_FAILED;
	}
	if ((flag != 'n' && flag != 'y') || rest->length < 2 || rest->data[1] != ',' || scram->plus)
		return AUTH_BAD;
	*rest = slice_tail(*rest, 2);
	if (flag == 'n' || !plus_offered(exchange, scram))
		return AUTH_OK;
	exchange->note = "the client was told that there are no channel bindings";
	return AUTH_FAILED;
}

/* --- first messages --- */

/* Bytes that belong to a text, for ever, and that nobody else can know. */
static void secret_bytes(const char *text, unsigned char made[SECRET_BYTES])
{
	unsigned char digest[EVP_MAX_MD_SIZE] = { 0 };

	HMAC(EVP_sha256(), mech_settings.secret, (int)sizeof(mech_settings.secret),
		(const unsigned char *)text, strlen(text), digest, NULL);
	memcpy(made, digest, SECRET_BYTES);
}

/* A name that comes to another form gets another salt, as if somebody had changed his password. */
static void make_salt(const struct exchange *exchange, struct scram *scram, struct scram_form form)
{
	struct scram_keys *keys = &scram->keys;
	unsigned char made[SECRET_BYTES];
	char text[CREDENTIALS_MAX_LOGIN + 64];

	keys->iterations = form.iterations;
	keys->salt_length = form.salt_length;
	keys->digest_length = (size_t)EVP_MD_get_size(scram->digest);
	for (size_t at = 0; at < keys->salt_length; at += SECRET_BYTES) {
		size_t left = keys->salt_length - at;

		snprintf(text, sizeof(text), "salt %s %u %u %zu %s", scram->digest_name,
			form.iterations, form.salt_length, at, exchange->login);
		secret_bytes(text, made);
		memcpy(keys->salt + at, made, left < SECRET_BYTES ? left : SECRET_BYTES);
	}
}

static struct scram_form form_of_nobody(
	const struct exchange *exchange, const struct scram *scram, bool known)
{
	struct scram_form form = { 0 };
	unsigned char made[SECRET_BYTES];
	char text[CREDENTIALS_MAX_LOGIN + 64];
	struct scram_lot lot;

	snprintf(text, sizeof(text), "form %s", exchange->login);
	secret_bytes(text, made);
	memcpy(&lot, made, sizeof(lot));
	if (mech_settings.survey)
		form = survey_pick(mech_settings.survey, scram->kind, &lot, known);
	if (!form.iterations)
		form = (struct scram_form){ mech_settings.scram_iterations, SCRAM_SALT };
	return form;
}

/* The same for the same name, as long as there are logins like that: guessing tells nothing of who is there. */
static void keys_of_nobody(const struct exchange *exchange, struct scram *scram, bool known)
{
	make_salt(exchange, scram, form_of_nobody(exchange, scram, known));
	os_random(scram->keys.stored_key, sizeof(scram->keys.stored_key));
	os_random(scram->keys.server_key, sizeof(scram->keys.server_key));
}

static void find_keys(struct exchange *exchange, struct scram *scram, struct slice user)
{
	const unsigned iterations = backends_iterations(exchange->backends);
	char stored[SCHEME_MAX_STORED] = "";
	enum credentials_status status = CREDENTIALS_UNKNOWN;
	bool good;

	if (mech_find_login(exchange, user, exchange->login))
		status = backends_read(exchange->backends, slice_from(exchange->login), stored);
	else
		snprintf(exchange->login, sizeof(exchange->login), "-");
	good = status == CREDENTIALS_GOOD;
	scram->temporary = status == CREDENTIALS_ERROR;
	/* Plain text needs a salt, too; it is the one that nobody of that name would have. */
	make_salt(exchange, scram, (struct scram_form){ iterations, SCRAM_SALT });
	scram->known = schemes_scram(backends_schemes(exchange->backends),
		good ? slice_from(stored) : SLICE(""), scram->digest_name, &scram->keys);
	if (good && !scram->known)
		exchange->note = "no SCRAM keys are stored for it";
	if (!scram->known)
		keys_of_nobody(exchange, scram, good);
	explicit_bzero(stored, sizeof(stored));
}

static bool printable_nonce(struct slice nonce)
{
	for (size_t i = 0; i < nonce.length; i++)
		if (nonce.data[i] < 0x21 || nonce.data[i] > 0x7e)
			return false;
	return nonce.length > 0 && nonce.length <= CLIENT_NONCE_MOST;
}

/* client-first-message-bare: "n=user,r=nonce[,extensions]" */
static bool take_first_bare(struct exchange *exchange, struct scram *scram, struct slice bare)
{
	char user[CREDENTIALS_MAX_LOGIN + 1];
	struct slice rest = bare, name, nonce;

	if (!take_attribute(&rest, 'n', &name) || !take_attribute(&rest, 'r', &nonce) ||
		!printable_nonce(nonce) || !decode_saslname(name, user, sizeof(user)))
		return false;
	buffer_add(&scram->nonce, nonce);
	buffer_add(&scram->message, bare);
	find_keys(exchange, scram, slice_from(user));
	return true;
}

/* server-first-message, into output and AuthMessage. */
static bool say_first(struct exchange *exchange, struct scram *scram)
{
	unsigned char random[NONCE_BYTES];
	struct buffer *out = &exchange->output;

	os_random(random, sizeof(random));
	if (mech_settings.nonce)
		buffer_add_text(&scram->nonce, mech_settings.nonce);
	else
		base64_encode(slice_of(random, sizeof(random)), &scram->nonce);
	buffer_add_text(out, "r=");
	buffer_add(out, buffer_slice(&scram->nonce));
	buffer_add_text(out, ",s=");
	base64_encode(slice_of(scram->keys.salt, scram->keys.salt_length), out);
	buffer_printf(out, ",i=%u", scram->keys.iterations);
	buffer_add_byte(&scram->message, ',');
	buffer_add(&scram->message, buffer_slice(out));
	return !out->failed && !scram->message.failed && !scram->nonce.failed;
}

static bool step_first(struct exchange *exchange, struct scram *scram)
{
	struct slice whole = buffer_slice(&exchange->input), rest = whole, authzid;
	enum auth_status status;

	if (whole.length > MESSAGE_MOST)
		return mech_done(exchange, AUTH_BAD);
	status = take_flag(exchange, scram, &rest);
	if (status != AUTH_OK)
		return mech_done(exchange, status);
	if (rest.length && rest.data[0] == ',')
		rest = slice_tail(rest, 1);
	else if (!take_attribute(&rest, 'a', &authzid) || authzid.length == 0 ||
		 !decode_saslname(authzid, scram->authzid, sizeof(scram->authzid)))
		return mech_done(exchange, AUTH_BAD);
	buffer_add(&scram->header, slice_head(whole, whole.length - rest.length));
	if (!take_first_bare(exchange, scram, rest))
		return mech_done(exchange, AUTH_BAD);
	if (scram->temporary || !say_first(exchange, scram))
		return mech_done(exchange, AUTH_TEMPORARY);
	scram->first_done = true;
	return false;
}

/* --- final messages --- */

static bool hmac(const struct scram *scram, const unsigned char *key, unsigned char *result)
{
	return HMAC(scram->digest, key, (int)scram->keys.digest_length,
		       (const unsigned char *)scram->message.data, scram->message.length, result,
		       NULL) != NULL;
}

/* "c=": the header again, and behind it the binding's data. */
static bool binding_fits(const struct scram *scram, struct slice encoded)
{
	struct buffer bytes = buffer_limited(MESSAGE_MOST);
	struct slice got, header = buffer_slice(&scram->header);
	bool fits = base64_decode(encoded, &bytes);

	got = buffer_slice(&bytes);
	fits = fits && slice_starts(got, header) &&
	       slice_equal(slice_tail(got, header.length), scram->binding);
	buffer_free(&bytes);
	return fits;
}

/* ClientProof (section 3): H(proof xor HMAC(StoredKey, AuthMessage)) is StoredKey. */
static bool proof_fits(const struct scram *scram, struct slice proof)
{
	unsigned char client_key[EVP_MAX_MD_SIZE], signature[EVP_MAX_MD_SIZE],
		digest[EVP_MAX_MD_SIZE];
	unsigned char difference = 0;
	size_t size = scram->keys.digest_length;

	if (proof.length != size || !hmac(scram, scram->keys.stored_key, signature))
		return false;
	for (size_t i = 0; i < size; i++)
		client_key[i] = (unsigned char)proof.data[i] ^ signature[i];
	if (!EVP_Digest(client_key, size, digest, NULL, scram->digest, NULL))
		return false;
	for (size_t i = 0; i < size; i++)
		difference |= digest[i] ^ scram->keys.stored_key[i];
	OPENSSL_cleanse(client_key, sizeof(client_key));
	return difference == 0;
}

static bool say_final(struct exchange *exchange, const struct scram *scram)
{
	unsigned char signature[EVP_MAX_MD_SIZE];

	return hmac(scram, scram->keys.server_key, signature) &&
	       buffer_add_text(&exchange->output, "v=") &&
	       base64_encode(slice_of(signature, scram->keys.digest_length), &exchange->output);
}

/* "c=binding,r=nonce[,extensions],p=proof" */
static bool step_final(struct exchange *exchange, struct scram *scram)
{
	struct slice whole = buffer_slice(&exchange->input), rest = whole, binding, nonce;
	ptrdiff_t at = slice_find_last(whole, ',');
	struct slice proof = slice_tail(whole, at < 0 ? whole.length : (size_t)at + 1);
	struct buffer bytes = buffer_limited(SCHEME_MAX_DIGEST + 4);
	bool good;

	if (whole.length > MESSAGE_MOST || !slice_starts(proof, SLICE("p=")) ||
		!take_attribute(&rest, 'c', &binding) || !take_attribute(&rest, 'r', &nonce) ||
		!slice_equal(nonce, buffer_slice(&scram->nonce)) ||
		!base64_decode(slice_tail(proof, 2), &bytes)) {
		buffer_free(&bytes);
		return mech_done(exchange, AUTH_BAD);
	}
	buffer_add_byte(&scram->message, ',');
	buffer_add(&scram->message, slice_head(whole, (size_t)at));
	good = !scram->message.failed && proof_fits(scram, buffer_slice(&bytes)) && scram->known;
	buffer_free(&bytes);
	if (good && !binding_fits(scram, binding)) {
		exchange->note = "the channel bindings differ";
		good = false;
	}
	if (!good || !mech_may_act_for(exchange, slice_from(scram->authzid)))
		return mech_done(exchange, AUTH_FAILED);
	return mech_done(exchange, say_final(exchange, scram) ? AUTH_OK : AUTH_TEMPORARY);
}

bool mech_scram_step(struct exchange *exchange)
{
	struct scram *scram = exchange->state ? exchange->state : scram_new(exchange);

	if (!scram)
		return mech_done(exchange, AUTH_TEMPORARY);
	if (exchange->steps == 1 && !exchange->has_input)
		return false;
	return scram->first_done ? step_final(exchange, scram) : step_first(exchange, scram);
}
