// SPDX-License-Identifier: ISC
/* Lookup tables: each type, the partial keys of addresses, and what changes. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "table/table.h"
#include "table/table_posix.h"
#include "tests/unit/text_file.h"

static char folder[64], error[600];
static struct buffer value;

static int setup(void **state)
{
	snprintf(folder, sizeof(folder), "/tmp/postern-table-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
	char command[3][64] = { "rm", "-rf" };
	pid_t child = fork();

	if (child == 0) {
		execlp("rm", command[0], command[1], folder, (char *)NULL);
		_exit(1);
	}
	waitpid(child, NULL, 0);
	buffer_free(&value);
	return 0;
}

static const char *in_folder(const char *name)
{
	static char path[4][128];
	static int turn;

	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", folder, name);
	return path[turn];
}

static struct table *open_table(const char *spec)
{
	struct table *table = table_open(spec, folder, TABLE_FOLD, error, sizeof(error));

	if (!table)
		print_error("%s: %s\n", spec, error);
	assert_non_null(table);
	return table;
}

static const char *look(struct table *table, const char *key)
{
	switch (table_lookup(table, slice_from(key), &value)) {
	case TABLE_FOUND:
		return buffer_text(&value);
	case TABLE_NOT_FOUND:
		return "(none)";
	default:
		return "(error)";
	}
}

static void expect(const char *spec, const char *key, const char *expected)
{
	struct table *table = open_table(spec);

	assert_string_equal(look(table, key), expected);
	table_close(&table);
	assert_null(table);
}

static void refuse(const char *spec, const char *why)
{
	assert_null(table_open(spec, folder, 0, error, sizeof(error)));
	if (!strstr(error, why))
		print_error("%s: %s\n", spec, error);
	assert_non_null(strstr(error, why));
}

static void texthash_finds_folded_keys_and_joins_lines(void **state)
{
	text_file_in(folder, "t",
		"# comment\n\nA@Example.org  one,\n   two\n# between\n\tthree\nb v\nb "
		"second\n\"x y\"@example.org quoted\n");
	expect("texthash:t", "a@example.ORG", "one,   two\tthree");
	expect("texthash:t", "b", "v");
	expect("texthash:t", "\"x y\"@example.org", "quoted");
	expect("texthash:t", "c", "(none)");
	expect("texthash:t", "", "(none)");
	text_file_in(folder, "t", "key-without-value\n");
	refuse("texthash:t", "t:1: expected");
	refuse("texthash:missing", "No such file");
}

static void inline_table_takes_all_forms_of_entries(void **state)
{
	expect("inline:{a=1, B = 2,{c = with space, and comma} d=x=y}", "a", "1");
	expect("inline:{a=1, B = 2,{c = with space, and comma} d=x=y}", "b", "2");
	expect("inline:{a=1, B = 2,{c = with space, and comma} d=x=y}", "c",
		"with space, and comma");
	expect("inline:{a=1, B = 2,{c = with space, and comma} d=x=y}", "d", "x=y");
	refuse("inline:{}", "no entries");
	refuse("inline:{a}", "expected");
	refuse("inline:a=b", "expected");
}

/* Questions have domains in A-labels; people write U-labels. */
static void keys_with_u_labels_are_found_by_their_a_labels(void **state)
{
	static const char SPEC[] =
		"inline:{bücher.test=domain, süß@bücher.test=address, "
		".bücher.test=parent, @bücher.test=all, xn--bcher-kva.example=ascii}";

	expect(SPEC, "xn--bcher-kva.test", "domain");
	expect(SPEC, "XN--Bcher-kva.Test", "domain");
	expect(SPEC, "süß@xn--bcher-kva.test", "address");
	expect(SPEC, ".xn--bcher-kva.test", "parent");
	expect(SPEC, "@xn--bcher-kva.test", "all");
	expect(SPEC, "xn--bcher-kva.example", "ascii");
	expect(SPEC, "xn--bcher-kva@b.test", "(none)");
	expect(SPEC, "xn--\xff.test", "(none)");
	expect(SPEC, "xn--.test", "(none)");
	expect("pcre:{{/^bücher/ pattern}}", "xn--bcher-kva.test", "pattern");
}

