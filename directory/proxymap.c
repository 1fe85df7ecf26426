// SPDX-License-Identifier: ISC
/*
 * proxymap - asks SQL servers (mysql:, pgsql: tables) for directoryd and authd, which do not connect.
 *
 * It opens every such table that the configuration names, some connections each, before it is confined. Each connection has a
 * thread that waits for its server, so a slow or dead one holds up nobody but those who ask for its tables. Tables of passwords are
 * authd's alone, and all others directoryd's: neither learns through here what is the other's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/share.h"
#include "base/vector.h"
#include "config/config.h"
#include "directory/proxymap_names.h"
#include "directory/proxymap_reach.h"
#include "service/log.h"
#include "service/peers.h"
#include "service/refuse.h"
#include "service/threads.h"
#include "table/table_sql.h"

enum {
	TABLES_MOST = 64,
	CONNECTIONS_MOST = 16, /* of one table */
	JOBS_MOST = 10000, /* questions in all, beyond OWN_JOBS of each peer */
	OWN_JOBS =
		64, /* of one peer that no other can keep it from: as many as authd has workers */
	PEERS_MOST = 64,
	CHECK_TABLES = 1000, /* ms between looks at the files */
	RESOLVE_AGAIN =
		60000, /* ms until a name is asked for again that was not known at the start */
	TELL_AGAIN = 10000, /* ms between warnings about one table */
	SPEC_MOST = 1024
};

struct proxy_peer {
	struct asker asker;
	struct share share; /* of places for questions */
};

struct job {
	struct thread_job link;
	struct proxy_peer *peer;
	enum share_place place;
	struct sql_source *source;
	uint32_t serial;
	int64_t until; /* ms: what waited longer is not asked any more */
	enum table_status status;
	struct buffer key, value;
	char error[300];
};

/* A table of the configuration, and those who ask for it. */
struct sql_source {
	struct proxymap *daemon;
	char *spec;
	enum service_id owner; /* who may ask */
	struct table *tables[CONNECTIONS_MOST];
	unsigned count;
	struct threads *threads; /* one for each of `tables` */
	int64_t told; /* ms */
};

struct proxymap {
	struct service *service;
	struct config *config;
	struct sql_source sources[TABLES_MOST];
	unsigned source_count, connections;
	int64_t patience; /* ms */
	struct reach reach;
	struct share_pool places; /* for questions */
	struct peers askers;
	struct timer check, resolve;
	bool unresolved;
};

/* In a thread. */
static void do_job(void *hand, struct thread_job *link)
{
	struct job *job = (struct job *)link;
	struct table *table = hand;

	if (loop_monotonic() > job->until) {
		snprintf(job->error, sizeof(job->error), "the servers are too slow");
		return;
	}
	job->status = table_lookup(table, buffer_slice(&job->key), &job->value);
	if (job->status == TABLE_ERROR)
		snprintf(job->error, sizeof(job->error), "%s", table_error(table));
}

/* --- answers --- */

static void tell(struct sql_source *source, const char *what)
{
	int64_t now = loop_now(service_loop(source->daemon->service));

	if (source->told && now - source->told < TELL_AGAIN)
		return;
	source->told = now;
	log_warning("%s: %s", source->spec, what);
}

static void answer(
	struct asker *asker, uint32_t serial, enum table_status status, struct slice value)
{
	struct message message = { .type = MESSAGE_PROXYMAP_ANSWER };

	if (value.length > MAX_CHUNK) {
		status = TABLE_ERROR;
		value = SLICE("");
	}
	message.proxymap_answer.serial = serial;
	message.proxymap_answer.status = (uint8_t)status;
	message.proxymap_answer.value = value;
	channel_send(&asker->channel, &message);
}

static void job_free(struct job *job)
{
	buffer_free(&job->key);
	buffer_free(&job->value);
	free(job);
}

static void finish_job(void *context, struct thread_job *link)
{
	struct proxymap *daemon = context;
	struct job *job = (struct job *)link;
	struct asker *asker = &job->peer->asker;

	if (job->status == TABLE_ERROR)
		tell(job->source, job->error);
	if (!asker->gone)
		answer(asker, job->serial, job->status, buffer_slice(&job->value));
	share_give(&daemon->places, &job->peer->share, job->place);
	asker_done(asker);
	job_free(job);
}

/* --- questions --- */

