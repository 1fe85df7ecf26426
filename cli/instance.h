// SPDX-License-Identifier: ISC
/*
 * An instance as the commands see it: its configuration, its folders, its master.
 */
#ifndef CLI_INSTANCE_H
#define CLI_INSTANCE_H

#include <limits.h>
#include <stdio.h>
#include <sys/types.h>

#include "cli/cli.h"
#include "config/services.h"
#include "sandbox/cell.h"

/* What `postern init` begins with (conf/). */
struct slice conf_main_cf(void);
struct slice conf_master_cf(void);

/* The evaluated main.cf, and master.cf. */
struct instance {
	struct config_source *source;
	struct services services;
	struct buffer snapshot;
	struct config *config;
	const char *root; /* instance_directory */
};
/*
 * Read and check everything. False when something is wrong; errors (and with `warnings` the rest, and what instance_needs finds) go to
 * standard error. To be closed only when true.
 */
MUST_CHECK bool instance_open(const char *command, bool warnings, struct instance *instance);
void instance_close(struct instance *instance);
/*
 * Notes what is missing that this version needs: entries that others ask (warnings, with the line as it is delivered) and, for root, system
 * users (errors).
 */
void instance_needs(const struct instance *instance, struct config_report *report);
/*
 * Only where the instance is, for commands that must work while the configuration is broken. False with a message when that
 * cannot be found out either.
 */
MUST_CHECK bool instance_find(const char *command, char root[PATH_MAX]);

/* Folders of an instance: who owns them, and their modes. */
struct instance_folder {
	const char *path; /* below the instance; "" is itself; see instance_folder_path */
	mode_t mode;
	enum cell_uid uid; /* UID_KEEP: root, or who made the instance */
};
extern const struct instance_folder INSTANCE_FOLDERS[];
extern const unsigned INSTANCE_FOLDER_COUNT;
enum { INSTANCE_PATH_SIZE = PATH_MAX + 64 };
/*
 * Where a path of that table ("queue/active") is: below instance_directory, but for what queue_directory, mail_directory,
 * data_directory and config_directory put elsewhere.
 */
void instance_folder_path(
	const struct config *config, const char *folder, char path[INSTANCE_PATH_SIZE]);
/* Owner of a class: its system user as root, else the caller. False when there is no such user. */
MUST_CHECK bool instance_owner(enum cell_uid class, uid_t *uid, gid_t *gid);

/* The pid of the master that holds run/master.pid locked; 0 when none runs, -1 when that cannot be found out. */
pid_t instance_master(const char *root);
/* Where the programs are: daemon_directory, else postern's own folder if master is there, else the one of the build. */
void instance_daemons(const struct config *config, char folder[PATH_MAX]);

#endif
