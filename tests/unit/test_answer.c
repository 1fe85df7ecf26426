// SPDX-License-Identifier: ISC
/* directoryd's answers: classes of domains, recipients, aliases, routes, mailboxes, and what is remembered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "directory/accounts.h"
#include "directory/answer.h"

static char folder[64], path[128], error[600];
static struct accounts *accounts;
static struct directory *directory;
static struct directory_settings settings;

/* The last answer, with its texts copied out. */
static struct {
	unsigned count;
	enum directory_status status;
	enum domain_class class;
	enum owner_status owner;
	int64_t quota;
	char all[4000]; /* addresses of an expansion, joined by a space */
	char transport[80], nexthop[600], mailbox[1100], reason[1100], value[1100];
} got;

static void keep(char *to, size_t size, struct slice from)
{
	assert_true(slice_to_string(from, to, size));
}

static void take(void *context, const struct message *answer)
{
	size_t length = strlen(got.all);

	got.count++;
	assert_int_equal(answer->directory_recipient_answer.serial, 77);
	switch (answer->type) {
	case MESSAGE_DIRECTORY_RECIPIENT_ANSWER:
		got.status = answer->directory_recipient_answer.status;
		got.class = answer->directory_recipient_answer.domain_class;
		keep(got.reason, sizeof(got.reason), answer->directory_recipient_answer.reason);
		break;
	case MESSAGE_DIRECTORY_EXPAND_ANSWER:
		got.status = answer->directory_expand_answer.status;
		snprintf(got.all + length, sizeof(got.all) - length, "%s%.*s", length ? " " : "",
			SLICE_ARG(answer->directory_expand_answer.address));
		keep(got.reason, sizeof(got.reason), answer->directory_expand_answer.reason);
		break;
	case MESSAGE_DIRECTORY_RESOLVE_ANSWER:
		got.status = answer->directory_resolve_answer.status;
		got.quota = answer->directory_resolve_answer.quota;
		keep(got.transport, sizeof(got.transport),
			answer->directory_resolve_answer.transport);
		keep(got.nexthop, sizeof(got.nexthop), answer->directory_resolve_answer.nexthop);
		keep(got.mailbox, sizeof(got.mailbox), answer->directory_resolve_answer.mailbox);
		keep(got.all, sizeof(got.all), answer->directory_resolve_answer.address);
		keep(got.reason, sizeof(got.reason), answer->directory_resolve_answer.reason);
		break;
	case MESSAGE_DIRECTORY_MAILBOX_ANSWER:
		got.status = answer->directory_mailbox_answer.status;
		got.quota = answer->directory_mailbox_answer.quota;
		keep(got.mailbox, sizeof(got.mailbox), answer->directory_mailbox_answer.mailbox);
		break;
	case MESSAGE_DIRECTORY_OWNER_ANSWER:
		got.owner = answer->directory_owner_answer.status;
		break;
	case MESSAGE_DIRECTORY_LOOKUP_ANSWER:
		got.status = answer->directory_lookup_answer.status;
		keep(got.value, sizeof(got.value), answer->directory_lookup_answer.value);
		break;
	default:
		fail();
	}
}

static void ask(enum message_type type, const char *text)
{
	struct message question = { .type = type };

	memset(&got, 0, sizeof(got));
	question.directory_recipient.serial = 77;
	switch (type) {
	case MESSAGE_DIRECTORY_RECIPIENT:
		question.directory_recipient.recipient = slice_from(text);
		break;
	case MESSAGE_DIRECTORY_EXPAND:
		question.directory_expand.recipient = slice_from(text);
		break;
	case MESSAGE_DIRECTORY_RESOLVE:
		question.directory_resolve.recipient = slice_from(text);
		break;
	default:
		question.directory_mailbox.login = slice_from(text);
	}
	assert_true(directory_answer(directory, &question, take, NULL));
	assert_true(got.count > 0);
}

static enum directory_status recipient(const char *address)
{
	ask(MESSAGE_DIRECTORY_RECIPIENT, address);
	return got.status;
}

static const char *expand(const char *address)
{
	ask(MESSAGE_DIRECTORY_EXPAND, address);
	return got.status == DIRECTORY_FOUND ? got.all : got.reason;
}