static void static_and_fail_answer_every_key_alike(void **state)
{
	expect("static:OK", "anything", "OK");
	expect("static:{ two words }", "anything", "two words");
	expect("fail:", "anything", "(error)");
	refuse("ldap:x", "no such type");
	refuse("nothing", "no such type");
}

static void cidr_matches_first_network_and_honours_if(void **state)
{
	text_file_in(folder, "c",
		"192.0.2.1 host\n192.0.2.0/24 net\nif 10.0.0.0/8\n!10.1.0.0/16 "
		"outer\n10.1.2.3 inner\nendif\n"
		"2001:db8::/32 six\n[2001:db9::]/32 seven\n0.0.0.0/0 any\n");
	expect("cidr:c", "192.0.2.1", "host");
	expect("cidr:c", "192.0.2.200", "net");
	expect("cidr:c", "10.2.0.0", "outer");
	expect("cidr:c", "10.1.2.3", "inner");
	expect("cidr:c", "10.1.2.4", "any");
	expect("cidr:c", "2001:db8:1::5", "six");
	expect("cidr:c", "2001:db9:1::5", "seven");
	expect("cidr:c", "2001:dba::1", "(none)");
	expect("cidr:c", "example.org", "(none)");
	expect("cidr:{{10.0.0.0/8 yes}, {0.0.0.0/0 no}}", "10.1.1.1", "yes");
	text_file_in(folder, "c", "192.0.2.1/24 x\n");
	refuse("cidr:c", "c:1: the address has bits outside");
	text_file_in(folder, "c", "192.0.2.0/33 x\n");
	refuse("cidr:c", "bad number of bits");
	text_file_in(folder, "c", "if 10.0.0.0/8\n10.0.0.1 x\n");
	refuse("cidr:c", "if without endif");
	text_file_in(folder, "c", "endif\n");
	refuse("cidr:c", "endif without if");
}

static void pcre_substitutes_groups(void **state)
{
	text_file_in(folder, "p",
		"/^(.*)-owner@(?:.*\\.)?example\\.org$/ ${1}@$(1).$$5\n!/@/ no at\nif "
		"/example\\.net/\n"
		"/^([^@]+)@/i net:$1\nendif\n/^CASE/i sensitive\n/^case/ insensitive\n");
	expect("pcre:p", "list-OWNER@a.example.org", "list@list.$5");
	expect("pcre:p", "plain", "no at");
	expect("pcre:p", "u@example.net", "net:u");
	expect("pcre:p", "case@x", "insensitive");
	expect("pcre:p", "CASE@x", "sensitive");
	expect("pcre:p", "else@x", "(none)");
	text_file_in(folder, "p", "/a/ $1\n");
	refuse("pcre:p", "p:1: the value names a group");
	text_file_in(folder, "p", "\n/(a/ x\n");
	refuse("pcre:p", "p:2:");
	text_file_in(folder, "p", "/a x\n");
	refuse("pcre:p", "does not end");
	text_file_in(folder, "p", "/a/q x\n");
	refuse("pcre:p", "unknown flag");
}

static void pattern_that_would_run_for_ever_is_an_error(void **state)
{
	text_file_in(folder, "p", "/^(a+)+$/ x\n");
	expect("pcre:p", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
		"(error)");
}

static void regexp_is_posix(void **state)
{
	text_file_in(folder, "r",
		"/^a[\\.]b$/ bracket\n/\\<word\\>/ word:$0\n/^x+?y$/ lax\n/^(a|b){2}$/ "
		"$1\n/^\\d$/ letter\n");
	expect("regexp:r", "a\\b", "bracket");
	expect("regexp:r", "A.B", "bracket");
	expect("regexp:r", "my word here", "word:word");
	expect("regexp:r", "words", "(none)");
	expect("regexp:r", "y", "lax");
	expect("regexp:r", "ab", "b");
	expect("regexp:r", "d", "letter");
	expect("regexp:r", "5", "(none)");
}

