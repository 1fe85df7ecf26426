// SPDX-License-Identifier: ISC
/* Ways to accept and to open TLS. See context.h. */
#include "tls/context.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>

#include "tls/facts.h"
#include "tls/sessions.h"

struct tls_wanted wanted_by_server(const struct message_tls_accept *accept)
{
	return (struct tls_wanted){ .serial = accept->serial,
		.timeout_ms = accept->timeout_ms,
		.service = accept->service,
		.alpn = accept->alpn,
		.certificates = accept->certificates,
		.protocols = accept->protocols,
		.ciphers = accept->ciphers,
		.options = accept->options,
		.address = accept->client_address,
		.port = accept->client_port,
		.client_certificate = accept->client_certificate };
}

struct tls_wanted wanted_by_client(const struct message_tls_connect *connect)
{
	return (struct tls_wanted){ .opens = true,
		.serial = connect->serial,
		.timeout_ms = connect->timeout_ms,
		.service = connect->service,
		.alpn = connect->alpn,
		.certificates = connect->certificates,
		.protocols = connect->protocols,
		.ciphers = connect->ciphers,
		.options = connect->options,
		.address = connect->server_address,
		.port = connect->server_port,
		.check = connect->check,
		.host = connect->host,
		.names = connect->names,
		.fingerprints = connect->fingerprints };
}

/* --- settings as text --- */

static int version_of(struct slice name)
{
	static const struct {
		const char *name;
		int version;
	} VERSIONS[] = { { "SSLv2", 0x0200 }, { "SSLv3", 0x0300 }, { "TLSv1", TLS1_VERSION },
		{ "TLSv1.0", TLS1_VERSION }, { "TLSv1.1", TLS1_1_VERSION },
		{ "TLSv1.2", TLS1_2_VERSION }, { "TLSv1.3", TLS1_3_VERSION },
		{ "0301", TLS1_VERSION }, { "0302", TLS1_1_VERSION }, { "0303", TLS1_2_VERSION },
		{ "0304", TLS1_3_VERSION } };

	for (size_t i = 0; i < sizeof(VERSIONS) / sizeof(VERSIONS[0]); i++)
		if (slice_equal_nocase(name, slice_from(VERSIONS[i].name)))
			return VERSIONS[i].version;
	return 0;
}

/* Postfix' old form names versions one by one: those that are named, or all but those with "!". */
struct protocols {
	int least, most;
	bool named[2], without[2]; /* TLS 1.2, TLS 1.3 */
	bool any_named;
};

static bool take_protocol(struct protocols *protocols, struct slice word)
{
	bool least = slice_starts(word, SLICE(">=")), most = slice_starts(word, SLICE("<="));
	bool not = slice_starts(word, SLICE("!"));
	int version = version_of(slice_tail(word, least || most ? 2 : not ? 1 : 0));

	if (!version)
		return false;
	if (least && version > protocols->least)
		protocols->least = version;
	if (most && version < protocols->most)
		protocols->most = version;
	if (least || most)
		return true;
	protocols->any_named = protocols->any_named || !not ;
	if (version >= TLS1_2_VERSION && not )
		protocols->without[version - TLS1_2_VERSION] = true;
	else if (version >= TLS1_2_VERSION)
		protocols->named[version - TLS1_2_VERSION] = true;
	return true;
}

bool context_protocols(struct slice text, int *least, int *most)
{
	struct protocols protocols = { .least = TLS1_2_VERSION, .most = TLS1_3_VERSION };
	struct slice word;

	while (slice_word(&text, " \t\r\n,:", &word))
		if (!take_protocol(&protocols, word))
			return false;
	for (int i = 0; i < 2; i++)
		if (protocols.any_named && !protocols.named[i])
			protocols.without[i] = true;
	*least = protocols.least == TLS1_2_VERSION && protocols.without[0] ? TLS1_3_VERSION
									   : protocols.least;
	*most = protocols.most == TLS1_3_VERSION && protocols.without[1] ? TLS1_2_VERSION
									 : protocols.most;
	return *least <= *most && !(protocols.without[0] && protocols.without[1]);
}

bool context_options(struct slice text, uint64_t *options)
{
	static const struct {
		const char *name;
		uint64_t bit;
	} NAMES[] = { { "NO_TICKET", SSL_OP_NO_TICKET },
		{ "NO_COMPRESSION", SSL_OP_NO_COMPRESSION },
		{ "NO_RENEGOTIATION", SSL_OP_NO_RENEGOTIATION },
		{ "NO_ENCRYPT_THEN_MAC", SSL_OP_NO_ENCRYPT_THEN_MAC },
		{ "PRIORITIZE_CHACHA", SSL_OP_PRIORITIZE_CHACHA },
		{ "CIPHER_SERVER_PREFERENCE", SSL_OP_CIPHER_SERVER_PREFERENCE },
		{ "NO_ANTI_REPLAY", 0 }, { "TLSEXT_PADDING", 0 }, { "LEGACY_SERVER_CONNECT", 0 },
		{ "NO_QUERY_MTU", 0 }, { "COOKIE_EXCHANGE", 0 } };
	struct slice word;

	*options = 0;
	while (slice_word(&text, " \t\r\n,", &word)) {
		size_t i = 0, count = sizeof(NAMES) / sizeof(NAMES[0]);
		char number[20], *end;

		while (i < count && !slice_equal_nocase(word, slice_from(NAMES[i].name)))
			i++;
		if (i < count) {
			*options |= NAMES[i].bit;
			continue;
		}
		if (!slice_starts_nocase(word, SLICE("0x")) ||
			!slice_to_string(word, number, sizeof(number)))
			return false;
		*options |= strtoull(number, &end, 16);
		if (*end)
			return false;
	}
	return true;
}

