// SPDX-License-Identifier: ISC
/*
 * postern check - reads and evaluates the whole configuration, has the daemons look at what they would open, looks at folders,
 * owners and modes, and tells everything it finds; changes nothing. Exit status 0 when there is no error (warnings do not count).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/instance.h"
#include "config/place.h"

struct check {
	const struct instance *instance;
	unsigned errors;
};

static void tell(struct check *check, bool error, const char *format, ...) PRINTF_LIKE(3, 4);
static void tell(struct check *check, bool error, const char *format, ...)
{
	va_list args;

	check->errors += error;
	fputs(error ? "check: error: " : "check: warning: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

/* Owner and mode of something that is there. */
static void check_owner(struct check *check, const char *path, const struct stat *info, mode_t mode,
	enum cell_uid class)
{
	uid_t uid;
	gid_t gid;

	if (!instance_owner(class, &uid, &gid)) {
		tell(check, true, "there is no user %s; \"postern init\" makes it",
			cell_uid_name(class));
		return;
	}
	if (info->st_uid != uid)
		tell(check, true, "%s: belongs to uid %u, not to %u", path, (unsigned)info->st_uid,
			(unsigned)uid);
	if ((info->st_mode & 07777) != mode)
		tell(check, (info->st_mode & 022 & ~mode) != 0, "%s: has mode %04o, not %04o", path,
			(unsigned)info->st_mode & 07777, (unsigned)mode);
}

static void check_folders(struct check *check)
{
	char path[INSTANCE_PATH_SIZE];
	struct stat info;

	for (unsigned i = 0; i < INSTANCE_FOLDER_COUNT; i++) {
		const struct instance_folder *folder = &INSTANCE_FOLDERS[i];

		instance_folder_path(check->instance->config, folder->path, path);
		if (lstat(path, &info) < 0)
			tell(check, true, "%s: %s", path, strerror(errno));
		else if (!S_ISDIR(info.st_mode))
			tell(check, true, "%s: is not a folder", path);
		else
			check_owner(check, path, &info, folder->mode, folder->uid);
	}
}

