// SPDX-License-Identifier: ISC
/* Figures in pages shared with master. See figures.h. */
#include "service/figures.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/os.h"

struct counters {
	_Atomic int64_t value[FIGURE_COUNT];
};

static struct counters nowhere;
static struct counters *own = &nowhere;

/* What is written to a file as it stands. */
_Static_assert(sizeof(struct counters) == sizeof(((struct figures *)0)->value), "plain counters");
enum { IDENTITY_SIZE = offsetof(struct figures, value) };

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

int figures_make(int folder, const char *name, const char *entry)
{
	struct figures empty = { 0 };
	int fd = os_openat(folder, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	snprintf(empty.entry, sizeof(empty.entry), "%s", entry);
	if (fd >= 0 && fchmod(fd, 0644) == 0 && os_allocate(fd, 2 * (int64_t)page_size()) &&
		os_pwrite_all(fd, &empty, IDENTITY_SIZE, 0) && figures_write(fd, &empty))
		return fd;
	if (fd >= 0) {
		int error = errno;

		os_close(&fd);
		(void)!os_unlinkat(folder, name, 0);
		errno = error;
	}
	return -1;
}

bool figures_set_pid(int fd, pid_t pid)
{
	int64_t value = pid;

	return os_pwrite_all(fd, &value, sizeof(value), offsetof(struct figures, pid));
}

bool figures_write(int fd, const struct figures *figures)
{
	return os_pwrite_all(fd, figures->value, sizeof(figures->value), (int64_t)page_size());
}

static bool read_exactly(int fd, void *data, size_t length, size_t offset)
{
	ssize_t n = os_pread(fd, data, length, (int64_t)offset);

	if (n >= 0 && (size_t)n < length)
		errno = ENODATA;
	return n == (ssize_t)length;
}

bool figures_read(int fd, struct figures *figures)
{
	if (!read_exactly(fd, figures, IDENTITY_SIZE, 0) ||
		!read_exactly(fd, figures->value, sizeof(figures->value), page_size()))
		return false;
	figures->entry[sizeof(figures->entry) - 1] = '\0';
	return true;
}

#define IS_COUNTER(name, kind, help) IS_##kind,
void figures_add_up(struct figures *sum, const struct figures *ended)
{
	enum { IS_GAUGE, IS_COUNTER };
	static const bool COUNTS[] = { FIGURES(IS_COUNTER) };

	/* Unsigned: the values are somebody else's, and may be anything. */
	for (int f = 0; f < FIGURE_COUNT; f++)
		if (COUNTS[f])
			sum->value[f] =
				(int64_t)((uint64_t)sum->value[f] + (uint64_t)ended->value[f]);
}

bool figures_open(int fd)
{
	size_t page = page_size();
	struct stat info;
	void *map;

	if (!os_fstat(fd, &info))
		return false;
	if ((size_t)info.st_size != 2 * page) {
		errno = ENODATA;
		return false;
	}
	/* The last page of the file: there is nothing behind it that the mapping could be made to grow over. */
	map = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)page);
	if (map == MAP_FAILED)
		return false;
	own = map;
	return true;
}

void figures_add(enum figure figure, int64_t n)
{
	atomic_fetch_add_explicit(&own->value[figure], n, memory_order_relaxed);
}

void figures_set(enum figure figure, int64_t n)
{
	atomic_store_explicit(&own->value[figure], n, memory_order_relaxed);
}

#define FIGURE_NAME(name, kind, help) #name,
#define FIGURE_HELP(name, kind, help) help,
const char *figure_name(enum figure figure)
{
	static const char *const NAMES[] = { FIGURES(FIGURE_NAME) };

	return figure < FIGURE_COUNT ? NAMES[figure] : "?";
}

const char *figure_help(enum figure figure)
{
	static const char *const HELP[] = { FIGURES(FIGURE_HELP) };

	return figure < FIGURE_COUNT ? HELP[figure] : "?";
}

#ifdef POSTERN_TEST_HOOKS
#include <signal.h>
#include <sys/syscall.h>

/* A second mapping of the page, four times as long: the pages of neighbours in a shared file would be in it. */
int figures_try_behind(void)
{
	size_t page = page_size();
	char *twin = own == &nowhere ? MAP_FAILED : mremap(own, 0, 4 * page, MREMAP_MAYMOVE);
	int worked = 0, error;

	if (twin == MAP_FAILED)
		return 0;
	/* Written to by the kernel, which says EFAULT where a store would be the end. */
	for (size_t i = 1; i < 4 && !worked; i++)
		worked = syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, twin + i * page, 8) == 0;
	error = errno;
	munmap(twin, 4 * page);
	errno = error;
	return worked;
}

int figures_try_before(void)
{
	size_t page = page_size();
	char *twin = own == &nowhere ? MAP_FAILED : mremap(own, 0, page, MREMAP_MAYMOVE);
	int worked, error;

	if (twin == MAP_FAILED)
		return 0;
	worked = syscall(SYS_remap_file_pages, twin, page, 0, 0, 0) == 0;
	error = errno;
	munmap(twin, page);
	errno = error;
	return worked;
}
#endif
