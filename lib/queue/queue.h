// SPDX-License-Identifier: ISC
/*
 * The queue on disk: folders, ids, and the file format (docs/queue-format.md describes every byte).
 *
 * A queue file is: first block (512 bytes: magic, version, lengths, offsets, times, counters, checksums) . content (LF line
 * ends, with the headers cleanup added) . envelope records . trailer (header changes after filtering; may be absent) . report
 * (why recipients failed; may be absent). Content comes before the envelope because recipients are still being expanded while it
 * streams in, and so that its offset never moves. All integers are little-endian and 64 bits wide unless they are record lengths.
 *
 * After its commit three things of a file change, each in place and each safe without a sync: one byte of a recipient (done), the
 * first block (one sector), and the report, which has a checksum of its own and on which nothing depends.
 */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include "base/arena.h"
#include "base/buffer.h"

enum queue_name {
	QUEUE_INCOMING,
	QUEUE_ACTIVE,
	QUEUE_DEFERRED,
	QUEUE_HOLD,
	QUEUE_CORRUPT,
	QUEUE_NAMES
};
enum { QUEUE_ID_LENGTH = 16, QUEUE_ID_SIZE = QUEUE_ID_LENGTH + 1, QUEUE_CONTENT_OFFSET = 512 };

/* The folders as descriptors: everything works relative to them. */
enum { QUEUE_SHARES = 16 };
struct queue {
	int folder[QUEUE_NAMES];
	/* incoming/0 to incoming/f, spread over the disk: ext4 looks past every inode that was lately removed near a folder when it
	 * makes a file there, and a queue removes as many as it makes. Messages of the same second share one, so that one sync of
	 * the folder does for many. None: incoming/ itself does it. */
	int share[QUEUE_SHARES];
	unsigned share_count;
};
/* Open the folders below `path` (made when missing and `create`; shares are optional). */
MUST_CHECK bool queue_open(
	struct queue *queue, const char *path, bool create, char *error, size_t error_size);
/* The same folders, opened once more: for a thread that commits beside others (queue_commit). False with errno; nothing is open then. */
MUST_CHECK bool queue_open_again(struct queue *again, const struct queue *queue);
void queue_close(struct queue *queue);
const char *queue_folder_name(enum queue_name name);
/* 16 characters that sort by time: microseconds since 1970 and a random part; never the same twice in a process, and taken
 * with O_EXCL, so never twice in a queue. */
void queue_id_new(char id[QUEUE_ID_SIZE]);
bool queue_id_valid(struct slice id);
/* The descriptor of the folder in which file `id` of `name` stands, or would. The queue's. */
int queue_folder(const struct queue *queue, enum queue_name name, const char *id);
/* The file of `id`, opened without following links or waiting for a FIFO's other end; -1 with errno. The caller's. */
MUST_CHECK int queue_open_file(
	const struct queue *queue, enum queue_name name, const char *id, int flags);
MUST_CHECK bool queue_remove(const struct queue *queue, enum queue_name name, const char *id);

/* What the first block says. Times are microseconds since 1970. */
struct queue_info {
	int64_t arrival;
	int64_t content_size, content_lines; /* at QUEUE_CONTENT_OFFSET */
	int64_t envelope_offset, envelope_size;
	int64_t trailer_offset, trailer_size;
	int64_t next_try; /* 0: at once */
	int64_t delay_warned; /* when the sender was told of the delay, or 0 */
	uint32_t attempts;
	uint32_t recipient_count, recipients_done;
	uint32_t flags; /* enum queue_flag */
};
enum queue_flag {
	QUEUE_FLAG_EXPIRED = 1 /* forced */,
	QUEUE_FLAG_8BIT = 2,
	QUEUE_FLAG_SMTPUTF8 = 4,
	QUEUE_FLAG_BOUNCE = 8,
	QUEUE_FLAG_LOCAL = 16,
	QUEUE_FLAG_RET_HEADERS = 32 /* RFC 3461 4.3: bounces carry the headers only */
};

