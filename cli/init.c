// SPDX-License-Identifier: ISC
/*
 * postern init DIR - makes an instance: folders, configuration, system users (as root), databases, a domain and its first
 * mailboxes. What is there already stays as it is, so it may be run again.
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <spawn.h>
#include <stdlib.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "auth/credentials.h"
#include "cli/instance.h"
#include "queue/queue.h"
#include "directory/accounts.h"
#include "os/os.h"

enum { USERS_MAX = 100, PORT_BASE_ROOTLESS = 10000 };

struct init {
	char root[PATH_MAX];
	char domain[256];
	const char *hostname;
	const char *users[USERS_MAX]; /* NAME:PASSWORD or NAME@DOMAIN:PASSWORD */
	int user_count;
	unsigned port_base;
};

static const char USAGE[] = "usage: postern init DIR --domain DOMAIN [--user NAME:PASSWORD ...] "
			    "[--port-base N] [--hostname NAME]\n"
			    "Make an instance of the mail system in DIR: folders, configuration, "
			    "databases, the domain and its mailboxes. As root,\n"
			    "the system users postern-net, postern-queue and so on are made too. "
			    "What is there already stays as it is.\n"
			    "N is added to every standard port; the default is 0 for root, and "
			    "10000 for others (SMTP on port 10025).\n";

static bool fail(const char *what)
{
	cli_complain("init", "%s: %s", what, strerror(errno));
	return false;
}

/* --- system users --- */

/* Those that have something to run in this version. */
static const enum cell_uid CLASSES[] = { UID_NET, UID_QUEUE, UID_DIRECTORY, UID_AUTH, UID_VMAIL };

static bool run_useradd(const char *name)
{
	char *arguments[] = { "useradd", "--system", "--user-group", "--no-create-home",
		"--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", (char *)name, NULL };
	char *environment[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	int status;
	pid_t pid;

	errno = posix_spawn(&pid, "/usr/sbin/useradd", NULL, NULL, arguments, environment);
	if (errno)
		return fail("/usr/sbin/useradd");
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return fail("useradd");
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		cli_complain("init", "useradd %s failed", name);
		return false;
	}
	printf("made the system user %s\n", name);
	return true;
}

static bool make_system_users(void)
{
	for (size_t i = 0; geteuid() == 0 && i < sizeof(CLASSES) / sizeof(CLASSES[0]); i++)
		if (!getpwnam(cell_uid_name(CLASSES[i])) && !run_useradd(cell_uid_name(CLASSES[i])))
			return false;
	return true;
}

/* --- folders --- */

/* With those above it. */
static bool make_path(const char *path)
{
	char part[PATH_MAX];

	snprintf(part, sizeof(part), "%s", path);
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		if (!os_mkdirat(AT_FDCWD, part, 0755) && errno != EEXIST)
			return fail(part);
		*slash = '/';
	}
	return true;
}

/* An existing one gets owner and mode back; its contents are not touched. */
/*
 * What is made below these is put in different parts of the disk where the file system knows how (ext4's "top of hierarchy"). The
 * queue makes and removes files all the time, and ext4 looks past every inode that was lately removed near a folder when it
 * makes a file there: mailboxes beside the queue would pay for that with each delivery.
 */
static void spread(int fd, const char *path)
{
	static const char *const TOPS[] = { "", "queue", "queue/nursery", "mail" };
	int flags;

	for (size_t i = 0; i < sizeof(TOPS) / sizeof(TOPS[0]); i++) {
		if (strcmp(path, TOPS[i]) == 0 && ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0) {
			flags |= FS_TOPDIR_FL;
			/* Only speed is lost where this is not known. */
			if (ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0)
				errno = 0;
		}
	}
}

static bool make_folder(const char *root, const struct instance_folder *folder)
{
	char path[PATH_MAX + 64];
	uid_t uid;
	gid_t gid;
	int fd;
	bool good;

	snprintf(path, sizeof(path), "%s%s%s", root, *folder->path ? "/" : "", folder->path);
	if (!instance_owner(folder->uid, &uid, &gid)) {
		cli_complain("init", "there is no user %s", cell_uid_name(folder->uid));
		return false;
	}
	if (!os_mkdirat(AT_FDCWD, path, 0700) && errno != EEXIST)
		return fail(path);
	fd = os_open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd < 0)
		return fail(path);
	spread(fd, folder->path);
	good = fchown(fd, uid, gid) == 0 && fchmod(fd, folder->mode) == 0;
	if (!good)
		fail(path);
	os_close(&fd);
	return good;
}

