// SPDX-License-Identifier: ISC
/*
 * An instance as the commands see it. See instance.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/instance.h"
#include "config/tls_settings.h"
#include "smtpd/restriction_names.h"

const struct instance_folder INSTANCE_FOLDERS[] = {
	{ "", 0755, UID_KEEP },
	{ "etc", 0755, UID_KEEP },
	/* Others pass through to maildrop, and see nothing. */
	{ "queue", 0711, UID_QUEUE },
	{ "queue/incoming", 0700, UID_QUEUE },
	{ "queue/active", 0700, UID_QUEUE },
	{ "queue/deferred", 0700, UID_QUEUE },
	{ "queue/hold", 0700, UID_QUEUE },
	{ "queue/corrupt", 0700, UID_QUEUE },
	{ "queue/maildrop", 01733, UID_QUEUE },
	{ "mail", 0700, UID_VMAIL },
	{ "data", 0711, UID_KEEP },
	{ "data/directory", 0700, UID_DIRECTORY },
	{ "data/auth", 0700, UID_AUTH },
	{ "run", 0755, UID_KEEP },
	{ "run/public", 0755, UID_KEEP },
	{ "log", 0755, UID_KEEP },
};
const unsigned INSTANCE_FOLDER_COUNT = sizeof(INSTANCE_FOLDERS) / sizeof(INSTANCE_FOLDERS[0]);

void instance_folder_path(
	const struct config *config, const char *folder, char path[INSTANCE_PATH_SIZE])
{
	static const struct {
		const char *folder;
		enum parameter parameter;
	} PLACES[] = {
		{ "etc", PARAM_config_directory },
		{ "queue", PARAM_queue_directory },
		{ "mail", PARAM_mail_directory },
		{ "data", PARAM_data_directory },
	};

	for (size_t i = 0; i < sizeof(PLACES) / sizeof(*PLACES); i++) {
		size_t length = strlen(PLACES[i].folder);

		if (strncmp(folder, PLACES[i].folder, length) == 0 &&
			(folder[length] == '/' || !folder[length])) {
			snprintf(path, INSTANCE_PATH_SIZE, "%s%s",
				config_text(config, PLACES[i].parameter), folder + length);
			return;
		}
	}
	snprintf(path, INSTANCE_PATH_SIZE, "%s%s%s", config_text(config, PARAM_instance_directory),
		*folder ? "/" : "", folder);
}

struct restriction_check {
	const struct config_source *source;
	struct config_report *report;
};

static void restriction_fault(void *context, const char *parameter, const char *text)
{
	struct restriction_check *check = context;

	config_setting_fault(check->source, parameter, false, text, check->report);
}

/* What smtpd makes of the restriction lists. */
static void check_restrictions(const struct config_source *source, const struct config *config,
	struct config_report *report)
{
	struct restriction_check check = { source, report };

	(void)!restrictions_check_config(config, restriction_fault, &check);
}

static void tls_fault(void *context, const char *parameter, bool warning, const char *text)
{
	struct restriction_check *check = context;

	config_setting_fault(check->source, parameter, warning, text, check->report);
}

/* What the servers make of their TLS parameters. */
static void check_tls(const struct config_source *source, const struct config *config,
	const struct service_entry *entry, struct config_report *report)
{
	struct restriction_check check = { source, report };
	enum tls_server server = tls_server_of(entry->command);

	if (server != TLS_SERVERS)
		(void)!tls_settings_check(config, server, tls_fault, &check);
}

/* With the overrides of an entry; that they evaluate is known. */
static void check_entry(const struct instance *instance, const struct service_entry *entry,
	struct config_report *report)
{
	struct config_source *source =
		services_source(instance->source, &instance->services, entry);
	struct buffer snapshot = { 0 };
	struct config *config = NULL;

	if (source && config_snapshot(source, &snapshot, report))
		config = config_open(buffer_slice(&snapshot));
	if (config) {
		check_restrictions(source, config, report);
		check_tls(source, config, entry, report);
	}
	config_free(&config);
	buffer_free(&snapshot);
	config_source_free(&source);
}

