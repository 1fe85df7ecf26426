// SPDX-License-Identifier: ISC
/* Keys and certificates out of PEM text. See keyset_pem.h. */
#include "tls/keyset_pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

enum { CERTIFICATES_MAX = 40, RSA_LEAST = 2048 };

struct material {
	EVP_PKEY *keys[KEYSET_PAIRS_MAX];
	X509 *certificates[CERTIFICATES_MAX];
	unsigned key_count, certificate_count;
	char *error;
	size_t error_size;
};

static bool fail(struct material *material, const char *text)
{
	snprintf(material->error, material->error_size, "%s", text);
	ERR_clear_error();
	return false;
}

void key_pair_free(struct key_pair *pair)
{
	EVP_PKEY_free(pair->key);
	buffer_free(&pair->chain);
	*pair = (struct key_pair){ 0 };
}

/* --- blocks --- */

static bool take_key(struct material *material, const unsigned char *data, long length)
{
	if (material->key_count == KEYSET_PAIRS_MAX)
		return fail(material, "too many keys in one place");
	material->keys[material->key_count] = d2i_AutoPrivateKey(NULL, &data, length);
	if (!material->keys[material->key_count])
		return fail(material, "a private key that cannot be read");
	material->key_count++;
	return true;
}

static bool take_certificate(struct material *material, const unsigned char *data, long length)
{
	if (material->certificate_count == CERTIFICATES_MAX)
		return fail(material, "too many certificates in one place");
	material->certificates[material->certificate_count] = d2i_X509(NULL, &data, length);
	if (!material->certificates[material->certificate_count])
		return fail(material, "a certificate that cannot be read");
	material->certificate_count++;
	return true;
}

static bool take_block(struct material *material, const char *name, const char *header,
	const unsigned char *data, long length)
{
	if (strstr(name, "ENCRYPTED") || strstr(header, "ENCRYPTED"))
		return fail(material,
			"the private key is encrypted: nobody is there to type a password");
	if (strstr(name, "PRIVATE KEY"))
		return take_key(material, data, length);
	if (strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_OLD) == 0)
		return take_certificate(material, data, length);
	/* Parameters, requests, comments of tools: no concern of a server. */
	return true;
}

static bool read_blocks(struct material *material, struct slice pem)
{
	BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.length);
	char *name, *header;
	unsigned char *data;
	long length;
	bool good = bio != NULL;

	while (good && PEM_read_bio(bio, &name, &header, &data, &length)) {
		good = take_block(material, name, header, data, length);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(data, (size_t)length);
	}
	if (good && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		good = fail(material, "not PEM, or torn");
	ERR_clear_error();
	BIO_free(bio);
	return good;
}

/* --- pairs --- */

static enum key_kind kind_of(const EVP_PKEY *key, char *error, size_t size)
{
	char group[40] = "";

	if (EVP_PKEY_is_a(key, "ED25519"))
		return KEY_ED25519;
	if (EVP_PKEY_is_a(key, "RSA")) {
		if (EVP_PKEY_get_bits(key) >= RSA_LEAST)
			return KEY_RSA;
		snprintf(error, size, "an RSA key of %d bits is too weak, %d are the least",
			EVP_PKEY_get_bits(key), RSA_LEAST);
		return KEY_NONE;
	}
	if (EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) &&
		(strcmp(group, "prime256v1") == 0 || strcmp(group, "secp384r1") == 0))
		return KEY_EC;
	snprintf(error, size, "a key that is not RSA, ECDSA (P-256 or P-384) or Ed25519: %s %s",
		EVP_PKEY_get0_type_name(key), group);
	return KEY_NONE;
}

static int64_t seconds_of(const ASN1_TIME *time)
{
	int days = 0, seconds = 0;
	ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
	bool good = epoch && ASN1_TIME_diff(&days, &seconds, epoch, time);

	ASN1_TIME_free(epoch);
	return good ? (int64_t)days * 86400 + seconds : 0;
}

static void print_name(const X509_NAME *name, char *text, size_t size)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;
	long length;

	text[0] = 0;
	if (bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0) {
		length = BIO_get_mem_data(bio, &data);
		snprintf(text, size, "%.*s", (int)length, data);
	}
	BIO_free(bio);
}

