// SPDX-License-Identifier: ISC
/*
 * Generations: one reading of the configuration, checked as a whole, with the processes that live by it. How one takes the place of
 * another is in switch.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/tls_set.h"
#include "config/tls_settings.h"
#include "master/master.h"
#include "os/os.h"
#include "sandbox/landlock.h"
#include "service/log.h"
#include "service/mechanisms.h"
#include "smtpd/restriction_names.h"

static bool fault(struct config_report *report, const struct service_entry *entry, const char *text)
{
	struct config_fault *f;

	report->errors++;
	if (report->count >= sizeof(report->faults) / sizeof(report->faults[0]))
		return false;
	f = &report->faults[report->count++];
	*f = (struct config_fault){ .line = entry->line };
	snprintf(f->file, sizeof(f->file), "master.cf");
	snprintf(f->parameter, sizeof(f->parameter), "%s", entry->name);
	snprintf(f->text, sizeof(f->text), "%s", text);
	return false;
}

void report_faults(const struct config_report *report, int fd)
{
	for (unsigned i = 0; i < report->count; i++) {
		bool warning = report->faults[i].warning;
		char text[900], line[1000];
		int length;

		config_fault_text(&report->faults[i], text, sizeof(text));
		length = snprintf(
			line, sizeof(line), "%s: %s\n", warning ? "warning" : "error", text);
		if (warning)
			log_warning("%s", text);
		else
			log_error("%s", text);
		if (fd >= 0 && length > 0 && !os_write_all(fd, line, (size_t)length))
			log_warning("nobody hears of faults: %s", strerror(errno));
	}
}

/* A child can map it and nobody can change it any more. */
static int seal(struct slice data)
{
	int fd = memfd_create("configuration", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -1;
	if (!os_write_all(fd, data.data, data.length) ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) <
			0)
		os_close(&fd);
	return fd;
}

/* Parameters whose value is a list of tables, which sessions may ask for. */
static bool names_tables(const char *name)
{
	static const char *const NAMES[] = { "relay_clientcerts", "smtpd_sender_login_maps",
		"submission_limit_maps", "smtpd_discard_ehlo_keyword_address_maps" };

	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
		if (strcmp(name, NAMES[i]) == 0)
			return true;
	}
	return false;
}

/* Restrictions may stand in -o options of other entries; directoryd must open the tables they name. */
static bool add_overrides_of_all(struct generation *generation, struct config_source *own)
{
	struct buffer all = buffer_limited(CONFIG_VALUE_MAX);
	bool ok;

	for (unsigned i = 0; i < generation->services.count; i++) {
		const struct service_entry *entry = &generation->services.entries[i];

		for (unsigned j = 0; j < entry->override_count; j++) {
			const struct service_override *override = &entry->overrides[j];

			if (names_tables(override->name))
				buffer_printf(&all, "check_ccert_access %s, ", override->value);
			else if (strstr(override->value, "check_") ||
				 (strstr(override->name, "_restrictions") &&
					 strchr(override->value, '$')))
				buffer_printf(&all, "%s, ", override->value);
		}
	}
	ok = buffer_text(&all) &&
	     (!all.length || config_source_set(own, "override_restrictions", all.data));
	buffer_free(&all);
	return ok;
}

/* Who opens the tables of restrictions. */
static bool opens_tables(enum service_id id)
{
	return id == SERVICE_DIRECTORY || id == SERVICE_PROXYMAP;
}

/* What authd's entry says of its tables counts for who asks for them, too. */
static bool add_auth_tables(struct generation *generation, struct config_source *own)
{
	static const char *const NAMES[] = { "auth_backends", "auth_certificate_maps" };
	bool ok = true;

	for (unsigned i = 0; i < generation->services.count; i++) {
		const struct service_entry *entry = &generation->services.entries[i];

		if (service_id_of(slice_from(entry->command)) != SERVICE_AUTH)
			continue;
		for (unsigned j = 0; j < entry->override_count; j++)
			for (size_t k = 0; k < sizeof(NAMES) / sizeof(NAMES[0]); k++)
				if (strcmp(entry->overrides[j].name, NAMES[k]) == 0)
					ok = config_source_set(
						     own, NAMES[k], entry->overrides[j].value) &&
					     ok;
	}
	return ok;
}

