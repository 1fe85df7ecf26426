// SPDX-License-Identifier: ISC
/*
 * postern tls - for each entry of master.cf that speaks TLS and each server name: which certificate, from which file, until when it is good,
 * and whether the running system shows it. Exit status 1 when something is not as it should be.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <time.h>
#include <unistd.h>

#include "base/map.h"
#include "cli/instance.h"
#include "cli/json.h"
#include "cli/tls_probe.h"
#include "config/tls_settings.h"
#include "os/os.h"
#include "tls/keyset.h"

struct list {
	const struct instance *instance;
	const struct service_entry *entry;
	const struct tls_settings *settings;
	struct keyset keyset;
	bool json, running, faults;
	struct map told; /* what was found wrong */
	char fault[600]; /* the last of it */
	char host[256];
	uint16_t port;
};
enum served { SERVED_UNKNOWN, SERVED_YES, SERVED_NO };
/* What a look at the running server told. */
struct view {
	enum served served;
	bool answered; /* `shown` is what it shows */
	struct key_pair shown; /* in words only */
};

/* Entries share files: what is wrong with one is told once. */
static void tell(void *context, bool error, const char *file, const char *text)
{
	struct list *list = context;

	list->faults = list->faults || error;
	snprintf(list->fault, sizeof(list->fault), "%s: %s", file, text);
	if (map_get(&list->told, slice_from(list->fault)))
		return;
	(void)!map_put(&list->told, slice_from(list->fault), list);
	cli_complain("tls", "%s", list->fault);
}

static const char *kind_name(enum key_kind kind)
{
	static const char *const NAMES[] = {
		[KEY_NONE] = "", [KEY_RSA] = "RSA", [KEY_EC] = "EC", [KEY_ED25519] = "ED25519"
	};

	return NAMES[kind];
}

/* --- a look at what is served --- */

/* A name that a client would ask for to see this group: "*.example.org" and ".example.org" stand for others. */
static void name_to_ask(const char *name, char *out, size_t size)
{
	bool any = name[0] == '*' || name[0] == '.';

	snprintf(out, size, "%s%s", any ? "postern-tls" : "", name[0] == '*' ? name + 1 : name);
}

static bool is_certificate(const struct key_pair *pair, X509 *shown)
{
	BIO *bio = BIO_new_mem_buf(pair->chain.data, (int)pair->chain.length);
	X509 *own = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	bool same = own && X509_cmp(shown, own) == 0;

	X509_free(own);
	BIO_free(bio);
	return same;
}

/* Is it what a client sees that can check `kind` of signatures, or any if that is KEY_NONE? */
static void look_once(const struct list *list, const struct key_group *group,
	const struct key_pair *pair, enum key_kind kind, struct view *view)
{
	char name[300];
	X509 *shown;

	name_to_ask(group->name, name, sizeof(name));
	shown = tls_probe(list->host, list->port, list->settings->service, list->settings->wrapper,
		name, kind_name(kind));
	view->served = SERVED_NO;
	if (!shown)
		return;
	view->answered = true;
	key_pair_describe(&view->shown, shown);
	if (pair && is_certificate(pair, shown))
		view->served = SERVED_YES;
	X509_free(shown);
}

/* A server need not have the kind of key that the file has: asking for it comes second, where there are several. */
static struct view look(
	const struct list *list, const struct key_group *group, const struct key_pair *pair)
{
	struct view view = { 0 };

	if (!list->running || !list->port)
		return view;
	look_once(list, group, pair, KEY_NONE, &view);
	if (pair && view.served == SERVED_NO && view.answered && group->pair_count > 1)
		look_once(list, group, pair, pair->kind, &view);
	return view;
}

/* --- output --- */

static int64_t days_left(const struct key_pair *pair)
{
	int64_t now = os_now() / 1000000;

	return (pair->not_after - now) / 86400 - (pair->not_after < now);
}

static void add_json(struct buffer *out, const struct key_pair *pair)
{
	struct slice names = slice_from(pair->names), name;
	const char *before = "";

	json_add_member(out, "", "subject", pair->subject);
	buffer_add_text(out, ", \"names\": [");
	for (; slice_word(&names, " ", &name); before = ", ") {
		buffer_add_text(out, before);
		json_add_text(out, name);
	}
	buffer_add_text(out, "]");
	json_add_member(out, ", ", "issuer", pair->issuer);
	json_add_member(out, ", ", "key", kind_name(pair->kind));
	buffer_printf(out, ", \"not_before\": %lld, \"not_after\": %lld, \"days_left\": %lld",
		(long long)pair->not_before, (long long)pair->not_after,
		(long long)days_left(pair));
}

static void print_json(const struct list *list, const struct key_group *group,
	const struct key_pair *pair, const struct view *view)
{
	static const char *const WORDS[] = { "null", "true", "false" };
	struct buffer out = { 0 };

	json_add_member(&out, "{", "entry", list->entry->name);
	json_add_member(&out, ", ", "level",
		list->settings->level == TLS_LEVEL_ENCRYPT ? "encrypt" : "may");
	buffer_printf(&out, ", \"wrapper\": %s", list->settings->wrapper ? "true" : "false");
	json_add_member(&out, ", ", "server_name", group->name);
	buffer_add_text(&out, ", ");
	if (pair)
		add_json(&out, pair);
	else
		json_add_member(&out, "", "error", list->fault);
	json_add_member(&out, ", ", "file", keyset_group_file(&list->keyset, group));
	buffer_printf(&out, ", \"served\": %s", WORDS[view->served]);
	if (view->served == SERVED_NO && view->answered) {
		buffer_add_text(&out, ", \"instead\": {");
		add_json(&out, &view->shown);
		buffer_add_text(&out, "}");
	}
	buffer_add_text(&out, "}");
	puts(buffer_text(&out) ? out.data : "{}");
	buffer_free(&out);
}

