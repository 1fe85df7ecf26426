// SPDX-License-Identifier: ISC
/*
 * accounts.db may go away, be replaced or be damaged while directoryd runs, or be away when it starts. Without it nothing is
 * known about any address, so every answer is "temporary" (never "no such user", as an empty database would say), until a
 * whole file is there again.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "directory/answer_impl.h"
#include "os/os.h"
#include "service/log.h"

enum { PATIENCE = 200 /* ms a question waits for a lock: all other questions wait, too */ };

/* Why the file that is open cannot go on being used; NULL: it can. */
static const char *reason_to_close(const struct directory *d)
{
	struct stat now;

	if (!os_fstatat(AT_FDCWD, d->settings.accounts, &now, 0))
		return strerror(errno);
	if (now.st_ino != d->accounts_file.st_ino || now.st_dev != d->accounts_file.st_dev)
		return "it is another file now";
	return accounts_fault(d->accounts);
}

static bool open_whole(struct directory *d, char *error, size_t error_size)
{
	if (!os_fstatat(AT_FDCWD, d->settings.accounts, &d->accounts_file, 0)) {
		snprintf(error, error_size, "%s: %s", d->settings.accounts, strerror(errno));
		return false;
	}
	if (!accounts_open(d->settings.accounts, false, &d->accounts, error, error_size))
		return false;
	accounts_set_patience(d->accounts, PATIENCE);
	if (!d->accounts_told || accounts_check(d->accounts, error, error_size))
		return true;
	accounts_close(&d->accounts);
	return false;
}

static void tell_away(struct directory *d, const char *error)
{
	if (!d->accounts_told)
		log_error("%s -- no address is known, and mail is deferred, until it can be read",
			error);
	d->accounts_told = true;
}

void directory_check_accounts(struct directory *d)
{
	const char *path = d->settings.accounts, *reason = d->accounts ? reason_to_close(d) : NULL;
	char error[PATH_MAX + 300];

	if (d->accounts && !reason)
		return;
	if (d->accounts) {
		snprintf(error, sizeof(error), "%s: %s", path, reason);
		tell_away(d, error);
		accounts_close(&d->accounts);
		d->version = -1; /* what is remembered came from the old file */
	}
	if (!open_whole(d, error, sizeof(error))) {
		tell_away(d, error);
	} else if (d->accounts_told) {
		log_info("%s can be read again", path);
		d->accounts_told = false;
	}
}