static void posix_errors_are_told(void **state)
{
	struct buffer out = { 0 };

	assert_non_null(table_posix_translate(SLICE("*a"), &out));
	assert_non_null(table_posix_translate(SLICE("a(+b)"), &out));
	assert_non_null(table_posix_translate(SLICE("[a"), &out));
	assert_non_null(table_posix_translate(SLICE("a\\"), &out));
	assert_non_null(table_posix_translate(SLICE("(?=a)"), &out));
	buffer_clear(&out);
	assert_null(table_posix_translate(SLICE("\\(*[]^]{,2}"), &out));
	assert_string_equal(buffer_text(&out), "\\(*[\\]^]\\{,2}");
	buffer_free(&out);
}

static void make_database(void)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(in_folder("d.db"), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db,
				 "CREATE TABLE a (k TEXT, v TEXT); INSERT INTO a VALUES "
				 "('u@example.org','one@x'),"
				 "('u@example.org','two@x'),('it''s@x','quote'),('u','local'),('"
				 "example.org','dom')",
				 NULL, NULL, NULL),
		SQLITE_OK);
	sqlite3_close(db);
}

static void write_cf(const char *rest)
{
	char text[600];

	snprintf(text, sizeof(text), "dbpath = %s\n%s\n", in_folder("d.db"), rest);
	text_file_in(folder, "s.cf", text);
}

static void sqlite_expands_its_query(void **state)
{
	make_database();
	write_cf("query = SELECT v FROM a WHERE k = '%s'");
	expect("sqlite:s.cf", "u@example.org", "one@x,two@x");
	expect("sqlite:s.cf", "it's@x", "quote");
	expect("sqlite:s.cf", "x' OR '1'='1", "(none)");
	write_cf("query = SELECT v FROM a WHERE k = %s");
	expect("sqlite:s.cf", "u' OR '1'='1", "(none)");
	expect("sqlite:s.cf", "u", "local");
	write_cf("query = SELECT v FROM a WHERE k = '%u'");
	expect("sqlite:s.cf", "u@example.net", "local");
	write_cf("query = SELECT v FROM a WHERE k = '%2.%1' AND '%d' LIKE '%%.org'");
	expect("sqlite:s.cf", "u@sub.example.org", "dom");
	expect("sqlite:s.cf", "u@org", "(none)");
	write_cf("query = SELECT v FROM a WHERE k = '%s'\nresult_format = <%u>%d+%D");
	expect("sqlite:s.cf", "u@example.org", "<one>x+example.org,<two>x+example.org");
	write_cf("query = SELECT v FROM a WHERE k = '%s'\nexpansion_limit = 1");
	expect("sqlite:s.cf", "u@example.org", "(error)");
	write_cf("query = SELECT v FROM a WHERE k = '%s'\ndomain = example.net, example.org");
	expect("sqlite:s.cf", "u@example.org", "one@x,two@x");
	expect("sqlite:s.cf", "u", "(none)");
	write_cf("query = WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT "
		 "count(*) FROM n");
	expect("sqlite:s.cf", "u", "(error)");
	write_cf("select_field = v\ntable = a\nwhere_field = k\nadditional_conditions = AND v <> "
		 "'one@x'");
	expect("sqlite:s.cf", "u@example.org", "two@x");
}

static void sqlite_refuses_what_it_should(void **state)
{
	make_database();
	write_cf("query = DELETE FROM a WHERE k = '%s'");
	refuse("sqlite:s.cf", "writes");
	write_cf("query = SELECT v FROM nowhere");
	refuse("sqlite:s.cf", "no such table");
	write_cf("query = SELECT 'open %s");
	refuse("sqlite:s.cf", "open quote");
	write_cf("");
	refuse("sqlite:s.cf", "no query");
	text_file_in(folder, "s.cf", "query = SELECT 1\n");
	refuse("sqlite:s.cf", "no dbpath");
}