static bool evaluate(struct instance *instance, struct config_report *report)
{
	if (!config_snapshot(instance->source, &instance->snapshot, report))
		return false;
	instance->config = config_open(buffer_slice(&instance->snapshot));
	if (!instance->config)
		return false;
	instance->root = config_text(instance->config, PARAM_instance_directory);
	check_restrictions(instance->source, instance->config, report);
	for (unsigned i = 0; i < instance->services.count && !report->errors; i++) {
		const struct service_entry *entry = &instance->services.entries[i];

		if (entry->override_count)
			check_entry(instance, entry, report);
		else
			check_tls(instance->source, instance->config, entry, report);
	}
	return report->errors == 0;
}

bool instance_open(const char *command, bool warnings, struct instance *instance)
{
	static struct config_report report;
	bool good;

	memset(instance, 0, sizeof(*instance));
	memset(&report, 0, sizeof(report));
	instance->source = services_load(cli_folder(NULL), &instance->services, &report);
	good = instance->source && evaluate(instance, &report);
	if (good && warnings)
		instance_needs(instance, &report);
	good = good && report.errors == 0;
	config_report_print(&report, command, warnings, stderr);
	if (!good)
		instance_close(instance);
	return good;
}

void instance_close(struct instance *instance)
{
	config_free(&instance->config);
	buffer_free(&instance->snapshot);
	services_free(&instance->services);
	config_source_free(&instance->source);
}

/* The configuration stands in ROOT/etc and ROOT has run the suite before. */
static bool find_beside(const char *folder, char root[PATH_MAX])
{
	char path[PATH_MAX + 32];
	char *slash;

	if (!realpath(folder, root))
		return false;
	slash = strrchr(root, '/');
	if (!slash || slash == root)
		return false;
	*slash = 0;
	snprintf(path, sizeof(path), "%s/run/master.pid", root);
	return access(path, F_OK) == 0;
}

bool instance_find(const char *command, char root[PATH_MAX])
{
	static struct config_report report;
	const char *folder = cli_folder(NULL);
	struct config_source *source;
	struct buffer value = { 0 };
	char error[300] = "";
	bool good;

	memset(&report, 0, sizeof(report));
	source = config_read(folder, &report);
	good = source && config_value(source, "instance_directory", &value, error, sizeof(error)) &&
	       slice_to_string(buffer_slice(&value), root, PATH_MAX);
	buffer_free(&value);
	config_source_free(&source);
	if (good || find_beside(folder, root))
		return true;
	config_report_print(&report, command, false, stderr);
	if (error[0])
		cli_complain(command, "instance_directory: %s", error);
	return false;
}

pid_t instance_master(const char *root)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[PATH_MAX + 32];
	int fd;
	bool good;

	snprintf(path, sizeof(path), "%s/run/master.pid", root);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	good = fcntl(fd, F_GETLK, &lock) == 0;
	close(fd);
	if (!good)
		return -1;
	return lock.l_type == F_UNLCK ? 0 : lock.l_pid;
}

/* Where this program is: with the daemons beside it (a build), or with a libexec folder (an installation, wherever it was put). */
static bool daemons_near(char folder[PATH_MAX])
{
	static const char *const PLACES[] = { "", "/../libexec/postern" };
	char own[PATH_MAX], path[PATH_MAX + 40];
	ssize_t length = readlink("/proc/self/exe", own, sizeof(own) - 1);
	char *slash;

	if (length <= 0)
		return false;
	own[length] = 0;
	slash = strrchr(own, '/');
	if (!slash)
		return false;
	*slash = 0;
	for (size_t i = 0; i < sizeof(PLACES) / sizeof(*PLACES); i++) {
		snprintf(path, sizeof(path), "%s%s/master", own, PLACES[i]);
		if (access(path, X_OK) == 0 &&
			snprintf(folder, PATH_MAX, "%s%s", own, PLACES[i]) < PATH_MAX)
			return true;
	}
	return false;
}

void instance_daemons(const struct config *config, char folder[PATH_MAX])
{
	const char *set = config_text(config, PARAM_daemon_directory);

	if (*set || !daemons_near(folder))
		snprintf(folder, PATH_MAX, "%s", *set ? set : POSTERN_LIBEXECDIR);
}
