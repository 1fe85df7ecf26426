// SPDX-License-Identifier: ISC
/* The thin layer over the system calls whose failure must be survived. See os.h. */
#include "os/os.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

os_fault os_fault_hook;
int64_t (*os_clock_hook)(void);

bool os_faulted(enum os_call call, const char *path)
{
	int error = os_fault_hook ? os_fault_hook(call, path) : 0;

	if (error)
		errno = error;
	return error != 0;
}

int os_openat(int dir, const char *path, int flags, mode_t mode)
{
	int fd;

	if (os_faulted(OS_OPEN, path))
		return -1;
	do
		fd = openat(dir, path, flags | O_CLOEXEC, mode);
	while (fd < 0 && errno == EINTR);
	return fd;
}

int os_open(const char *path, int flags, mode_t mode)
{
	return os_openat(AT_FDCWD, path, flags, mode);
}

ssize_t os_read(int fd, void *data, size_t length)
{
	ssize_t n;

	if (os_faulted(OS_READ, NULL))
		return -1;
	do
		n = read(fd, data, length);
	while (n < 0 && errno == EINTR);
	return n;
}

ssize_t os_pread(int fd, void *data, size_t length, int64_t offset)
{
	ssize_t n;

	if (os_faulted(OS_READ, NULL))
		return -1;
	do
		n = pread(fd, data, length, offset);
	while (n < 0 && errno == EINTR);
	return n;
}

bool os_write_all(int fd, const void *data, size_t length)
{
	const char *at = data;

	if (os_faulted(OS_WRITE, NULL))
		return false;
	while (length) {
		ssize_t n = write(fd, at, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		length -= (size_t)n;
	}
	return true;
}

bool os_pwrite_all(int fd, const void *data, size_t length, int64_t offset)
{
	const char *at = data;

	if (os_faulted(OS_WRITE, NULL))
		return false;
	while (length) {
		ssize_t n = pwrite(fd, at, length, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		offset += n;
		length -= (size_t)n;
	}
	return true;
}

ssize_t os_read_file(int dir, const char *path, char *data, size_t length)
{
	int fd = os_openat(dir, path, O_RDONLY, 0);
	size_t used = 0;
	ssize_t n = -1;
	char more;

	if (fd < 0)
		return -1;
	while (used < length && (n = os_read(fd, data + used, length - used)) > 0)
		used += (size_t)n;
	if (used == length)
		n = os_read(fd, &more, 1);
	if (n > 0)
		errno = EMSGSIZE;
	os_close(&fd);
	return n == 0 ? (ssize_t)used : -1;
}

bool os_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	return !os_faulted(OS_RENAME, from) && renameat(from_dir, from, to_dir, to) == 0;
}

bool os_linkat(int from_dir, const char *from, int to_dir, const char *to)
{
	return !os_faulted(OS_LINK, from) && linkat(from_dir, from, to_dir, to, 0) == 0;
}

bool os_unlinkat(int dir, const char *path, int flags)
{
	return !os_faulted(OS_UNLINK, path) && unlinkat(dir, path, flags) == 0;
}

bool os_mkdirat(int dir, const char *path, mode_t mode)
{
	return !os_faulted(OS_MKDIR, path) && mkdirat(dir, path, mode) == 0;
}

bool os_allocate(int fd, int64_t length)
{
	return !os_faulted(OS_TRUNCATE, NULL) && fallocate(fd, 0, 0, length) == 0;
}

int os_accept(int fd, struct sockaddr_storage *from)
{
	int client;

	if (os_faulted(OS_ACCEPT, NULL))
		return -1;
	do {
		socklen_t length = sizeof(*from);

		client =
			accept4(fd, (struct sockaddr *)from, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
	} while (client < 0 && errno == EINTR);
	return client;
}

bool os_set_blocking(int fd, bool blocking)
{
	int not_waiting = !blocking;

	return ioctl(fd, FIONBIO, &not_waiting) == 0;
}

/* The C library may ask by newfstatat, which can name files as well and is refused to whoever has none. */
bool os_fstat(int fd, struct stat *info)
{
	return !os_faulted(OS_STAT, NULL) && syscall(SYS_fstat, fd, info) == 0;
}

bool os_fstatat(int dir, const char *path, struct stat *info, int flags)
{
	return !os_faulted(OS_STAT, path) && fstatat(dir, path, info, flags) == 0;
}

/* For file systems that cannot copy_file_range between the two. */
static bool copy_by_sendfile(int in, int64_t in_offset, int out, int64_t length)
{
	off_t at = in_offset;

	while (length) {
		ssize_t n = sendfile(out, in, &at, (size_t)length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = EIO;
		if (n <= 0)
			return false;
		length -= n;
	}
	return true;
}

bool os_copy(int in, int64_t in_offset, int out, int64_t length)
{
	off64_t at = in_offset;

	if (os_faulted(OS_COPY, NULL))
		return false;
	while (length) {
		ssize_t n = copy_file_range(in, &at, out, NULL, (size_t)length, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == ENOSYS ||
				     errno == EOPNOTSUPP))
			return copy_by_sendfile(in, at, out, length);
		if (n == 0)
			errno = EIO; /* the source is shorter than it said */
		if (n <= 0)
			return false;
		length -= n;
	}
	return true;
}

bool os_set_mtime(int fd, int64_t seconds)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = seconds } };

	return !os_faulted(OS_WRITE, NULL) && futimens(fd, times) == 0;
}