static enum directory_status resolve(const char *address)
{
	ask(MESSAGE_DIRECTORY_RESOLVE, address);
	return got.status;
}

static enum directory_status lookup(const char *tables, const char *key, bool part)
{
	struct message question = { .type = MESSAGE_DIRECTORY_LOOKUP };

	memset(&got, 0, sizeof(got));
	question.directory_lookup = (struct message_directory_lookup){
		.serial = 77, .tables = slice_from(tables), .key = slice_from(key), .part = part
	};
	assert_true(directory_answer(directory, &question, take, NULL));
	return got.status;
}

static void set_defaults(void)
{
	settings = (struct directory_settings){ .accounts = path,
		.folder = folder,
		.myorigin = "example.org",
		.recipient_delimiter = "+",
		.mydestination = "host.example.org, localhost",
		.virtual_alias_domains = "alias.example",
		.virtual_mailbox_domains = "inline:{maps.example=x}",
		.relay_domains = "relay.example",
		.virtual_alias_maps = "",
		.virtual_mailbox_maps = "inline:{u@maps.example=maps/u/, bad@maps.example=../u}",
		.local_recipient_maps = "inline:{root=x}",
		.relay_recipient_maps = "",
		.transport_maps = "",
		.local_transport = "local:host.example.org",
		.virtual_transport = "virtual",
		.relay_transport = "relay",
		.default_transport = "smtp",
		.relayhost = "",
		.parent_domain_matches_subdomains = "",
		.lookup_tables = "",
		.virtual_mailbox_limit = 999,
		.recursion_limit = 20,
		.expansion_limit = 50,
		.append_at_myorigin = true };
}

static void reopen(void)
{
	directory_close(&directory);
	directory = directory_open(&settings, error, sizeof(error));
	if (!directory)
		print_error("%s\n", error);
	assert_non_null(directory);
	directory_turn(directory, 1000);
}

static void alias(const char *address, const char *destination)
{
	assert_true(accounts_add_alias(accounts, address, destination, error, sizeof(error)));
	directory_turn(directory, 1000);
}

static int setup(void **state)
{
	snprintf(folder, sizeof(folder), "/tmp/postern-answer-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/accounts.db", folder);
	set_defaults();
	if (!accounts_open(path, true, &accounts, error, sizeof(error)) ||
		!accounts_add_domain(accounts, "example.org", error, sizeof(error)) ||
		!accounts_add_mailbox(accounts, "one@example.org", 0, error, sizeof(error)) ||
		!accounts_add_mailbox(accounts, "two@example.org", 5000, error, sizeof(error)))
		return -1;
	directory = directory_open(&settings, error, sizeof(error));
	if (!directory)
		return -1;
	directory_turn(directory, 1000);
	return 0;
}

static int teardown(void **state)
{
	const char *const names[] = { "", "-wal", "-shm" };
	char name[200];

	directory_close(&directory);
	accounts_close(&accounts);
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%s%s", path, names[i]);
		unlink(name);
	}
	return rmdir(folder);
}

static void domains_fall_into_classes(void **state)
{
	assert_int_equal(recipient("One@Example.ORG"), DIRECTORY_FOUND);
	assert_int_equal(got.class, DOMAIN_VIRTUAL_MAILBOX);
	assert_int_equal(recipient("root@host.example.org"), DIRECTORY_FOUND);
	assert_int_equal(got.class, DOMAIN_LOCAL);
	assert_int_equal(recipient("x@alias.example"), DIRECTORY_NOT_FOUND);
	assert_int_equal(got.class, DOMAIN_VIRTUAL_ALIAS);
	assert_int_equal(recipient("u@maps.example"), DIRECTORY_FOUND);
	assert_int_equal(got.class, DOMAIN_VIRTUAL_MAILBOX);
	assert_int_equal(recipient("any@relay.example"), DIRECTORY_FOUND);
	assert_int_equal(got.class, DOMAIN_RELAY);
	assert_int_equal(recipient("x@sub.relay.example"), DIRECTORY_NOT_OURS);
	assert_int_equal(got.class, DOMAIN_OTHER);
	settings.parent_domain_matches_subdomains = "smtpd_access_maps, relay_domains";
	reopen();
	assert_int_equal(recipient("x@sub.relay.example"), DIRECTORY_FOUND);
	assert_int_equal(recipient("x@notrelay.example"), DIRECTORY_NOT_OURS);
}

