// SPDX-License-Identifier: ISC
/* What keyd signs: handshakes, and nothing that only looks like one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "tls/to_sign.h"

static void add_verify(struct buffer *text, const char *context, size_t hash)
{
	for (int i = 0; i < 64; i++)
		buffer_add_byte(text, ' ');
	buffer_append(text, context, strlen(context) + 1);
	for (size_t i = 0; i < hash; i++)
		buffer_add_byte(text, (char)i);
}

static void add_key_exchange(struct buffer *text, unsigned type, unsigned group, unsigned size)
{
	for (int i = 0; i < 64; i++)
		buffer_add_byte(text, (char)(i * 3));
	buffer_add_byte(text, (char)type);
	buffer_add_byte(text, (char)(group >> 8));
	buffer_add_byte(text, (char)group);
	buffer_add_byte(text, (char)size);
	for (unsigned i = 0; i < size; i++)
		buffer_add_byte(text, 4);
}

static bool verify_is_good(const char *context, size_t hash, uint16_t scheme, bool client)
{
	struct buffer text = { 0 };
	bool good;

	add_verify(&text, context, hash);
	good = to_sign_is_handshake(buffer_slice(&text), to_sign_scheme(scheme), client);
	buffer_free(&text);
	return good;
}

static bool exchange_is_good(unsigned type, unsigned group, unsigned size, uint16_t scheme)
{
	struct buffer text = { 0 };
	bool good;

	add_key_exchange(&text, type, group, size);
	good = to_sign_is_handshake(buffer_slice(&text), to_sign_scheme(scheme), false);
	assert_false(to_sign_is_handshake(buffer_slice(&text), to_sign_scheme(scheme), true));
	buffer_free(&text);
	return good;
}

static void a_certificate_verify_of_a_server_is_signed(void **state)
{
	static const char SERVER[] = "TLS 1.3, server CertificateVerify";

	assert_true(verify_is_good(SERVER, 32, 0x0403, false));
	assert_true(verify_is_good(SERVER, 48, 0x0804, false));
	assert_true(verify_is_good(SERVER, 48, 0x0807, false));
	assert_false(verify_is_good(SERVER, 48, 0x0401, false)); /* PKCS #1 is for TLS 1.2 */
	assert_false(verify_is_good(SERVER, 31, 0x0403, false));
	assert_false(verify_is_good("TLS 1.3, client CertificateVerify", 32, 0x0403, false));
	assert_false(verify_is_good("TLS 1.3, server CertificateVerifx", 32, 0x0403, false));
}

static void a_clients_key_signs_as_a_client_and_a_servers_as_a_server(void **state)
{
	static const char CLIENT[] = "TLS 1.3, client CertificateVerify";

	assert_true(verify_is_good(CLIENT, 32, 0x0403, true));
	assert_true(verify_is_good(CLIENT, 48, 0x0804, true));
	assert_false(verify_is_good(CLIENT, 32, 0x0401, true)); /* PKCS #1 */
	assert_false(verify_is_good(CLIENT, 32, 0x0403, false));
	assert_false(verify_is_good("TLS 1.3, server CertificateVerify", 32, 0x0403, true));
}

static void a_key_exchange_with_a_named_curve_is_signed(void **state)
{
	assert_true(exchange_is_good(3, 29, 32, 0x0403));
	assert_true(exchange_is_good(3, 23, 65, 0x0401));
	assert_true(exchange_is_good(3, 24, 97, 0x0804));
	assert_false(exchange_is_good(3, 29, 33, 0x0403)); /* not the size of its points */
	assert_false(exchange_is_good(1, 29, 32, 0x0403)); /* explicit curve */
	assert_false(exchange_is_good(3, 256, 32, 0x0403)); /* finite field */
}

static void other_things_are_not_signed(void **state)
{
	const struct to_sign_scheme *scheme = to_sign_scheme(0x0403);
	struct buffer text = { 0 };

	assert_false(to_sign_is_handshake(SLICE(""), scheme, false));
	assert_false(to_sign_is_handshake(SLICE("a letter to sign"), scheme, false));
	add_key_exchange(&text, 3, 29, 32);
	for (size_t length = 0; length < text.length; length++)
		assert_false(to_sign_is_handshake(slice_of(text.data, length), scheme, false));
	buffer_add_byte(&text, 0);
	assert_false(to_sign_is_handshake(buffer_slice(&text), scheme, false));
	buffer_free(&text);
	assert_null(to_sign_scheme(0x0201)); /* RSA with SHA-1 */
	assert_int_equal(to_sign_number(KEY_RSA, "SHA2-256", true), 0x0804);
	assert_int_equal(to_sign_number(KEY_ED25519, "", false), 0x0807);
	assert_int_equal(to_sign_number(KEY_EC, "SHA1", false), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_certificate_verify_of_a_server_is_signed),
		cmocka_unit_test(a_clients_key_signs_as_a_client_and_a_servers_as_a_server),
		cmocka_unit_test(a_key_exchange_with_a_named_curve_is_signed),
		cmocka_unit_test(other_things_are_not_signed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