static void what_secures_connections_is_never_passed_over(void **state)
{
	make_database();
	write_cf("query = SELECT v FROM a WHERE k = '%s'\nport = 3306\nrequire_result_set = no");
	expect("sqlite:s.cf", "u", "local");
	write_cf("query = SELECT 1\ntls_CAflie = /x");
	refuse("sqlite:s.cf", "s.cf:3: tls_CAflie: there is no such parameter");
	write_cf("query = SELECT 1\ntls_CAfile = /x");
	refuse("sqlite:s.cf", "s.cf:3: tls_CAfile is for mysql tables only");
	write_cf("\noption_files = /x\nquery = SELECT 1");
	refuse("sqlite:s.cf", "s.cf:3: option_files: there is no such parameter");
}

static void built_tables_are_read_back(void **state)
{
	const char *const types[] = { "hash", "btree" };
	struct table_build_report report;
	char spec[32];

	for (int i = 0; i < 2; i++) {
		text_file_in(folder, "m", "User@Example.org value one\nx y\nx z\n");
		assert_true(table_build(types[i], in_folder("m"), false, true, &report));
		assert_int_equal(report.entries, 2);
		assert_int_equal(report.duplicates, 1);
		snprintf(spec, sizeof(spec), "%s:m", types[i]);
		expect(spec, "user@example.org", "value one");
		expect(spec, "x", "y");
		expect(spec, "z", "(none)");
		unlink(in_folder("m.db"));
	}
	text_file_in(folder, "m", "x y\nbroken\n");
	assert_false(table_build("hash", in_folder("m"), false, true, &report));
	assert_non_null(strstr(report.error, "m:2: expected"));
	assert_int_not_equal(access(in_folder("m.db"), F_OK), 0);
}

struct counted {
	unsigned entries;
	bool sorted;
	char last[4096];
};

static bool count_sorted(void *context, struct slice key, struct slice text)
{
	struct counted *counted = context;

	counted->entries++;
	if (strncmp(counted->last, key.data, key.length) > 0)
		counted->sorted = false;
	snprintf(counted->last, sizeof(counted->last), "%.*s", SLICE_ARG(key));
	return true;
}

/* So many that trees have levels and buckets are split, with some keys and values that do not fit on a page. */
static void big_tables_with_long_keys_and_values_are_read(void **state)
{
	enum { MANY = 5000, LONG_EACH = 50, LONG_KEY = 1500, LONG_VALUE = 9000 };
	const char *const types[] = { "hash", "btree" };
	struct table_build_report report;
	static char key[LONG_KEY + 32], expected[LONG_VALUE + 32];
	struct buffer text = { 0 }, found = { 0 };

	for (int n = 0; n < MANY; n++)
		buffer_printf(&text, "%0*d@example.org %0*d\n", n % LONG_EACH ? 8 : LONG_KEY, n,
			n % LONG_EACH == 1 ? LONG_VALUE : 1, n);
	for (int i = 0; i < 2; i++) {
		struct counted counted = { .sorted = true };
		struct table *table;

		text_file_in(folder, "m", buffer_text(&text));
		assert_true(table_build(types[i], in_folder("m"), false, true, &report));
		snprintf(key, sizeof(key), "%s:m", types[i]);
		table = open_table(key);
		for (int n = 0; n < MANY; n++) {
			snprintf(key, sizeof(key), "%0*d@example.org", n % LONG_EACH ? 8 : LONG_KEY,
				n);
			snprintf(expected, sizeof(expected), "%0*d",
				n % LONG_EACH == 1 ? LONG_VALUE : 1, n);
			assert_int_equal(table_lookup(table, slice_from(key), &found), TABLE_FOUND);
			assert_string_equal(buffer_text(&found), expected);
			key[0] = 'x';
			assert_int_equal(
				table_lookup(table, slice_from(key), &found), TABLE_NOT_FOUND);
		}
		assert_true(table_each(table, count_sorted, &counted));
		assert_int_equal(counted.entries, MANY);
		assert_int_equal(counted.sorted, i == 1);
		table_close(&table);
		unlink(in_folder("m.db"));
	}
	buffer_free(&text);
	buffer_free(&found);
}