static struct sql_source *source_of(struct proxymap *daemon, struct slice spec)
{
	for (unsigned i = 0; i < daemon->source_count; i++)
		if (slice_equal(slice_from(daemon->sources[i].spec), spec))
			return &daemon->sources[i];
	return NULL;
}

/* The table, if this one may ask for it. */
static struct sql_source *source_for(const struct asker *asker, struct slice spec)
{
	struct sql_source *source = source_of(asker->daemon, spec);
	char text[120];

	if (!source) {
		log_warning("%.*s: not a table that could be opened", SLICE_ARG(spec));
		return NULL;
	}
	if (source->owner == asker->from)
		return source;
	snprintf(text, sizeof(text),
		"refused to %s: tables of auth_backends and "
		"auth_certificate_maps are authd's, all others directoryd's",
		service_id_name(asker->from));
	tell(source, text);
	return NULL;
}

static struct job *job_new(struct proxy_peer *peer, const struct message_proxymap_ask *ask)
{
	static const struct share_bounds bounds = { .own = OWN_JOBS, .most = OWN_JOBS + JOBS_MOST };
	struct proxymap *daemon = peer->asker.daemon;
	enum share_place place = share_take(&daemon->places, &peer->share, &bounds);
	struct job *job = place == SHARE_NONE ? NULL : calloc(1, sizeof(*job));

	if (job && buffer_add(&job->key, ask->key)) {
		job->peer = peer;
		job->place = place;
		job->serial = ask->serial;
		job->until = loop_now(service_loop(daemon->service)) + daemon->patience;
		/* It may be what is stored of a password. */
		job->value = buffer_secret(MAX_CHUNK);
		return job;
	}
	free(job);
	share_give(&daemon->places, &peer->share, place);
	return NULL;
}

static bool add_job(struct proxy_peer *peer, const struct message_proxymap_ask *ask)
{
	struct sql_source *source = source_for(&peer->asker, ask->table);
	struct job *job = source ? job_new(peer, ask) : NULL;

	if (!job)
		return false;
	job->source = source;
	peer->asker.jobs++;
	threads_add(source->threads, &job->link);
	return true;
}

static void receive(struct channel *channel, struct message *message)
{
	struct asker *asker = channel->context;

	if (message->type != MESSAGE_PROXYMAP_ASK)
		service_refuse(channel, service_id_name(asker->from), message);
	else if (!add_job((struct proxy_peer *)asker, &message->proxymap_ask))
		answer(asker, message->proxymap_ask.serial, TABLE_ERROR, SLICE(""));
}

static void take_peer(struct service *service, void *context, int fd, const struct peer *who)
{
	struct proxymap *daemon = context;

	(void)askers_take(&daemon->askers, service, fd, who, daemon);
}

/* --- tables --- */

static bool ends_name(char c)
{
	return (unsigned char)c <= ' ' || c == ',' || c == '}' || c == 0x7f;
}

/* The next "mysql:name", say, of a text; *rest goes on behind it. False: there is no more. */
static bool next_spec(struct slice *rest, const char *type, struct slice *spec)
{
	ptrdiff_t at;

	while ((at = slice_search(*rest, slice_from(type))) >= 0) {
		bool begins = at == 0 || !ascii_alnum(rest->data[at - 1]);
		size_t length = strlen(type);

		*rest = slice_tail(*rest, (size_t)at);
		while (length < rest->length && !ends_name(rest->data[length]))
			length++;
		*spec = slice_head(*rest, length);
		*rest = slice_tail(*rest, length);
		if (begins && length > strlen(type) && length < SPEC_MOST)
			return true;
	}
	return false;
}

/*
 * What authd looks up is its own, also when another parameter names it, too: directoryd shall not get at passwords by way of a table that
 * it has use for.
 */
static enum service_id owner_of(const struct proxymap *daemon, const char *type, struct slice spec)
{
	static const enum parameter AUTHS[] = { PARAM_auth_backends, PARAM_auth_certificate_maps };

	for (size_t i = 0; i < sizeof(AUTHS) / sizeof(AUTHS[0]); i++) {
		struct slice rest = slice_from(config_text(daemon->config, AUTHS[i])), named;

		while (next_spec(&rest, type, &named))
			if (slice_equal(named, spec))
				return SERVICE_AUTH;
	}
	return SERVICE_DIRECTORY;
}

