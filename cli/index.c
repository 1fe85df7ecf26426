// SPDX-License-Identifier: ISC
/*
 * postern index - look after the index beside each user's mail: check it, or make it anew from the Maildir.
 *
 * Works while the system runs: sessions whose index is replaced end and are opened anew by their clients. As root each folder is
 * handled under its owner's uid, so that what is made belongs to him.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/instance.h"
#include "store/store.h"

struct index_run {
	const char *command; /* "check" or "rebuild" */
	bool rebuild;
	unsigned failures, users;
};

static void tell_fault(void *context, const char *text)
{
	printf("%s: %s\n", (const char *)context, text);
}

static enum store_status handle(struct index_run *run, const char *folder, const char *user)
{
	struct store_check_result result;
	unsigned mailboxes, messages;
	enum store_status status;

	if (run->rebuild) {
		status = store_rebuild(folder, &mailboxes, &messages);
		if (status == STORE_OK)
			printf("%s: index made anew, %u mailboxes, %u messages\n", user, mailboxes,
				messages);
		return status;
	}
	status = store_check(folder, tell_fault, (void *)user, &result);
	if (status == STORE_OK)
		printf("%s: %u mailboxes, %u messages, %u faults, %u leftovers removed\n", user,
			result.mailboxes, result.messages, result.faults, result.leftovers);
	return status;
}

/* As root, as the folder's owner while `handle` runs. */
static void one_user(struct index_run *run, const char *folder, const char *user)
{
	struct stat info;
	bool root = geteuid() == 0;
	enum store_status status = STORE_TEMPORARY;

	if (stat(folder, &info) != 0) {
		cli_complain(
			"index", "%s: %s", user, errno == ENOENT ? "no mail yet" : strerror(errno));
		run->failures++;
		return;
	}
	run->users++;
	umask(077);
	if (!root || (setegid(info.st_gid) == 0 && seteuid(info.st_uid) == 0))
		status = handle(run, folder, user);
	if (root && (seteuid(0) != 0 || setegid(0) != 0)) {
		cli_complain("index", "cannot become root again");
		_exit(EX_OSERR);
	}
	if (status != STORE_OK) {
		cli_complain("index",
			"%s: %s failed; is the folder readable and the disk not full?", user,
			run->command);
		run->failures++;
	}
}

/* "user@domain" is mail/domain/user. */
static void by_address(struct index_run *run, const char *mail, const char *address)
{
	struct slice domain = slice_from(address), user;
	char folder[PATH_MAX];

	if (!slice_split(&domain, '@', &user) || user.length == 0 || domain.length == 0 ||
		user.data[0] == '.' || domain.data[0] == '.' || slice_find(user, '/') >= 0 ||
		slice_find(domain, '/') >= 0 ||
		snprintf(folder, sizeof(folder), "%s/%.*s/%.*s", mail, SLICE_ARG(domain),
			SLICE_ARG(user)) >= (int)sizeof(folder)) {
		cli_complain("index", "%s: not user@domain", address);
		run->failures++;
		return;
	}
	for (char *p = folder + strlen(mail); *p; p++)
		*p = ascii_lower(*p);
	one_user(run, folder, address);
}

static void users_of_domain(struct index_run *run, const char *mail, const char *domain)
{
	char path[PATH_MAX], address[NAME_MAX * 2 + 2];
	struct dirent *entry;
	DIR *list;

	if (snprintf(path, sizeof(path), "%s/%s", mail, domain) >= (int)sizeof(path))
		return;
	list = opendir(path);
	while (list && (entry = readdir(list))) {
		if (entry->d_name[0] == '.' || entry->d_type != DT_DIR)
			continue;
		snprintf(address, sizeof(address), "%s@%s", entry->d_name, domain);
		if (snprintf(path, sizeof(path), "%s/%s/%s", mail, domain, entry->d_name) <
			(int)sizeof(path))
			one_user(run, path, address);
	}
	if (list)
		closedir(list);
}

static void all_users(struct index_run *run, const char *mail)
{
	struct dirent *entry;
	DIR *list = opendir(mail);

	if (!list) {
		cli_complain("index", "%s: %s", mail, strerror(errno));
		run->failures++;
		return;
	}
	while ((entry = readdir(list))) {
		if (entry->d_name[0] != '.' && entry->d_type == DT_DIR)
			users_of_domain(run, mail, entry->d_name);
	}
	closedir(list);
}

static int usage(int code)
{
	puts("usage: postern [-c FOLDER] index check|rebuild USER@DOMAIN...|--all\n"
	     "check    compare the index with the messages, and put right what differs\n"
	     "rebuild  throw the index away and make it anew; UIDs and flags are kept");
	return code;
}

int index_main(int argc, char **argv)
{
	struct index_run run = { 0 };
	struct instance instance;
	const char *mail;

	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return usage(EX_OK);
	if (argc < 3 || (strcmp(argv[1], "check") != 0 && strcmp(argv[1], "rebuild") != 0))
		return usage(EX_USAGE);
	run.command = argv[1];
	run.rebuild = strcmp(argv[1], "rebuild") == 0;
	if (!instance_open("index", false, &instance))
		return EX_CONFIG;
	mail = config_text(instance.config, PARAM_mail_directory);
	if (strcmp(argv[2], "--all") == 0)
		all_users(&run, mail);
	for (int i = 2; i < argc && strcmp(argv[2], "--all") != 0; i++)
		by_address(&run, mail, argv[i]);
	instance_close(&instance);
	return run.failures ? EX_TEMPFAIL : EX_OK;
}