/* "  TITLE: SUBJECT, KIND, for NAMES" and from whom and until when, without the last line end. */
static void print_pair(const char *title, const struct key_pair *pair)
{
	time_t end = (time_t)pair->not_after;
	int64_t days = days_left(pair);
	char date[32] = "";
	struct tm when;

	if (gmtime_r(&end, &when))
		strftime(date, sizeof(date), "%Y-%m-%d", &when);
	printf("  %s: %s, %s%s%s\n", title, pair->subject, kind_name(pair->kind),
		pair->names[0] ? ", for " : "", pair->names);
	printf("    from %s, good until %s (%s%lld days)", pair->issuer, date,
		days < 0 ? "EXPIRED, " : "", (long long)days);
}

static void print_text(const struct list *list, const struct key_group *group,
	const struct key_pair *pair, const struct view *view)
{
	static const char *const WORDS[] = { "", ", served", ", NOT SERVED" };
	const char *name = group->name[0] ? group->name : "every name";

	if (pair) {
		print_pair(name, pair);
		puts(WORDS[view->served]);
	} else {
		printf("  %s: UNUSABLE\n", name);
	}
	printf("    %s\n", keyset_group_file(&list->keyset, group));
	if (view->served == SERVED_NO && view->answered) {
		print_pair("served instead", &view->shown);
		putchar('\n');
	} else if (view->served == SERVED_NO) {
		puts("  served instead: nothing, the server does not answer in TLS");
	}
}

static void print_row(struct list *list, const struct key_group *group, const struct key_pair *pair)
{
	struct view view = look(list, group, pair);

	list->faults = list->faults || !pair || days_left(pair) < 0 || view.served == SERVED_NO;
	(list->json ? print_json : print_text)(list, group, pair, &view);
}

/* Also when nothing in its files can be used: something else may be served still. */
static void print_group(struct list *list, const struct key_group *group)
{
	for (unsigned i = 0; i < group->pair_count; i++)
		print_row(list, group, &group->pairs[i]);
	if (group->pair_count == 0)
		print_row(list, group, NULL);
}

/* --- entries --- */

/* Where the entry listens, for a look from here: its own address, or one of inet_interfaces. */
static void find_address(struct list *list, const struct config *config)
{
	struct slice list_of = slice_from(config_text(config, PARAM_inet_interfaces)), word;

	list->port =
		services_port(list->entry->name, (unsigned)config_int(config, PARAM_port_base));
	if (services_host(list->entry->name, list->host, sizeof(list->host)) && list->host[0])
		return;
	snprintf(list->host, sizeof(list->host), "127.0.0.1");
	if (!slice_word(&list_of, ", \t", &word) || slice_equal(word, SLICE("loopback-only")) ||
		slice_equal(word, SLICE("all")) || word.length >= sizeof(list->host))
		return;
	snprintf(list->host, sizeof(list->host), "%.*s", SLICE_ARG(word));
}

static void print_set(struct list *list, const struct config *config)
{
	struct slice text = buffer_slice(&list->settings->certificates);
	const struct key_set *set;

	list->keyset = (struct keyset){
		.tell = tell, .context = list, .folder = config_text(config, PARAM_config_directory)
	};
	if (!list->json)
		printf("%s: %s%s\n", list->entry->name,
			list->settings->level == TLS_LEVEL_ENCRYPT ? "encrypt" : "may",
			list->settings->wrapper ? ", without STARTTLS" : "");
	list->fault[0] = 0;
	if (!keyset_load_set(&list->keyset, text))
		list->faults = true;
	set = keyset_find(&list->keyset, text);
	for (size_t i = 0; set && i < set->groups.count; i++)
		print_group(list, key_set_group(set, i));
	keyset_free(&list->keyset);
}

static void print_entry(struct list *list)
{
	const struct instance *instance = list->instance;
	static struct config_report report;
	struct buffer snapshot = { 0 };
	struct tls_settings settings = { 0 };
	struct config *config = NULL;
	enum tls_server server = tls_server_of(list->entry->command);

	if (server == TLS_SERVERS)
		return;
	if (services_snapshot(
		    instance->source, &instance->services, list->entry, &snapshot, &report))
		config = config_open(buffer_slice(&snapshot));
	if (config && tls_settings_load(&settings, config, server)) {
		list->settings = &settings;
		find_address(list, config);
		if (tls_offered(&settings))
			print_set(list, config);
		else if (!list->json)
			printf("%s: none\n", list->entry->name);
		tls_settings_free(&settings);
	}
	config_free(&config);
	buffer_free(&snapshot);
}

int tls_main(int argc, char **argv)
{
	struct list list = { .json = argc == 2 && strcmp(argv[1], "--json") == 0 };
	struct instance instance;

	if (argc > 2 || (argc == 2 && !list.json)) {
		puts("usage: postern [-c FOLDER] tls [--json]\nThe certificates of each entry and "
		     "server name, whether they are served, and what is if they are not.");
		return argc == 2 && strcmp(argv[1], "--help") == 0 ? EX_OK : EX_USAGE;
	}
	if (!instance_open("tls", false, &instance))
		return EX_CONFIG;
	list.instance = &instance;
	list.running = instance_master(instance.root) > 0;
	for (unsigned i = 0; i < instance.services.count; i++) {
		list.entry = &instance.services.entries[i];
		print_entry(&list);
	}
	map_free(&list.told);
	instance_close(&instance);
	return list.faults ? 1 : EX_OK;
}