/* Whoever wrote it so, the list or the client: compared are A-labels, and what is delivered to is as the client wrote it. */
static void domains_are_the_same_in_u_labels_and_a_labels(void **state)
{
	settings.relay_domains = "Bücher.example, .süd.example, xn--nord-0qa.example";
	settings.virtual_mailbox_domains = "inline:{küche.example=x}";
	settings.virtual_mailbox_maps =
		"inline:{köchin@küche.example=a/b, xn--koch@xn--kche-0ra.example=c}";
	settings.virtual_alias_maps = "inline:{chef@küche.example=köchin@küche.example}";
	reopen();
	assert_int_equal(recipient("a@bücher.example"), DIRECTORY_FOUND);
	assert_int_equal(recipient("a@xn--bcher-kva.example"), DIRECTORY_FOUND);
	assert_int_equal(recipient("a@b.xn--sd-xka.example"), DIRECTORY_FOUND);
	assert_int_equal(recipient("a@b.süd.example"), DIRECTORY_FOUND);
	assert_int_equal(recipient("a@süd.example"), DIRECTORY_NOT_OURS);
	assert_int_equal(got.class, DOMAIN_OTHER);
	assert_int_equal(resolve("köchin@xn--kche-0ra.example"), DIRECTORY_FOUND);
	assert_string_equal(got.mailbox, "a/b");
	assert_int_equal(resolve("köchin+x@küche.example"), DIRECTORY_FOUND);
	assert_string_equal(got.mailbox, "a/b");
	assert_string_equal(got.all, "köchin+x@küche.example");
	assert_int_equal(resolve("a@bücher.example"), DIRECTORY_FOUND);
	assert_string_equal(got.nexthop, "xn--bcher-kva.example");
	/* An alias is ours, not the client's: mail without SMTPUTF8 may come by it. */
	assert_string_equal(expand("chef@xn--kche-0ra.example"), "köchin@xn--kche-0ra.example");
	assert_string_equal(expand("koch@küche.example"), "koch@küche.example");
	assert_true(accounts_add_domain(accounts, "größe.example", error, sizeof(error)));
	assert_true(accounts_add_mailbox(accounts, "a@größe.example", 0, error, sizeof(error)));
	directory_turn(directory, 1000);
	assert_int_equal(recipient("a@größe.example"), DIRECTORY_FOUND);
	assert_int_equal(recipient("a@xn--gre-6ka8i.example"), DIRECTORY_FOUND);
	assert_int_equal(resolve("a@größe.example"), DIRECTORY_FOUND);
	assert_string_equal(got.mailbox, "xn--gre-6ka8i.example/a");
}

static void value_that_is_too_long_is_never_cut(void **state)
{
	char tables[1200], fill[1001];

	memset(fill, 'x', sizeof(fill));
	fill[MAX_REASON] = '\0';
	snprintf(tables, sizeof(tables), "static:%s", fill);
	settings.lookup_tables = tables;
	reopen();
	assert_int_equal(lookup(tables, "k", false), DIRECTORY_FOUND);
	snprintf(tables, sizeof(tables), "static:%sreject", fill);
	reopen();
	assert_int_equal(lookup(tables, "k", false), DIRECTORY_TEMPORARY);
	settings.lookup_tables = "";
}

static void unknown_recipients_have_the_reason_of_their_class(void **state)
{
	assert_int_equal(recipient("nobody@example.org"), DIRECTORY_NOT_FOUND);
	assert_string_equal(got.reason, "User unknown in virtual mailbox table");
	assert_int_equal(recipient("nobody@localhost"), DIRECTORY_NOT_FOUND);
	assert_string_equal(got.reason, "User unknown in local recipient table");
	assert_int_equal(recipient("nobody@alias.example"), DIRECTORY_NOT_FOUND);
	assert_string_equal(got.reason, "User unknown in virtual alias table");
}

