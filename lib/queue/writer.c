// SPDX-License-Identifier: ISC
/*
 * Making a queue file. Everything is gathered in memory up to WRITER_BUFFER bytes, so that a small message is one write:
 * first block, content and envelope together. See queue.h.
 */
#include "queue/format.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "mail/crlf.h"
#include "os/os.h"

enum {
	WRITER_FIRST = 8 << 10,
	WRITER_BUFFER = 128 << 10,
	WRITER_ENVELOPE_LIMIT = QUEUE_MAX_SECTION
};

struct queue_writer {
	struct queue *queue;
	char id[QUEUE_ID_SIZE];
	char temporary[QUEUE_ID_SIZE + 4];
	int fd;
	struct buffer pending; /* what comes at `written` of the file */
	int64_t written;
	struct queue_block block;
	enum queue_name place; /* where the finished file goes: incoming/ or hold/ */
	int error; /* the errno of what failed first */
	bool named; /* renamed to its id */
	bool committed; /* and durable */
};

struct queue_writer *queue_create(struct queue *queue, const char *id, int64_t arrival)
{
	struct queue_writer *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->queue = queue;
	w->pending = buffer_limited(WRITER_BUFFER + WRITER_ENVELOPE_LIMIT);
	w->block.info.arrival = arrival;
	snprintf(w->id, sizeof(w->id), "%s", id);
	snprintf(w->temporary, sizeof(w->temporary), "%s.tmp", id);
	w->fd = -1;
	if (!buffer_reserve(&w->pending, WRITER_FIRST)) {
		queue_writer_free(&w);
		return NULL;
	}
	memset(w->pending.data, 0, QUEUE_BLOCK_SIZE);
	w->pending.length = QUEUE_BLOCK_SIZE;
	return w;
}

