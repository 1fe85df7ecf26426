// SPDX-License-Identifier: ISC
/* A file as it was when it was read. See file_stamp.h. */
#include "os/file_stamp.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool part_take(struct file_stamp_part *part, int fd)
{
	struct stat info;

	if (!os_fstat(fd, &info))
		return false;
	*part = (struct file_stamp_part){ fd, info.st_size, info.st_ctim };
	return true;
}

/*
 * The change time tells of writes, of renaming, and of being unlinked or replaced, also where the file lives on under another name. What
 * cannot be asked now cannot be asked after a restart either; but a server that knows the file no more (NFS) has another one.
 */
static bool part_changed(const struct file_stamp_part *part, bool written)
{
	struct stat now;

	if (!os_fstat(part->fd, &now))
		return errno == ESTALE;
	if (now.st_nlink == 0 || !written)
		return now.st_nlink == 0;
	return now.st_size != part->size || now.st_ctim.tv_sec != part->changed.tv_sec ||
	       now.st_ctim.tv_nsec != part->changed.tv_nsec;
}

/* --- links on the way --- */

/* A path that is gone through: what lies behind, without links, and what is still ahead. */
struct way {
	char done[PATH_MAX], ahead[PATH_MAX];
};

static bool put(char text[PATH_MAX], const char *a, const char *b, const char *c)
{
	char whole[PATH_MAX];
	int length = snprintf(whole, sizeof(whole), "%s%s%s", a, b, c);

	if (length < 0 || length >= PATH_MAX)
		return false;
	memcpy(text, whole, (size_t)length + 1);
	return true;
}

static bool keep_link(struct file_stamp *stamp, int fd)
{
	struct file_stamp_part *more;

	if (stamp->link_count == FILE_STAMP_LINKS)
		return false;
	more = realloc(stamp->links, (stamp->link_count + 1) * sizeof(*more));
	if (!more)
		return false;
	stamp->links = more;
	if (!part_take(&more[stamp->link_count], fd))
		return false;
	stamp->link_count++;
	return true;
}

/* `fd` is of a link: go where it leads, instead of what is behind it. */
static bool follow(struct way *way, int fd)
{
	char target[PATH_MAX];
	ssize_t length = readlinkat(fd, "", target, sizeof(target) - 1);

	if (length <= 0)
		return false;
	target[length] = '\0';
	if (target[0] == '/')
		way->done[0] = '\0';
	return put(way->ahead, target, "/", way->ahead);
}

/* One component. False: there is none, or it cannot be looked at. */
static bool step(struct file_stamp *stamp, struct way *way)
{
	char here[PATH_MAX], *name = way->ahead + strspn(way->ahead, "/");
	size_t length = strcspn(name, "/");
	char *rest = name + length + (name[length] == '/');
	struct stat info;
	bool good;
	int fd;

	name[length] = '\0';
	if (!length || !put(here, way->done, "/", name))
		return false;
	memmove(way->ahead, rest, strlen(rest) + 1);
	fd = os_open(here, O_PATH | O_NOFOLLOW, 0);
	if (fd < 0)
		return false;
	if (os_fstat(fd, &info) && S_ISLNK(info.st_mode) && keep_link(stamp, fd))
		return follow(way, fd); /* it is the stamp's */
	good = put(way->done, here, "", "");
	os_close(&fd);
	return good;
}

static void take_links(struct file_stamp *stamp, const char *path)
{
	struct way *way = calloc(1, sizeof(*way));

	if (way && put(way->done, path[0] == '/' ? "" : ".", "", "") &&
		put(way->ahead, path, "", ""))
		while (step(stamp, way))
			continue;
	free(way);
}

/* --- the whole --- */

bool file_stamp_take(struct file_stamp *stamp, const char *path)
{
	int fd;

	*stamp = FILE_STAMP_NONE;
	take_links(stamp, path);
	fd = os_open(path, O_PATH, 0);
	if (fd >= 0 && part_take(&stamp->file, fd))
		return true;
	os_close(&fd);
	file_stamp_free(stamp);
	return false;
}

static bool changed(const struct file_stamp *stamp, bool written)
{
	if (stamp->file.fd < 0)
		return false;
	for (unsigned i = 0; i < stamp->link_count; i++)
		if (part_changed(&stamp->links[i], true))
			return true;
	return part_changed(&stamp->file, written);
}

bool file_stamp_changed(const struct file_stamp *stamp)
{
	return changed(stamp, true);
}

bool file_stamp_replaced(const struct file_stamp *stamp)
{
	return changed(stamp, false);
}

void file_stamp_free(struct file_stamp *stamp)
{
	for (unsigned i = 0; i < stamp->link_count; i++)
		os_close(&stamp->links[i].fd);
	free(stamp->links);
	if (stamp->file.fd >= 0)
		os_close(&stamp->file.fd);
	*stamp = FILE_STAMP_NONE;
}