static void extension_is_passed_over(void **state)
{
	assert_int_equal(recipient("one+list@example.org"), DIRECTORY_FOUND);
	assert_int_equal(recipient("nobody+one@example.org"), DIRECTORY_NOT_FOUND);
	assert_int_equal(resolve("One+List@example.org"), DIRECTORY_FOUND);
	assert_string_equal(got.mailbox, "example.org/one");
	assert_string_equal(got.all, "One+List@example.org");
	settings.recipient_delimiter = "";
	reopen();
	assert_int_equal(recipient("one+list@example.org"), DIRECTORY_NOT_FOUND);
}

static void text_that_is_no_address_is_bad(void **state)
{
	const char *const bad[] = { "", "@", "a@", "@example.org" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(recipient(bad[i]), DIRECTORY_BAD);
		assert_int_equal(resolve(bad[i]), DIRECTORY_BAD);
	}
	assert_int_equal(recipient("one"), DIRECTORY_FOUND);
	settings.append_at_myorigin = false;
	reopen();
	assert_int_equal(recipient("one"), DIRECTORY_BAD);
}

static void postmaster_is_never_refused(void **state)
{
	const char *const all[] = { "postmaster", "Postmaster@example.org",
		"postmaster@host.example.org", "postmaster@alias.example",
		"postmaster@[127.0.0.1]" };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		assert_int_equal(recipient(all[i]), DIRECTORY_FOUND);
		assert_string_equal(expand(all[i]), "one@example.org");
	}
	assert_int_equal(recipient("postmaster@elsewhere.example"), DIRECTORY_NOT_OURS);
	assert_string_equal(expand("postmaster@elsewhere.example"), "postmaster@elsewhere.example");
	alias("postmaster@example.org", "two@example.org");
	assert_string_equal(expand("postmaster"), "two@example.org");
	assert_string_equal(expand("postmaster@localhost"), "two@example.org");
}

static void postmaster_of_an_empty_instance_is_asked_to_wait(void **state)
{
	assert_true(accounts_delete_mailbox(accounts, "one@example.org", error, sizeof(error)));
	assert_true(accounts_delete_mailbox(accounts, "two@example.org", error, sizeof(error)));
	directory_turn(directory, 1000);
	assert_int_equal(recipient("postmaster"), DIRECTORY_TEMPORARY);
	assert_int_equal(recipient("one@example.org"), DIRECTORY_NOT_FOUND);
}

static void aliases_expand_in_depth_and_order(void **state)
{
	alias("all@example.org", "team@example.org");
	alias("all@example.org", "x@elsewhere.example");
	alias("team@example.org", "one@example.org");
	alias("team@example.org", "two@example.org");
	assert_string_equal(
		expand("all@example.org"), "x@elsewhere.example one@example.org two@example.org");
	assert_string_equal(expand("One@example.org"), "One@example.org");
	assert_string_equal(expand("x@elsewhere.example"), "x@elsewhere.example");
	assert_int_equal(recipient("all@example.org"), DIRECTORY_FOUND);
	/* The extension goes along with every address of the alias. */
	assert_string_equal(
		expand("team+Ext@example.org"), "one+Ext@example.org two+Ext@example.org");
}

static void alias_loops_end(void **state)
{
	alias("a@example.org", "b@example.org");
	alias("b@example.org", "a@example.org");
	assert_string_equal(expand("a@example.org"), "a@example.org");
	/* A copy to oneself. */
	alias("one@example.org", "one@example.org");
	alias("one@example.org", "two@example.org");
	assert_string_equal(expand("one@example.org"), "one@example.org two@example.org");
	/* The same address by two ways comes once. */
	alias("c@example.org", "two@example.org");
	alias("c@example.org", "one@example.org");
	assert_string_equal(expand("c@example.org"), "two@example.org one@example.org");
}