/* Their buckets are mostly empty, and some were never written to. */
static void small_tables_know_what_they_do_not_have(void **state)
{
	const char *const types[] = { "hash", "btree" };
	struct table_build_report report;
	struct buffer text = { 0 }, found = { 0 };
	char spec[32], key[32];

	for (int entries = 0; entries < 40; entries++) {
		buffer_clear(&text);
		for (int n = 0; n < entries; n++)
			buffer_printf(&text, "key%d value%d\n", n, n);
		text_file_in(folder, "m", entries ? buffer_text(&text) : "# nothing\n");
		for (int i = 0; i < 2; i++) {
			struct counted counted = { 0 };
			struct table *table;

			assert_true(table_build(types[i], in_folder("m"), false, true, &report));
			snprintf(spec, sizeof(spec), "%s:m", types[i]);
			table = open_table(spec);
			for (int n = 0; n < 100; n++) {
				snprintf(key, sizeof(key), "key%d", n);
				assert_int_equal(table_lookup(table, slice_from(key), &found),
					n < entries ? TABLE_FOUND : TABLE_NOT_FOUND);
			}
			assert_true(table_each(table, count_sorted, &counted));
			assert_int_equal(counted.entries, entries);
			table_close(&table);
		}
	}
	unlink(in_folder("m.db"));
	buffer_free(&text);
	buffer_free(&found);
}

/* Some bytes that make libdb divide by zero, or a walk go in circles. */
static void damaged_files_give_an_error_and_an_end(void **state)
{
	static const struct {
		const char *type;
		unsigned page, at; /* where a byte is changed */
		unsigned char to;
		bool opens;
	} DAMAGES[] = {
		{ "hash", 0, 21, 0, false }, /* page size 0 */
		{ "hash", 0, 75, 0x7f, false }, /* 2^31 buckets */
		{ "hash", 0, 92, 1, false }, /* another hash function */
		{ "btree", 0, 21, 0, false },
		{ "btree", 0, 88, 0xff, false }, /* root behind the end */
		{ "btree", 0, 26, 1, false }, /* checksums */
		{ "btree", 1, 25, 3, true }, /* a leaf that says it is none */
		{ "btree", 1, 16, 1, true }, /* followed by itself */
		{ "btree", 1, 21, 0xff, true }, /* more entries than a page holds */
		{ "btree", 1, 27, 0xff, true }, /* an entry behind the end */
		{ "hash", 1, 16, 1, true },
		{ "hash", 2, 16, 2, true },
		{ "hash", 1, 21, 0xff, true },
	};
	struct table_build_report report;
	struct counted counted = { 0 };
	struct buffer found = { 0 };

	for (size_t i = 0; i < sizeof(DAMAGES) / sizeof(DAMAGES[0]); i++) {
		char spec[32];
		int fd;

		text_file_in(folder, "m", "a 1\nb 2\nc 3\n");
		assert_true(table_build(DAMAGES[i].type, in_folder("m"), false, true, &report));
		fd = open(in_folder("m.db"), O_WRONLY | O_CLOEXEC);
		assert_int_equal(
			pwrite(fd, &DAMAGES[i].to, 1, DAMAGES[i].page * 4096 + DAMAGES[i].at), 1);
		close(fd);
		snprintf(spec, sizeof(spec), "%s:m", DAMAGES[i].type);
		if (DAMAGES[i].opens) {
			struct table *table = open_table(spec);

			for (char key[] = "a"; key[0] <= 'd'; key[0]++)
				(void)!table_lookup(table, slice_from(key), &found);
			assert_false(table_each(table, count_sorted, &counted));
			table_close(&table);
		} else {
			refuse(spec, "m.db: not a ");
		}
		unlink(in_folder("m.db"));
	}
	buffer_free(&found);
}

