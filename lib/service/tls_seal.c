// SPDX-License-Identifier: ISC
/*
 * Facts about a TLS connection, sealed. See tls_seal.h.
 *
 * The form: version byte, HMAC-SHA256 (32 bytes), then the facts: texts as u16 length and bytes, numbers little-endian.
 */
#include "service/tls_seal.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>

enum { VERSION = 1, MAC_SIZE = 32, HEAD = 1 + MAC_SIZE };

void tls_derive(const unsigned char key[TLS_SEAL_KEY], const char *use, uint64_t number,
	unsigned char derived[32])
{
	char label[96];
	unsigned length = 0;
	int size =
		snprintf(label, sizeof(label), "postern %s %llu", use, (unsigned long long)number);

	if (!HMAC(EVP_sha256(), key, TLS_SEAL_KEY, (const unsigned char *)label, (size_t)size,
		    derived, &length))
		memset(derived, 0, 32);
}

static bool mac_of(
	const unsigned char key[TLS_SEAL_KEY], struct slice facts, unsigned char mac[MAC_SIZE])
{
	unsigned char own[32];
	unsigned length = 0;

	tls_derive(key, "tls facts", VERSION, own);
	return HMAC(EVP_sha256(), own, sizeof(own), (const unsigned char *)facts.data, facts.length,
		       mac, &length) &&
	       length == MAC_SIZE;
}

static void add_number(struct buffer *out, uint64_t value, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		buffer_add_byte(out, (char)(value >> (8 * i)));
}

static bool take_number(struct slice *rest, unsigned size, uint64_t *value)
{
	if (rest->length < size)
		return false;
	*value = 0;
	for (unsigned i = 0; i < size; i++)
		*value |= (uint64_t)(unsigned char)rest->data[i] << (8 * i);
	*rest = slice_tail(*rest, size);
	return true;
}

static bool take_text(struct slice *rest, struct slice *text)
{
	uint64_t length;

	if (!take_number(rest, 2, &length) || length > rest->length)
		return false;
	*text = slice_head(*rest, length);
	*rest = slice_tail(*rest, length);
	return true;
}

/* The texts in the order they stand in. */
enum { TEXTS = 9 };
static void texts_of(struct tls_facts *facts, struct slice *texts[TEXTS])
{
	struct slice *const all[TEXTS] = { &facts->service, &facts->client_address,
		&facts->protocol, &facts->exporter, &facts->end_point, &facts->unique,
		&facts->subject, &facts->issuer, &facts->fingerprint };

	memcpy(texts, all, sizeof(all));
}

bool tls_seal(
	const struct tls_facts *facts, const unsigned char key[TLS_SEAL_KEY], struct buffer *sealed)
{
	struct tls_facts copy = *facts;
	struct slice *texts[TEXTS];
	struct buffer out = buffer_limited(TLS_SEALED_MAX);
	unsigned char mac[MAC_SIZE] = { 0 };
	bool good;

	texts_of(&copy, texts);
	buffer_add_byte(&out, VERSION);
	buffer_append(&out, mac, sizeof(mac));
	add_number(&out, facts->client_port, 2);
	add_number(&out, (uint64_t)facts->time, 8);
	add_number(&out, facts->trusted, 1);
	for (int i = 0; i < TEXTS; i++) {
		struct slice text = slice_head(*texts[i], TLS_FACT_TEXT_MAX);

		add_number(&out, text.length, 2);
		buffer_add(&out, text);
	}
	good = !out.failed && mac_of(key, slice_tail(buffer_slice(&out), HEAD), mac);
	if (good)
		memcpy(out.data + 1, mac, sizeof(mac));
	good = good && buffer_add(sealed, buffer_slice(&out));
	buffer_free(&out);
	return good;
}

static bool decode(struct slice rest, struct tls_facts *facts)
{
	struct slice *texts[TEXTS];
	uint64_t port, time, trusted;

	if (!take_number(&rest, 2, &port) || !take_number(&rest, 8, &time) ||
		!take_number(&rest, 1, &trusted))
		return false;
	*facts = (struct tls_facts){
		.client_port = (uint16_t)port, .time = (int64_t)time, .trusted = trusted != 0
	};
	texts_of(facts, texts);
	for (int i = 0; i < TEXTS; i++)
		if (!take_text(&rest, texts[i]))
			return false;
	return rest.length == 0;
}

bool tls_unseal(struct slice sealed, const unsigned char key[TLS_SEAL_KEY], struct slice service,
	struct slice client_address, int64_t now, int64_t lifetime, struct tls_facts *facts)
{
	unsigned char mac[MAC_SIZE];

	if (sealed.length < HEAD || sealed.length > TLS_SEALED_MAX || sealed.data[0] != VERSION ||
		!mac_of(key, slice_tail(sealed, HEAD), mac) ||
		CRYPTO_memcmp(mac, sealed.data + 1, MAC_SIZE) != 0 ||
		!decode(slice_tail(sealed, HEAD), facts))
		return false;
	/* The clock may have been set back a little in between. */
	return slice_equal(facts->service, service) &&
	       slice_equal(facts->client_address, client_address) &&
	       facts->time <= now + lifetime && facts->time >= now - lifetime;
}