static void expansion_is_bounded(void **state)
{
	char from[64], to[64];

	for (int i = 0; i < 30; i++) {
		snprintf(from, sizeof(from), "d%d@example.org", i);
		snprintf(to, sizeof(to), "d%d@example.org", i + 1);
		alias(from, to);
	}
	assert_string_equal(expand("d0@example.org"), "aliases nested too deeply");
	assert_int_equal(got.status, DIRECTORY_TEMPORARY);
	assert_string_equal(expand("d15@example.org"), "d30@example.org");
	for (int i = 0; i < 60; i++) {
		snprintf(to, sizeof(to), "many%d@elsewhere.example", i);
		alias("wide@example.org", to);
	}
	assert_string_equal(expand("wide@example.org"), "alias has too many addresses");
	assert_int_equal(got.status, DIRECTORY_TEMPORARY);
}

static void catch_all_spares_mailboxes(void **state)
{
	alias("@example.org", "two@example.org");
	assert_string_equal(expand("anything@example.org"), "two@example.org");
	assert_string_equal(expand("one@example.org"), "one@example.org");
	assert_string_equal(expand("one+x@example.org"), "one+x@example.org");
	assert_int_equal(recipient("anything@example.org"), DIRECTORY_FOUND);
}

static void domain_alias_keeps_the_local_part(void **state)
{
	settings.virtual_alias_maps = "inline:{@alias.example=@example.org}";
	reopen();
	assert_string_equal(expand("One@alias.example"), "One@example.org");
	assert_int_equal(recipient("x@alias.example"), DIRECTORY_FOUND);
	settings.virtual_alias_maps = "inline:{{q@alias.example=<one@example.org>, bare}}";
	reopen();
	assert_string_equal(expand("q@alias.example"), "one@example.org bare@example.org");
}

static void route_follows_the_class(void **state)
{
	assert_int_equal(resolve("two@example.org"), DIRECTORY_FOUND);
	assert_string_equal(got.transport, "virtual");
	assert_string_equal(got.nexthop, "example.org");
	assert_string_equal(got.mailbox, "example.org/two");
	assert_int_equal(got.quota, 5000);
	assert_int_equal(resolve("one@example.org"), DIRECTORY_FOUND);
	assert_int_equal(got.quota, 999);
	assert_int_equal(resolve("u@maps.example"), DIRECTORY_FOUND);
	assert_string_equal(got.mailbox, "maps/u");
	assert_int_equal(resolve("nobody@example.org"), DIRECTORY_NOT_FOUND);
	assert_string_equal(got.reason, "unknown user: \"nobody@example.org\"");
	assert_int_equal(resolve("root@localhost"), DIRECTORY_FOUND);
	assert_string_equal(got.transport, "local");
	assert_string_equal(got.nexthop, "host.example.org");
	assert_int_equal(resolve("x@relay.example"), DIRECTORY_FOUND);
	assert_string_equal(got.transport, "relay");
	assert_string_equal(got.nexthop, "relay.example");
	assert_int_equal(resolve("x@elsewhere.example"), DIRECTORY_FOUND);
	assert_string_equal(got.transport, "smtp");
	assert_string_equal(got.nexthop, "elsewhere.example");
	assert_string_equal(got.mailbox, "");
	settings.relayhost = "[gate.example]:587";
	reopen();
	assert_int_equal(resolve("x@elsewhere.example"), DIRECTORY_FOUND);
	assert_string_equal(got.nexthop, "[gate.example]:587");
}

static void transport_maps_override(void **state)
{
	settings.transport_maps =
		"inline:{one@example.org=lmtp:unix:private/x, elsewhere.example=:[h.example],"
		" {closed.example=error:5.7.1 no mail here}, .sub.example=smtp:,"
		" later.example=retry:soon}";
	settings.relayhost = "gate.example";
	reopen();
	assert_int_equal(resolve("one+x@example.org"), DIRECTORY_FOUND);
	assert_string_equal(got.transport, "lmtp");
	assert_string_equal(got.nexthop, "unix:private/x");
	assert_int_equal(resolve("x@elsewhere.example"), DIRECTORY_FOUND);
	assert_string_equal(got.transport, "smtp");
	assert_string_equal(got.nexthop, "[h.example]");
	assert_int_equal(resolve("x@a.sub.example"), DIRECTORY_FOUND);
	assert_string_equal(got.nexthop, "a.sub.example");
	assert_int_equal(resolve("x@closed.example"), DIRECTORY_NOT_FOUND);
	assert_string_equal(got.reason, "5.7.1 no mail here");
	assert_int_equal(resolve("x@later.example"), DIRECTORY_TEMPORARY);
	assert_int_equal(resolve("x@other.example"), DIRECTORY_FOUND);
	assert_string_equal(got.nexthop, "gate.example");
}