/* The first key is said to be elsewhere, and to have no bytes there. */
static void a_key_without_bytes_is_less_than_all(void **state)
{
	static const unsigned char place[2] = { 0x00, 0x04 }, type = 3;
	struct table_build_report report;
	struct buffer found = { 0 };
	struct table *table;
	int fd;

	text_file_in(folder, "m", "a 1\nb 2\nc 3\n");
	assert_true(table_build("btree", in_folder("m"), false, true, &report));
	fd = open(in_folder("m.db"), O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, place, sizeof(place), 4096 + 26), sizeof(place));
	assert_int_equal(pwrite(fd, &type, 1, 4096 + 0x400 + 2), 1);
	close(fd);
	table = open_table("btree:m");
	assert_int_equal(table_lookup(table, SLICE("a"), &found), TABLE_NOT_FOUND);
	assert_int_equal(table_lookup(table, SLICE("b"), &found), TABLE_FOUND);
	table_close(&table);
	unlink(in_folder("m.db"));
	buffer_free(&found);
}

static void alias_file_is_built(void **state)
{
	struct table_build_report report;

	text_file_in(
		folder, "aliases", "Root: one@example.org\npostmaster: root,\n  two\n\"a b\": c\n");
	assert_true(table_build("hash", in_folder("aliases"), true, true, &report));
	expect("hash:aliases", "root", "one@example.org");
	expect("hash:aliases", "postmaster", "root,  two");
	expect("hash:aliases", "a b", "c");
}

static void entries_are_edited_in_place(void **state)
{
	struct slice new = SLICE("new");
	struct table_build_report report;

	text_file_in(folder, "m", "a 1\nb 2\n");
	assert_true(table_build("hash", in_folder("m"), false, true, &report));
	assert_true(table_edit("hash", in_folder("m"), SLICE("a"), &new, error, sizeof(error)));
	assert_true(table_edit("hash", in_folder("m"), SLICE("b"), NULL, error, sizeof(error)));
	assert_false(table_edit("hash", in_folder("m"), SLICE("b"), NULL, error, sizeof(error)));
	expect("hash:m", "a", "new");
	expect("hash:m", "b", "(none)");
}

/* Run a program with arguments; its exit status. */
static int run(const char *const *argv)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	waitpid(child, &status, 0);
	return WEXITSTATUS(status);
}

static void tables_of_postfix_are_read(void **state)
{
	const char *const types[] = { "hash", "btree" };
	char spec[160], short_spec[32];

	if (access("/usr/sbin/postmap", X_OK) != 0)
		skip();
	text_file_in(folder, "main.cf", "compatibility_level = 3.6\n");
	for (int i = 0; i < 2; i++) {
		text_file_in(folder, "p",
			"User@Example.org value one\nx y\n\"q r\"@example.org quoted\n");
		snprintf(spec, sizeof(spec), "%s:%s", types[i], in_folder("p"));
		assert_int_equal(
			run((const char *const[]){ "/usr/sbin/postmap", "-c", folder, spec, NULL }),
			0);
		snprintf(short_spec, sizeof(short_spec), "%s:p", types[i]);
		expect(short_spec, "user@example.org", "value one");
		expect(short_spec, "x", "y");
		expect(short_spec, "\"q r\"@example.org", "quoted");
		unlink(in_folder("p.db"));
	}
}

static void postfix_reads_our_tables(void **state)
{
	struct table_build_report report;
	char spec[160];

	if (access("/usr/sbin/postmap", X_OK) != 0)
		skip();
	text_file_in(folder, "main.cf", "compatibility_level = 3.6\n");
	text_file_in(folder, "p", "User@Example.org value one\n");
	assert_true(table_build("hash", in_folder("p"), false, true, &report));
	snprintf(spec, sizeof(spec), "hash:%s", in_folder("p"));
	assert_int_equal(run((const char *const[]){ "/usr/sbin/postmap", "-c", folder, "-q",
				 "user@example.org", spec, NULL }),
		0);
	assert_int_equal(run((const char *const[]){
				 "/usr/sbin/postmap", "-c", folder, "-q", "other", spec, NULL }),
		1);
}