static bool add_tls_sets(struct generation *generation, struct config_source *own)
{
	const char *sets = buffer_text(&generation->tls_sets);

	return sets && config_source_set(own, TLS_SETS_NAME, sets);
}

/* Whose snapshot holds what stands in the configurations of others. */
static bool needs_others(enum service_id id)
{
	return opens_tables(id) || id == SERVICE_KEYD || id == SERVICE_TLSD;
}

/* The configuration as an entry's -o options change it, read again so that the common one stays as it is. */
static bool entry_snapshot(struct generation *generation, const struct service_entry *entry,
	struct buffer *snapshot, struct config_report *report)
{
	struct config_source *own = config_read(generation->master->config_directory, report);
	enum service_id id = service_id_of(slice_from(entry->command));
	bool ok = own &&
		  config_source_set(own, "config_directory", generation->master->config_directory);

	for (unsigned i = 0; ok && i < entry->override_count; i++)
		ok = config_source_set(own, entry->overrides[i].name, entry->overrides[i].value);
	if (ok && opens_tables(id))
		ok = add_overrides_of_all(generation, own);
	if (ok && id == SERVICE_PROXYMAP)
		ok = add_auth_tables(generation, own);
	if (ok && (id == SERVICE_KEYD || id == SERVICE_TLSD))
		ok = add_tls_sets(generation, own);
	ok = ok && config_snapshot(own, snapshot, report);
	config_source_free(&own);
	return ok;
}

struct restriction_faults {
	struct config_report *report;
	const struct config_source *source; /* NULL: an entry's own configuration */
	const struct service_entry *entry;
};

static void restriction_fault(void *context, const char *parameter, const char *text)
{
	struct restriction_faults *faults = context;
	struct config_report *report = faults->report;
	struct config_fault *f;

	report->errors++;
	if (report->count >= sizeof(report->faults) / sizeof(report->faults[0]))
		return;
	f = &report->faults[report->count++];
	*f = (struct config_fault){ .line = faults->source ? 0 : faults->entry->line };
	if (faults->source)
		config_source_raw(faults->source, parameter, &f->line);
	snprintf(f->file, sizeof(f->file), "%s", faults->source ? "main.cf" : "master.cf");
	snprintf(f->parameter, sizeof(f->parameter), "%s", parameter);
	snprintf(f->text, sizeof(f->text), "%s", text);
}

static void tls_fault(void *context, const char *parameter, bool warning, const char *text)
{
	struct restriction_faults *faults = context;

	config_fault_add(
		faults->report, warning, "master.cf", faults->entry->line, parameter, "%s", text);
}

static bool tls_is_good(
	const struct config *view, const struct service_entry *entry, struct config_report *report)
{
	struct restriction_faults faults = { .report = report, .entry = entry };
	enum tls_server server = tls_server_of(entry->command);

	return server == TLS_SERVERS || tls_settings_check(view, server, tls_fault, &faults);
}

/* What authd would not start with, as far as it can be told without its files. */
static bool auth_is_good(
	const struct config *view, const struct entry *entry, struct config_report *report)
{
	struct slice word;
	char text[120];

	if (entry->id != SERVICE_AUTH ||
		!mechanisms_unknown(config_text(view, PARAM_auth_mechanisms), &word))
		return true;
	snprintf(text, sizeof(text), "auth_mechanisms: no such mechanism: %.*s",
		SLICE_ARG(slice_head(word, 40)));
	return fault(report, entry->config, text);
}

