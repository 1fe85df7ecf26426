// SPDX-License-Identifier: ISC
/* Removing a mailbox's folder. See account.h. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/account.h"
#include "os/os.h"

enum { PURGE_DEPTH = 20 /* folders in folders */ };

static bool dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static bool remove_entry(int dir, const char *name, int depth);

/* Takes `fd` over. */
static bool remove_contents(int fd, int depth)
{
	DIR *folder = fdopendir(fd);
	struct dirent *entry;
	bool done = true;

	if (!folder) {
		os_close(&fd);
		return false;
	}
	while (done && (errno = 0, entry = readdir(folder)))
		if (!dots(entry->d_name))
			done = remove_entry(fd, entry->d_name, depth);
	done = done && errno == 0;
	closedir(folder);
	return done;
}

static bool remove_entry(int dir, const char *name, int depth)
{
	int fd = os_openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);

	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
		return os_unlinkat(dir, name, 0);
	if (fd < 0)
		return false;
	if (depth == PURGE_DEPTH) {
		os_close(&fd);
		errno = ELOOP;
		return false;
	}
	return remove_contents(fd, depth + 1) && os_unlinkat(dir, name, AT_REMOVEDIR);
}

/* Step by step from the mail directory, so that no symbolic link within it leads away. */
bool account_purge(const char *mail, const char *path)
{
	const char *slash = strchr(path, '/');
	char domain[ACCOUNTS_MAX_DOMAIN + 1];
	int base, folder = -1;
	bool done = false;

	if (!slash || strchr(slash + 1, '/') || dots(slash + 1) || slash[1] == '\0' ||
		!slice_to_string(slice_of(path, (size_t)(slash - path)), domain, sizeof(domain)) ||
		dots(domain) || domain[0] == '\0') {
		errno = EINVAL;
		return false;
	}
	base = os_open(mail, O_RDONLY | O_DIRECTORY, 0);
	if (base >= 0)
		folder = os_openat(base, domain, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (folder >= 0)
		done = remove_entry(folder, slash + 1, 0) && os_fsync(folder);
	if (folder >= 0)
		os_close(&folder);
	if (base >= 0)
		os_close(&base);
	return done;
}
