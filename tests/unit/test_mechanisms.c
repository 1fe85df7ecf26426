// SPDX-License-Identifier: ISC
/* Every SASL mechanism but PLAIN and LOGIN: the examples of its RFC, other clients, liars. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "auth/exchange.h"
#include "auth/mech_jwt.h"
#include "base/arena.h"
#include "base/base64.h"
#include "table/table.h"

#define PENCIL_1 \
	"{SCRAM-SHA-1}4096,QSXCR+Q6sek8bf92,6dlGYMOdZcOPutkcNY8U2g7vK9Y=,D+CSWLOshSulAsxiupA+qs2/" \
	"fTE="
#define PENCIL_256 \
	"{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==," \
	"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=," \
	"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

static char folder[64], path[128], error[300];
static struct backends *backends;
static struct exchange_settings settings = { .realm = "example.org",
	.host = "host.example.org",
	.mechanisms = "SCRAM-SHA-1 SCRAM-SHA-256 CRAM-MD5 DIGEST-MD5 EXTERNAL OAUTHBEARER XOAUTH2",
	.scram_iterations = 4096,
	.secret = "not secret" };

static void write_file(const char *name, const char *text)
{
	char whole[160];
	FILE *file;

	snprintf(whole, sizeof(whole), "%s/%s", folder, name);
	file = fopen(whole, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void reopen(const struct scheme_settings *schemes)
{
	struct backends_settings found = { .realm = "example.org", .folder = folder };
	static char list[200];

	snprintf(list, sizeof(list), "passwd-file:%s/passwd", folder);
	found.list = list;
	found.schemes = *schemes;
	if (backends)
		backends_close(&backends);
	backends = backends_open(&found, error, sizeof(error));
}

static int setup(void **state)
{
	const struct scheme_settings schemes = { .cost = 1, .plain = true };

	snprintf(folder, sizeof(folder), "/tmp/postern-mechanisms-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	write_file("passwd", "user:" PENCIL_1 " " PENCIL_256 "::::::\n"
			     "plain@example.org:{PLAIN}secret\n"
			     /* Dovecot's key of "secret", and MD5 of "digest:example.org:secret" */
			     "cram:{CRAM-MD5}cd3ba7deaad6e5ca23448ba42e379747"
			     "a9e0f7f1fbc00c8a81bbaac395731b56\n"
			     "digest:{DIGEST-MD5}1e67554a4725a5a5d6237d3630a59ccf\n"
			     "off:" PENCIL_1 "::::::nologin\n"
			     /* "é" as one character in the name, as two in the password */
			     "ren\xc3\xa9:{PLAIN}cafe\xcc\x81\n"
			     "hashed:$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5\n");
	settings.nonce = NULL;
	settings.oauth = NULL;
	settings.introspection = NULL;
	settings.certificates = NULL;
	reopen(&schemes);
	return backends && exchange_library_open(&settings, error, sizeof(error)) ? 0 : -1;
}

static int teardown(void **state)
{
	backends_close(&backends);
	for (const char *const *name = (const char *const[]){ "passwd", "keys", "map", NULL };
		*name; name++) {
		snprintf(path, sizeof(path), "%s/%s", folder, *name);
		unlink(path);
	}
	return rmdir(folder);
}

static struct exchange *begin_for(
	const char *service, const char *mechanism, const struct tls_facts *tls)
{
	struct exchange_start start = { .service = slice_from(service),
		.mechanism = slice_from(mechanism),
		.client_address = SLICE("192.0.2.1"),
		.local_address = SLICE("192.0.2.2"),
		.tls = tls };

	return exchange_new(&start);
}

static struct exchange *begin(const char *mechanism)
{
	struct exchange *exchange = begin_for("imap", mechanism, NULL);

	assert_non_null(exchange);
	return exchange;
}

static bool step(struct exchange *exchange, struct slice input)
{
	assert_true(exchange_input(exchange, true, input));
	return exchange_step(exchange, backends);
}

/* The challenge is this text. */
static void challenges(struct exchange *exchange, const char *input, const char *challenge)
{
	struct slice output;

	assert_false(step(exchange, slice_from(input)));
	output = exchange_output(exchange);
	if (!slice_equal(output, slice_from(challenge)))
		fail_msg("%.*s", SLICE_ARG(output));
}

