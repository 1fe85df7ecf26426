// SPDX-License-Identifier: ISC
/* Sealed facts about a TLS connection: what authd believes, and what it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "service/tls_seal.h"

static const unsigned char KEY[TLS_SEAL_KEY] = "a key of thirty-two bytes......";
enum { SECOND = 1000000 };

static const struct tls_facts FACTS = { .service = { "imap", 4 },
	.client_address = { "192.0.2.1", 9 },
	.client_port = 4711,
	.time = (int64_t)1700000000 * SECOND,
	.protocol = { "TLSv1.3", 7 },
	.exporter = { "0123456789abcdef0123456789abcdef", 32 },
	.end_point = { "\0\1\2", 3 },
	.subject = { "CN=somebody", 11 },
	.trusted = true };

static bool open_as(struct buffer *sealed, const char *service, const char *address,
	int64_t seconds, struct tls_facts *facts)
{
	return tls_unseal(buffer_slice(sealed), KEY, slice_from(service), slice_from(address),
		FACTS.time + seconds * SECOND, (int64_t)300 * SECOND, facts);
}

static void what_was_sealed_comes_out_as_it_was(void **state)
{
	struct buffer sealed = { 0 };
	struct tls_facts facts;

	assert_true(tls_seal(&FACTS, KEY, &sealed));
	assert_true(open_as(&sealed, "imap", "192.0.2.1", 299, &facts));
	assert_int_equal(facts.client_port, 4711);
	assert_true(facts.time == FACTS.time);
	assert_true(facts.trusted);
	assert_true(slice_equal(facts.exporter, FACTS.exporter));
	assert_true(slice_equal(facts.end_point, FACTS.end_point));
	assert_true(slice_equal(facts.subject, FACTS.subject));
	assert_int_equal(facts.unique.length, 0);
	buffer_free(&sealed);
}

static void facts_of_another_client_service_or_time_are_not_believed(void **state)
{
	struct buffer sealed = { 0 };
	struct tls_facts facts;

	assert_true(tls_seal(&FACTS, KEY, &sealed));
	assert_false(open_as(&sealed, "smtp", "192.0.2.1", 0, &facts));
	assert_false(open_as(&sealed, "imap", "192.0.2.2", 0, &facts));
	assert_false(open_as(&sealed, "imap", "192.0.2.1", 301, &facts));
	assert_false(open_as(&sealed, "imap", "192.0.2.1", -301, &facts));
	buffer_free(&sealed);
}

static void no_byte_can_be_changed_added_or_left_out(void **state)
{
	struct buffer sealed = { 0 };
	struct tls_facts facts;

	assert_true(tls_seal(&FACTS, KEY, &sealed));
	for (size_t i = 0; i < sealed.length; i++) {
		sealed.data[i] ^= 1;
		assert_false(open_as(&sealed, "imap", "192.0.2.1", 0, &facts));
		sealed.data[i] ^= 1;
	}
	for (size_t length = sealed.length; length > 0; length--) {
		sealed.length = length - 1;
		assert_false(open_as(&sealed, "imap", "192.0.2.1", 0, &facts));
	}
	buffer_free(&sealed);
}

static void another_key_opens_nothing_and_derived_keys_differ(void **state)
{
	unsigned char other[TLS_SEAL_KEY] = { 1 }, a[32], b[32], c[32];
	struct buffer sealed = { 0 };
	struct tls_facts facts;

	assert_true(tls_seal(&FACTS, KEY, &sealed));
	assert_false(tls_unseal(buffer_slice(&sealed), other, FACTS.service, FACTS.client_address,
		FACTS.time, SECOND, &facts));
	tls_derive(KEY, "ticket", 1, a);
	tls_derive(KEY, "ticket", 2, b);
	tls_derive(KEY, "facts", 1, c);
	assert_memory_not_equal(a, b, sizeof(a));
	assert_memory_not_equal(a, c, sizeof(a));
	buffer_free(&sealed);
}

static void the_longest_names_fit(void **state)
{
	static char name[TLS_FACT_TEXT_MAX + 100];
	struct tls_facts facts = FACTS;
	struct buffer sealed = { 0 };

	memset(name, 'x', sizeof(name));
	facts.subject = facts.issuer = slice_of(name, sizeof(name));
	facts.fingerprint = slice_of(name, 200);
	facts.exporter = slice_of(name, TLS_EXPORTER_SIZE);
	facts.end_point = facts.unique = slice_of(name, TLS_BINDING_MAX);
	assert_true(tls_seal(&facts, KEY, &sealed));
	assert_true(open_as(&sealed, "imap", "192.0.2.1", 0, &facts));
	assert_int_equal(facts.subject.length, TLS_FACT_TEXT_MAX);
	buffer_free(&sealed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_sealed_comes_out_as_it_was),
		cmocka_unit_test(facts_of_another_client_service_or_time_are_not_believed),
		cmocka_unit_test(no_byte_can_be_changed_added_or_left_out),
		cmocka_unit_test(another_key_opens_nothing_and_derived_keys_differ),
		cmocka_unit_test(the_longest_names_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
