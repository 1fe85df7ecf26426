// SPDX-License-Identifier: ISC
/* The sets of certificates in tlsd. See certificates.h. */
#include "tls/certificates.h"

#include <dirent.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

#include "config/tls_set.h"
#include "os/os.h"
#include "service/log.h"

enum { CHAIN_MOST = 40, AUTHORITIES_MOST = 2000 };

/* --- chains by name --- */

static void name_free(struct server_name *name)
{
	for (unsigned i = 0; i < name->count; i++) {
		X509_free(name->chains[i].leaf);
		sk_X509_pop_free(name->chains[i].rest, X509_free);
		EVP_PKEY_free(name->chains[i].key);
	}
	free(name);
}

static bool free_each(void *context, struct slice key, void *value)
{
	name_free(value);
	return true;
}

static void names_clear(struct map *names)
{
	map_each(names, free_each, NULL);
	map_free(names);
	*names = (struct map){ 0 };
}

static struct server_name *name_for(struct map *names, struct slice name)
{
	struct server_name *found = map_get(names, name);

	if (found || !(found = calloc(1, sizeof(*found))))
		return found;
	if (map_put(names, name, found))
		return found;
	free(found);
	return NULL;
}

/* keyd checked all of it; this process trusts nobody, and checks again that it is a chain. */
static bool add_chain(
	struct signer *signer, struct server_name *name, struct slice pem, uint32_t number)
{
	BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.length);
	STACK_OF(X509) *rest = sk_X509_new_null();
	X509 *leaf = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL, *next;
	EVP_PKEY *key = leaf ? signer_key(signer, X509_get0_pubkey(leaf), number) : NULL;

	while (key && rest && sk_X509_num(rest) < CHAIN_MOST &&
		(next = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
		if (!sk_X509_push(rest, next))
			X509_free(next);
	ERR_clear_error();
	BIO_free(bio);
	if (key && rest && name->count < SERVER_NAME_CHAINS) {
		name->chains[name->count].leaf = leaf;
		name->chains[name->count].rest = rest;
		name->chains[name->count].key = key;
		name->count++;
		return true;
	}
	X509_free(leaf);
	sk_X509_pop_free(rest, X509_free);
	EVP_PKEY_free(key);
	return false;
}

static void take_chain(struct certificates *certificates, const struct message_key_chain *chain)
{
	struct certificate_set *set = certificates_find(certificates, chain->certificates);
	struct server_name *name;

	if (!set)
		return;
	if (chain->chain.length) {
		name = name_for(&set->coming, chain->name);
		if (!name || !add_chain(certificates->signer, name, chain->chain, chain->key))
			log_error("TLS: a chain of certificates cannot be used%s%.*s",
				chain->name.length ? ", server name " : "", SLICE_ARG(chain->name));
	}
	if (chain->more)
		return;
	names_clear(&set->names);
	set->names = set->coming;
	set->coming = (struct map){ 0 };
	set->known = true;
	certificates->ready(certificates->context);
}

/* --- keyd --- */

static void receive(struct channel *channel, struct message *message)
{
	struct link *link = channel->context;
	struct certificates *certificates = link->context;

	if (message->type == MESSAGE_KEY_CHAIN)
		take_chain(certificates, &message->key_chain);
	else if (message->type == MESSAGE_KEY_SIGNED)
		signer_answer(certificates->signer, &message->key_signed);
	else
		log_warning("keyd sent %s", message_name(message->type));
}

static void keyd_up(struct link *link)
{
	struct certificates *certificates = link->context;
	struct message question = { .type = MESSAGE_KEY_SET };

	for (size_t i = 0; i < certificates->sets.count; i++) {
		struct certificate_set *set =
			*(struct certificate_set **)vector_at(&certificates->sets, i);

		names_clear(&set->coming);
		question.key_set.serial = (uint32_t)i + 1;
		question.key_set.certificates = buffer_slice(&set->text);
		channel_send(link_channel(link), &question);
	}
}

/* The chains stay: the next keyd has the same ones, and tells them anew. */
static void keyd_down(struct link *link)
{
	signer_fail_all(((struct certificates *)link->context)->signer);
}

void certificates_start(struct certificates *certificates, struct service *service)
{
	link_open(&certificates->keyd, service, SERVICE_KEYD, receive, keyd_up, keyd_down,
		certificates);
}

/* --- what clients are checked with --- */

static bool told(const char *file, const char *text)
{
	log_error("TLS: %s: %s", file, text);
	ERR_clear_error();
	return false;
}

/* The digest so far, and this one with what it is trusted for: what is read anew in the same order has the same. */
static bool add_to_digest(struct certificate_set *set, X509 *certificate)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char *der = NULL;
	int length = i2d_X509_AUX(certificate, &der);
	bool good = context && length > 0 && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
		    EVP_DigestUpdate(context, set->trust_digest, sizeof(set->trust_digest)) == 1 &&
		    EVP_DigestUpdate(context, der, (size_t)length) == 1 &&
		    EVP_DigestFinal_ex(context, set->trust_digest, NULL) == 1;

	OPENSSL_free(der);
	EVP_MD_CTX_free(context);
	return good;
}