/* --- callbacks --- */

/* A client that names protocols and none of ours is another protocol's: it is turned away (RFC 7301 3.2). */
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_length,
	const unsigned char *in, unsigned in_length, void *argument)
{
	const struct alpn *alpn = argument;
	unsigned char *chosen;

	if (SSL_select_next_proto(&chosen, out_length, alpn->list, alpn->length, in, in_length) !=
		OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* It goes with the SSL_CTX, which outlives its place here while connections have it. */
static void free_alpn(
	void *parent, void *data, CRYPTO_EX_DATA *extra, int index, long unused, void *argument)
{
	free(data);
}

void contexts_open(struct contexts *contexts)
{
	contexts->alpn_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_alpn);
}

static bool set_alpn(const struct contexts *contexts, SSL_CTX *ssl, const struct tls_wanted *wanted)
{
	struct alpn *alpn = calloc(1, sizeof(*alpn));
	struct slice list = wanted->alpn, word;

	if (!alpn || !SSL_CTX_set_ex_data(ssl, contexts->alpn_index, alpn)) {
		free(alpn);
		return false;
	}
	while (slice_word(&list, ", ", &word)) {
		if (alpn->length + 1 + word.length > ALPN_MOST)
			return false;
		alpn->list[alpn->length] = (unsigned char)word.length;
		memcpy(alpn->list + alpn->length + 1, word.data, word.length);
		alpn->length += 1 + (unsigned)word.length;
	}
	if (alpn->length && wanted->opens)
		return SSL_CTX_set_alpn_protos(ssl, alpn->list, alpn->length) == 0;
	if (alpn->length)
		SSL_CTX_set_alpn_select_cb(ssl, choose_alpn, alpn);
	return true;
}

/* The handshake goes on whatever the certificate is; what it is worth is looked at afterwards. */
static int verify_any(int good, X509_STORE_CTX *context)
{
	return 1;
}

/* What a server shows is checked with the set's authorities, with nobody's when there is none. */
static void set_server_check(SSL_CTX *ssl, const struct certificate_set *set)
{
	SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, verify_any);
	if (set && set->trust)
		SSL_CTX_set1_cert_store(ssl, set->trust);
}

static void set_client_certificate(SSL_CTX *ssl, unsigned wanted, const struct certificate_set *set)
{
	STACK_OF(X509_NAME) * names;

	if (wanted == TLS_CERTIFICATE_NONE)
		return;
	/* Who must have a trusted certificate hears in an alert what is wrong with his. */
	if (wanted == TLS_CERTIFICATE_REQUIRE)
		SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	else
		SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, verify_any);
	if (!set->trust)
		return;
	SSL_CTX_set1_cert_store(ssl, set->trust);
	names = SSL_dup_CA_list(set->authorities);
	if (names)
		SSL_CTX_set_client_CA_list(ssl, names);
}

/* --- contexts --- */

static bool set_protection(SSL_CTX *ssl, const struct tls_wanted *wanted, char *reason, size_t size)
{
	/* Only what has forward secrecy: keyd signs, and never decrypts. A client meets servers that have nothing better. */
	static const char WITHOUT[] = ":!kRSA:!kDHE:!PSK:!kSRP:!aNULL:!eNULL:!aDSS",
			  CLIENT_WITHOUT[] = ":!kPSK:!kSRP:!aNULL:!eNULL:!aDSS:!aPSK";
	/* What keyd signs with. */
	static const char SIGNATURES[] =
		"ECDSA+SHA256:ECDSA+SHA384:ed25519:RSA-PSS+SHA256:RSA-PSS+SHA384:"
		"RSA-PSS+SHA512:RSA+SHA256:RSA+SHA384:RSA+SHA512:ECDSA+SHA512";
	/* Those that keyd signs parameters of. Without them OpenSSL takes finite fields, too, where each handshake costs many times as much. */
	static const char GROUPS[] = "X25519:P-256:X448:P-384:P-521";
	char ciphers[1100];
	uint64_t options;
	int least, most;

	snprintf(reason, size, "protocols \"%.*s\"", SLICE_ARG(slice_head(wanted->protocols, 100)));
	if (!context_protocols(wanted->protocols, &least, &most) ||
		!SSL_CTX_set_min_proto_version(ssl, least) ||
		!SSL_CTX_set_max_proto_version(ssl, most))
		return false;
	snprintf(reason, size, "options \"%.*s\"", SLICE_ARG(slice_head(wanted->options, 100)));
	if (!context_options(wanted->options, &options))
		return false;
	SSL_CTX_set_options(ssl, options | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE);
	snprintf(reason, size, "ciphers \"%.*s\"", SLICE_ARG(slice_head(wanted->ciphers, 100)));
	snprintf(ciphers, sizeof(ciphers), "%.*s%s",
		SLICE_ARG(wanted->ciphers.length ? wanted->ciphers : SLICE("HIGH")),
		wanted->opens ? CLIENT_WITHOUT : WITHOUT);
	return SSL_CTX_set_cipher_list(ssl, ciphers) == 1 &&
	       SSL_CTX_set1_groups_list(ssl, GROUPS) == 1 &&
	       SSL_CTX_set1_sigalgs_list(ssl, SIGNATURES) == 1;
}

