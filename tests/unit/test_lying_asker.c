// SPDX-License-Identifier: ISC
/*
 * directoryd and authd, taken over, at the real proxymap: each gets at its own tables and at no others. A listener is the SQL server: what
 * connects to it is a question that was let through, and more it does not say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <libgen.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "table/table.h"
#include "tests/unit/master_world.h"

static int server = -1;
static char passwords[128], aliases[128];

static bool has_module(void)
{
	char path[PATH_MAX] = "", module[PATH_MAX + 64];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (length <= 0)
		return false;
	snprintf(module, sizeof(module), "%s/../bin/postern-mysql.so", dirname(path));
	return access(module, R_OK) == 0;
}

static in_port_t listen_somewhere(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);

	server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(server, 8), 0);
	assert_int_equal(getsockname(server, (struct sockaddr *)&address, &size), 0);
	return ntohs(address.sin_port);
}

static void write_cf(const char *name, char spec[128], in_port_t port)
{
	FILE *file;

	snprintf(spec, 128, "mysql:%s/%s", world_folder, name);
	file = fopen(spec + strlen("mysql:"), "w");
	assert_non_null(file);
	fprintf(file,
		"hosts = inet:127.0.0.1:%u\nuser = u\npassword = p\ndbname = d\n"
		"query = SELECT a FROM b WHERE c = '%%s'\n",
		port);
	assert_int_equal(fclose(file), 0);
}

static int set_up_proxymap(void **state)
{
	char settings[800];
	in_port_t port;

	if (!has_module())
		return 0;
	world_make();
	port = listen_somewhere();
	write_cf("passwords.cf", passwords, port);
	write_cf("aliases.cf", aliases, port);
	snprintf(settings, sizeof(settings),
		"sql_timeout = 1s\nhashes = %s\nauth_backends = credentials, proxy:$hashes\n"
		"virtual_alias_maps = proxy:%s\nrelay_clientcerts = %s\n",
		passwords, aliases, passwords);
	world_start("proxymap", settings);
	return 0;
}

static int tear_down_proxymap(void **state)
{
	static const char *const FILES[] = { "passwords.cf", "aliases.cf", NULL };

	if (!has_module())
		return 0;
	world_end(FILES, FILES + 2);
	close(server);
	return 0;
}

static void ask(int peer, const char *spec)
{
	struct message message = { .type = MESSAGE_PROXYMAP_ASK };

	message.proxymap_ask.serial = 7;
	message.proxymap_ask.table = slice_from(spec);
	message.proxymap_ask.key = SLICE("one@example.org");
	say(peer, &message);
}

static void expect_error(int peer)
{
	struct message message;

	hear(peer, &message, MESSAGE_PROXYMAP_ANSWER);
	assert_int_equal(message.proxymap_answer.serial, 7);
	assert_int_equal(message.proxymap_answer.status, TABLE_ERROR);
	assert_int_equal(message.proxymap_answer.value.length, 0);
}

static bool server_is_asked(int milliseconds)
{
	struct pollfd ready = { .fd = server, .events = POLLIN };
	int fd;

	if (poll(&ready, 1, milliseconds) <= 0)
		return false;
	fd = accept(server, NULL, NULL);
	assert_true(fd >= 0);
	close(fd);
	return true;
}

static void each_gets_at_its_own_tables_alone(void **state)
{
	char other_name[160];
	int directory, auth;

	if (!has_module())
		skip();
	directory = introduce(SERVICE_DIRECTORY, 71);
	auth = introduce(SERVICE_AUTH, 72);
	/* Another parameter names it, too; by another name it is no table of the configuration. */
	snprintf(other_name, sizeof(other_name), "mysql:%s/./passwords.cf", world_folder);
	for (int i = 0; i < 3; i++) {
		ask(directory, passwords);
		expect_error(directory);
		ask(directory, other_name);
		expect_error(directory);
		ask(auth, aliases);
		expect_error(auth);
	}
	/* The answer came without a question to the server. */
	assert_false(server_is_asked(0));
	ask(auth, passwords);
	assert_true(server_is_asked(WORLD_WAIT));
	expect_error(auth);
	ask(directory, aliases);
	assert_true(server_is_asked(WORLD_WAIT));
	expect_error(directory);
	close(directory);
	close(auth);
}

static void who_asks_for_something_else_is_not_served(void **state)
{
	struct message message = { .type = MESSAGE_PROXYMAP_ANSWER };
	int auth;

	if (!has_module())
		skip();
	auth = introduce(SERVICE_AUTH, 72);
	say(auth, &message);
	assert_true(is_closed(auth));
	close(auth);
}

#define WITH_PROXYMAP(name) \
	cmocka_unit_test_setup_teardown(name, set_up_proxymap, tear_down_proxymap)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PROXYMAP(each_gets_at_its_own_tables_alone),
		WITH_PROXYMAP(who_asks_for_something_else_is_not_served),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
