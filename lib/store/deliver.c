// SPDX-License-Identifier: ISC
/*
 * Delivery: a message goes from the queue file into new/ of a user's INBOX, copied by the kernel, and is on disk with its name when
 * STORE_OK is answered. The index is not touched: opening a database costs more than the whole delivery.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "mail/crlf.h"
#include "store/internal.h"

struct delivering {
	char *error;
	size_t error_size;
};

static enum store_status failed(
	struct delivering *d, enum store_status status, const char *format, ...) PRINTF_LIKE(3, 4);
static enum store_status failed(
	struct delivering *d, enum store_status status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(d->error, d->error_size, format, args);
	va_end(args);
	return status;
}

/* Below mail_dir and nowhere else. */
static bool path_is_safe(const char *folder)
{
	struct slice rest = slice_from(folder), part;

	if (!folder[0] || folder[0] == '/' || strlen(folder) > PATH_MAX - 300)
		return false;
	while (slice_split(&rest, '/', &part)) {
		if (part.length == 0 || slice_equal(part, SLICE(".")) ||
			slice_equal(part, SLICE("..")))
			return false;
	}
	return true;
}

static bool write_message(int fd, const struct delivery_source *source)
{
	if (source->prefix.length && !os_write_all(fd, source->prefix.data, source->prefix.length))
		return false;
	return os_copy(source->fd, source->offset, fd, source->size) && os_fsync(fd);
}

static int open_user(int mail_dir, const char *folder)
{
	int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
	int user = os_openat(mail_dir, folder, flags, 0);

	if (user >= 0 || errno != ENOENT)
		return user;
	return store_make_maildir(mail_dir, folder) ? os_openat(mail_dir, folder, flags, 0) : -1;
}

/* tmp/, fsync, new/, fsync of new/. The file is gone again when this fails. */
static bool put_in_new(int user, const char *name, const struct delivery_source *source)
{
	char temporary[STORE_FILE_NAME + 4], final[STORE_FILE_NAME + 4];
	int fd, fresh = -1;
	bool good;

	snprintf(temporary, sizeof(temporary), "tmp/%s", name);
	snprintf(final, sizeof(final), "new/%s", name);
	fd = os_openat(user, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (fd < 0 && errno == ENOENT && store_make_maildir(user, "."))
		fd = os_openat(user, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (fd < 0)
		return false;
	good = write_message(fd, source);
	if (good) {
		fresh = os_openat(user, "new", O_RDONLY | O_DIRECTORY, 0);
		good = fresh >= 0 && os_renameat(user, temporary, user, final);
		if (good && !os_fsync(fresh)) {
			int error = errno;

			(void)!os_unlinkat(user, final, 0);
			errno = error;
			good = false;
		}
	}
	os_close(&fresh);
	os_close(&fd);
	if (!good) {
		int error = errno;

		(void)!os_unlinkat(user, temporary, 0);
		errno = error;
	}
	return good;
}

enum store_status store_deliver(int mail_dir, const char *folder,
	const struct delivery_source *source, int64_t quota, char *error, size_t error_size)
{
	struct delivering d = { error, error_size };
	int64_t size = source->size + (int64_t)source->prefix.length;
	char host[64], base[160], name[STORE_FILE_NAME];
	enum store_status status;
	uint64_t unique;
	int user;

	error[0] = '\0';
	if (!path_is_safe(folder) || source->size < 0 || source->lines < 0 ||
		source->lines > source->size)
		return failed(&d, STORE_TEMPORARY, "%s: not a mailbox's path", folder);
	user = open_user(mail_dir, folder);
	if (user < 0)
		return failed(&d, STORE_TEMPORARY, "%s: %s", folder, strerror(errno));
	status = quota_check(user, quota, size);
	if (status != STORE_OK) {
		os_close(&user);
		return failed(&d, status,
			status == STORE_OVER_QUOTA ? "%s: mailbox is full"
						   : "%s: cannot count the mailbox",
			folder);
	}
	os_random(&unique, sizeof(unique));
	store_host_name(host, sizeof(host));
	store_file_base(base, sizeof(base), host, unique, 0);
	if (!store_file_format(name, slice_from(base), slice_of(NULL, 0), size,
		    size + source->lines + (int64_t)crlf_lines(source->prefix), 0, NULL) ||
		!put_in_new(user, name, source))
		status = failed(&d, STORE_TEMPORARY, "%s: %s", folder, strerror(errno));
	else
		quota_add(user, quota, size, 1);
	os_close(&user);
	return status;
}