static bool collect(void *context, struct slice key, struct slice text)
{
	buffer_printf(context, "%.*s=%.*s;", SLICE_ARG(key), SLICE_ARG(text));
	return true;
}

static void every_entry_is_listed(void **state)
{
	struct table_build_report report;
	struct buffer all = { 0 };
	struct table *table;

	text_file_in(folder, "m", "a 1\nb 2\n");
	assert_true(table_build("btree", in_folder("m"), false, true, &report));
	table = open_table("btree:m");
	assert_true(table_each(table, collect, &all));
	assert_string_equal(buffer_text(&all), "a=1;b=2;");
	table_close(&table);
	buffer_clear(&all);
	table = open_table("inline:{b=2,a=1}");
	assert_true(table_each(table, collect, &all));
	assert_string_equal(buffer_text(&all), "b=2;a=1;");
	table_close(&table);
	table = open_table("static:x");
	assert_false(table_each(table, collect, &all));
	table_close(&table);
	buffer_free(&all);
}

static void file_that_is_not_a_database_is_refused(void **state)
{
	text_file_in(folder, "bad.db",
		"this is not Berkeley DB at all, but it is long enough to look at "
		"................");
	refuse("hash:bad", "bad.db");
	text_file_in(folder, "m", "a 1\n");
	struct table_build_report report;
	assert_true(table_build("btree", in_folder("m"), false, true, &report));
	refuse("hash:m", "m.db");
}

static void change_is_noticed(void **state)
{
	struct table_build_report report;
	struct table *hash, *text;

	text_file_in(folder, "m", "a 1\n");
	assert_true(table_build("hash", in_folder("m"), false, true, &report));
	hash = open_table("hash:m");
	text = open_table("texthash:m");
	assert_false(table_changed(hash));
	assert_false(table_changed(text));
	usleep(20000);
	assert_true(table_build("hash", in_folder("m"), false, true, &report));
	assert_true(table_changed(hash));
	assert_false(table_changed(text));
	text_file_in(folder, "m", "a 2\n");
	assert_true(table_changed(text));
	table_close(&hash);
	table_close(&text);
}

static const char *look_address(
	const char *specs, const char *address, bool local, struct slice *extension)
{
	struct table_list *list = table_list_open(specs, folder, TABLE_FOLD, error, sizeof(error));
	enum table_status status;

	assert_non_null(list);
	status = table_lookup_address(list, slice_from(address), "+", local, &value, extension);
	table_list_close(&list);
	return status == TABLE_FOUND   ? buffer_text(&value)
	       : status == TABLE_ERROR ? "(error)"
				       : "(none)";
}

static void address_is_looked_up_in_its_parts(void **state)
{
	const char *specs = "inline:{u+x@d=full, v@d=user, @d=all, w=bare}, pcre:{{/^p@d$/ "
			    "pattern}, {/^@/ never}}";
	struct slice extension;

	assert_string_equal(look_address(specs, "u+x@d", false, &extension), "full");
	assert_int_equal(extension.length, 0);
	assert_string_equal(look_address(specs, "v+ext@d", false, &extension), "user");
	assert_true(slice_equal(extension, SLICE("ext")));
	assert_string_equal(look_address(specs, "p@d", false, &extension), "pattern");
	assert_string_equal(look_address(specs, "z@d", false, &extension), "all");
	assert_string_equal(look_address(specs, "w@d", true, &extension), "bare");
	assert_string_equal(look_address(specs, "w+e@d", true, &extension), "bare");
	assert_true(slice_equal(extension, SLICE("e")));
	assert_string_equal(look_address(specs, "w@e", false, &extension), "(none)");
	assert_string_equal(look_address(specs, "+v@d", false, &extension), "all");
	assert_string_equal(look_address("inline:{a@b=c} fail:", "a@b", false, &extension), "c");
	assert_string_equal(
		look_address("inline:{a@b=c} fail:", "x@b", false, &extension), "(error)");
	assert_string_equal(look_address("", "x@b", false, &extension), "(none)");
}