static void ends(struct exchange *exchange, const char *input, enum auth_status status)
{
	assert_true(step(exchange, slice_from(input)));
	assert_int_equal(exchange_status(exchange), status);
	exchange_free(&exchange);
}

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
		client_final(exchange, strstr(mechanism, "256") ? "SHA-256" : "SHA-1", bare, header,
			binding, password, &final);
		if (!step(exchange, buffer_slice(&final))) {
			assert_true(slice_starts(exchange_output(exchange), SLICE("v=")));
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
	write_file("map", "AB:CD user@example.org\n");
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

/* --- tokens --- */

/* RFC 7515, appendices A.2 and A.3 */
static const char KEYS[] =
	"{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"},{\"kty\":\"RSA\",\"kid\":\"one\",\"use\":"
	"\"sig\",\"n\":"
	"\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-"
	"4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-"
	"yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-"
	"bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-"
	"KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-"
	"DWNmoudF8NAco9_"
	"h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\",\"e\":\"AQAB\"},"
	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
	"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}";
#define PAYLOAD \
	"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0" \
	"cnVlfQ"
#define RS256_TOKEN \
	"eyJhbGciOiJSUzI1NiJ9." PAYLOAD \
	".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_" \
	"O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_" \
	"nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--" \
	"xi12jzDwusC-" \
	"eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVr" \
	"Bp0igcN_IoypGlUPQGe77Rw"
#define ES256_TOKEN \
	"eyJhbGciOiJFUzI1NiJ9." PAYLOAD \
	".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"

enum { THEN = 1300819379 };

static struct oauth *open_keys(const char *issuer, const char *audience, const char *scope)
{
	static char file[128];
	const struct oauth_settings keys = {
		.keys = file, .issuer = issuer, .audience = audience, .scope = scope, .claim = "iss"
	};
	struct oauth *oauth;

	snprintf(file, sizeof(file), "%s/keys", folder);
	write_file("keys", KEYS);
	oauth = oauth_open(&keys, error, sizeof(error));
	if (!oauth)
		fail_msg("%s", error);
	return oauth;
}

static void tokens_of_rfc_7515_are_good_in_their_time(void **state)
{
	static const char *const TOKENS[] = { RS256_TOKEN, ES256_TOKEN };
	struct oauth *oauth = open_keys("", "", "");
	char name[CLAIMS_NAME_MOST + 1], broken[1200];
	const char *reason;

	for (int i = 0; i < 2; i++) {
		if (!oauth_check(oauth, slice_from(TOKENS[i]), THEN, name, &reason))
			fail_msg("%s", reason);
		assert_string_equal(name, "joe");
		assert_false(oauth_check(
			oauth, slice_from(TOKENS[i]), THEN + 2 * CLAIMS_LEEWAY, name, &reason));
		snprintf(broken, sizeof(broken), "%s", TOKENS[i]);
		broken[30] = broken[30] == 'A' ? 'B' : 'A';
		assert_false(oauth_check(oauth, slice_from(broken), THEN, name, &reason));
		snprintf(broken, sizeof(broken), "%s", TOKENS[i]);
		broken[strlen(broken) - 10] ^= 1;
		assert_false(oauth_check(oauth, slice_from(broken), THEN, name, &reason));
	}
	oauth_close(&oauth);
	oauth = open_keys("jim", "", "");
	assert_false(oauth_check(oauth, SLICE(ES256_TOKEN), THEN, name, &reason));
	oauth_close(&oauth);
	oauth = open_keys("joe", "mail", "");
	assert_false(oauth_check(oauth, SLICE(ES256_TOKEN), THEN, name, &reason));
	oauth_close(&oauth);
	oauth = open_keys("joe", "", "mail");
	assert_false(oauth_check(oauth, SLICE(ES256_TOKEN), THEN, name, &reason));
	oauth_close(&oauth);
}

static void token_cannot_choose_how_it_is_checked(void **state)
{
	/* {"alg":"none"}, {"alg":"HS256"}, no signature, nothing at all */
	static const char *const TOKENS[] = { "eyJhbGciOiJub25lIn0." PAYLOAD ".",
		"eyJhbGciOiJIUzI1NiJ9." PAYLOAD ".AAAA", "eyJhbGciOiJSUzI1NiJ9." PAYLOAD ".",
		"eyJhbGciOiJFUzI1NiJ9." PAYLOAD ".", "", ".", "..", "...", "a.b", "a.b.c.d",
		"eyJhbGciOiJSUzI1NiJ9." PAYLOAD
		".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-"
		"Kg6NU1Q" };
	struct oauth *oauth = open_keys("", "", "");
	char name[CLAIMS_NAME_MOST + 1];
	const char *reason;

	for (size_t i = 0; i < sizeof(TOKENS) / sizeof(TOKENS[0]); i++)
		assert_false(oauth_check(oauth, slice_from(TOKENS[i]), THEN, name, &reason));
	oauth_close(&oauth);
}

/* The token is long over: what is tried here is the way to it and the way out. */
static void oauth_tells_the_client_before_it_fails(void **state)
{
	static const struct {
		const char *mechanism, *response;
	} GOOD_FORM[] = {
		/* RFC 7628 section 4.1 */
		{ "OAUTHBEARER", "n,a=user@example.org,\001host=server.example.com\001port=143\001"
				 "auth=Bearer " ES256_TOKEN "\001\001" },
		{ "OAUTHBEARER", "n,,\001auth=Bearer " ES256_TOKEN "\001\001" },
		{ "XOAUTH2", "user=user@example.org\001auth=Bearer " ES256_TOKEN "\001\001" },
	};
	static const struct {
		const char *mechanism, *response;
	} BAD_FORM[] = {
		{ "OAUTHBEARER", "" },
		{ "OAUTHBEARER", "n,a=user@example.org," },
		{ "OAUTHBEARER", "n,a=user@example.org,\001host=x\001\001" },
		{ "OAUTHBEARER", "p=tls-unique,,\001auth=Bearer x\001\001" },
		{ "OAUTHBEARER", "n,,\001auth=Bearer \001\001" },
		{ "OAUTHBEARER", "n,,\001auth=Bearer x\001auth=Bearer y\001\001" },
		{ "XOAUTH2", "user=user@example.org" },
		{ "XOAUTH2", "user=user@example.org\001auth=Basic x\001\001" },
	};
	struct oauth *oauth = open_keys("", "", "mail");

	settings.oauth = oauth;
	assert_true(exchange_library_open(&settings, error, sizeof(error)));
	for (size_t i = 0; i < sizeof(GOOD_FORM) / sizeof(GOOD_FORM[0]); i++) {
		struct exchange *exchange = begin(GOOD_FORM[i].mechanism);

		assert_false(step(exchange, slice_from(GOOD_FORM[i].response)));
		assert_true(slice_starts(exchange_output(exchange), SLICE("{\"status\":\"")));
		assert_string_equal(
			exchange_note(exchange), "the token has expired, or never does");
		ends(exchange, "\001", AUTH_FAILED);
	}
	for (size_t i = 0; i < sizeof(BAD_FORM) / sizeof(BAD_FORM[0]); i++)
		ends(begin(BAD_FORM[i].mechanism), BAD_FORM[i].response, AUTH_BAD);
	oauth_close(&oauth);
}

/* --- tokens that the introspection command knows --- */

static struct oauth_settings asked = {
	.issuer = "", .audience = "", .scope = "", .claim = "username"
};

/* An exchange with that token, up to the question, and the answer to it. */
static struct exchange *introspected(const char *who, const char *token, const char *answer)
{
	struct exchange *exchange = begin("OAUTHBEARER");
	char response[300];

	snprintf(response, sizeof(response), "n,%s,\001auth=Bearer %s\001\001", who, token);
	assert_false(step(exchange, slice_from(response)));
	assert_true(slice_equal(exchange_question(exchange), slice_from(token)));
	assert_int_equal(exchange_output(exchange).length, 0);
	exchange_answer(exchange, answer != NULL, slice_from(answer));
	assert_int_equal(exchange_question(exchange).length, 0);
	return exchange;
}

static void is_good(const char *who, const char *answer)
{
	struct exchange *exchange = introspected(who, "opaque", answer);

	assert_true(exchange_step(exchange, backends));
	if (exchange_status(exchange) != AUTH_OK)
		fail_msg("%s: %s", answer, exchange_note(exchange));
	assert_string_equal(exchange_login(exchange), "plain@example.org");
	exchange_free(&exchange);
}

static void is_refused(const char *who, const char *answer, const char *note)
{
	struct exchange *exchange = introspected(who, "opaque", answer);

	assert_false(exchange_step(exchange, backends));
	assert_string_equal(exchange_note(exchange), note);
	assert_true(slice_starts(
		exchange_output(exchange), SLICE("{\"status\":\"invalid_token\",\"scope\":\"")));
	ends(exchange, "\001", AUTH_FAILED);
}

static void is_temporary(const char *answer)
{
	struct exchange *exchange = introspected("", "opaque", answer);

	assert_true(exchange_step(exchange, backends));
	assert_int_equal(exchange_status(exchange), AUTH_TEMPORARY);
	assert_string_not_equal(exchange_note(exchange), "");
	exchange_free(&exchange);
}

static void open_introspection(const char *audience, const char *token_scope)
{
	asked.audience = audience;
	asked.scope = token_scope;
	settings.introspection = &asked;
	assert_true(exchange_library_open(&settings, error, sizeof(error)));
}

#define ACTIVE "{\"active\":true,\"username\":\"plain@example.org\""

static void the_command_says_whose_a_token_is(void **state)
{
	open_introspection("", "");
	is_good("", ACTIVE "}");
	is_good("", "{\"active\":true,\"username\":\"Plain\"}");
	is_good("a=plain@example.org", ACTIVE ",\"exp\":99999999999,\"nbf\":1}");
	is_refused("a=user@example.org", ACTIVE "}", "the token is of another login");
	is_refused("", "{\"active\":true}",
		"the token has no login name (auth_oauth_introspection_claim)");
	is_refused("", "{\"active\":true,\"username\":\"a b\"}",
		"the token has no login name (auth_oauth_introspection_claim)");
	is_refused("", "{\"active\":false,\"username\":\"plain\"}", "the token is not active");
	is_refused("", ACTIVE ",\"exp\":1}", "the token has expired, or never does");
	is_refused("", ACTIVE ",\"exp\":\"never\"}", "the token has expired, or never does");
	is_refused("", ACTIVE ",\"nbf\":99999999999}", "the token is not good yet");
}

static void who_is_not_known_here_is_refused_in_spite_of_a_good_token(void **state)
{
	struct exchange *exchange;

	open_introspection("", "");
	exchange = introspected("", "opaque", "{\"active\":true,\"username\":\"nobody\"}");
	assert_true(exchange_step(exchange, backends));
	assert_int_equal(exchange_status(exchange), AUTH_FAILED);
	exchange_free(&exchange);
}

static void scope_and_audience_count_in_an_answer_too(void **state)
{
	open_introspection("mail", "imap");
	is_good("", ACTIVE ",\"aud\":[\"web\",\"mail\"],\"scope\":\"openid imap\"}");
	is_refused("", ACTIVE ",\"scope\":\"imap\"}", "the token is for another audience");
	is_refused(
		"", ACTIVE ",\"aud\":\"mail\",\"scope\":\"imaps\"}", "the token lacks the scope");
}

static void what_is_no_answer_is_no_refusal(void **state)
{
	static const char *const ANSWERS[] = { NULL, "", "yes", "{}", "[]", "{\"active\":\"true\"}",
		"{\"active\":1}", "{\"active\":true", "{\"active\":true,\"active\":false}",
		"{\"active\":true} {}" };

	open_introspection("", "");
	for (size_t i = 0; i < sizeof(ANSWERS) / sizeof(ANSWERS[0]); i++)
		is_temporary(ANSWERS[i]);
}

/* With keys, too, the command never hears of a JWT that is not signed with one of them. */
static void a_jwt_must_be_good_for_the_keys_first(void **state)
{
	struct oauth *oauth = open_keys("", "", "");
	struct exchange *exchange;

	settings.oauth = oauth;
	open_introspection("", "");
	exchange = begin("XOAUTH2");
	assert_false(step(exchange, SLICE("user=plain\001auth=Bearer " ES256_TOKEN "\001\001")));
	assert_int_equal(exchange_question(exchange).length, 0);
	assert_string_equal(exchange_note(exchange), "the token has expired, or never does");
	ends(exchange, "", AUTH_FAILED);
	is_good("", ACTIVE "}");
	oauth_close(&oauth);
}

static void a_token_is_made_of_token_characters(void **state)
{
	open_introspection("", "");
	ends(begin("XOAUTH2"), "user=plain\001auth=Bearer a\nb\001\001", AUTH_BAD);
	ends(begin("XOAUTH2"), "user=plain\001auth=Bearer a b\001\001", AUTH_BAD);
	ends(begin("XOAUTH2"), "user=plain\001auth=Bearer a\"b\001\001", AUTH_BAD);
	ends(begin("XOAUTH2"), "user=plain\001auth=Bearer =\001\001", AUTH_BAD);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
		TEST(digest_md5_needs_plain_text_that_counts),
		TEST(digest_md5_lets_act_for_oneself_only),
		TEST(digest_md5_knows_services_by_their_registered_names),
		TEST(external_goes_by_the_certificate),
		TEST(tokens_of_rfc_7515_are_good_in_their_time),
		TEST(token_cannot_choose_how_it_is_checked),
		TEST(oauth_tells_the_client_before_it_fails),
		TEST(the_command_says_whose_a_token_is),
		TEST(who_is_not_known_here_is_refused_in_spite_of_a_good_token),
		TEST(scope_and_audience_count_in_an_answer_too),
		TEST(what_is_no_answer_is_no_refusal),
		TEST(a_jwt_must_be_good_for_the_keys_first),
		TEST(a_token_is_made_of_token_characters),
		TEST(offers_follow_security_options_and_tls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