static void path_out_of_the_mail_directory_is_never_answered(void **state)
{
	assert_int_equal(resolve("bad@maps.example"), DIRECTORY_TEMPORARY);
	assert_string_equal(got.mailbox, "");
	ask(MESSAGE_DIRECTORY_MAILBOX, "bad@maps.example");
	assert_int_equal(got.status, DIRECTORY_TEMPORARY);
}

static void login_has_a_mailbox_while_it_is_enabled(void **state)
{
	ask(MESSAGE_DIRECTORY_MAILBOX, "Two@example.org");
	assert_int_equal(got.status, DIRECTORY_FOUND);
	assert_string_equal(got.mailbox, "example.org/two");
	assert_int_equal(got.quota, 5000);
	ask(MESSAGE_DIRECTORY_MAILBOX, "two+x@example.org");
	assert_int_equal(got.status, DIRECTORY_NOT_FOUND);
	ask(MESSAGE_DIRECTORY_MAILBOX, "");
	assert_int_equal(got.status, DIRECTORY_NOT_FOUND);
	assert_true(accounts_enable(accounts, "two@example.org", false, error, sizeof(error)));
	ask(MESSAGE_DIRECTORY_MAILBOX, "two@example.org");
	assert_int_equal(got.status, DIRECTORY_NOT_FOUND);
	assert_string_equal(got.mailbox, "");
	/* Mail still comes in. */
	assert_int_equal(resolve("two@example.org"), DIRECTORY_FOUND);
}

static void error_of_a_table_is_never_an_answer_for_good(void **state)
{
	settings.virtual_alias_maps = "fail:";
	reopen();
	assert_int_equal(recipient("nobody@example.org"), DIRECTORY_TEMPORARY);
	assert_string_equal(expand("one@example.org"), "alias lookup failed");
	settings.virtual_alias_maps = "";
	settings.relay_domains = "fail:";
	reopen();
	assert_int_equal(recipient("x@elsewhere.example"), DIRECTORY_TEMPORARY);
	assert_int_equal(resolve("x@elsewhere.example"), DIRECTORY_TEMPORARY);
	settings.relay_domains = "";
	settings.transport_maps = "fail:";
	reopen();
	assert_int_equal(resolve("one@example.org"), DIRECTORY_TEMPORARY);
	settings.transport_maps = "";
	settings.virtual_mailbox_maps = "fail:";
	reopen();
	assert_int_equal(recipient("nobody@example.org"), DIRECTORY_TEMPORARY);
	assert_int_equal(recipient("one@example.org"), DIRECTORY_FOUND);
}

static void only_configured_tables_may_be_asked(void **state)
{
	settings.lookup_tables = "inline:{a=OK}, pcre:{{/a/ REJECT}}, fail:";
	reopen();
	assert_int_equal(lookup("inline:{a=OK}", "a", false), DIRECTORY_FOUND);
	assert_string_equal(got.value, "OK");
	assert_int_equal(lookup("inline:{a=OK}", "b", false), DIRECTORY_NOT_FOUND);
	assert_int_equal(lookup("pcre:{{/a/ REJECT}}", "a", false), DIRECTORY_FOUND);
	assert_int_equal(lookup("pcre:{{/a/ REJECT}}", "a", true), DIRECTORY_NOT_FOUND);
	assert_int_equal(lookup("fail:", "a", false), DIRECTORY_TEMPORARY);
	assert_int_equal(lookup("texthash:/etc/passwd", "root", false), DIRECTORY_TEMPORARY);
	assert_string_equal(got.value, "");
}

static enum owner_status owner(const char *login, const char *address, const char *tables)
{
	struct message question = { .type = MESSAGE_DIRECTORY_OWNER };

	memset(&got, 0, sizeof(got));
	question.directory_owner = (struct message_directory_owner){ .serial = 77,
		.address = slice_from(address),
		.login = slice_from(login),
		.tables = slice_from(tables) };
	assert_true(directory_answer(directory, &question, take, NULL));
	return got.owner;
}

