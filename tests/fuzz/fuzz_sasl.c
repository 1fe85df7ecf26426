// SPDX-License-Identifier: ISC
/*
 * SASL exchanges: the first byte chooses the mechanism, the second whether there is an initial response and TLS; then come responses,
 * each behind a byte with its length. When the introspection command is to be asked, the next of them is its answer. Without the
 * password nobody gets in, nor without an answer about a token. No response of DIGEST-MD5 is made of a password that nobody has, either.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "auth/mech.h"
#include "auth/mech_digest.h"
#include "auth/mech_jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const MECHANISMS[] = { "PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1",
	"SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS", "EXTERNAL", "OAUTHBEARER",
	"XOAUTH2" };
enum { MECHANISM_COUNT = sizeof(MECHANISMS) / sizeof(MECHANISMS[0]) };

/* The public key of RFC 7515 appendix A.3 */
static const char KEYS[] = "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"
			   "\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
			   "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}";
/* The second one has two forms. */
static const char USERS[] = "u:{PLAIN}a password that the fuzzer will not find\n"
			    "v:{PLAIN}another that it will not \xef\xac\x81nd\n";

static struct backends *backends;

/* A file that is read once. */
static void make_file(char path[64], const char *text)
{
	int fd;

	snprintf(path, 64, "/tmp/postern-fuzz-sasl-XXXXXX");
	fd = mkstemp(path);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || close(fd) < 0)
		abort();
}

static void set_up(void)
{
	char error[300], users[64], keys[64], list[100];
	struct exchange_settings settings = { .realm = "example.org",
		.host = "host.example.org",
		.mechanisms = "plain login cram-md5 digest-md5 scram-sha-1 scram-sha-256 external "
			      "oauthbearer xoauth2",
		.scram_iterations = 1,
		.nonce = "nonce" };
	struct oauth_settings oauth = {
		.keys = keys, .issuer = "", .audience = "", .scope = "", .claim = "email"
	};
	struct backends_settings found = { .list = list,
		.realm = "example.org",
		.schemes = { .cost = 1, .iterations = 1, .plain = true } };

	make_file(users, USERS);
	make_file(keys, KEYS);
	snprintf(list, sizeof(list), "passwd-file:%s", users);
	settings.oauth = oauth_open(&oauth, error, sizeof(error));
	backends = backends_open(&found, error, sizeof(error));
	if (!settings.oauth || !backends || !exchange_library_open(&settings, error, sizeof(error)))
		abort();
	unlink(users);
	unlink(keys);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct oauth_settings INTROSPECTION = {
		.issuer = "", .audience = "", .scope = "", .claim = "username"
	};
	static const struct tls_facts TLS = { .exporter = { "0123456789abcdef", 16 },
		.unique = { "unique123456", 12 },
		.subject = { "nobody", 6 },
		.fingerprint = { "AB:CD", 5 },
		.trusted = true };
	struct exchange_start start = { .service = SLICE("imap"),
		.client_address = SLICE("192.0.2.1") };
	struct slice rest = slice_of(data, size);
	struct exchange *exchange;
	bool done = false, asked = false;

	if (!backends)
		set_up();
	if (size < 2)
		return 0;
	start.mechanism = slice_from(MECHANISMS[data[0] % MECHANISM_COUNT]);
	start.tls = data[1] & 1 ? &TLS : NULL;
	mech_settings.introspection = data[1] & 4 ? &INTROSPECTION : NULL;
	exchange = exchange_new(&start);
	if (!exchange)
		return 0;
	rest = slice_tail(rest, 2);
	if (mech_digest_fits(rest, SLICE("that it will not \xef\xac\x81nd")))
		abort();
	if (data[1] & 2)
		done = !exchange_input(exchange, false, slice_of("", 0)) ||
		       exchange_step(exchange, backends);
	while (!done && rest.length) {
		size_t length = (unsigned char)rest.data[0];

		rest = slice_tail(rest, 1);
		if (exchange_question(exchange).length) {
			exchange_answer(exchange, length != 0, slice_head(rest, length));
			asked = true;
		} else if (!exchange_input(exchange, true, slice_head(rest, length))) {
			break;
		}
		done = exchange_step(exchange, backends);
		rest = slice_tail(rest, length);
	}
	if (done && !asked && exchange_status(exchange) == AUTH_OK)
		abort();
	exchange_free(&exchange);
	return 0;
}