static void add_source(struct proxymap *daemon, struct slice spec, enum service_id owner)
{
	struct sql_source *source = &daemon->sources[daemon->source_count];
	const char *folder = config_text(daemon->config, PARAM_config_directory);
	char error[600];

	if (source_of(daemon, spec) || daemon->source_count == TABLES_MOST)
		return;
	*source = (struct sql_source){ .daemon = daemon, .spec = slice_dup(spec), .owner = owner };
	while (source->spec && source->count < daemon->connections) {
		struct table *table =
			table_open(source->spec, folder, TABLE_FOLD, error, sizeof(error));

		if (!table)
			break;
		if (!sql_table_resolve(table, error, sizeof(error)) && !daemon->unresolved) {
			log_warning("%s", error);
			daemon->unresolved = true;
		}
		if (source->count == 0)
			reach_add(&daemon->reach, table);
		source->tables[source->count++] = table;
	}
	/* It may stand in a parameter that nobody reads; questions for it are answered with an error. */
	if (source->count == 0) {
		log_error("%s", error);
		free(source->spec);
		return;
	}
	daemon->source_count++;
}

/* All of the configuration, whichever parameter or restriction they stand in. */
static void find_sources(struct proxymap *daemon, const char *type)
{
	struct slice rest = service_snapshot(daemon->service), spec;

	while (next_spec(&rest, type, &spec))
		add_source(daemon, spec, owner_of(daemon, type, spec));
}

static void check_tables(struct timer *timer)
{
	struct proxymap *daemon = timer->context;

	for (unsigned i = 0; i < daemon->source_count; i++)
		if (table_changed(daemon->sources[i].tables[0])) {
			log_info("table %s has changed -- restarting", daemon->sources[i].spec);
			service_end(daemon->service, EX_OK);
			return;
		}
	loop_timer_start(service_loop(daemon->service), timer, CHECK_TABLES);
}

/* Names are asked for before the process is confined: once more from the start. */
static void resolve_again(struct timer *timer)
{
	struct proxymap *daemon = timer->context;

	log_info("names of SQL servers are asked for again -- restarting");
	service_end(daemon->service, EX_OK);
}

static bool start_threads(struct proxymap *daemon)
{
	const struct threads_hooks hooks = { do_job, finish_job, daemon };

	for (unsigned i = 0; i < daemon->source_count; i++) {
		struct sql_source *source = &daemon->sources[i];

		source->threads = threads_open(service_loop(daemon->service), &hooks,
			(void *const *)source->tables, source->count);
		if (!source->threads) {
			log_error("cannot start a thread: %s", strerror(errno));
			return false;
		}
	}
	return true;
}

static const char *address_of(void *context, const char *name)
{
	const struct proxymap *daemon = context;
	const char *address = NULL;

	for (unsigned i = 0; i < daemon->source_count && !address; i++)
		address = sql_table_address(daemon->sources[i].tables[0], name);
	return address;
}

int main(int argc, char **argv)
{
	static const struct service_hooks hooks = { .peer = take_peer };
	static struct proxymap daemon;

	daemon.service = service_start("proxymap", argc, argv);
	daemon.config = config_open(service_snapshot(daemon.service));
	if (!daemon.config) {
		log_error("the configuration snapshot cannot be read");
		return EX_SOFTWARE;
	}
	askers_open(&daemon.askers, PEERS_MOST, sizeof(struct proxy_peer), receive);
	daemon.places.limit = JOBS_MOST;
	daemon.connections = (unsigned)config_int(daemon.config, PARAM_sql_connections);
	daemon.patience = config_time(daemon.config, PARAM_sql_timeout);
	sql_tables_timeout((unsigned)(daemon.patience / 1000));
	reach_begin(&daemon.reach);
	find_sources(&daemon, "mysql:");
	find_sources(&daemon, "pgsql:");
	names_known(address_of, &daemon);
	service_enter(daemon.service, &daemon.reach.cell);
	if (!start_threads(&daemon))
		return EX_OSERR;
	daemon.check = (struct timer){ .fire = check_tables, .context = &daemon };
	daemon.resolve = (struct timer){ .fire = resolve_again, .context = &daemon };
	loop_timer_start(service_loop(daemon.service), &daemon.check, CHECK_TABLES);
	if (daemon.unresolved)
		loop_timer_start(service_loop(daemon.service), &daemon.resolve, RESOLVE_AGAIN);
	return service_run(daemon.service, &hooks, &daemon);
}
