// SPDX-License-Identifier: ISC
/*
 * What master does for keyd, which cannot do it from inside its cell: it looks whether files of keys and certificates have changed, and
 * hands over those that have.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "master/master.h"
#include "os/os.h"
#include "service/log.h"

enum {
	WATCHED_MAX = 2000,
	FRESH = 2 /* seconds: what changed so lately may have done so after keyd read it */
};

struct watched_file {
	uint32_t number;
	char *path;
	struct stat last; /* as it was when keyd got it; zeroed: it is to get it */
};

/* --- changes --- */

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

void keys_watch(struct process *process, const struct message_key_watch *message)
{
	struct watched_file *file;

	if (!process->watched.size)
		process->watched = vector_of(sizeof(struct watched_file), WATCHED_MAX);
	file = vector_add(&process->watched);
	if (!file) {
		log_warning("TLS: too many files to watch: %.*s is not", SLICE_ARG(message->path));
		return;
	}
	file->number = message->number;
	file->path = slice_dup(message->path);
	if (!file->path || stat(file->path, &file->last) < 0 ||
		file->last.st_ctim.tv_sec >= os_now() / 1000000 - FRESH)
		file->last = (struct stat){ 0 };
}

static void send_file(struct process *process, struct watched_file *file)
{
	struct message message = { .type = MESSAGE_KEY_FILE, .fd_count = 1 };
	struct stat now;
	int fd;

	if (!file->path || stat(file->path, &now) < 0 || same_file(&now, &file->last) ||
		!S_ISREG(now.st_mode))
		return;
	fd = os_open(file->path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	if (fd >= 0 && os_fstat(fd, &now)) {
		file->last = now;
		message.key_file.number = file->number;
		message.fds[0] = fd;
		channel_send(&process->control, &message);
	}
	os_close(&fd);
}

static void look(struct timer *timer)
{
	struct process *process = timer->context;

	for (size_t i = 0; i < process->watched.count; i++)
		send_file(process, vector_at(&process->watched, i));
	loop_timer_start(
		process->master->loop, timer, process->entry->generation->settings.key_interval);
}

void keys_begin(struct process *process)
{
	if (!process->watched.count)
		return;
	process->watch_timer = (struct timer){ .fire = look, .context = process };
	loop_timer_start(process->master->loop, &process->watch_timer,
		process->entry->generation->settings.key_interval);
}

void keys_end(struct process *process)
{
	loop_timer_stop(&process->watch_timer);
	for (size_t i = 0; i < process->watched.count; i++)
		free(((struct watched_file *)vector_at(&process->watched, i))->path);
	vector_free(&process->watched);
}