ssize_t os_read_folder(int fd, void *entries, size_t length)
{
	return os_faulted(OS_READ, NULL) ? -1 : getdents64(fd, entries, length);
}

bool os_rewind_folder(int fd)
{
	return !os_faulted(OS_READ, NULL) && lseek(fd, 0, SEEK_SET) == 0;
}

void os_close(int *fd)
{
	int error = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = error;
}

int64_t os_now(void)
{
	struct timespec now;

	if (os_clock_hook)
		return os_clock_hook();
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void os_random(void *data, size_t length)
{
	char *at = data;

	while (length) {
		ssize_t n = getrandom(at, length, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			abort();
		at += n;
		length -= (size_t)n;
	}
}

#ifdef POSTERN_TEST_HOOKS
static struct {
	enum os_call call;
	int error;
	long after, count;
} environment_fault;

static int fault_of_environment(enum os_call call, const char *path)
{
	if (call != environment_fault.call)
		return 0;
	if (environment_fault.after-- > 0)
		return 0;
	if (environment_fault.count-- <= 0)
		return 0;
	return environment_fault.error;
}

static const char *const CALL_NAMES[OS_CALLS] = { "open", "read", "write", "fsync", "rename",
	"link", "unlink", "mkdir", "copy", "stat", "truncate", "accept", "writeback" };
static const struct {
	const char *name;
	int error;
} ERROR_NAMES[] = { { "ENOSPC", ENOSPC }, { "EIO", EIO }, { "EMFILE", EMFILE },
	{ "ENOMEM", ENOMEM }, { "EACCES", EACCES }, { "EDQUOT", EDQUOT }, { "EROFS", EROFS } };

void os_fault_from_environment(void)
{
	const char *text = getenv("POSTERN_FAULT");
	char call[16], error[16];
	long after = 0, count = 1;

	if (!text || sscanf(text, "%15[^:]:%15[^:]:%ld:%ld", call, error, &after, &count) < 2)
		return;
	for (unsigned i = 0; i < OS_CALLS; i++) {
		if (strcmp(call, CALL_NAMES[i]) == 0)
			environment_fault.call = i;
	}
	for (size_t i = 0; i < sizeof(ERROR_NAMES) / sizeof(ERROR_NAMES[0]); i++) {
		if (strcmp(error, ERROR_NAMES[i].name) == 0)
			environment_fault.error = ERROR_NAMES[i].error;
	}
	environment_fault.after = after;
	environment_fault.count = count;
	os_fault_hook = fault_of_environment;
}
#else
void os_fault_from_environment(void)
{
}
#endif