static bool make_folders(struct init *init)
{
	char real[PATH_MAX];

	if (!make_path(init->root))
		return false;
	for (unsigned i = 0; i < INSTANCE_FOLDER_COUNT; i++)
		if (!make_folder(init->root, &INSTANCE_FOLDERS[i]))
			return false;
	for (unsigned i = 0; i < QUEUE_NURSERIES; i++) {
		char path[32];
		struct instance_folder nursery = { path, 0700, UID_QUEUE };

		snprintf(path, sizeof(path), "queue/nursery/%x", i);
		if (!make_folder(init->root, &nursery))
			return false;
	}
	if (!realpath(init->root, real))
		return fail(init->root);
	memcpy(init->root, real, sizeof(real));
	return true;
}

/* --- configuration --- */

/* Writes a file that must not be there; one that is there is said to be. */
static bool write_new(const char *path, struct slice text)
{
	int fd = os_open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
	bool good;

	if (fd < 0 && errno == EEXIST) {
		printf("%s is there already, and stays\n", path);
		return true;
	}
	if (fd < 0)
		return fail(path);
	good = fchmod(fd, 0644) == 0 && os_write_all(fd, text.data, text.length) && os_fsync(fd);
	if (!good) {
		fail(path);
		unlink(path);
	}
	os_close(&fd);
	return good;
}

static bool write_main_cf(const struct init *init, const char *path)
{
	struct buffer text = { 0 }, hostname = { 0 };
	char base[16];
	struct config_edit_item items[] = { { "instance_directory", init->root, 0 },
		{ "port_base", base, 0 }, { "myhostname", NULL, 0 },
		{ "mydomain", init->domain, 0 }, { "myorigin", "$mydomain", 0 } };
	bool good;

	snprintf(base, sizeof(base), "%u", init->port_base);
	if (init->hostname)
		buffer_add_text(&hostname, init->hostname);
	else
		buffer_printf(&hostname, "mail.%s", init->domain);
	items[2].value = buffer_text(&hostname);
	good = items[2].value &&
	       config_edit_settings(conf_main_cf(), CONFIG_SET, items,
		       sizeof(items) / sizeof(items[0]), &text) &&
	       write_new(path, buffer_slice(&text));
	buffer_free(&text);
	buffer_free(&hostname);
	return good;
}

