// SPDX-License-Identifier: ISC
/* How tlsd reads protocols and options, as Postfix' parameters write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tls/context.h"

enum { V2 = TLS1_2_VERSION, V3 = TLS1_3_VERSION };

static void protocols_are_read_in_all_their_forms(void **state)
{
	static const struct {
		const char *text;
		int least, most; /* 0: refused */
	} CASES[] = { { "", V2, V3 }, { ">=TLSv1.2", V2, V3 }, { ">=TLSv1", V2, V3 },
		{ "!SSLv2, !SSLv3", V2, V3 }, { "!SSLv2,!SSLv3,!TLSv1,!TLSv1.1,!TLSv1.2", V3, V3 },
		{ "TLSv1.2", V2, V2 }, { "TLSv1.3", V3, V3 }, { "TLSv1.2 TLSv1.3", V2, V3 },
		{ "<=TLSv1.2", V2, V2 }, { ">=TLSv1.3", V3, V3 }, { ">=0304", V3, V3 },
		{ "TLSv1.1", 0, 0 }, { "<=TLSv1.1", 0, 0 }, { ">=TLSv1.9", 0, 0 },
		{ "nonsense", 0, 0 }, { "!TLSv1.2, !TLSv1.3", 0, 0 } };

	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		int least = 0, most = 0;
		bool good = context_protocols(slice_from(CASES[i].text), &least, &most);

		assert_int_equal(good, CASES[i].least != 0);
		if (good) {
			assert_int_equal(least, CASES[i].least);
			assert_int_equal(most, CASES[i].most);
		}
	}
}

static void options_are_names_or_masks(void **state)
{
	uint64_t options;

	assert_true(context_options(SLICE("NO_TICKET, prioritize_chacha"), &options));
	assert_true(options == (SSL_OP_NO_TICKET | SSL_OP_PRIORITIZE_CHACHA));
	assert_true(context_options(SLICE("0x4000"), &options));
	assert_true(options == 0x4000);
	assert_true(context_options(SLICE(""), &options));
	assert_false(context_options(SLICE("NO_SUCH_OPTION"), &options));
	assert_false(context_options(SLICE("0x40zz"), &options));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(protocols_are_read_in_all_their_forms),
		cmocka_unit_test(options_are_names_or_masks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
