// SPDX-License-Identifier: ISC
/* The cell that proxymap's tables need. See proxymap_reach.h. */
#include "directory/proxymap_reach.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "directory/proxymap_cell.h"
#include "service/log.h"

void reach_begin(struct reach *reach)
{
	*reach = (struct reach){ .cell = CELL_PROXYMAP };
	reach->cell.calls &= ~(unsigned)(CELL_CALLS_STREAM | CELL_CALLS_UNIX);
	memset(reach->cell.ports, 0, sizeof(reach->cell.ports));
}

static bool is_below(const char *path, const char *folder)
{
	size_t length = strlen(folder);

	return strncmp(path, folder, length) == 0 && (path[length] == '/' || !path[length]);
}

/* `path` is absolute and without links. */
static void add_path(struct reach *reach, const char *path)
{
	char *copy;

	for (unsigned i = 0; i < reach->files; i++)
		if (is_below(path + 1, reach->cell.files[i].path))
			return;
	copy = reach->files < CELL_MAX_FILES ? strdup(path + 1) : NULL;
	if (!copy) {
		log_warning("%s: more files of SQL tables than a process may read", path);
		return;
	}
	reach->cell.calls |= CELL_CALLS_FILE;
	reach->cell.files[reach->files++] = (struct cell_file){
		.base = CELL_SYSTEM, .path = copy, .rights = CELL_READ, .optional = true
	};
}

/* Folders of certificates hold links, often into other folders: what counts is where those lead to. */
static void add_targets(struct reach *reach, const char *folder)
{
	char link[PATH_MAX + NAME_MAX + 2], target[PATH_MAX];
	DIR *dir = opendir(folder);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char *slash;

		snprintf(link, sizeof(link), "%s/%s", folder, entry->d_name);
		if (entry->d_type != DT_LNK || !realpath(link, target))
			continue;
		slash = strrchr(target, '/');
		if (slash == target)
			continue;
		*slash = '\0';
		add_path(reach, target);
	}
	if (dir)
		closedir(dir);
}

static bool add_file(void *context, const char *path)
{
	struct reach *reach = context;
	char real[PATH_MAX];

	if (!realpath(path, real) || !real[1])
		return true;
	add_path(reach, real);
	add_targets(reach, real);
	return true;
}

void reach_add(struct reach *reach, const struct table *table)
{
	reach->ports = sql_table_ports(table, reach->cell.ports, reach->ports);
	if (reach->ports)
		reach->cell.calls |= CELL_CALLS_STREAM;
	if (sql_table_uses_sockets(table))
		reach->cell.calls |= CELL_CALLS_UNIX;
	(void)!sql_table_files(table, add_file, reach);
}