static bool entry_open(struct generation *generation, struct entry *entry, struct slice common,
	struct config_report *report)
{
	const struct service_entry *config = entry->config;
	struct buffer own = { 0 };
	struct slice snapshot = common;
	struct config *view;
	bool ok = false;

	entry->id = service_id_of(slice_from(config->command));
	entry->cell = cell_of(entry->id);
	if (!entry->cell)
		return fault(report, config, "there is no such daemon");
	if (config->override_count || needs_others(entry->id)) {
		if (!entry_snapshot(generation, config, &own, report))
			goto out;
		snapshot = buffer_slice(&own);
	}
	view = config_open(snapshot);
	if (view && config->override_count && entry->id == SERVICE_SMTPD &&
		!restrictions_check_config(view, restriction_fault,
			&(struct restriction_faults){ .report = report, .entry = config })) {
		config_free(&view);
		goto out;
	}
	if (view && (!tls_is_good(view, config, report) || !auth_is_good(view, entry, report))) {
		config_free(&view);
		goto out;
	}
	entry->snapshot = view ? seal(snapshot) : -1;
	if (view)
		snprintf(entry->log_name, sizeof(entry->log_name), "%s",
			config_text(view, PARAM_syslog_name));
	if (view && !slice_to_string(slice_from(config_text(view, PARAM_auth_saslauthd_path)),
			    entry->saslauthd, sizeof(entry->saslauthd))) {
		config_free(&view);
		fault(report, config, "auth_saslauthd_path is too long");
		goto out;
	}
	ok = entry->snapshot >= 0
		     ? generation->master->checking ||
			       listen_open(generation->master, entry, view, report)
		     : fault(report, config, "the configuration cannot be handed over");
	config_free(&view);
out:
	buffer_free(&own);
	return ok;
}

static void read_settings(struct generation *generation, const struct config *view)
{
	struct settings *settings = &generation->settings;
	const char *daemons = config_text(view, PARAM_daemon_directory);

	generation->restart_delay = config_time(view, PARAM_service_restart_delay);
	generation->stop_timeout = config_time(view, PARAM_service_stop_timeout);
	settings->key_interval = config_time(view, PARAM_tls_reload_interval);
	generation->drain_timeout = config_time(view, PARAM_service_drain_timeout);
	generation->start_timeout = config_time(view, PARAM_service_start_timeout);
	snprintf(settings->host, sizeof(settings->host), "%s", config_text(view, PARAM_myhostname));
	snprintf(settings->log_name, sizeof(settings->log_name), "%s",
		config_text(view, PARAM_syslog_name));
	snprintf(settings->log_file, sizeof(settings->log_file), "%s",
		config_text(view, PARAM_maillog_file));
	snprintf(settings->log_socket, sizeof(settings->log_socket), "%s",
		config_text(view, PARAM_syslog_socket));
	settings->log_facility = log_facility_of(config_text(view, PARAM_syslog_facility));
	snprintf(settings->instance, sizeof(settings->instance), "%s",
		config_text(view, PARAM_instance_directory));
	settings->log_json = strcmp(config_text(view, PARAM_log_format), "json") == 0;
	settings->best_effort = strcmp(config_text(view, PARAM_sandbox), "best-effort") == 0;
	snprintf(settings->daemons, sizeof(settings->daemons), "%s",
		*daemons ? daemons : generation->master->own_folder);
}

/* Master's lock, its sockets and everything that was accepted are in the former one. */
static bool stays_where_it_is(const struct generation *generation, struct config_report *report)
{
	if (!generation->master->current ||
		strcmp(generation->settings.instance, generation->master->settings.instance) == 0)
		return true;
	config_setting_fault(generation->source, "instance_directory", false,
		"it cannot change while the suite runs", report);
	return false;
}