/* Who can write the configuration rules the system. */
static void check_configuration(struct check *check)
{
	static const char *const FILES[] = { "main.cf", "master.cf" };
	const char *folder = config_text(check->instance->config, PARAM_config_directory);
	char path[PATH_MAX];
	struct stat info;

	for (size_t i = 0; i < sizeof(FILES) / sizeof(FILES[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, FILES[i]);
		if (stat(path, &info) < 0)
			tell(check, true, "%s: %s", path, strerror(errno));
		else if (info.st_uid != 0 && info.st_uid != geteuid())
			tell(check, true, "%s: belongs to uid %u", path, (unsigned)info.st_uid);
		else if (info.st_mode & 022)
			tell(check, true, "%s: others than its owner may write it", path);
	}
}

static void check_database(struct check *check, const char *name, enum cell_uid class)
{
	char path[PATH_MAX];
	struct stat info;

	snprintf(path, sizeof(path), "%s/%s",
		config_text(check->instance->config, PARAM_data_directory), name);
	if (stat(path, &info) == 0)
		check_owner(check, path, &info, 0600, class);
	else if (errno == ENOENT)
		tell(check, false, "%s: is not there; \"postern init\" makes it", path);
	else
		tell(check, errno != EACCES, "%s: %s", path, strerror(errno));
}

/* In a chroot there is nothing but the instance: what main.cf puts elsewhere cannot be reached from there. */
static void check_reach(struct check *check, const struct service_entry *entry)
{
	const struct cell *cell = cell_of(service_id_of(slice_from(entry->command)));
	size_t root = strlen(check->instance->root);

	for (size_t i = 0; i < CONFIG_PLACE_COUNT; i++) {
		const char *path = config_text(check->instance->config, CONFIG_PLACES[i].parameter);
		bool uses = false;

		for (int k = 0; cell && k < CELL_MAX_FILES && cell->files[k].path; k++)
			uses |= cell->files[k].base == CONFIG_PLACES[i].base;
		if (uses && (strncmp(path, check->instance->root, root) != 0 || path[root] != '/'))
			tell(check, true,
				"%s:%u: %s: %s is not below instance_directory, so the entry needs "
				"chroot = n",
				check->instance->services.file, entry->line, entry->name,
				parameter_info(CONFIG_PLACES[i].parameter)->name);
	}
}

/* The program of every service, and that two do not want the same port. */
static void check_services(struct check *check)
{
	const struct services *services = &check->instance->services;
	unsigned base = (unsigned)config_int(check->instance->config, PARAM_port_base);
	char folder[PATH_MAX], path[PATH_MAX + 300];

	instance_daemons(check->instance->config, folder);
	for (unsigned i = 0; i < services->count; i++) {
		const struct service_entry *entry = &services->entries[i];

		snprintf(path, sizeof(path), "%s/%s", folder, entry->command);
		if (!cell_of(service_id_of(slice_from(entry->command))))
			tell(check, true, "%s:%u: %s: there is no such daemon: %s", services->file,
				entry->line, entry->name, entry->command);
		else if (access(path, X_OK) < 0)
			tell(check, true, "%s:%u: %s: %s: %s", services->file, entry->line,
				entry->name, path, strerror(errno));
		if (entry->chroot && geteuid() == 0)
			check_reach(check, entry);
		if (entry->type == SERVICE_INET && !services_port(entry->name, base))
			tell(check, true, "%s:%u: %s: with port_base it is above 65535",
				services->file, entry->line, entry->name);
		for (unsigned j = 0; j < i; j++)
			if (entry->type == SERVICE_INET &&
				services->entries[j].type == SERVICE_INET &&
				services_port(entry->name, base) ==
					services_port(services->entries[j].name, base) &&
				!strchr(entry->name, ':') &&
				!strchr(services->entries[j].name, ':'))
				tell(check, true, "%s:%u: %s: line %u has the same port",
					services->file, entry->line, entry->name,
					services->entries[j].line);
	}
}

/* --- the introspection command --- */

/* Who can change it, or put another in its place, hears tokens and says who logs in. */
static void check_writable(struct check *check, const char *path, const struct stat *info)
{
	bool sticky = S_ISDIR(info->st_mode) && (info->st_mode & S_ISVTX);

	if (info->st_uid != 0 && info->st_uid != geteuid())
		tell(check, true, "auth_oauth_introspection_command: %s: belongs to uid %u", path,
			(unsigned)info->st_uid);
	else if ((info->st_mode & 022) && !sticky)
		tell(check, true,
			"auth_oauth_introspection_command: %s: others than its owner may write it",
			path);
}

static void check_command_file(struct check *check, const char *path)
{
	static const char NAME[] = "auth_oauth_introspection_command";
	char folder[PATH_MAX];
	struct stat info;

	if (path[0] != '/' || strlen(path) >= sizeof(folder)) {
		tell(check, true, "%s: %s: not an absolute path", NAME, path);
		return;
	}
	if (stat(path, &info) < 0) {
		tell(check, true, "%s: %s: %s", NAME, path, strerror(errno));
		return;
	}
	/* It runs as a user of its own, who is in no group. */
	if (!S_ISREG(info.st_mode))
		tell(check, true, "%s: %s: is not a file", NAME, path);
	else if (!(info.st_mode & (geteuid() == 0 ? 0001 : 0111)))
		tell(check, true, "%s: %s: %s cannot run it", NAME, path,
			geteuid() == 0 ? cell_uid_name(UID_INTROSPECT) : "nobody");
	check_writable(check, path, &info);
	snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(path, '/') - path), path);
	if (stat(folder[0] ? folder : "/", &info) == 0)
		check_writable(check, folder[0] ? folder : "/", &info);
}

