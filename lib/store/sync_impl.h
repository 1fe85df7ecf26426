// SPDX-License-Identifier: ISC
/*
 * Inside of bringing an index up to date: what sync.c (when, and in which transactions), sync_scan.c (what is there, and what of it
 * is known), sync_apply.c (what other programs did to known messages) and sync_take.c (messages nobody knows yet) share.
 */
#ifndef STORE_SYNC_IMPL_H
#define STORE_SYNC_IMPL_H

#include "base/map.h"
#include "store/internal.h"

/* A file that is there. */
struct found {
	struct slice name; /* in scan.names */
	struct slice base;
	uint32_t uid; /* U= of the name */
	bool in_new, matched;
};
/* A message we know. */
struct known {
	uint32_t uid;
	uint8_t flags;
	uint64_t keywords;
	int64_t size;
	struct slice name, base;
	uint32_t next; /* of the same base: index + 1 */
	uint32_t file; /* index + 1 of its file */
};
struct scan {
	struct box *box;
	struct arena names, known_names;
	struct vector files; /* of struct found */
	struct vector known; /* of struct known */
	struct map by_base; /* to index + 1 of the first known message */
	struct vector added; /* of uint32_t: indexes of files nobody knows */
	uint64_t modseq; /* of this sync's changes */
	int64_t cur_mtime, new_mtime;
	bool backwards; /* cur/ is older than we left it: a crash lost renames of ours */
	bool in_new, failed, foreign; /* while listing */
	bool whole; /* cur/ was read, too */
	bool left; /* the disk is full: files that could not be taken over stay for later */
	bool keywords_read; /* dovecot-keywords was looked at */
	unsigned taken;
	uint32_t serial;
};

/* Nanoseconds; -1 when it cannot be told. */
int64_t sync_mtime(int fd);

/* --- sync_scan.c --- */
/* Add the files of one folder; false with errno. */
MUST_CHECK bool scan_folder(struct scan *scan, int fd, bool in_new);
/* What the index has of the mailbox. False: told by store_failed. */
MUST_CHECK bool scan_load_known(struct scan *scan);
/* List both folders, and find the file of each known message. False: told. */
MUST_CHECK bool scan_match(struct scan *scan);
/* The first known message whose file name has this base; NULL: none has. */
struct known *scan_first_of_base(const struct scan *scan, struct slice base);
/* A file by its index + 1; NULL for 0. */
struct found *scan_file_at(const struct scan *scan, uint32_t number);

/* --- sync_apply.c --- */
/* Something is found out that clients are to learn: one modseq for all of one sync. */
void scan_changed(struct scan *scan, bool addition);
/* Flags and keywords of a file's letters; letters that nobody explains are no keywords. */
uint8_t scan_letters(struct scan *scan, struct slice letters, uint64_t *keywords);
/* Renamed files, other flags, and messages that are gone. False: told. */
MUST_CHECK bool scan_apply_known(struct scan *scan);
/* Remove the files of messages that were expunged and acknowledged before a crash. */
MUST_CHECK bool scan_finish_expunge(struct scan *scan);

/* --- sync_take.c --- */
/* Give UIDs to the files that nobody knows, at most STORE_TAKE_CHUNK; `more` tells that there are others. False: told. */
MUST_CHECK bool scan_take_over(struct scan *scan, bool index_is_new, bool *more);

#endif