struct queue_recipient {
	struct slice address; /* after alias expansion */
	struct slice original; /* as the client gave it */
	struct slice orcpt; /* RFC 3461, or empty */
	struct slice reason; /* why the last attempt failed, or empty */
	struct slice dsn;
	uint8_t notify;
	bool done;
	int64_t offset; /* of its record in the file, for queue_mark_done */
};
/* A whole envelope in memory; slices live in `arena`. */
struct queue_envelope {
	struct queue_info info;
	struct slice sender, envid, client_name, client_address, helo, protocol, login;
	struct queue_recipient *recipients;
};

/* --- writing, in cleanup --- */
struct queue_writer; /* one file being made */
/* Begins queue file `id`. It appears as "ID.tmp" in its folder when the first 128 KiB are full, or with the envelope. A writer
 * is used by one thread at a time. */
MUST_CHECK struct queue_writer *queue_create(struct queue *queue, const char *id, int64_t arrival);
MUST_CHECK bool queue_write_content(struct queue_writer *w, struct slice content);
/* Writes envelope records and first block. Nothing is durable yet. */
MUST_CHECK bool queue_write_envelope(struct queue_writer *w, const struct queue_envelope *envelope);
/* It goes to hold/ instead of incoming/: no crash lets it go from there, and qmgr never finds it before. */
void queue_writer_hold(struct queue_writer *w);
enum { QUEUE_COMMITS = 32 };
/*
 * Rename each file to its id, fsync files and their folders, each once and all at a time: what a commit costs the disk is shared.
 * Durable are those of which queue_writer_error says 0 afterwards; one that fails harms no other. A writer whose envelope could
 * not be written fails here. At most QUEUE_COMMITS. Returns how many syncs it took.
 *
 * May run on another thread than the rest. Threads that commit at the same time have each its own `folders` (queue_open_again): an
 * error of writing is told once to each open file description, so of two threads that sync the same one the second would hear nothing of
 * what became of its message's name.
 */
unsigned queue_commit(
	const struct queue *folders, struct queue_writer *const *writers, unsigned count);
/* The errno of what failed first; 0: nothing has. */
int queue_writer_error(const struct queue_writer *w);
/* Bytes of content so far. */
int64_t queue_writer_size(const struct queue_writer *w);
/* Remove what is not committed, free. */
void queue_writer_free(struct queue_writer **w);
/* Remove unfinished files whose writer died before the commit; those of living writers are locked. Returns how many. */
unsigned queue_remove_unfinished(struct queue *queue);

/* True while somebody makes this file: it has its name before it is durable. */
bool queue_has_writer(int fd);

/* --- reading and marking, in qmgr, showq, postcat --- */
enum queue_check {
	QUEUE_CHECK_HEAD,
	QUEUE_CHECK_NEW /* the content's checksum too when no delivery was tried yet: a crash may have torn it */
	,
	QUEUE_CHECK_ALL /* the content's checksum in any case */
};
/* False with errno EBADMSG when the file does not check out: then it belongs in corrupt/. */
MUST_CHECK bool queue_read(
	int fd, enum queue_check check, struct arena *arena, struct queue_envelope *envelope);
/* In place, with pwrite; no sync (a mark that is lost means a duplicate, not a loss): sync once with os_fdatasync for a batch. */
MUST_CHECK bool queue_mark_done(int fd, struct queue_envelope *envelope, uint32_t recipient);
/* Attempts, next try, warning time, flags (in the first block, switched last), and the reasons of the recipients that are left
 * (the report: over the old one, or appended where it does not fit). No sync is needed: what is lost by a crash is only how often
 * and why it failed. */
MUST_CHECK bool queue_update(int fd, struct queue_envelope *envelope);
MUST_CHECK bool queue_move(
	struct queue *queue, const char *id, enum queue_name from, enum queue_name to);

#endif
