// SPDX-License-Identifier: ISC
/* Loading the clients of SQL servers. See sql.h. */
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "table/sql.h"

#ifndef POSTERN_LIBDIR
#define POSTERN_LIBDIR "/usr/local/lib/postern"
#endif

enum { DRIVERS_MOST = 4 };

/* The folder of the running program; false when it cannot be found out. */
static bool own_folder(char folder[PATH_MAX])
{
	ssize_t length = readlink("/proc/self/exe", folder, PATH_MAX - 1);
	char *slash;

	if (length <= 0)
		return false;
	folder[length] = '\0';
	slash = strrchr(folder, '/');
	if (slash)
		*slash = '\0';
	return slash != NULL;
}

static const struct sql_driver *load_from(
	const char *folder, const char *name, char *error, size_t error_size)
{
	char path[PATH_MAX + 64];
	const struct sql_driver *driver;
	void *module;

	snprintf(path, sizeof(path), "%s/postern-%s.so", folder, name);
	if (access(path, R_OK) != 0) {
		snprintf(error, error_size, "tables of type %s need %s, which is not installed",
			name, path);
		return NULL;
	}
	/* Never unloaded: its library may have left handlers behind. */
	module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	driver = module ? dlsym(module, SQL_DRIVER_SYMBOL) : NULL;
	if (!driver) {
		snprintf(error, error_size, "%s", dlerror());
		return NULL;
	}
	if (driver->version != SQL_DRIVER_VERSION) {
		snprintf(error, error_size, "%s is of another version", path);
		return NULL;
	}
	driver->prepare();
	return driver;
}

const struct sql_driver *sql_driver_load(const char *name, char *error, size_t error_size)
{
	static const struct sql_driver *loaded[DRIVERS_MOST];
	const struct sql_driver *driver = NULL;
	char folder[PATH_MAX];
	int i = 0;

	for (; i < DRIVERS_MOST && loaded[i]; i++)
		if (strcmp(loaded[i]->name, name) == 0)
			return loaded[i];
	if (own_folder(folder))
		driver = load_from(folder, name, error, error_size);
	if (!driver)
		driver = load_from(POSTERN_LIBDIR, name, error, error_size);
	if (driver && i < DRIVERS_MOST)
		loaded[i] = driver;
	return driver;
}