static bool write_configuration(const struct init *init)
{
	char path[PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s/etc/main.cf", init->root);
	if (!write_main_cf(init, path))
		return false;
	snprintf(path, sizeof(path), "%s/etc/master.cf", init->root);
	return write_new(path, conf_master_cf());
}

/* --- accounts --- */

static bool refuse(const char *what, const char *error)
{
	cli_complain("init", "%s: %s", what, error);
	return false;
}

static bool add_domain(struct accounts *accounts, const char *text)
{
	char domain[ACCOUNTS_MAX_DOMAIN + 1], error[300];
	enum accounts_status status;

	if (!accounts_check_domain(text, domain, error, sizeof(error)))
		return refuse(text, error);
	status = accounts_domain(accounts, slice_from(domain));
	if (status == ACCOUNTS_FOUND) {
		printf("domain %s is there already\n", domain);
		return true;
	}
	if (status != ACCOUNTS_NOT_FOUND)
		return refuse(domain, accounts_error(accounts));
	if (!accounts_add_domain(accounts, domain, error, sizeof(error)))
		return refuse(domain, error);
	printf("added domain %s\n", domain);
	return true;
}

/* The default of password_hash_cost: an instance that is being made has no other. */
static int hash_cost(void)
{
	const struct parameter_info *info = parameter_info(PARAM_password_hash_cost);
	char error[100];
	int64_t cost;

	return parameter_parse(info, slice_from(info->value), &cost, error, sizeof(error))
		       ? (int)cost
		       : 5;
}

/* The mailbox; a password is set only where there is none yet. */
static bool add_mailbox(struct accounts *accounts, struct credentials *credentials,
	const char *address, struct slice password)
{
	char error[300];
	struct accounts_mailbox mailbox;
	enum accounts_status status = accounts_mailbox(accounts, slice_from(address), &mailbox);
	enum credentials_status login = credentials_exists(credentials, address);

	if (status == ACCOUNTS_ERROR)
		return refuse(address, accounts_error(accounts));
	if (login == CREDENTIALS_ERROR)
		return refuse(address, "the credentials cannot be read");
	if (status == ACCOUNTS_FOUND && login == CREDENTIALS_GOOD) {
		printf("mailbox %s is there already, and keeps its password\n", address);
		return true;
	}
	if (status == ACCOUNTS_NOT_FOUND &&
		!accounts_add_mailbox(accounts, address, 0, error, sizeof(error)))
		return refuse(address, error);
	if (login == CREDENTIALS_BAD &&
		!credentials_set(credentials, address, password, hash_cost(), error, sizeof(error)))
		return refuse(address, error);
	printf("added mailbox %s\n", address);
	return true;
}

static bool add_user(const struct init *init, struct accounts *accounts,
	struct credentials *credentials, const char *text)
{
	const char *colon = strchr(text, ':');
	char address[ACCOUNTS_MAX_ADDRESS + 1], error[300];
	struct buffer whole = { 0 };
	bool good;

	buffer_append(&whole, text, (size_t)(colon - text));
	if (slice_find(buffer_slice(&whole), '@') < 0)
		buffer_printf(&whole, "@%s", init->domain);
	if (!buffer_text(&whole))
		return refuse("user", "out of memory");
	good = accounts_check_address(whole.data, false, address, error, sizeof(error)) ||
	       refuse(whole.data, error);
	buffer_free(&whole);
	return good && add_mailbox(accounts, credentials, address, slice_from(colon + 1));
}

static bool fill_accounts(const struct init *init)
{
	struct accounts *accounts = NULL;
	struct credentials *credentials = NULL;
	char path[PATH_MAX + 64], error[300];
	bool good;

	snprintf(path, sizeof(path), "%s/data/directory/accounts.db", init->root);
	good = accounts_open(path, true, &accounts, error, sizeof(error)) || refuse(path, error);
	snprintf(path, sizeof(path), "%s/data/auth/credentials.db", init->root);
	good = good && (credentials_open(path, true, &credentials, error, sizeof(error)) ||
			       refuse(path, error));
	good = good && add_domain(accounts, init->domain);
	for (int i = 0; good && i < init->user_count; i++)
		good = add_user(init, accounts, credentials, init->users[i]);
	if (credentials)
		credentials_close(&credentials);
	if (accounts)
		accounts_close(&accounts);
	return good;
}

/* --- arguments --- */

static bool take_option(struct init *init, const char *name, const char *value)
{
	uint64_t number;

	if (strcmp(name, "--domain") == 0) {
		if (init->domain[0] || strlen(value) >= sizeof(init->domain))
			return false;
		for (size_t i = 0; value[i]; i++)
			init->domain[i] = ascii_lower(value[i]);
		return true;
	}
	if (strcmp(name, "--hostname") == 0) {
		init->hostname = value;
		return true;
	}
	if (strcmp(name, "--port-base") == 0) {
		if (!slice_to_u64(slice_from(value), 60000, &number))
			return false;
		init->port_base = (unsigned)number;
		return true;
	}
	if (strcmp(name, "--user") != 0 || init->user_count >= USERS_MAX || !strchr(value, ':') ||
		value[0] == ':' || !strchr(value, ':')[1])
		return false;
	init->users[init->user_count++] = value;
	return true;
}

/* A name that goes into main.cf: nothing there may have a meaning. */
static bool is_plain(const char *name)
{
	for (const char *c = name; *c; c++)
		if (!ascii_alnum(*c) && !strchr(".-", *c))
			return false;
	return *name != 0;
}

static bool parse(struct init *init, int argc, char **argv)
{
	const char *folder = NULL;

	for (int i = 1; i < argc; i++) {
		if (argv[i][0] != '-' && !folder) {
			folder = argv[i];
		} else if (i + 1 >= argc || !take_option(init, argv[i], argv[i + 1])) {
			cli_complain("init", "bad argument: %s",
				strcmp(argv[i], "--user") ? argv[i] : "--user wants NAME:PASSWORD");
			return false;
		} else {
			i++;
		}
	}
	if (!folder || !init->domain[0]) {
		cli_complain("init", folder ? "--domain is missing" : "the folder is missing");
		return false;
	}
	if (!is_plain(init->domain) || (init->hostname && !is_plain(init->hostname))) {
		cli_complain("init", "a domain has letters, digits, \"-\" and \".\" only");
		return false;
	}
	if (strpbrk(folder, "$\n\r") || strlen(folder) > PATH_MAX / 2) {
		cli_complain("init", "the folder's name cannot stand in main.cf");
		return false;
	}
	snprintf(init->root, sizeof(init->root), "%s", folder);
	return true;
}

int init_main(int argc, char **argv)
{
	struct init init = { .port_base = geteuid() == 0 ? 0 : PORT_BASE_ROOTLESS };

	if (argc > 1 && strcmp(argv[1], "--help") == 0) {
		fputs(USAGE, stdout);
		return EX_OK;
	}
	if (!parse(&init, argc, argv)) {
		fputs(USAGE, stderr);
		return EX_USAGE;
	}
	umask(022);
	if (!make_system_users() || !make_folders(&init) || !write_configuration(&init) ||
		!fill_accounts(&init))
		return EX_CANTCREAT;
	printf("the instance is in %s; start it with: postern -c %s/etc start\n", init.root,
		init.root);
	return EX_OK;
}
