// SPDX-License-Identifier: ISC
/*
 * postern init DIR - makes an instance: folders, configuration, system users (as root), databases, a domain and its first
 * mailboxes. What is there already stays as it is, so it may be run again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/credentials.h"
#include "cli/init.h"
#include "directory/accounts.h"
#include "os/os.h"

enum { USERS_MAX = 100, PORT_BASE_ROOTLESS = 10000 };

struct init {
	const char *root_option, *etc_option; /* as given; NULL: not */
	char root[PATH_MAX], etc[PATH_MAX];
	char domain[256]; /* empty: mydomain of the main.cf that is there */
	const char *hostname;
	const char *certificate, *key; /* files; NULL: one is made */
	const char *users[USERS_MAX]; /* NAME:PASSWORD or NAME@DOMAIN:PASSWORD */
	int user_count;
	unsigned port_base;
	struct buffer snapshot;
	struct config *config; /* main.cf as it stands in the end */
};

static const char USAGE[] = "usage: postern init DIR --domain DOMAIN [--user NAME:PASSWORD ...] "
			    "[--port-base N] [--hostname NAME] [--tls-cert FILE [--tls-key FILE]]\n"
			    "       postern init --system [DIR] ...\n"
			    "       postern init --config FOLDER [DIR] ...\n"
			    "Make an instance of the mail system in DIR: folders, configuration, "
			    "databases, the domain and its mailboxes. As root,\n"
			    "the system users postern-net, postern-queue and so on are made too. "
			    "What is there already stays as it is.\n"
			    "The configuration is put into DIR/etc; with --config into FOLDER, and "
			    "with --system into " POSTERN_SYSCONFDIR
			    ",\nwhere every command looks by itself: there DIR may be left out "
			    "(/var/spool/postern).\n"
			    "N is added to every standard port; the default is 0 for root, and "
			    "10000 for others (SMTP on port 10025).\n";

static bool fail(const char *what)
{
	cli_complain("init", "%s: %s", what, strerror(errno));
	return false;
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
		{ "mydomain", init->domain, 0 }, { "myorigin", "$mydomain", 0 },
		{ "smtpd_tls_cert_file", init->certificate, 0 },
		{ "smtpd_tls_key_file", init->key ? init->key : "$smtpd_tls_cert_file", 0 } };
	/* The last two stay what conf/main.cf says when no certificate was given. */
	size_t count = sizeof(items) / sizeof(items[0]) - (init->certificate ? 0 : 2);
	bool good;

	snprintf(base, sizeof(base), "%u", init->port_base);
	if (init->hostname)
		buffer_add_text(&hostname, init->hostname);
	else
		buffer_printf(&hostname, "mail.%s", init->domain);
	items[2].value = buffer_text(&hostname);
	good = items[2].value &&
	       config_edit_settings(conf_main_cf(), CONFIG_SET, items, count, &text) &&
	       write_new(path, buffer_slice(&text));
	buffer_free(&text);
	buffer_free(&hostname);
	return good;
}

/* Both files are there; main.cf as it stands is evaluated: what somebody changed in it counts. */
static bool load_configuration(struct init *init)
{
	static struct config_report report;
	struct config_source *source = config_read(init->etc, &report);

	if (source && config_snapshot(source, &init->snapshot, &report))
		init->config = config_open(buffer_slice(&init->snapshot));
	config_source_free(&source);
	if (!init->config)
		config_report_print(&report, "init", false, stderr);
	return init->config != NULL;
}

/* Where main.cf that is there says the instance is, when the command line does not. */
static bool find_root(struct init *init)
{
	static struct config_report report;
	char path[PATH_MAX + 32], error[300] = "";
	struct config_source *source;
	struct buffer value = { 0 };
	bool good;

	if (init->root_option)
		return true;
	init->root_option = parameter_info(PARAM_instance_directory)->value;
	snprintf(path, sizeof(path), "%s/main.cf", init->etc_option);
	if (access(path, F_OK) < 0)
		return true;
	source = config_read(init->etc_option, &report);
	good = source && config_value(source, "instance_directory", &value, error, sizeof(error)) &&
	       slice_to_string(buffer_slice(&value), init->root, sizeof(init->root));
	buffer_free(&value);
	config_source_free(&source);
	if (good)
		init->root_option = init->root;
	else
		cli_complain("init", "%s: instance_directory: %s", path, error);
	return good;
}

static bool make_places(struct init *init)
{
	char root[PATH_MAX], etc[PATH_MAX + 8];

	if (!find_root(init))
		return false;
	snprintf(etc, sizeof(etc), "%s", init->root_option);
	if (!init_path(etc, root))
		return false;
	memcpy(init->root, root, sizeof(root));
	if (init->etc_option)
		snprintf(etc, sizeof(etc), "%s", init->etc_option);
	else
		snprintf(etc, sizeof(etc), "%s/etc", init->root);
	return init_path(etc, init->etc);
}

