// SPDX-License-Identifier: ISC
/*
 * The files in which processes count (service/figures.h): one for master, one for each process, and one for the sum of those that
 * have ended, so that the totals of `postern status` are of all since the start. Nothing depends on them: where one cannot
 * be had, its process counts for nobody.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "master/master.h"
#include "os/os.h"
#include "service/log.h"

/* Processes of an earlier master keep their pages. */
static void remove_former(DIR *folder)
{
	struct dirent *entry;

	while ((entry = readdir(folder)))
		if (entry->d_name[0] != '.' && !os_unlinkat(dirfd(folder), entry->d_name, 0))
			log_warning(FIGURES_FOLDER "/%s: %s", entry->d_name, strerror(errno));
}

static bool open_folder(struct master *master, const char *path)
{
	struct stat info;
	DIR *folder;

	if (lstat(path, &info) == 0 && !S_ISDIR(info.st_mode) && unlink(path) < 0)
		return false;
	if ((mkdir(path, 0755) < 0 && errno != EEXIST) || chmod(path, 0755) < 0)
		return false;
	folder = opendir(path);
	if (!folder)
		return false;
	remove_former(folder);
	master->figures_folder = fcntl(dirfd(folder), F_DUPFD_CLOEXEC, 3);
	closedir(folder);
	return master->figures_folder >= 0;
}

static int make(struct master *master, const char *entry)
{
	char name[16];

	snprintf(name, sizeof(name), "%u", master->next_figures++);
	return figures_make(master->figures_folder, name, entry);
}

bool figures_start(struct master *master, char *path, size_t size)
{
	int fd;
	bool ok;

	snprintf(path, size, "%s/" FIGURES_FOLDER, master->settings.instance);
	master->ended_fd = master->figures_folder = -1;
	if (!open_folder(master, path))
		return false;
	fd = make(master, "master");
	ok = fd >= 0 && figures_set_pid(fd, getpid()) && figures_open(fd);
	os_close(&fd);
	master->ended_fd = ok ? make(master, "ended") : -1;
	return master->ended_fd >= 0;
}

void figures_begin(struct process *process)
{
	process->figures = process->master->next_figures;
	process->figures_fd = make(process->master, process->entry->config->name);
	if (process->figures_fd < 0)
		log_warning("%s is not counted: " FIGURES_FOLDER ": %s",
			process->entry->config->command, strerror(errno));
}

void figures_end(struct process *process)
{
	struct master *master = process->master;
	struct figures last;
	char name[16];

	if (process->figures_fd < 0)
		return;
	snprintf(name, sizeof(name), "%u", process->figures);
	if (!os_unlinkat(master->figures_folder, name, 0))
		log_warning(FIGURES_FOLDER "/%s: %s", name, strerror(errno));
	if (figures_read(process->figures_fd, &last)) {
		figures_add_up(&master->figures_ended, &last);
		if (master->ended_fd >= 0 &&
			!figures_write(master->ended_fd, &master->figures_ended))
			log_warning(FIGURES_FOLDER ": %s", strerror(errno));
	}
	os_close(&process->figures_fd);
}
