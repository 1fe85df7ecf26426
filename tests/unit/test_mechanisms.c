// SPDX-License-Identifier: ISC
/* Every SASL mechanism but PLAIN and LOGIN: the examples of its RFC, other clients, liars. */
#include "tests/unit/mech_world.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/base64.h"
#include "table/table.h"
#include "tests/unit/text_file.h"

/* --- SCRAM --- */

static void scram_sha_1_is_the_example_of_rfc_5802(void **state)
{
	struct exchange *exchange;

	settings.nonce = "3rfcNHYJY1ZVvWVs7j";
	assert_true(exchange_library_open(&settings, error, sizeof(error)));
	exchange = begin("SCRAM-SHA-1");
	challenges(exchange, "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
		"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096");
	challenges(exchange,
		"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,"
		"p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
		"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=");
	assert_string_equal(exchange_login(exchange), "user@example.org");
	ends(exchange, "", AUTH_OK);
}

static void scram_sha_256_is_the_example_of_rfc_7677(void **state)
{
	struct exchange *exchange;

	settings.nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
	assert_true(exchange_library_open(&settings, error, sizeof(error)));
	exchange = begin("SCRAM-SHA-256");
	challenges(exchange, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
		"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
		"s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
	challenges(exchange,
		"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
		"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
		"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
	ends(exchange, "", AUTH_OK);
	/* ManageSieve's success carries it along. */
	exchange = begin_for("sieve", "SCRAM-SHA-256", NULL);
	assert_false(step(exchange, SLICE("n,,n=user,r=rOprNGfwEbeRWgbNEkqO")));
	assert_true(
		step(exchange, SLICE("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
				     "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")));
	assert_int_equal(exchange_status(exchange), AUTH_OK);
	assert_true(slice_equal(exchange_output(exchange),
		SLICE("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")));
	exchange_free(&exchange);
}

/* A client: what it says second, for a password. */
static void client_final(struct exchange *exchange, const char *digest, const char *first_bare,
	const char *header, struct slice binding, const char *password, struct buffer *out)
{
	const EVP_MD *md = strcmp(digest, "SHA-1") == 0 ? EVP_sha1() : EVP_sha256();
	unsigned char salted[64], key[64], stored[64], signature[64];
	struct buffer challenge = { 0 }, message = { 0 }, salt = { 0 }, bytes = { 0 };
	int size = EVP_MD_get_size(md);
	char *at;

	buffer_add(&challenge, exchange_output(exchange));
	assert_non_null(buffer_text(&challenge));
	at = strstr(challenge.data, ",s=");
	assert_non_null(at);
	assert_true(base64_decode(
		slice_head(slice_from(at + 3), (size_t)(strstr(at, ",i=") - at - 3)), &salt));
	PKCS5_PBKDF2_HMAC(password, -1, (unsigned char *)salt.data, (int)salt.length,
		(int)strtol(strstr(at, ",i=") + 3, NULL, 10), md, size, salted);
	HMAC(md, salted, size, (const unsigned char *)"Client Key", 10, key, NULL);
	EVP_Digest(key, (size_t)size, stored, NULL, md, NULL);
	buffer_add_text(&bytes, header);
	buffer_add(&bytes, binding);
	buffer_add_text(out, "c=");
	base64_encode(buffer_slice(&bytes), out);
	buffer_printf(out, ",%.*s", (int)(at - challenge.data), challenge.data);
	buffer_printf(&message, "%s,%s,", first_bare, challenge.data);
	buffer_add(&message, buffer_slice(out));
	HMAC(md, stored, size, (unsigned char *)message.data, message.length, signature, NULL);
	for (int i = 0; i < size; i++)
		key[i] ^= signature[i];
	buffer_add_text(out, ",p=");
	base64_encode(slice_of(key, (size_t)size), out);
	buffer_free(&challenge);
	buffer_free(&message);
	buffer_free(&salt);
	buffer_free(&bytes);
}

/* The whole exchange of a client that binds with `header` to `binding`. */
static enum auth_status scram(const char *mechanism, const char *header, struct slice binding,
	const char *name, const char *password, const struct tls_facts *tls)
{
	struct exchange *exchange = begin_for("imap", mechanism, tls);
	struct buffer first = { 0 }, final = { 0 };
	enum auth_status status;
	char bare[200];

	assert_non_null(exchange);
	snprintf(bare, sizeof(bare), "n=%s,r=clientnonce", name);
	buffer_printf(&first, "%s%s", header, bare);
	if (!step(exchange, buffer_slice(&first))) {
		assert_int_equal(exchange_told(exchange), AUTH_TEMPORARY);
		client_final(exchange, strstr(mechanism, "256") ? "SHA-256" : "SHA-1", bare, header,
			binding, password, &final);
		if (!step(exchange, buffer_slice(&final))) {
			assert_true(slice_starts(exchange_output(exchange), SLICE("v=")));
			assert_int_equal(exchange_told(exchange), AUTH_OK);
			assert_true(step(exchange, SLICE("")));
		}
	}
	status = exchange_status(exchange);
	exchange_free(&exchange);
	buffer_free(&first);
	buffer_free(&final);
	return status;
}

static const struct tls_facts TLS = { .exporter = { "0123456789abcdef0123456789abcdef", 32 },
	.end_point = { "fedcba9876543210fedcba9876543210", 32 },
	.unique = { "unique123456", 12 } };

static void scram_binds_to_each_kind_of_channel(void **state)
{
	static const char *const PLUS[] = { "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS" };

	for (int i = 0; i < 2; i++) {
		assert_int_equal(
			scram(PLUS[i], "p=tls-exporter,,", TLS.exporter, "user", "pencil", &TLS),
			AUTH_OK);
		assert_int_equal(scram(PLUS[i], "p=tls-server-end-point,,", TLS.end_point, "user",
					 "pencil", &TLS),
			AUTH_OK);
		assert_int_equal(
			scram(PLUS[i], "p=tls-unique,,", TLS.unique, "user", "pencil", &TLS),
			AUTH_OK);
		/* Somebody in between: another channel. */
		assert_int_equal(
			scram(PLUS[i], "p=tls-unique,,", TLS.exporter, "user", "pencil", &TLS),
			AUTH_FAILED);
		assert_int_equal(
			scram(PLUS[i], "p=tls-unique,,", SLICE(""), "user", "pencil", &TLS),
			AUTH_FAILED);
		assert_int_equal(scram(PLUS[i], "p=no-such,,", SLICE("x"), "user", "pencil", &TLS),
			AUTH_FAILED);
		assert_int_equal(
			scram(PLUS[i], "n,,", SLICE(""), "user", "pencil", &TLS), AUTH_BAD);
		/* Without TLS there is no -PLUS. */
		assert_null(begin_for("imap", PLUS[i], NULL));
	}
	/* TLS 1.3 has no tls-unique. */
	assert_int_equal(scram("SCRAM-SHA-256-PLUS", "p=tls-unique,,", SLICE(""), "user", "pencil",
				 &(struct tls_facts){ .exporter = TLS.exporter }),
		AUTH_FAILED);
}

static void scram_notices_that_channel_bindings_were_hidden(void **state)
{
	assert_int_equal(scram("SCRAM-SHA-256", "y,,", SLICE(""), "user", "pencil", NULL), AUTH_OK);
	assert_int_equal(
		scram("SCRAM-SHA-256", "y,,", SLICE(""), "user", "pencil", &TLS), AUTH_FAILED);
	assert_int_equal(scram("SCRAM-SHA-256", "n,,", SLICE(""), "user", "pencil", &TLS), AUTH_OK);
	/* To bind without -PLUS is not allowed, and harmless. */
	assert_int_equal(scram("SCRAM-SHA-1", "p=tls-unique,,", TLS.unique, "user", "pencil", NULL),
		AUTH_BAD);
	assert_int_equal(scram("SCRAM-SHA-1", "p=tls-unique,,", TLS.unique, "user", "pencil", &TLS),
		AUTH_BAD);
}

static void scram_takes_the_right_password_only(void **state)
{
	assert_int_equal(scram("SCRAM-SHA-1", "n,,", SLICE(""), "User@Example.ORG", "pencil", NULL),
		AUTH_OK);
	assert_int_equal(
		scram("SCRAM-SHA-1", "n,,", SLICE(""), "user", "Pencil", NULL), AUTH_FAILED);
	assert_int_equal(
		scram("SCRAM-SHA-1", "n,,", SLICE(""), "nobody", "pencil", NULL), AUTH_FAILED);
	assert_int_equal(scram("SCRAM-SHA-1", "n,,", SLICE(""), "hashed", "Hello world!", NULL),
		AUTH_FAILED);
	assert_int_equal(
		scram("SCRAM-SHA-1", "n,,", SLICE(""), "off", "pencil", NULL), AUTH_FAILED);
	/* Plain text is as good as keys. */
	assert_int_equal(
		scram("SCRAM-SHA-256", "n,,", SLICE(""), "plain", "secret", NULL), AUTH_OK);
	assert_int_equal(
		scram("SCRAM-SHA-256", "n,,", SLICE(""), "plain", "other", NULL), AUTH_FAILED);
	/* To act for another is nobody's right. */
	assert_int_equal(
		scram("SCRAM-SHA-256", "n,a=user,", SLICE(""), "user", "pencil", NULL), AUTH_OK);
	assert_int_equal(scram("SCRAM-SHA-256", "n,a=plain,", SLICE(""), "user", "pencil", NULL),
		AUTH_FAILED);
}

static void nobody_gets_the_same_salt_each_time(void **state)
{
	char salts[4][200];
	const char *const names[] = { "nobody", "nobody", "someone", "hashed" };

	for (int i = 0; i < 4; i++) {
		struct exchange *exchange = begin("SCRAM-SHA-256");
		struct buffer first = { 0 };
		struct slice output;

		buffer_printf(&first, "n,,n=%s,r=x", names[i]);
		assert_false(step(exchange, buffer_slice(&first)));
		output = exchange_output(exchange);
		assert_true(slice_to_string(
			slice_tail(output, (size_t)slice_search(output, SLICE(",s="))), salts[i],
			sizeof(salts[i])));
		/* As long as a real one. */
		assert_int_equal(strlen(salts[i]), strlen(",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
		exchange_free(&exchange);
		buffer_free(&first);
	}
	assert_string_equal(salts[0], salts[1]);
	assert_string_not_equal(salts[0], salts[2]);
	assert_string_not_equal(salts[2], salts[3]);
}

static void scram_refuses_what_is_malformed(void **state)
{
	static const struct slice FIRST[] = { { "", 0 }, { "n", 1 }, { "n,", 2 }, { "n,,", 3 },
		{ "n,,n=user", 9 }, { "n,,n=user,r=", 12 }, { "n,,r=x,n=user", 13 },
		{ "n,,m=x,n=user,r=x", 17 }, { "x,,n=user,r=x", 13 }, { "n,a=,n=user,r=x", 15 },
		{ "n,b=c,n=user,r=x", 16 }, { "n,,n=us=er,r=x", 14 }, { "n,,n=us\0er,r=x", 14 },
		{ "n,,n=user,r=a b", 15 }, { "p,,n=user,r=x", 13 }, { "p=,,n=user,r=x", 14 } };
	static const char *const FINAL[] = { "", "c=biws", "c=biws,r=wrong,p=AAAA",
		"r=xserver,c=biws,p=AAAA", "c=biws,r=xserver", "c=biws,r=xserver,p=!",
		"c=biws,r=xserver,p=AAAA,x=y" };

	for (size_t i = 0; i < sizeof(FIRST) / sizeof(FIRST[0]); i++) {
		struct exchange *exchange = begin("SCRAM-SHA-1");

		assert_true(step(exchange, FIRST[i]));
		assert_int_equal(exchange_status(exchange), AUTH_BAD);
		exchange_free(&exchange);
	}
	settings.nonce = "server";
	assert_true(exchange_library_open(&settings, error, sizeof(error)));
	for (size_t i = 0; i < sizeof(FINAL) / sizeof(FINAL[0]); i++) {
		struct exchange *exchange = begin("SCRAM-SHA-1");

		assert_false(step(exchange, SLICE("n,,n=user,r=x")));
		ends(exchange, FINAL[i], AUTH_BAD);
	}
}

static void scram_asks_for_the_first_message_when_there_is_none(void **state)
{
	struct exchange *exchange = begin("SCRAM-SHA-1");

	assert_true(exchange_input(exchange, false, SLICE("")));
	assert_false(exchange_step(exchange, backends));
	assert_int_equal(exchange_output(exchange).length, 0);
	assert_false(step(exchange, SLICE("n,,n=user,r=x")));
	assert_false(step(exchange, SLICE("")) && exchange_status(exchange) == AUTH_OK);
	exchange_free(&exchange);
}

/* --- CRAM-MD5, DIGEST-MD5 --- */

static void hex_of(const unsigned char *bytes, size_t length, char *text)
{
	for (size_t i = 0; i < length; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

static enum auth_status cram(const char *name, const char *password)
{
	struct exchange *exchange = begin("CRAM-MD5");
	struct slice challenge;
	unsigned char digest[16];
	char response[200], text[33];
	enum auth_status status;

	assert_true(exchange_input(exchange, false, SLICE("")));
	assert_false(exchange_step(exchange, backends));
	challenge = exchange_output(exchange);
	assert_true(challenge.length > 2 && challenge.data[0] == '<');
	HMAC(EVP_md5(), password, (int)strlen(password), (const unsigned char *)challenge.data,
		challenge.length, digest, NULL);
	hex_of(digest, sizeof(digest), text);
	snprintf(response, sizeof(response), "%s %s", name, text);
	assert_true(step(exchange, slice_from(response)));
	status = exchange_status(exchange);
	exchange_free(&exchange);
	return status;
}

static void cram_md5_needs_plain_text_that_counts(void **state)
{
	struct scheme_settings strict = { .cost = 1 };

	assert_int_equal(cram("plain@example.org", "secret"), AUTH_OK);
	assert_int_equal(cram("plain", "secret"), AUTH_OK);
	assert_int_equal(cram("plain", "wrong"), AUTH_FAILED);
	assert_int_equal(cram("nobody", "secret"), AUTH_FAILED);
	assert_int_equal(cram("user", "pencil"), AUTH_FAILED);
	assert_int_equal(cram("off", "pencil"), AUTH_FAILED);
	/* A key in Dovecot's form is as good as the password. */
	assert_int_equal(cram("cram", "secret"), AUTH_OK);
	assert_int_equal(cram("cram", "Secret"), AUTH_FAILED);
	reopen(&strict);
	assert_int_equal(cram("plain", "secret"), AUTH_FAILED);
	assert_int_equal(cram("cram", "secret"), AUTH_FAILED);
}

static void md5_hex(const char *text, size_t length, char *out)
{
	unsigned char digest[16];

	EVP_Digest(text, length, digest, NULL, EVP_md5(), NULL);
	hex_of(digest, sizeof(digest), out);
}

/* RFC 2831 section 2.1.2.1 */
static enum auth_status digest_wish(const char *service, const char *uri, const char *name,
	const char *password, const char *wish)
{
	struct exchange *exchange = begin_for(service, "DIGEST-MD5", NULL);
	char a1[256], a2[64], all[400], ha1[33], ha2[33], nonce[200] = "", text[800], result[33];
	struct buffer challenge = { 0 };
	enum auth_status status;
	char *at;

	assert_true(exchange_input(exchange, false, SLICE("")));
	assert_false(exchange_step(exchange, backends));
	buffer_add(&challenge, exchange_output(exchange));
	assert_non_null(buffer_text(&challenge));
	assert_non_null(strstr(challenge.data, "realm=\"example.org\""));
	assert_int_equal(exchange_told(exchange), AUTH_TEMPORARY);
	at = strstr(challenge.data, "nonce=\"");
	assert_non_null(at);
	assert_true(slice_to_string(
		slice_head(slice_from(at + 7), strcspn(at + 7, "\"")), nonce, sizeof(nonce)));
	snprintf(a1, sizeof(a1), "%s:example.org:%s", name, password);
	EVP_Digest(a1, strlen(a1), (unsigned char *)all, NULL, EVP_md5(), NULL);
	snprintf(all + 16, sizeof(all) - 16, ":%s:cnonce%s%s", nonce, wish[0] ? ":" : "", wish);
	md5_hex(all, 16 + strlen(all + 16), ha1);
	snprintf(a2, sizeof(a2), "AUTHENTICATE:%s", uri);
	md5_hex(a2, strlen(a2), ha2);
	snprintf(all, sizeof(all), "%s:%s:00000001:cnonce:auth:%s", ha1, nonce, ha2);
	md5_hex(all, strlen(all), result);
	snprintf(text, sizeof(text),
		"username=\"%s\",realm=\"example.org\",nonce=\"%s\",cnonce=\"cnonce\","
		"nc=00000001,qop=auth,digest-uri=\"%s\",response=%s%s%s%s",
		name, nonce, uri, result, wish[0] ? ",authzid=\"" : "", wish, wish[0] ? "\"" : "");
	if (!step(exchange, slice_from(text))) {
		assert_true(slice_starts(exchange_output(exchange), SLICE("rspauth=")));
		assert_int_equal(exchange_told(exchange), AUTH_OK);
		assert_true(step(exchange, SLICE("")));
	}
	status = exchange_status(exchange);
	assert_true(exchange_login(exchange)[0] == '\0' ||
		    strncmp(exchange_login(exchange), name, strlen(name)) == 0);
	exchange_free(&exchange);
	buffer_free(&challenge);
	return status;
}

static enum auth_status digest_for(
	const char *service, const char *uri, const char *name, const char *password)
{
	return digest_wish(service, uri, name, password, "");
}

static enum auth_status digest(const char *name, const char *password)
{
	return digest_for("imap", "imap/host.example.org", name, password);
}

/* RFC 4013: however names and passwords were typed. */
static void names_and_passwords_have_one_form(void **state)
{
	assert_int_equal(cram("ren\xc3\xa9", "caf\xc3\xa9"), AUTH_OK);
	assert_int_equal(cram("rene\xcc\x81", "caf\xc3\xa9"), AUTH_OK);
	assert_int_equal(cram("ren\xc3\xa9", "cafe"), AUTH_FAILED);
	assert_int_equal(cram("rene", "caf\xc3\xa9"), AUTH_FAILED);
}

/* A client that prepares nothing sends what is stored; one that does, what comes of it. */
static void a_response_may_be_made_of_either_form_of_a_password(void **state)
{
	static const char RAW[] = "\xef\xac\x81sh\xc2\xaa", PREPARED[] = "fisha";

	assert_int_equal(cram("raw", RAW), AUTH_OK);
	assert_int_equal(cram("raw", PREPARED), AUTH_OK);
	assert_int_equal(cram("raw", "fish\xc2\xaa"), AUTH_FAILED);
	assert_int_equal(cram("ren\xc3\xa9", "cafe\xcc\x81"), AUTH_OK);
	assert_int_equal(digest("raw", RAW), AUTH_OK);
	assert_int_equal(digest("raw", PREPARED), AUTH_OK);
	assert_int_equal(digest("raw", "fish\xc2\xaa"), AUTH_FAILED);
	assert_int_equal(digest("ren\xc3\xa9", "cafe\xcc\x81"), AUTH_OK);
	assert_int_equal(digest("ren\xc3\xa9", "caf\xc3\xa9"), AUTH_OK);
	assert_int_equal(digest("ren\xc3\xa9", "cafe"), AUTH_FAILED);
}

static void digest_md5_needs_plain_text_that_counts(void **state)
{
	assert_int_equal(digest("plain", "secret"), AUTH_OK);
	assert_int_equal(digest("plain", "wrong"), AUTH_FAILED);
	assert_int_equal(digest("nobody", "secret"), AUTH_FAILED);
	assert_int_equal(digest("user", "pencil"), AUTH_FAILED);
	assert_int_equal(digest("digest", "secret"), AUTH_OK);
	assert_int_equal(digest("digest", "wrong"), AUTH_FAILED);
}

static enum auth_status digest_as(const char *wish, const char *password)
{
	return digest_wish("imap", "imap/host.example.org", "plain", password, wish);
}

static void digest_md5_lets_act_for_oneself_only(void **state)
{
	assert_int_equal(digest_as("plain", "secret"), AUTH_OK);
	assert_int_equal(digest_as("Plain@example.org", "secret"), AUTH_OK);
	assert_int_equal(digest_as("plain", "wrong"), AUTH_FAILED);
	assert_int_equal(digest_as("junk", "secret"), AUTH_FAILED);
	assert_int_equal(digest_as("junk", "wrong"), AUTH_FAILED);
}

/* RFC 5034 section 4: "pop", and not the name of the protocol's version. */
static void digest_md5_knows_services_by_their_registered_names(void **state)
{
	assert_int_equal(digest_for("pop3", "pop/host.example.org", "plain", "secret"), AUTH_OK);
	assert_int_equal(digest_for("smtp", "smtp/host.example.org", "plain", "secret"), AUTH_OK);
	assert_int_equal(
		digest_for("pop3", "imap/host.example.org", "plain", "secret"), AUTH_FAILED);
}

/* --- EXTERNAL --- */

static enum auth_status external(const struct tls_facts *tls, const char *authzid)
{
	struct exchange *exchange = begin_for("imap", "EXTERNAL", tls);
	enum auth_status status;

	assert_non_null(exchange);
	assert_true(step(exchange, slice_from(authzid)));
	status = exchange_status(exchange);
	if (status == AUTH_OK)
		assert_string_equal(exchange_login(exchange), "user@example.org");
	exchange_free(&exchange);
	return status;
}

static void external_goes_by_the_certificate(void **state)
{
	struct tls_facts own = {
		.subject = SLICE("user"), .fingerprint = SLICE("AB:CD"), .trusted = true
	};
	/* Common names with an attribute in them, and names that have no common name. */
	const struct slice NOT_ITS[] = { SLICE("evil CN=user"), SLICE("CN=user"),
		SLICE("C=XX, O=Example, CN=user@example.org"), SLICE("/O=Example/CN=user"),
		SLICE("user CN=other"), SLICE(" user"), SLICE("user "), SLICE("other,user"),
		SLICE("") };
	char spec[200];

	assert_int_equal(external(&own, ""), AUTH_OK);
	assert_int_equal(external(&own, "user@example.org"), AUTH_OK);
	assert_int_equal(external(&own, "plain@example.org"), AUTH_FAILED);
	own.subject = SLICE("User@example.org");
	assert_int_equal(external(&own, ""), AUTH_OK);
	for (size_t i = 0; i < sizeof(NOT_ITS) / sizeof(NOT_ITS[0]); i++) {
		own.subject = NOT_ITS[i];
		assert_int_equal(external(&own, ""), AUTH_FAILED);
	}
	own.subject = SLICE("user");
	own.trusted = false;
	assert_int_equal(external(&own, ""), AUTH_FAILED);
	own.trusted = true;
	own.subject = SLICE("nobody");
	assert_int_equal(external(&own, ""), AUTH_FAILED);
	own.subject = SLICE("off");
	assert_int_equal(external(&own, ""), AUTH_FAILED);
	/* A fingerprint that is known needs no authority. */
	text_file_in(folder, "map", "AB:CD user@example.org\n");
	snprintf(spec, sizeof(spec), "texthash:%s/map", folder);
	settings.certificates = table_list_open(spec, folder, 0, error, sizeof(error));
	assert_non_null(settings.certificates);
	assert_true(exchange_library_open(&settings, error, sizeof(error)));
	own.trusted = false;
	assert_int_equal(external(&own, ""), AUTH_OK);
	own.fingerprint = SLICE("AB:CE");
	assert_int_equal(external(&own, ""), AUTH_FAILED);
	table_list_close(&settings.certificates);
	/* No certificate, no mechanism. */
	assert_null(begin_for("imap", "EXTERNAL", &TLS));
	assert_null(begin_for("imap", "EXTERNAL", NULL));
}

/* --- what is offered --- */

static void offered(const char *configured, const char *options, bool bindings, bool certificate,
	const char *expected)
{
	const struct mechanism_situation situation = { bindings, certificate };
	struct buffer out = { 0 };

	assert_true(mechanisms_offer(configured, options, &situation, " ", &out));
	assert_string_equal(buffer_text(&out), expected);
	buffer_free(&out);
}

static void offers_follow_security_options_and_tls(void **state)
{
	static const char ALL[] = "plain,login cram-md5, digest-md5 scram-sha-1 scram-sha-256 "
				  "external oauthbearer xoauth2";
	struct slice word;

	offered("plain, login", "noanonymous", false, false, " PLAIN LOGIN");
	offered("plain, login", "noplaintext, noanonymous", false, false, "");
	offered("plain scram-sha-256", "", false, false, " SCRAM-SHA-256 PLAIN");
	offered("plain scram-sha-256", "", true, false, " SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN");
	offered("scram-sha-256-plus", "", true, false, " SCRAM-SHA-256-PLUS");
	offered(ALL, "noplaintext", false, true,
		" EXTERNAL SCRAM-SHA-256 SCRAM-SHA-1 DIGEST-MD5 CRAM-MD5");
	offered(ALL, "mutual_auth noactive", true, true,
		" SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1");
	offered(ALL, "nodictionary", false, true, " EXTERNAL OAUTHBEARER XOAUTH2");
	assert_false(mechanisms_unknown(ALL, &word));
	assert_true(mechanisms_unknown("plain gssapi", &word));
	assert_true(slice_equal(word, SLICE("gssapi")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(scram_sha_1_is_the_example_of_rfc_5802),
		TEST(scram_sha_256_is_the_example_of_rfc_7677),
		TEST(scram_binds_to_each_kind_of_channel),
		TEST(scram_notices_that_channel_bindings_were_hidden),
		TEST(scram_takes_the_right_password_only),
		TEST(nobody_gets_the_same_salt_each_time),
		TEST(scram_refuses_what_is_malformed),
		TEST(scram_asks_for_the_first_message_when_there_is_none),
		TEST(cram_md5_needs_plain_text_that_counts),
		TEST(names_and_passwords_have_one_form),
		TEST(a_response_may_be_made_of_either_form_of_a_password),
		TEST(digest_md5_needs_plain_text_that_counts),
		TEST(digest_md5_lets_act_for_oneself_only),
		TEST(digest_md5_knows_services_by_their_registered_names),
		TEST(external_goes_by_the_certificate),
		TEST(offers_follow_security_options_and_tls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
