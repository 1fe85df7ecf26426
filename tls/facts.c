// SPDX-License-Identifier: ISC
/* Facts about a connection. See facts.h. */
#include "tls/facts.h"

#include <openssl/err.h>
#include <openssl/x509.h>

#include "os/os.h"

/* --- channel bindings --- */

/* RFC 9266; not for TLS 1.2 without extended master secret, where it binds nothing. */
static size_t exporter_of(SSL *ssl, unsigned char out[TLS_EXPORTER_SIZE])
{
	static const char LABEL[] = "EXPORTER-Channel-Binding";

	if (SSL_version(ssl) < TLS1_3_VERSION && SSL_get_extms_support(ssl) != 1)
		return 0;
	if (SSL_export_keying_material(ssl, out, TLS_EXPORTER_SIZE, LABEL, sizeof(LABEL) - 1,
		    (const unsigned char *)"", 0, 1) != 1)
		return 0;
	return TLS_EXPORTER_SIZE;
}

/* RFC 5929 3.1: the first Finished message of the handshake. There is none for TLS 1.3. */
static size_t unique_of(SSL *ssl, unsigned char out[TLS_BINDING_MAX])
{
	if (SSL_version(ssl) >= TLS1_3_VERSION || SSL_get_extms_support(ssl) != 1)
		return 0;
	return SSL_session_reused(ssl) ? SSL_get_finished(ssl, out, TLS_BINDING_MAX)
				       : SSL_get_peer_finished(ssl, out, TLS_BINDING_MAX);
}

/* The digest of the certificate's own signature, SHA-256 in place of weaker ones; none where that has no single one. */
static size_t end_point_of_certificate(const X509 *certificate, unsigned char out[EVP_MAX_MD_SIZE])
{
	int digest = NID_undef;
	unsigned length = 0;
	const EVP_MD *md;

	if (!X509_get_signature_info((X509 *)certificate, &digest, NULL, NULL, NULL) ||
		digest == NID_undef)
		return 0;
	if (digest == NID_md5 || digest == NID_sha1)
		digest = NID_sha256;
	md = EVP_get_digestbynid(digest);
	if (!md || X509_digest(certificate, md, out, &length) != 1 || length > TLS_BINDING_MAX)
		return 0;
	return length;
}

/* --- what tickets carry --- */

/* In the ticket; the end point's bytes are behind it. */
struct kept {
	int64_t until; /* seconds since 1970 */
	unsigned char end_point[EVP_MAX_MD_SIZE];
};
enum { KEPT_LEAST = offsetof(struct kept, end_point) };

static int64_t seconds_now(void)
{
	return os_now() / 1000000;
}

static int64_t earlier_end(int64_t until, const X509 *certificate)
{
	int days = 0, seconds = 0;
	int64_t end;

	if (!ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(certificate)))
		return 0;
	end = seconds_now() + (int64_t)days * 86400 + seconds;
	return end < until ? end : until;
}

/* A session without a client's certificate claims nothing that could come to an end. */
static int64_t may_resume_until(SSL *ssl)
{
	const X509 *certificate = SSL_get0_peer_certificate(ssl);
	STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
	int64_t until;

	if (!certificate)
		return INT64_MAX;
	until = earlier_end(seconds_now() + SSL_CTX_get_timeout(SSL_get_SSL_CTX(ssl)), certificate);
	for (int i = 0; i < sk_X509_num(chain); i++)
		until = earlier_end(until, sk_X509_value(chain, i));
	return until;
}

/* The new tickets of a resumed session have what the first had: a time counted anew would never come. */
static int keep(SSL *ssl, void *unused)
{
	const X509 *certificate = SSL_get_certificate(ssl);
	struct kept kept = { 0 };
	size_t length = 0;

	if (SSL_session_reused(ssl))
		return 1;
	kept.until = may_resume_until(ssl);
	if (certificate)
		length = end_point_of_certificate(certificate, kept.end_point);
	return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), &kept, KEPT_LEAST + length);
}

/* The length of its end point. False: no ticket of ours. */
static bool take_kept(SSL_SESSION *session, struct kept *kept, size_t *end_point_length)
{
	void *data;
	size_t length;

	if (!SSL_SESSION_get0_ticket_appdata(session, &data, &length) || length < KEPT_LEAST ||
		length > KEPT_LEAST + TLS_BINDING_MAX)
		return false;
	memcpy(kept, data, length);
	*end_point_length = length - KEPT_LEAST;
	return true;
}