/* The last step, since it may make the file. */
static bool open_log_file(struct generation *generation, struct config_report *report)
{
	const char *path = generation->settings.log_file;

	if (!*path || generation->master->checking)
		return true;
	generation->log_fd = landlock_open_log(path, 0640);
	if (generation->log_fd < 0)
		config_setting_fault(
			generation->source, "maillog_file", false, strerror(errno), report);
	return generation->log_fd >= 0;
}

/* Evaluate main.cf and read what concerns master itself. */
static bool evaluate(
	struct generation *generation, struct buffer *snapshot, struct config_report *report)
{
	struct config *view;

	if (!config_snapshot(generation->source, snapshot, report))
		return false;
	view = config_open(buffer_slice(snapshot));
	if (!view)
		return false;
	read_settings(generation, view);
	restrictions_check_config(view, restriction_fault,
		&(struct restriction_faults){ .report = report, .source = generation->source });
	config_free(&view);
	return report->errors == 0 && stays_where_it_is(generation, report);
}

static bool open_entries(struct generation *generation, struct config_report *report)
{
	struct buffer snapshot = { 0 };
	bool ok = evaluate(generation, &snapshot, report) &&
		  tls_sets_gather(
			  generation->source, &generation->services, &generation->tls_sets, report);

	for (unsigned i = 0; ok && i < generation->count; i++) {
		struct entry *entry = &generation->entries[i];

		entry->master = generation->master;
		entry->generation = generation;
		entry->config = &generation->services.entries[i];
		entry->processes = vector_of(sizeof(struct process *), 0);
		entry->snapshot = -1;
		ok = entry_open(generation, entry, buffer_slice(&snapshot), report);
	}
	buffer_free(&snapshot);
	return ok && report->errors == 0;
}

static struct generation *generation_read(struct master *master, struct config_report *report)
{
	struct generation *generation = calloc(1, sizeof(*generation));

	if (!generation)
		return NULL;
	generation->master = master;
	generation->log_fd = -1;
	generation->number = master->current ? master->current->number + 1 : 1;
	generation->source = config_read(master->config_directory, report);
	if (generation->source &&
		config_source_set(generation->source, "config_directory", master->config_directory))
		return generation;
	generation_free(generation);
	return NULL;
}

bool generation_settings(struct master *master, struct config_report *report)
{
	struct generation *generation = generation_read(master, report);
	struct buffer snapshot = { 0 };
	bool ok = generation && evaluate(generation, &snapshot, report);

	if (ok)
		master->settings = generation->settings;
	buffer_free(&snapshot);
	if (generation)
		generation_free(generation);
	return ok;
}

/* Up to here "postern check" has found them itself. */
static bool forget_warnings(const struct master *master, struct config_report *report)
{
	if (master->checking)
		report->count = 0;
	return true;
}

struct generation *generation_load(struct master *master, struct config_report *report)
{
	struct generation *generation = generation_read(master, report);

	if (!generation)
		return NULL;
	if (services_read(
		    master->config_directory, generation->source, &generation->services, report)) {
		generation->count = generation->services.count;
		generation->entries = calloc(generation->count + 1, sizeof(struct entry));
		if (generation->entries && open_entries(generation, report) &&
			forget_warnings(master, report) && generation_check(generation, report) &&
			open_log_file(generation, report))
			return generation;
	}
	generation_free(generation);
	return NULL;
}

void generation_free(struct generation *generation)
{
	loop_timer_stop(&generation->drain_limit);
	for (unsigned i = 0; generation->entries && i < generation->count; i++) {
		struct entry *entry = &generation->entries[i];

		if (!entry->config)
			continue;
		loop_timer_stop(&entry->restart);
		loop_timer_stop(&entry->wakeup);
		listen_release(entry);
		os_close(&entry->snapshot);
		vector_free(&entry->processes);
	}
	os_close(&generation->log_fd);
	free(generation->entries);
	buffer_free(&generation->tls_sets);
	services_free(&generation->services);
	config_source_free(&generation->source);
	free(generation);
}