static void print_names(X509 *certificate, char *text, size_t size)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	struct buffer all = buffer_limited(size - 1);

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		const unsigned char *data;
		int type, length;

		if (name->type != GEN_DNS)
			continue;
		data = ASN1_STRING_get0_data(GENERAL_NAME_get0_value(name, &type));
		length = ASN1_STRING_length(name->d.dNSName);
		if (all.length)
			buffer_add_byte(&all, ' ');
		buffer_append(&all, data, (size_t)length);
	}
	snprintf(text, size, "%.*s", SLICE_ARG(buffer_slice(&all)));
	buffer_free(&all);
	GENERAL_NAMES_free(names);
}

static bool add_pem(struct buffer *chain, X509 *certificate)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;
	long length;
	bool good = bio && PEM_write_bio_X509(bio, certificate);

	if (good) {
		length = BIO_get_mem_data(bio, &data);
		good = chain->length + (size_t)length <= KEYSET_CHAIN_MAX &&
		       buffer_append(chain, data, (size_t)length);
	}
	BIO_free(bio);
	return good;
}

/* Does this certificate begin another key's chain? */
static bool is_of_a_key(const struct material *material, X509 *certificate)
{
	for (unsigned i = 0; i < material->key_count; i++)
		if (X509_check_private_key(certificate, material->keys[i]) == 1)
			return true;
	ERR_clear_error();
	return false;
}

static bool fill_chain(struct material *material, struct key_pair *pair, unsigned first)
{
	for (unsigned i = first; i < material->certificate_count; i++) {
		if (i > first && is_of_a_key(material, material->certificates[i]))
			break;
		if (!add_pem(&pair->chain, material->certificates[i]))
			return fail(material, "the chain of certificates is too long");
	}
	return true;
}

void key_pair_describe(struct key_pair *pair, X509 *certificate)
{
	EVP_PKEY *key = X509_get0_pubkey(certificate);
	char unknown[100];

	pair->kind = key ? kind_of(key, unknown, sizeof(unknown)) : KEY_NONE;
	pair->not_before = seconds_of(X509_get0_notBefore(certificate));
	pair->not_after = seconds_of(X509_get0_notAfter(certificate));
	print_name(X509_get_subject_name(certificate), pair->subject, sizeof(pair->subject));
	print_name(X509_get_issuer_name(certificate), pair->issuer, sizeof(pair->issuer));
	print_names(certificate, pair->names, sizeof(pair->names));
}

static bool make_pair(struct material *material, EVP_PKEY *key, struct key_pair *pair)
{
	unsigned first = 0;
	X509 *leaf;

	pair->kind = kind_of(key, material->error, material->error_size);
	if (pair->kind == KEY_NONE)
		return false;
	while (first < material->certificate_count &&
		X509_check_private_key(material->certificates[first], key) != 1)
		first++;
	ERR_clear_error();
	if (first == material->certificate_count)
		return fail(material, material->certificate_count
					      ? "the private key does not match the certificate"
					      : "there is no certificate");
	leaf = material->certificates[first];
	EVP_PKEY_up_ref(key);
	pair->key = key;
	key_pair_describe(pair, leaf);
	return fill_chain(material, pair, first);
}

int keyset_pairs(
	struct slice pem, struct key_pair pairs[KEYSET_PAIRS_MAX], char *error, size_t size)
{
	struct material material = { .error = error, .error_size = size };
	bool good = read_blocks(&material, pem);
	int count = 0;

	if (good && !material.key_count)
		good = fail(&material, "there is no private key");
	for (unsigned i = 0; good && i < material.key_count; i++)
		good = make_pair(&material, material.keys[i], &pairs[count++]);
	for (int i = 0; !good && i < count; i++)
		key_pair_free(&pairs[i]);
	for (unsigned i = 0; i < material.key_count; i++)
		EVP_PKEY_free(material.keys[i]);
	for (unsigned i = 0; i < material.certificate_count; i++)
		X509_free(material.certificates[i]);
	return good ? count : -1;
}