static void check_introspection(struct check *check)
{
	const struct instance *instance = check->instance;
	struct slice rest = slice_from(
			     config_text(instance->config, PARAM_auth_oauth_introspection_command)),
		     word;
	char path[PATH_MAX];
	bool runs = false;

	if (!slice_word(&rest, " \t", &word))
		return;
	for (unsigned i = 0; i < instance->services.count; i++)
		runs |= strcmp(instance->services.entries[i].command,
				service_id_name(SERVICE_INTROSPECT)) == 0;
	if (!runs)
		tell(check, true,
			"%s: auth_oauth_introspection_command needs an entry for introspect",
			instance->services.file);
	if (slice_to_string(word, path, sizeof(path)))
		check_command_file(check, path);
	else
		tell(check, true, "auth_oauth_introspection_command: the path is too long");
}

/* --- what a reload would find --- */

/* Lines "error: ..." and "warning: ...". */
static void tell_lines(struct check *check, FILE *said)
{
	char line[1200];

	while (fgets(line, sizeof(line), said)) {
		struct slice text = slice_trim(slice_from(line));
		bool error = !slice_starts(text, SLICE("warning: "));

		text = slice_tail(text, error ? strlen("error: ") : strlen("warning: "));
		tell(check, error, "%.*s", SLICE_ARG(text));
	}
}

static _Noreturn void run_master(const char *path, const char *folder, int out)
{
	char *arguments[] = { "master", "-c", (char *)folder, "--check", NULL }, *none[] = { NULL };

	if (dup2(out, STDOUT_FILENO) >= 0)
		execve(path, arguments, none);
	fprintf(stderr, "check: error: %s: %s\n", path, strerror(errno));
	_exit(EX_OSFILE);
}

/* Master has the daemons look at what they would open and parse: keys, tables, back ends, ciphers. */
static void check_by_master(struct check *check)
{
	const struct config *config = check->instance->config;
	char folder[PATH_MAX], path[PATH_MAX + 16];
	int ends[2] = { -1, -1 }, status = -1;
	unsigned before = check->errors;
	FILE *said;
	pid_t pid;

	instance_daemons(config, folder);
	snprintf(path, sizeof(path), "%s/master", folder);
	pid = pipe2(ends, O_CLOEXEC) == 0 ? fork() : -1;
	if (pid == 0)
		run_master(path, config_text(config, PARAM_config_directory), ends[1]);
	if (ends[1] >= 0)
		close(ends[1]);
	said = ends[0] >= 0 ? fdopen(ends[0], "r") : NULL;
	if (said) {
		tell_lines(check, said);
		fclose(said);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (check->errors == before && !(WIFEXITED(status) && WEXITSTATUS(status) == 0))
		tell(check, true, "%s --check could not look at it", path);
}

int check_main(int argc, char **argv)
{
	struct instance instance;
	struct check check = { &instance, 0 };
	unsigned errors;

	if (argc > 1) {
		printf("usage: postern [-c FOLDER] check\n"
		       "Tell everything that is wrong with the configuration and the instance's "
		       "folders; change nothing.\n");
		return strcmp(argv[1], "--help") == 0 ? EX_OK : EX_USAGE;
	}
	if (!instance_open("check", true, &instance))
		return EX_CONFIG;
	check_configuration(&check);
	errors = check.errors;
	check_services(&check);
	/* What an entry lacks would be told twice. */
	if (check.errors == errors)
		check_by_master(&check);
	check_folders(&check);
	check_introspection(&check);
	check_database(&check, "directory/accounts.db", UID_DIRECTORY);
	check_database(&check, "auth/credentials.db", UID_AUTH);
	instance_close(&instance);
	if (check.errors) {
		cli_complain("check", "%u error%s", check.errors, check.errors == 1 ? "" : "s");
		return EX_CONFIG;
	}
	puts("check: no errors");
	return EX_OK;
}
