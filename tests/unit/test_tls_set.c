// SPDX-License-Identifier: ISC
/* Sets of certificates: what the parameters of each service come to, and all of a configuration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "config/tls_set.h"

static struct config_report report;

static void set_is(const char *settings, const char *service, const char *expected)
{
	struct config_source *source;
	struct buffer snapshot = { 0 }, set = { 0 };
	struct config *config;

	source = config_parse("main.cf", slice_from(settings), &report);
	assert_non_null(source);
	assert_true(config_snapshot(source, &snapshot, &report));
	config = config_open(buffer_slice(&snapshot));
	assert_true(tls_set_of(config, service, &set));
	assert_string_equal(buffer_text(&set), expected);
	config_free(&config);
	config_source_free(&source);
	buffer_free(&snapshot);
	buffer_free(&set);
}

static void a_set_is_what_the_service_is_configured_with(void **state)
{
	set_is("smtpd_tls_security_level=may\n", "smtpd", "");
	set_is("smtpd_tls_cert_file=none\n", "smtpd", "");
	set_is("smtpd_tls_cert_file=/a\n", "smtpd", "pair /a\t/a\ndigest sha256\n");
	set_is("smtpd_tls_cert_file=/a\nsmtpd_tls_key_file=/b\nsmtpd_tls_eccert_file=/e\n", "smtpd",
		"pair /e\t/e\npair /a\t/b\ndigest sha256\n");
	set_is("smtpd_tls_cert_file=/a\nsmtpd_tls_chain_files=/c, "
	       "/d\ntls_server_sni_maps=inline:{a=/x}\n",
		"smtpd", "chain /c\nchain /d\nsni inline:{a=/x}\ndigest sha256\n");
	set_is("smtpd_tls_cert_file=/a\nsmtpd_tls_CAfile=/ca\nsmtpd_tls_CApath=/cas\n", "smtpd",
		"pair /a\t/a\nCAfile /ca\nCApath /cas\ndigest sha256\n");
}

static void imap_and_pop3_take_smtpds_unless_they_have_their_own(void **state)
{
	set_is("smtpd_tls_cert_file=/a\nsmtpd_tls_key_file=/b\n", "imap",
		"pair /a\t/b\ndigest sha256\n");
	set_is("smtpd_tls_cert_file=/a\nsmtpd_tls_key_file=/b\nimap_tls_cert_file=/i\n", "imap",
		"pair /i\t/i\ndigest sha256\n");
	set_is("smtpd_tls_cert_file=/a\npop3_tls_cert_file=/p\npop3_tls_key_file=/q\n", "pop3",
		"pair /p\t/q\ndigest sha256\n");
}

static bool count_set(void *context, struct slice set)
{
	(*(unsigned *)context)++;
	assert_true(slice_starts(set, SLICE("pair /")));
	return true;
}

static void every_different_set_of_all_entries_is_gathered_once(void **state)
{
	static const char MAIN[] = "smtpd_tls_cert_file=/a\nimap_tls_cert_file=/i$$x\n";
	static const char MASTER[] = "smtp inet n - y - - smtpd\n"
				     "587 inet n - y - - smtpd\n"
				     " -o smtpd_tls_cert_file=/other\n"
				     "imap inet n - y - 1 imapd\n"
				     "pop3 inet n - y - 1 pop3d\n"
				     "qmgr unix n - y 300 1 qmgr\n";
	struct config_source *source = config_parse("main.cf", slice_from(MAIN), &report);
	struct services services = { 0 };
	struct buffer value = { 0 }, snapshot = { 0 };
	struct config *config;
	unsigned count = 0;

	assert_true(services_parse("master.cf", slice_from(MASTER), 100, &services, &report));
	assert_true(tls_sets_gather(source, &services, &value, &report));
	assert_true(config_source_set(source, TLS_SETS_NAME, buffer_text(&value)));
	assert_true(config_snapshot(source, &snapshot, &report));
	config = config_open(buffer_slice(&snapshot));
	assert_true(tls_sets_each(config, count_set, &count));
	assert_int_equal(count, 3);
	config_free(&config);
	config_source_free(&source);
	services_free(&services);
	buffer_free(&value);
	buffer_free(&snapshot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_set_is_what_the_service_is_configured_with),
		cmocka_unit_test(imap_and_pop3_take_smtpds_unless_they_have_their_own),
		cmocka_unit_test(every_different_set_of_all_entries_is_gathered_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
