// SPDX-License-Identifier: ISC
/*
 * SASL exchanges: the first byte chooses the mechanism and whether there is an initial response, then come responses, each
 * behind a byte with its length. Without the password nobody gets in.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "auth/exchange.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[64];
static struct credentials *credentials;

static void remove_database(void)
{
	static const char *const SUFFIXES[] = { "", "-wal", "-shm" };
	char name[80];

	credentials_close(&credentials);
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%s%s", path, SUFFIXES[i]);
		unlink(name);
	}
}

static void set_up(void)
{
	char error[300];
	int fd;

	snprintf(path, sizeof(path), "/tmp/postern-fuzz-sasl-XXXXXX");
	fd = mkstemp(path);
	if (fd < 0 || close(fd) < 0 ||
		!credentials_open(path, true, &credentials, error, sizeof(error)) ||
		!credentials_set(credentials, "u@example.org",
			SLICE("a password that the fuzzer will not find"), 1, error,
			sizeof(error)) ||
		!exchange_library_open("example.org", "host.example.org", error, sizeof(error)))
		abort();
	atexit(remove_database);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct exchange_start start = { .service = SLICE("imap"),
		.client_address = SLICE("192.0.2.1") };
	struct slice rest = slice_of(data, size);
	struct exchange *exchange;
	bool done = false;

	if (!credentials)
		set_up();
	if (size < 1)
		return 0;
	start.mechanism = data[0] & 1 ? SLICE("PLAIN") : SLICE("LOGIN");
	exchange = exchange_new(&start);
	if (!exchange)
		return 0;
	rest = slice_tail(rest, 1);
	if (data[0] & 2)
		done = exchange_input(exchange, false, slice_of("", 0)) &&
		       exchange_step(exchange, credentials);
	while (!done && rest.length) {
		size_t length = (unsigned char)rest.data[0];

		rest = slice_tail(rest, 1);
		done = !exchange_input(exchange, true, slice_head(rest, length)) ||
		       exchange_step(exchange, credentials);
		rest = slice_tail(rest, length);
	}
	if (done && exchange_status(exchange) == AUTH_OK)
		abort();
	exchange_free(&exchange);
	return 0;
}