/* The file is made when there is something to write, so that a small message touches the disk on the thread that syncs it. */
static bool open_file(struct queue_writer *w)
{
	w->fd = os_openat(queue_folder(w->queue, QUEUE_INCOMING, w->id), w->temporary,
		O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	/* The lock tells queue_remove_unfinished and queue_has_writer of other processes that this file has a writer. */
	return w->fd >= 0 && queue_lock(w->fd);
}

/* What goes wrong once is wrong for good: a file with a hole must never be committed. */
static bool note(struct queue_writer *w, bool good)
{
	if (!good && !w->error)
		w->error = errno ? errno : EIO;
	return good;
}

static bool write_pending(struct queue_writer *w)
{
	if (w->pending.failed) {
		errno = ENOMEM;
		return false;
	}
	if (w->fd < 0 && !open_file(w))
		return false;
	if (!os_pwrite_all(w->fd, w->pending.data, w->pending.length, w->written))
		return false;
	w->written += (int64_t)w->pending.length;
	buffer_clear(&w->pending);
	return true;
}

static bool flush(struct queue_writer *w)
{
	return note(w, write_pending(w));
}

bool queue_write_content(struct queue_writer *w, struct slice content)
{
	w->block.content_crc = queue_crc(w->block.content_crc, content.data, content.length);
	w->block.info.content_size += (int64_t)content.length;
	w->block.info.content_lines += (int64_t)crlf_lines(content);
	while (content.length) {
		size_t room = WRITER_BUFFER - w->pending.length;
		struct slice part = slice_head(content, room);

		if (!buffer_add(&w->pending, part)) {
			errno = ENOMEM;
			return note(w, false);
		}
		content = slice_tail(content, part.length);
		if (w->pending.length >= WRITER_BUFFER && !flush(w))
			return false;
	}
	return true;
}

static bool write_envelope(struct queue_writer *w, const struct queue_envelope *envelope)
{
	struct queue_info *info = &w->block.info;
	size_t start = w->pending.length;
	unsigned char bytes[QUEUE_BLOCK_SIZE];

	if (!queue_envelope_encode(envelope, &w->pending))
		return false;
	info->envelope_offset = QUEUE_CONTENT_OFFSET + info->content_size;
	info->envelope_size = (int64_t)(w->pending.length - start);
	if (info->envelope_size > QUEUE_MAX_SECTION) {
		errno = EFBIG;
		return false;
	}
	info->recipient_count = envelope->info.recipient_count;
	info->flags = envelope->info.flags;
	info->next_try = envelope->info.next_try;
	w->block.envelope_crc = queue_envelope_crc(
		(unsigned char *)w->pending.data + start, (size_t)info->envelope_size);
	queue_block_encode(&w->block, bytes);
	if (w->written == 0) {
		memcpy(w->pending.data, bytes, sizeof(bytes));
		return flush(w);
	}
	return flush(w) && os_pwrite_all(w->fd, bytes, sizeof(bytes), 0);
}

bool queue_write_envelope(struct queue_writer *w, const struct queue_envelope *envelope)
{
	errno = 0;
	return note(w, write_envelope(w, envelope));
}

void queue_writer_hold(struct queue_writer *w)
{
	w->place = QUEUE_HOLD;
}

int queue_writer_error(const struct queue_writer *w)
{
	return w->error;
}

int64_t queue_writer_size(const struct queue_writer *w)
{
	return w->block.info.content_size;
}

/* The folder in which it stands when it is named. */
static int home(const struct queue *folders, const struct queue_writer *w)
{
	return queue_folder(folders, w->place, w->id);
}

static void name_file(struct queue_writer *w)
{
	int folder = queue_folder(w->queue, QUEUE_INCOMING, w->id);

	w->named = note(w, os_renameat(folder, w->temporary, home(w->queue, w), w->id));
}

/* What is synced together: files first, then the folders that they stand in, each once. */
struct commit {
	struct os_sync syncs[2 * QUEUE_COMMITS];
	unsigned files, used;
};
_Static_assert(2 * QUEUE_COMMITS <= (int)OS_SYNCS, "a commit is one call");

static void add_file(struct commit *commit, struct queue_writer *w)
{
	if (w->fd < 0) {
		errno = EBADF;
		(void)!note(w, false);
	}
	if (w->error)
		return;
	name_file(w);
	if (w->named)
		commit->syncs[commit->used++] = (struct os_sync){ .fd = w->fd };
}

static struct os_sync *sync_of_folder(struct commit *commit, int folder)
{
	for (unsigned i = commit->files; i < commit->used; i++)
		if (commit->syncs[i].fd == folder)
			return &commit->syncs[i];
	commit->syncs[commit->used] = (struct os_sync){ .fd = folder, .folder = true };
	return &commit->syncs[commit->used++];
}

static void take_result(struct queue_writer *w, const struct os_sync *sync)
{
	errno = sync->error;
	(void)!note(w, sync->error == 0);
}

/*
 * A file gets its name before it is synced, so that files and folders need one commit of the file system's journal between them.
 * Nobody has been told yet that the message was taken: what a crash leaves under its name is torn at worst, and qmgr sees that.
 */
unsigned queue_commit(
	const struct queue *folders, struct queue_writer *const *writers, unsigned count)
{
	struct commit commit = { .used = 0 };
	unsigned file = 0;

	assert(count <= QUEUE_COMMITS);
	for (unsigned i = 0; i < count; i++)
		add_file(&commit, writers[i]);
	commit.files = commit.used;
	for (unsigned i = 0; i < count; i++)
		if (writers[i]->named)
			(void)sync_of_folder(&commit, home(folders, writers[i]));
	os_fsync_all(commit.syncs, commit.used);
	for (unsigned i = 0; i < count; i++) {
		struct queue_writer *w = writers[i];

		if (!w->named)
			continue;
		take_result(w, &commit.syncs[file++]);
		take_result(w, sync_of_folder(&commit, home(folders, w)));
		w->committed = !w->error;
	}
	return commit.used;
}

void queue_writer_free(struct queue_writer **writer)
{
	struct queue_writer *w = *writer;

	if (!w)
		return;
	/* A file that cannot be removed here is never complete under its id unless its folder's sync failed; then it may be
	 * delivered although the client was told to try again, which is a duplicate and no loss. */
	if (w->fd >= 0 && !w->committed &&
		!os_unlinkat(w->named ? home(w->queue, w)
				      : queue_folder(w->queue, QUEUE_INCOMING, w->id),
			w->named ? w->id : w->temporary, 0))
		errno = 0;
	if (w->fd >= 0)
		os_close(&w->fd);
	buffer_free(&w->pending);
	free(w);
	*writer = NULL;
}