static void users_own_their_address_and_aliases_that_lead_to_them_alone(void **state)
{
	alias("info@example.org", "one@example.org");
	alias("sales@example.org", "info@example.org");
	alias("team@example.org", "one@example.org");
	alias("team@example.org", "two@example.org");
	alias("one+two@example.org", "two@example.org");
	assert_int_equal(owner("one@example.org", "one@example.org", ""), OWNER_YES);
	assert_int_equal(owner("one@example.org", "ONE@Example.ORG", ""), OWNER_YES);
	assert_int_equal(owner("one@example.org", "one+list@example.org", ""), OWNER_YES);
	assert_int_equal(owner("one@example.org", "info@example.org", ""), OWNER_YES);
	assert_int_equal(owner("one@example.org", "info+x@example.org", ""), OWNER_YES);
	assert_int_equal(owner("one@example.org", "sales@example.org", ""), OWNER_YES);
	assert_int_equal(owner("one@example.org", "team@example.org", ""), OWNER_OTHER);
	assert_int_equal(owner("two@example.org", "team@example.org", ""), OWNER_OTHER);
	assert_int_equal(owner("one@example.org", "two@example.org", ""), OWNER_OTHER);
	/* An extension that is something of its own is not one's. */
	assert_int_equal(owner("one@example.org", "one+two@example.org", ""), OWNER_OTHER);
	assert_int_equal(owner("two@example.org", "one+two@example.org", ""), OWNER_YES);
	assert_int_equal(owner("one@example.org", "nobody@example.org", ""), OWNER_NOBODY);
	assert_int_equal(owner("one@example.org", "one@elsewhere.example", ""), OWNER_NOBODY);
	assert_int_equal(owner("one@example.org", "@", ""), OWNER_NOBODY);
	assert_int_equal(owner("", "one@example.org", ""), OWNER_OTHER);
	/* Mail that is kept and passed on, too: the mailbox stays one's own. */
	alias("one@example.org", "one@example.org");
	alias("one@example.org", "x@elsewhere.example");
	assert_int_equal(owner("one@example.org", "one@example.org", ""), OWNER_YES);
	assert_int_equal(owner("two@example.org", "one@example.org", ""), OWNER_OTHER);
}

static void tables_say_who_else_may_send_as_an_address(void **state)
{
	static const char TABLE[] =
		"inline:{ { boss@example.org = two@example.org, one@example.org "
		"}, { @lists.example = two@example.org }, { bare@example.org = one }, "
		"{ two@example.org = one@example.org } }";

	settings.lookup_tables = TABLE;
	settings.login_realm = "example.org";
	reopen();
	assert_int_equal(owner("one@example.org", "boss@example.org", TABLE), OWNER_YES);
	assert_int_equal(owner("two@example.org", "boss@example.org", TABLE), OWNER_YES);
	assert_int_equal(owner("three@example.org", "boss@example.org", TABLE), OWNER_MAPPED);
	assert_int_equal(owner("", "boss@example.org", TABLE), OWNER_MAPPED);
	assert_int_equal(owner("one@example.org", "any@lists.example", TABLE), OWNER_MAPPED);
	assert_int_equal(owner("two@example.org", "any@lists.example", TABLE), OWNER_YES);
	assert_int_equal(owner("one@example.org", "bare@example.org", TABLE), OWNER_YES);
	assert_int_equal(owner("one@elsewhere.example", "bare@example.org", TABLE), OWNER_MAPPED);
	/* Whoever else may: one's own address stays one's own. */
	assert_int_equal(owner("one@example.org", "two@example.org", TABLE), OWNER_YES);
	assert_int_equal(owner("two@example.org", "two@example.org", TABLE), OWNER_YES);
	assert_int_equal(owner("one@example.org", "x@elsewhere.example", TABLE), OWNER_NOBODY);
}