static SSL_TICKET_RETURN opened(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
	size_t name_length, SSL_TICKET_STATUS status, void *unused)
{
	bool good = status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW;
	struct kept kept;
	size_t length;

	if (!good || !take_kept(session, &kept, &length) || kept.until <= seconds_now())
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

void facts_keep_in_tickets(SSL_CTX *context)
{
	SSL_CTX_set_session_ticket_cb(context, keep, opened, NULL);
}

static size_t end_point_of(SSL *ssl, unsigned char out[EVP_MAX_MD_SIZE])
{
	const X509 *certificate = SSL_get_certificate(ssl);
	struct kept kept;
	size_t length;

	if (!SSL_session_reused(ssl))
		return certificate ? end_point_of_certificate(certificate, out) : 0;
	if (!take_kept(SSL_get_session(ssl), &kept, &length))
		return 0;
	memcpy(out, kept.end_point, length);
	return length;
}

/* --- names --- */

/* Only what may stand in a log or a header line: names from outside are cleaned here, once. */
static void take_text(const void *data, size_t length, char *out, size_t size)
{
	const unsigned char *bytes = data;
	size_t used = 0;

	for (size_t i = 0; i < length && used + 1 < size; i++)
		out[used++] = bytes[i] >= 0x20 && bytes[i] < 0x7f ? (char)bytes[i] : '?';
	out[used] = 0;
}

/* The common name, or the whole when there is none. */
static void take_name(const X509_NAME *name, char *out, size_t size)
{
	int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
	unsigned char *text = NULL;
	int length;

	if (at >= 0) {
		length = ASN1_STRING_to_UTF8(
			&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
		if (length >= 0)
			take_text(text, (size_t)length, out, size);
		OPENSSL_free(text);
		return;
	}
	if (!X509_NAME_oneline(name, out, (int)size))
		out[0] = 0;
	take_text(out, strlen(out), out, size);
}

static void take_fingerprint(const unsigned char *digest, unsigned length, char *out, size_t size)
{
	static const char HEX[] = "0123456789ABCDEF";
	size_t used = 0;

	for (unsigned i = 0; i < length && used + 3 < size; i++) {
		if (i)
			out[used++] = ':';
		out[used++] = HEX[digest[i] >> 4];
		out[used++] = HEX[digest[i] & 15];
	}
	out[used] = 0;
}

static void take_certificate(
	SSL *ssl, const EVP_MD *digest, struct facts_space *space, struct message_tls_ready *ready)
{
	X509 *certificate = SSL_get1_peer_certificate(ssl);
	unsigned char bytes[EVP_MAX_MD_SIZE], *key = NULL;
	unsigned length = 0;
	int key_length;

	if (!certificate)
		return;
	take_name(X509_get_subject_name(certificate), space->subject, sizeof(space->subject));
	take_name(X509_get_issuer_name(certificate), space->issuer, sizeof(space->issuer));
	if (X509_digest(certificate, digest, bytes, &length))
		take_fingerprint(bytes, length, space->fingerprint, sizeof(space->fingerprint));
	key_length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &key);
	if (key_length > 0 &&
		EVP_Digest(key, (size_t)key_length, bytes, &length, digest, NULL) == 1)
		take_fingerprint(
			bytes, length, space->key_fingerprint, sizeof(space->key_fingerprint));
	OPENSSL_free(key);
	X509_free(certificate);
	ready->trusted = SSL_get_verify_result(ssl) == X509_V_OK;
	ready->subject = slice_from(space->subject);
	ready->issuer = slice_from(space->issuer);
	ready->fingerprint = slice_from(space->fingerprint);
	ready->key_fingerprint = slice_from(space->key_fingerprint);
}

static void take_session(SSL *ssl, struct facts_space *space, struct message_tls_ready *ready)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
	const char *sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	const unsigned char *alpn;
	unsigned alpn_length;
	int algorithm_bits = 0;

	ready->protocol = slice_from(SSL_get_version(ssl));
	ready->cipher = slice_from(SSL_CIPHER_get_name(cipher));
	ready->bits = (uint16_t)SSL_CIPHER_get_bits(cipher, &algorithm_bits);
	ready->algorithm_bits = (uint16_t)algorithm_bits;
	ready->resumed = SSL_session_reused(ssl) != 0;
	if (sni)
		take_text(sni, strlen(sni), space->sni, sizeof(space->sni));
	SSL_get0_alpn_selected(ssl, &alpn, &alpn_length);
	take_text(alpn, alpn_length, space->alpn, sizeof(space->alpn));
	ready->sni = slice_from(space->sni);
	ready->alpn = slice_from(space->alpn);
}

bool facts_fill(SSL *ssl, const struct facts_of *of, struct facts_space *space,
	struct message_tls_ready *ready)
{
	unsigned char exporter[TLS_EXPORTER_SIZE], unique[TLS_BINDING_MAX], end[EVP_MAX_MD_SIZE];
	struct tls_facts facts = { .service = of->service,
		.client_address = of->client_address,
		.client_port = of->client_port,
		.time = os_now() };

	*space = (struct facts_space){ 0 };
	take_session(ssl, space, ready);
	take_certificate(ssl, of->digest, space, ready);
	if (!of->seal_key)
		return true;
	facts.protocol = ready->protocol;
	facts.exporter = slice_of(exporter, exporter_of(ssl, exporter));
	facts.end_point = slice_of(end, end_point_of(ssl, end));
	facts.unique = slice_of(unique, unique_of(ssl, unique));
	facts.subject = ready->subject;
	facts.issuer = ready->issuer;
	facts.fingerprint = ready->fingerprint;
	facts.trusted = ready->trusted;
	ERR_clear_error();
	if (!tls_seal(&facts, of->seal_key, &space->seal))
		return false;
	ready->seal = buffer_slice(&space->seal);
	return true;
}
