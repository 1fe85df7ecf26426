// SPDX-License-Identifier: ISC
/*
 * Delivery: messages go from queue files into new/ of users' INBOXes, copied by the kernel, and are on disk with their names when
 * STORE_OK is answered. The index is not touched: opening a database costs more than the whole delivery.
 *
 * Several deliveries are made together, step by step for all of them: written, synced at a time, named, each folder synced once. The
 * sync comes before the name, because others read what stands in new/.
 */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "mail/crlf.h"
#include "store/internal.h"

/* A mailbox that at least one of the deliveries goes to. */
struct target {
	const char *folder;
	int user, fresh; /* its folder and new/ in it */
	int error; /* errno of the failed sync of new/, or 0 */
	bool named; /* a message was renamed into new/ */
};

struct work {
	struct store_delivery *delivery;
	struct target *target;
	int fd;
	int64_t size;
	char name[STORE_FILE_NAME];
};

struct batch {
	int mail_dir;
	struct target targets[STORE_DELIVERIES];
	struct work works[STORE_DELIVERIES];
	unsigned target_count, count;
};

static void failed(struct store_delivery *d, enum store_status status, const char *format, ...)
	PRINTF_LIKE(3, 4);
static void failed(struct store_delivery *d, enum store_status status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(d->error, sizeof(d->error), format, args);
	va_end(args);
	d->status = status;
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

/* --- mailboxes --- */

static int open_user(int mail_dir, const char *folder)
{
	int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
	int user = os_openat(mail_dir, folder, flags, 0);

	if (user >= 0 || errno != ENOENT)
		return user;
	return store_make_maildir(mail_dir, folder) ? os_openat(mail_dir, folder, flags, 0) : -1;
}

static int open_new(int user)
{
	int fresh = os_openat(user, "new", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);

	if (fresh < 0 && errno == ENOENT && store_make_maildir(user, "."))
		fresh = os_openat(user, "new", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	return fresh;
}

/* The mailbox, opened once for all that go to it; NULL with errno. */
static struct target *find_target(struct batch *batch, const char *folder)
{
	struct target *target;

	for (unsigned i = 0; i < batch->target_count; i++)
		if (strcmp(batch->targets[i].folder, folder) == 0)
			return &batch->targets[i];
	target = &batch->targets[batch->target_count];
	*target = (struct target){ .folder = folder, .fresh = -1 };
	target->user = open_user(batch->mail_dir, folder);
	if (target->user < 0)
		return NULL;
	target->fresh = open_new(target->user);
	if (target->fresh < 0) {
		os_close(&target->user);
		return NULL;
	}
	batch->target_count++;
	return target;
}

/* --- first: write --- */

static bool make_name(struct work *work)
{
	static char host[64];
	static uint64_t unique;
	static uint32_t serial;
	const struct delivery_source *source = work->delivery->source;
	char base[160];

	if (!host[0]) {
		store_host_name(host, sizeof(host));
		os_random(&unique, sizeof(unique));
	}
	store_file_base(base, sizeof(base), host, unique, serial++);
	return store_file_format(work->name, slice_from(base), slice_of(NULL, 0), work->size,
		work->size + source->lines + (int64_t)crlf_lines(source->prefix), 0, NULL);
}

static const char *temporary_name(const struct work *work, char name[STORE_FILE_NAME + 4])
{
	snprintf(name, STORE_FILE_NAME + 4, "tmp/%s", work->name);
	return name;
}

static int create(const struct work *work)
{
	int user = work->target->user, flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, fd;
	char name[STORE_FILE_NAME + 4];

	fd = os_openat(user, temporary_name(work, name), flags, 0600);
	if (fd < 0 && errno == ENOENT && store_make_maildir(user, "."))
		fd = os_openat(user, name, flags, 0600);
	return fd;
}

static bool copy_in(const struct work *work)
{
	const struct delivery_source *source = work->delivery->source;

	if (source->prefix.length &&
		!os_write_all(work->fd, source->prefix.data, source->prefix.length))
		return false;
	return os_copy(source->fd, source->offset, work->fd, source->size);
}

/* The file is gone again, and what was counted for it. */
static void take_back(struct work *work, const char *name)
{
	int error = errno;

	(void)!os_unlinkat(work->target->user, name, 0);
	quota_add(work->target->user, work->delivery->quota, -work->size, -1);
	failed(work->delivery, STORE_TEMPORARY, "%s: %s", work->delivery->folder, strerror(error));
}

static void take_back_temporary(struct work *work)
{
	char name[STORE_FILE_NAME + 4];

	take_back(work, temporary_name(work, name));
}

static bool prepare(struct batch *batch, struct work *work)
{
	struct store_delivery *d = work->delivery;
	const struct delivery_source *source = d->source;

	if (!path_is_safe(d->folder) || source->size < 0 || source->lines < 0 ||
		source->lines > source->size) {
		failed(d, STORE_TEMPORARY, "%s: not a mailbox's path", d->folder);
		return false;
	}
	work->size = source->size + (int64_t)source->prefix.length;
	work->target = find_target(batch, d->folder);
	if (!work->target) {
		failed(d, STORE_TEMPORARY, "%s: %s", d->folder, strerror(errno));
		return false;
	}
	d->status = quota_check(work->target->user, d->quota, work->size);
	if (d->status == STORE_OK)
		return true;
	failed(d, d->status,
		d->status == STORE_OVER_QUOTA ? "%s: mailbox is full"
					      : "%s: cannot count the mailbox",
		d->folder);
	return false;
}

static void write_one(struct batch *batch, struct work *work)
{
	struct store_delivery *d = work->delivery;

	if (!prepare(batch, work))
		return;
	if (make_name(work))
		work->fd = create(work);
	if (work->fd < 0) {
		failed(d, STORE_TEMPORARY, "%s: %s", d->folder, strerror(errno));
		return;
	}
	/* Counted now, so that the next of this batch is measured against it. */
	quota_add(work->target->user, d->quota, work->size, 1);
	if (!copy_in(work))
		take_back_temporary(work);
}

/* --- then: sync, and name --- */

_Static_assert(
	(int)STORE_DELIVERIES <= (int)OS_SYNCS, "files, and folders, are synced in one call each");

static void sync_files(struct batch *batch)
{
	struct os_sync syncs[STORE_DELIVERIES];
	struct work *works[STORE_DELIVERIES];
	unsigned used = 0;

	for (unsigned i = 0; i < batch->count; i++) {
		struct work *work = &batch->works[i];

		if (work->delivery->status != STORE_OK)
			continue;
		syncs[used] = (struct os_sync){ .fd = work->fd };
		works[used++] = work;
	}
	os_fsync_all(syncs, used);
	for (unsigned i = 0; i < used; i++) {
		errno = syncs[i].error;
		if (errno)
			take_back_temporary(works[i]);
	}
}

static void name_one(struct work *work)
{
	char name[STORE_FILE_NAME + 4];
	struct target *target = work->target;

	if (work->delivery->status != STORE_OK)
		return;
	if (os_renameat(target->user, temporary_name(work, name), target->fresh, work->name))
		target->named = true;
	else
		take_back_temporary(work);
}

/* --- last: sync the folders --- */

static void sync_folders(struct batch *batch)
{
	struct os_sync syncs[STORE_DELIVERIES];
	struct target *targets[STORE_DELIVERIES];
	unsigned used = 0;

	for (unsigned i = 0; i < batch->target_count; i++)
		if (batch->targets[i].named) {
			syncs[used] =
				(struct os_sync){ .fd = batch->targets[i].fresh, .folder = true };
			targets[used++] = &batch->targets[i];
		}
	os_fsync_all(syncs, used);
	for (unsigned i = 0; i < used; i++)
		targets[i]->error = syncs[i].error;
}

static void finish(struct work *work)
{
	char name[STORE_FILE_NAME + 4];

	if (work->delivery->status == STORE_OK && work->target->error) {
		errno = work->target->error;
		snprintf(name, sizeof(name), "new/%s", work->name);
		take_back(work, name);
	}
	if (work->fd >= 0)
		os_close(&work->fd);
}

void store_deliver(int mail_dir, struct store_delivery *deliveries, unsigned count)
{
	struct batch batch;

	assert(count <= STORE_DELIVERIES);
	batch.mail_dir = mail_dir;
	batch.target_count = 0;
	batch.count = count;
	for (unsigned i = 0; i < count; i++) {
		batch.works[i] = (struct work){ .delivery = &deliveries[i], .fd = -1 };
		deliveries[i].status = STORE_OK;
		deliveries[i].error[0] = '\0';
		write_one(&batch, &batch.works[i]);
	}
	sync_files(&batch);
	for (unsigned i = 0; i < count; i++)
		name_one(&batch.works[i]);
	sync_folders(&batch);
	for (unsigned i = 0; i < count; i++)
		finish(&batch.works[i]);
	for (unsigned i = 0; i < batch.target_count; i++) {
		os_close(&batch.targets[i].fresh);
		os_close(&batch.targets[i].user);
	}
}