static void transports_have_parents(void **state)
{
	struct table_list *list = table_list_open(
		"inline:{c.d=parent, .e.f=dot, *=star}", folder, 0, error, sizeof(error));

	assert_non_null(list);
	assert_int_equal(
		table_lookup_transport(list, SLICE("u@c.d"), "", true, &value), TABLE_FOUND);
	assert_string_equal(buffer_text(&value), "parent");
	assert_int_equal(
		table_lookup_transport(list, SLICE("u@x.y"), "", true, &value), TABLE_FOUND);
	assert_string_equal(buffer_text(&value), "star");
	assert_int_equal(
		table_lookup_transport(list, SLICE("u@a.b.c.d"), "", true, &value), TABLE_FOUND);
	assert_string_equal(buffer_text(&value), "parent");
	assert_int_equal(
		table_lookup_transport(list, SLICE("u@a.b.c.d"), "", false, &value), TABLE_FOUND);
	assert_string_equal(buffer_text(&value), "star");
	assert_int_equal(
		table_lookup_transport(list, SLICE("u@x.e.f"), "", false, &value), TABLE_FOUND);
	assert_string_equal(buffer_text(&value), "dot");
	table_list_close(&list);
}

static void tables_are_joined_and_chained(void **state)
{
	expect("unionmap:{inline:{a=1},inline:{a=2,b=3}}", "a", "1,2");
	expect("unionmap:{inline:{a=1},inline:{a=2,b=3}}", "b", "3");
	expect("unionmap:{inline:{a=1},fail:}", "a", "(error)");
	expect("pipemap:{inline:{a=b},inline:{b=c}}", "a", "c");
	expect("pipemap:{inline:{a=b},inline:{b=c}}", "b", "(none)");
	expect("proxy:inline:{a=b}", "a", "b");
	refuse("unionmap:{unionmap:{unionmap:{unionmap:{unionmap:{unionmap:{static:x}}}}}}",
		"deep");
}

static void key_with_nul_or_too_long_is_not_found(void **state)
{
	struct table *table = open_table("static:x");
	char *key = calloc(1, 5000);

	memset(key, 'a', 4999);
	assert_string_equal(look(table, key), "(none)");
	assert_int_equal(table_lookup(table, slice_of("a\0b", 3), &value), TABLE_NOT_FOUND);
	free(key);
	table_close(&table);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(texthash_finds_folded_keys_and_joins_lines),
		TEST(inline_table_takes_all_forms_of_entries),
		TEST(keys_with_u_labels_are_found_by_their_a_labels),
		TEST(static_and_fail_answer_every_key_alike),
		TEST(cidr_matches_first_network_and_honours_if),
		TEST(pcre_substitutes_groups),
		TEST(pattern_that_would_run_for_ever_is_an_error),
		TEST(regexp_is_posix),
		TEST(posix_errors_are_told),
		TEST(sqlite_expands_its_query),
		TEST(sqlite_refuses_what_it_should),
		TEST(what_secures_connections_is_never_passed_over),
		TEST(built_tables_are_read_back),
		TEST(big_tables_with_long_keys_and_values_are_read),
		TEST(small_tables_know_what_they_do_not_have),
		TEST(damaged_files_give_an_error_and_an_end),
		TEST(a_key_without_bytes_is_less_than_all),
		TEST(alias_file_is_built),
		TEST(entries_are_edited_in_place),
		TEST(tables_of_postfix_are_read),
		TEST(postfix_reads_our_tables),
		TEST(every_entry_is_listed),
		TEST(file_that_is_not_a_database_is_refused),
		TEST(change_is_noticed),
		TEST(address_is_looked_up_in_its_parts),
		TEST(transports_have_parents),
		TEST(tables_are_joined_and_chained),
		TEST(key_with_nul_or_too_long_is_not_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