static bool write_configuration(struct init *init)
{
	char path[PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s/main.cf", init->etc);
	if (!init->domain[0] && access(path, F_OK) < 0) {
		cli_complain("init", "--domain is missing");
		return false;
	}
	if (!write_main_cf(init, path))
		return false;
	snprintf(path, sizeof(path), "%s/master.cf", init->etc);
	if (!write_new(path, conf_master_cf()) || !load_configuration(init))
		return false;
	if (strcmp(config_text(init->config, PARAM_instance_directory), init->root) != 0) {
		cli_complain("init", "%s/main.cf says instance_directory = %s, not %s", init->etc,
			config_text(init->config, PARAM_instance_directory), init->root);
		return false;
	}
	if (!init->domain[0])
		snprintf(init->domain, sizeof(init->domain), "%s",
			config_text(init->config, PARAM_mydomain));
	return true;
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

/* The mailbox; a password is set only where there is none yet. */
static bool add_mailbox(const struct init *init, struct accounts *accounts,
	struct credentials *credentials, const char *address, struct slice password)
{
	char error[300];
	struct accounts_mailbox mailbox;
	enum accounts_status status = accounts_mailbox(accounts, slice_from(address), &mailbox);
	enum credentials_status login = credentials_exists(credentials, address);
	int cost = (int)config_int(init->config, PARAM_password_hash_cost);

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
		!credentials_set(credentials, address, password, cost, error, sizeof(error)))
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
	return good && add_mailbox(init, accounts, credentials, address, slice_from(colon + 1));
}

static bool fill_accounts(const struct init *init)
{
	struct accounts *accounts = NULL;
	struct credentials *credentials = NULL;
	const char *data = config_text(init->config, PARAM_data_directory);
	char path[PATH_MAX + 64], error[300];
	bool good;

	snprintf(path, sizeof(path), "%s/directory/accounts.db", data);
	good = accounts_open(path, true, &accounts, error, sizeof(error)) || refuse(path, error);
	snprintf(path, sizeof(path), "%s/auth/credentials.db", data);
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
	if (strcmp(name, "--config") == 0) {
		init->etc_option = value;
		return true;
	}
	if (strcmp(name, "--hostname") == 0) {
		init->hostname = value;
		return true;
	}
	if (strcmp(name, "--tls-cert") == 0) {
		init->certificate = value;
		return true;
	}
	if (strcmp(name, "--tls-key") == 0) {
		init->key = value;
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

static bool is_file_name(const char *name)
{
	return !name || (name[0] == '/' && !strpbrk(name, "$\n\r"));
}

static bool parse_each(struct init *init, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (argv[i][0] != '-' && !init->root_option) {
			init->root_option = argv[i];
		} else if (strcmp(argv[i], "--system") == 0) {
			init->etc_option = POSTERN_SYSCONFDIR;
		} else if (i + 1 >= argc || !take_option(init, argv[i], argv[i + 1])) {
			cli_complain("init", "bad argument: %s",
				strcmp(argv[i], "--user") ? argv[i] : "--user wants NAME:PASSWORD");
			return false;
		} else {
			i++;
		}
	}
	return true;
}

static bool parse(struct init *init, int argc, char **argv)
{
	if (!parse_each(init, argc, argv))
		return false;
	if (!init->root_option && !init->etc_option) {
		cli_complain("init", "the folder is missing");
		return false;
	}
	if ((init->domain[0] && !is_plain(init->domain)) ||
		(init->hostname && !is_plain(init->hostname))) {
		cli_complain("init", "a domain has letters, digits, \"-\" and \".\" only");
		return false;
	}
	if (!is_file_name(init->certificate) || !is_file_name(init->key)) {
		cli_complain("init", "files of TLS are named by their whole path");
		return false;
	}
	if ((init->root_option && (strpbrk(init->root_option, "$\n\r") ||
					  strlen(init->root_option) > PATH_MAX / 2)) ||
		(init->etc_option && strlen(init->etc_option) > PATH_MAX / 2)) {
		cli_complain("init", "the folder's name cannot stand in main.cf");
		return false;
	}
	return true;
}

static void tell_how_to_start(const struct init *init)
{
	char standard[PATH_MAX];

	if (realpath(POSTERN_SYSCONFDIR, standard) && strcmp(standard, init->etc) == 0)
		printf("the instance is in %s, its configuration in %s; start it with: postern "
		       "start\n",
			init->root, init->etc);
	else
		printf("the instance is in %s; start it with: postern -c %s start\n", init->root,
			init->etc);
}

int init_main(int argc, char **argv)
{
	static struct init init;
	bool good;

	if (argc > 1 && strcmp(argv[1], "--help") == 0) {
		fputs(USAGE, stdout);
		return EX_OK;
	}
	init = (struct init){ .port_base = geteuid() == 0 ? 0 : PORT_BASE_ROOTLESS };
	if (!parse(&init, argc, argv)) {
		fputs(USAGE, stderr);
		return EX_USAGE;
	}
	umask(022);
	good = init_system_users() && make_places(&init) && write_configuration(&init) &&
	       init_folders(init.config) && init_certificate(init.config, init.etc) &&
	       fill_accounts(&init);
	if (good)
		tell_how_to_start(&init);
	config_free(&init.config);
	buffer_free(&init.snapshot);
	return good ? EX_OK : EX_CANTCREAT;
}
