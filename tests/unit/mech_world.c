// SPDX-License-Identifier: ISC
/* Back ends and settings for tests of mechanisms. See mech_world.h. */
#include "tests/unit/mech_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/text_file.h"

char folder[64], error[300];
struct backends *backends;
struct exchange_settings settings = { .realm = "example.org",
	.host = "host.example.org",
	.mechanisms = "SCRAM-SHA-1 SCRAM-SHA-256 CRAM-MD5 DIGEST-MD5 EXTERNAL OAUTHBEARER XOAUTH2",
	.scram_iterations = 4096,
	.secret = "not secret" };

void reopen(const struct scheme_settings *schemes)
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

int setup(void **state)
{
	const struct scheme_settings schemes = { .cost = 1, .plain = true };

	snprintf(folder, sizeof(folder), "/tmp/postern-mechanisms-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	text_file_in(folder, "passwd",
		"user:" PENCIL_1 " " PENCIL_256 "::::::\n"
		"plain@example.org:{PLAIN}secret\n"
		/* Dovecot's key of "secret", and MD5 of "digest:example.org:secret" */
		"cram:{CRAM-MD5}cd3ba7deaad6e5ca23448ba42e379747"
		"a9e0f7f1fbc00c8a81bbaac395731b56\n"
		"digest:{DIGEST-MD5}1e67554a4725a5a5d6237d3630a59ccf\n"
		"off:" PENCIL_1 "::::::nologin\n"
		/* "é" as one character in the name, as two in the password */
		"ren\xc3\xa9:{PLAIN}cafe\xcc\x81\n"
		/* Stored as another system wrote it: "fi" is one letter */
		"raw:{PLAIN}\xef\xac\x81sh\xc2\xaa\n"
		"hashed:$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5\n");
	settings.nonce = NULL;
	settings.oauth = NULL;
	settings.introspection = NULL;
	settings.certificates = NULL;
	reopen(&schemes);
	return backends && exchange_library_open(&settings, error, sizeof(error)) ? 0 : -1;
}

int teardown(void **state)
{
	char path[128];

	backends_close(&backends);
	for (const char *const *name = (const char *const[]){ "passwd", "keys", "map", NULL };
		*name; name++) {
		snprintf(path, sizeof(path), "%s/%s", folder, *name);
		unlink(path);
	}
	return rmdir(folder);
}

struct exchange *begin_for(const char *service, const char *mechanism, const struct tls_facts *tls)
{
	struct exchange_start start = { .service = slice_from(service),
		.mechanism = slice_from(mechanism),
		.client_address = SLICE("192.0.2.1"),
		.local_address = SLICE("192.0.2.2"),
		.tls = tls };

	return exchange_new(&start);
}

struct exchange *begin(const char *mechanism)
{
	struct exchange *exchange = begin_for("imap", mechanism, NULL);

	assert_non_null(exchange);
	return exchange;
}

bool step(struct exchange *exchange, struct slice input)
{
	assert_true(exchange_input(exchange, true, input));
	return exchange_step(exchange, backends);
}

/* The challenge is this text. */
void challenges(struct exchange *exchange, const char *input, const char *challenge)
{
	struct slice output;

	assert_false(step(exchange, slice_from(input)));
	output = exchange_output(exchange);
	if (!slice_equal(output, slice_from(challenge)))
		fail_msg("%.*s", SLICE_ARG(output));
}

void ends(struct exchange *exchange, const char *input, enum auth_status status)
{
	assert_true(step(exchange, slice_from(input)));
	assert_int_equal(exchange_status(exchange), status);
	exchange_free(&exchange);
}