static bool add_authority(struct certificate_set *set, X509 *certificate)
{
	X509_NAME *name = X509_NAME_dup(X509_get_subject_name(certificate));

	if (!name || !sk_X509_NAME_push(set->authorities, name)) {
		X509_NAME_free(name);
		return false;
	}
	return add_to_digest(set, certificate) &&
	       sk_X509_NAME_num(set->authorities) <= AUTHORITIES_MOST &&
	       X509_STORE_add_cert(set->trust, certificate) == 1;
}

static bool read_authorities(struct certificate_set *set, const char *path)
{
	BIO *bio = BIO_new_file(path, "r");
	X509 *certificate;
	bool good = bio != NULL;
	int count = 0;

	while (good && (certificate = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL)) != NULL) {
		good = add_authority(set, certificate);
		X509_free(certificate);
		count++;
	}
	BIO_free(bio);
	ERR_clear_error();
	if (!good || !count)
		return told(path,
			bio ? "no certificates of authorities, or too many" : "cannot be read");
	return true;
}

static bool read_folder(struct certificate_set *set, const char *path)
{
	DIR *folder = opendir(path);
	struct dirent *entry;
	char file[1400];
	bool good = true;

	if (!folder)
		return told(path, "cannot be read");
	/* The links that c_rehash makes: "5ed36f99.0". */
	while (good && (entry = readdir(folder)) != NULL) {
		if (strlen(entry->d_name) < 10 || entry->d_name[8] != '.' ||
			!ascii_digit(entry->d_name[9]))
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		good = read_authorities(set, file);
	}
	closedir(folder);
	return good;
}

struct opening {
	struct certificates *certificates;
	struct certificate_set *set;
	const char *folder;
	bool good;
};

static bool take_line(void *context, struct slice name, struct slice value)
{
	struct opening *opening = context;
	struct certificate_set *set = opening->set;
	bool is_file = slice_equal(name, SLICE("CAfile"));
	char path[1200];

	if (slice_equal(name, SLICE("digest"))) {
		char digest[40] = "";

		set->digest = slice_to_string(value, digest, sizeof(digest))
				      ? EVP_get_digestbyname(digest)
				      : NULL;
		return set->digest || told("smtpd_tls_fingerprint_digest", "no such digest");
	}
	if (!is_file && !slice_equal(name, SLICE("CApath")))
		return true;
	snprintf(path, sizeof(path), "%s%s%.*s", value.data[0] == '/' ? "" : opening->folder,
		value.data[0] == '/' ? "" : "/", SLICE_ARG(value));
	if (!set->trust) {
		set->trust = X509_STORE_new();
		set->authorities = sk_X509_NAME_new_null();
	}
	if (!set->trust || !set->authorities)
		return told(path, "out of memory");
	return is_file ? read_authorities(set, path) : read_folder(set, path);
}

static bool open_set(void *context, struct slice text)
{
	struct opening *opening = context;
	struct certificate_set *set = calloc(1, sizeof(*set)), **place;

	place = set ? vector_add(&opening->certificates->sets) : NULL;
	if (!place || !buffer_add(&set->text, text)) {
		if (!place)
			free(set);
		return told("certificates", "out of memory");
	}
	*place = opening->set = set;
	set->digest = EVP_sha256();
	/* Told; clients that need it are not trusted then, the others are served. */
	(void)tls_set_each(text, take_line, opening);
	return true;
}

bool certificates_open(struct certificates *certificates, const struct config *config)
{
	struct opening opening = { .certificates = certificates,
		.folder = config_text(config, PARAM_config_directory) };

	certificates->sets = vector_of(sizeof(struct certificate_set *), TLS_SETS_MAX);
	return tls_sets_each(config, open_set, &opening);
}

/* --- questions --- */

struct certificate_set *certificates_find(
	const struct certificates *certificates, struct slice text)
{
	for (size_t i = 0; i < certificates->sets.count; i++) {
		struct certificate_set *set =
			*(struct certificate_set **)vector_at(&certificates->sets, i);

		if (slice_equal(buffer_slice(&set->text), text))
			return set;
	}
	return NULL;
}

const struct server_name *certificates_choose(const struct certificate_set *set, const char *sni)
{
	const struct server_name *found = NULL;
	char name[258], *dot;
	size_t length = sni ? strlen(sni) : 0;

	if (length == 0 || length > 255)
		return map_get(&set->names, SLICE(""));
	for (size_t i = 0; i <= length; i++)
		name[i + 1] = ascii_lower(sni[i]);
	found = map_get(&set->names, slice_of(name + 1, length));
	dot = strchr(name + 1, '.');
	if (!found && dot) {
		dot[-1] = '*';
		found = map_get(&set->names, slice_from(dot - 1));
	}
	for (; !found && dot; dot = strchr(dot + 1, '.'))
		found = map_get(&set->names, slice_from(dot));
	return found ? found : map_get(&set->names, SLICE(""));
}