static void owners_that_cannot_be_found_out_are_not_guessed(void **state)
{
	settings.lookup_tables = "fail:";
	reopen();
	assert_int_equal(owner("one@example.org", "one@example.org", "fail:"), OWNER_TEMPORARY);
	assert_int_equal(
		owner("one@example.org", "one@example.org", "hash:/not/there"), OWNER_TEMPORARY);
	settings.lookup_tables = "";
	settings.virtual_alias_maps = "fail:";
	reopen();
	assert_int_equal(owner("one@example.org", "x@alias.example", ""), OWNER_TEMPORARY);
}

static void answers_are_remembered_until_the_accounts_change(void **state)
{
	uint64_t hits = directory_hits(directory);

	assert_int_equal(recipient("new@example.org"), DIRECTORY_NOT_FOUND);
	assert_int_equal(recipient("new@example.org"), DIRECTORY_NOT_FOUND);
	assert_string_equal(got.reason, "User unknown in virtual mailbox table");
	assert_int_equal(directory_hits(directory), hits + 1);
	assert_true(accounts_add_mailbox(accounts, "new@example.org", 0, error, sizeof(error)));
	directory_turn(directory, 1000);
	assert_int_equal(recipient("new@example.org"), DIRECTORY_FOUND);
	assert_int_equal(resolve("new@example.org"), DIRECTORY_FOUND);
	assert_int_equal(resolve("new@example.org"), DIRECTORY_FOUND);
	assert_string_equal(got.mailbox, "example.org/new");
	hits = directory_hits(directory);
	directory_turn(directory, 5000);
	assert_int_equal(recipient("new@example.org"), DIRECTORY_FOUND);
	assert_int_equal(directory_hits(directory), hits);
}

static void memory_of_answers_is_bounded(void **state)
{
	char address[64];

	for (int i = 0; i < 30000; i++) {
		snprintf(address, sizeof(address), "n%d@example.org", i);
		assert_int_equal(recipient(address), DIRECTORY_NOT_FOUND);
	}
	directory_turn(directory, 3000);
	assert_int_equal(recipient("n0@example.org"), DIRECTORY_NOT_FOUND);
}

static void other_messages_are_no_questions(void **state)
{
	struct message other = { .type = MESSAGE_CLEANUP_END };

	assert_false(directory_answer(directory, &other, take, NULL));
}

static void changed_table_is_named(void **state)
{
	char file[128], spec[160];
	FILE *f;

	snprintf(file, sizeof(file), "%s/t", folder);
	f = fopen(file, "w");
	fputs("a@alias.example one@example.org\n", f);
	fclose(f);
	snprintf(spec, sizeof(spec), "texthash:%s", file);
	settings.virtual_alias_maps = spec;
	reopen();
	assert_null(directory_changed(directory));
	assert_string_equal(expand("a@alias.example"), "one@example.org");
	unlink(file);
	assert_string_equal(directory_changed(directory), "virtual_alias_maps");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(domains_fall_into_classes),
		TEST(domains_are_the_same_in_u_labels_and_a_labels),
		TEST(value_that_is_too_long_is_never_cut),
		TEST(unknown_recipients_have_the_reason_of_their_class),
		TEST(extension_is_passed_over),
		TEST(text_that_is_no_address_is_bad),
		TEST(postmaster_is_never_refused),
		TEST(postmaster_of_an_empty_instance_is_asked_to_wait),
		TEST(aliases_expand_in_depth_and_order),
		TEST(alias_loops_end),
		TEST(expansion_is_bounded),
		TEST(catch_all_spares_mailboxes),
		TEST(domain_alias_keeps_the_local_part),
		TEST(route_follows_the_class),
		TEST(transport_maps_override),
		TEST(path_out_of_the_mail_directory_is_never_answered),
		TEST(login_has_a_mailbox_while_it_is_enabled),
		TEST(error_of_a_table_is_never_an_answer_for_good),
		TEST(only_configured_tables_may_be_asked),
		TEST(users_own_their_address_and_aliases_that_lead_to_them_alone),
		TEST(tables_say_who_else_may_send_as_an_address),
		TEST(owners_that_cannot_be_found_out_are_not_guessed),
		TEST(answers_are_remembered_until_the_accounts_change),
		TEST(memory_of_answers_is_bounded),
		TEST(other_messages_are_no_questions),
		TEST(changed_table_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
