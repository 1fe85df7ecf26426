// SPDX-License-Identifier: ISC
/*
 * maildrop/: what users left while nobody listened. A file is submitted, and unlinked only after cleanup said 250; what can
 * never be submitted is set aside under another name, reported once, and does not stop the rest.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "cleanup/pickup.h"
#include "os/os.h"
#include "service/log.h"

/* The file's work is done, but it would be found again: never twice. */
static void remember(struct pickup *p, const char *name)
{
	p->stuck.limit = PICKUP_STUCK;
	if (!map_put(&p->stuck, slice_from(name), p))
		log_error("maildrop/%s: cannot be remembered as done; stop and remove it by hand",
			name);
}

static void set_aside(struct pickup *p, const char *name, const char *why)
{
	char bad[MAILDROP_NAME + 8];

	snprintf(bad, sizeof(bad), "%s.bad", name);
	if (os_renameat(p->folder, name, p->folder, bad)) {
		log_warning("maildrop/%s: %s; kept as %s", name, why, bad);
	} else {
		log_warning("maildrop/%s: %s; cannot be set aside: %s", name, why, strerror(errno));
		remember(p, name);
	}
}

static void remove_done(struct pickup *p, const char *name)
{
	if (os_unlinkat(p->folder, name, 0) || errno == ENOENT)
		return;
	log_warning("maildrop/%s: is queued, but cannot be removed: %s", name, strerror(errno));
	remember(p, name);
}

void drop_answered(struct intake *intake, unsigned code, struct slice reason)
{
	struct pickup *p = intake->pickup;

	if (code >= 200 && code < 300) {
		remove_done(p, intake->name);
	} else if (code >= 500) {
		char why[MAX_REASON + 40];

		snprintf(why, sizeof(why), "refused: %u %.*s", code, SLICE_ARG(reason));
		set_aside(p, intake->name, why);
	} else {
		log_warning("maildrop/%s: not queued now: %.*s", intake->name, SLICE_ARG(reason));
	}
	intake_end(intake);
}

static bool is_in_hand(struct pickup *p, const char *name)
{
	for (struct intake *i = p->list; i; i = i->next) {
		if (i->is_file && strcmp(i->name, name) == 0)
			return true;
	}
	return map_get(&p->stuck, slice_from(name)) != NULL;
}

/* What died while it was being written. */
static void remove_stale(struct pickup *p, const char *name)
{
	struct stat info;

	if (os_fstatat(p->folder, name, &info, AT_SYMLINK_NOFOLLOW) && S_ISREG(info.st_mode) &&
		info.st_mtime < os_now() / 1000000 - PICKUP_STALE &&
		os_unlinkat(p->folder, name, 0))
		log_info("maildrop/%s: removed, its writer never finished it", name);
}

/* Links, pipes and sockets hold no mail. */
static void remove_other(struct pickup *p, const char *name)
{
	if (os_unlinkat(p->folder, name, 0)) {
		log_warning("maildrop/%s: not a file; removed", name);
	} else {
		log_warning("maildrop/%s: not a file, and cannot be removed: %s", name,
			strerror(errno));
		remember(p, name);
	}
}

/* An open descriptor of a file that is what it should be, or -1. */
static int open_file(struct pickup *p, const char *name, struct stat *info)
{
	int fd;

	if (!os_fstatat(p->folder, name, info, AT_SYMLINK_NOFOLLOW))
		return -1;
	if (!S_ISREG(info->st_mode) && !S_ISDIR(info->st_mode)) {
		remove_other(p, name);
		return -1;
	}
	/* It may have become something else by now: so no link is followed, nothing blocks, and all is looked at again. */
	fd = os_openat(p->folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	if (fd < 0 && (errno == ENOENT || errno == EMFILE || errno == ENFILE || errno == ENOMEM))
		return -1;
	if (fd < 0) {
		set_aside(p, name, strerror(errno));
		return -1;
	}
	if (os_fstat(fd, info) && S_ISREG(info->st_mode) && info->st_nlink == 1)
		return fd;
	set_aside(p, name, "not a file of its own");
	os_close(&fd);
	return -1;
}

static void start_file(struct pickup *p, const char *name)
{
	struct intake *intake;
	struct stat info;
	int fd = open_file(p, name, &info);

	if (fd < 0)
		return;
	intake = intake_new(p, true, info.st_uid);
	if (!intake) {
		os_close(&fd);
		return;
	}
	snprintf(intake->name, sizeof(intake->name), "%s", name);
	maildrop_open(&intake->reader, fd);
}

/* Packets of one file, as many as cleanup takes now. */
static void feed_file(struct intake *intake)
{
	struct pickup *p = intake->pickup;

	while (!intake->over && intake->submission.state != SUBMISSION_ENDED &&
		intake_may_send(p)) {
		struct message message;
		enum maildrop_status got = maildrop_next(&intake->reader, &message);
		enum submission_status status = SUBMISSION_WRONG;

		if (got == MAILDROP_FAILED) {
			log_warning("maildrop/%s: %s", intake->name, strerror(errno));
			intake_end(intake);
			return;
		}
		if (got == MAILDROP_MESSAGE)
			status = submission_take(&intake->submission, &message);
		intake->active = loop_now(p->loop);
		if (status == SUBMISSION_MORE || status == SUBMISSION_WHOLE)
			continue;
		if (status == SUBMISSION_LOST)
			drop_answered(intake, 0, SLICE("cleanup went away"));
		else if (status == SUBMISSION_BAD_SENDER || status == SUBMISSION_BAD_RECIPIENT)
			drop_answered(intake, 553, SLICE("bad address syntax"));
		else
			drop_answered(intake, 554, SLICE("not a whole submission"));
	}
}

static void scan_some(struct pickup *p)
{
	while (p->scan && p->files < PICKUP_FILES && link_channel(&p->cleanup) && !p->draining) {
		struct dirent *entry = readdir(p->scan);
		struct slice name;

		if (!entry) {
			closedir(p->scan);
			p->scan = NULL;
			if (p->scan_again)
				drop_scan(p);
			return;
		}
		name = slice_from(entry->d_name);
		if (maildrop_name_unfinished(name))
			remove_stale(p, entry->d_name);
		else if (maildrop_name_good(name) && !is_in_hand(p, entry->d_name))
			start_file(p, entry->d_name);
	}
}

void drop_pump(struct pickup *p)
{
	struct intake *next;
	bool more;

	do {
		scan_some(p);
		more = false;
		for (struct intake *i = p->list; i; i = next) {
			next = i->next;
			if (i->is_file && !i->over)
				feed_file(i);
		}
		more = p->scan && p->files < PICKUP_FILES && intake_may_send(p) && !p->draining;
	} while (more);
}

void drop_scan(struct pickup *p)
{
	int fd;

	if (p->draining || !link_channel(&p->cleanup))
		return;
	p->scan_again = p->scan != NULL;
	if (p->scan)
		return;
	fd = os_openat(p->folder, ".", O_RDONLY | O_DIRECTORY, 0);
	p->scan = fd < 0 ? NULL : fdopendir(fd);
	if (!p->scan) {
		log_warning("maildrop: %s", strerror(errno));
		if (fd >= 0)
			os_close(&fd);
		return;
	}
	drop_pump(p);
}