static void context_free(struct tls_context *context)
{
	if (!context)
		return;
	SSL_CTX_free(context->ssl);
	buffer_free(&context->key);
	free(context);
}

/*
 * Sessions are taken up again only where all of this is the same: what was asked for, and, where clients are asked for certificates, those
 * of the authorities themselves. The key names only their files, and a session brings along what its certificate was worth.
 */
static bool set_session_id(struct tls_context *context, const struct tls_wanted *wanted,
	const struct certificate_set *set)
{
	struct buffer all = { 0 };
	unsigned char id[32];
	unsigned length = 0;
	bool good = buffer_add(&all, buffer_slice(&context->key));

	if (!wanted->opens && wanted->client_certificate != TLS_CERTIFICATE_NONE)
		good = good &&
		       buffer_add(&all, slice_of(set->trust_digest, sizeof(set->trust_digest)));
	good = good && EVP_Digest(all.data, all.length, id, &length, EVP_sha256(), NULL) == 1 &&
	       SSL_CTX_set_session_id_context(context->ssl, id, length) == 1;
	buffer_free(&all);
	return good;
}

static void set_sides(struct contexts *contexts, SSL_CTX *ssl, const struct tls_wanted *wanted,
	const struct certificate_set *set)
{
	if (wanted->opens) {
		set_server_check(ssl, set);
		sessions_use(ssl, contexts->new_session);
		return;
	}
	set_client_certificate(ssl, wanted->client_certificate, set);
	facts_keep_in_tickets(ssl);
	tickets_use(ssl, &contexts->tickets, contexts->ticket_lifetime);
}

static struct tls_context *context_new(struct contexts *contexts, const struct tls_wanted *wanted,
	const struct certificate_set *set, struct slice key, char *reason, size_t size)
{
	struct tls_context *context = calloc(1, sizeof(*context));

	snprintf(reason, size, "out of memory");
	if (!context)
		return NULL;
	context->ssl = SSL_CTX_new(wanted->opens ? TLS_client_method() : TLS_server_method());
	if (!context->ssl || !buffer_add(&context->key, key) ||
		!set_session_id(context, wanted, set) ||
		!set_alpn(contexts, context->ssl, wanted) ||
		!set_protection(context->ssl, wanted, reason, size)) {
		context_free(context);
		ERR_clear_error();
		return NULL;
	}
	SSL_CTX_set_mode(context->ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
					       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					       SSL_MODE_ASYNC);
	SSL_CTX_set_cert_cb(context->ssl, contexts->choose, NULL);
	set_sides(contexts, context->ssl, wanted, set);
	return context;
}

static bool key_of(const struct tls_wanted *wanted, struct buffer *key)
{
	const struct slice parts[] = { wanted->service, wanted->alpn, wanted->certificates,
		wanted->protocols, wanted->ciphers, wanted->options };

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		buffer_add(key, parts[i]);
		buffer_add_byte(key, '\0');
	}
	return buffer_add_byte(key, (char)wanted->client_certificate) &&
	       buffer_add_byte(key, (char)wanted->opens);
}

const struct tls_context *contexts_get(struct contexts *contexts, const struct tls_wanted *wanted,
	const struct certificate_set *set, char *reason, size_t size)
{
	struct buffer key = { 0 };
	struct tls_context *found = NULL, **place = &contexts->slots[0];
	bool good = key_of(wanted, &key);

	snprintf(reason, size, "out of memory");
	for (int i = 0; good && !found && i < CONTEXTS_MOST; i++) {
		struct tls_context *context = contexts->slots[i];

		if (context && slice_equal(buffer_slice(&context->key), buffer_slice(&key)))
			found = context;
		if (*place && (!context || context->used < (*place)->used))
			place = &contexts->slots[i];
	}
	if (good && !found) {
		found = context_new(contexts, wanted, set, buffer_slice(&key), reason, size);
		if (found) {
			context_free(*place);
			*place = found;
		}
	}
	buffer_free(&key);
	if (found)
		found->used = ++contexts->uses;
	return found;
}
