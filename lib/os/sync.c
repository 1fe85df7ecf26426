// SPDX-License-Identifier: ISC
/*
 * Making files durable, one or several at once. See os.h.
 *
 * fsyncs that run one after another cost a flush of the disk's cache each, although the first has committed the journal for all of
 * them; fsyncs that wait at the same time share the commit and its flush. The kernel runs them side by side for a process that asks
 * by io_submit (IOCB_CMD_FSYNC, Linux 4.18). Whoever's cell lacks that call, or when the system's contexts are used up
 * (fs.aio-max-nr), has them one after another: slower, not less durable.
 */
#include <assert.h>
#include <errno.h>
#include <linux/aio_abi.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/os.h"

/* A thread's own. A child that is forked has none of its own although it sees its parent's: the kernel answers EINVAL there. */
static _Thread_local struct {
	aio_context_t context;
	bool refused;
} together;

bool os_fsync(int fd)
{
	return !os_faulted(OS_FSYNC, NULL) && fsync(fd) == 0;
}

bool os_fdatasync(int fd)
{
	return !os_faulted(OS_FSYNC, NULL) && fdatasync(fd) == 0;
}

/*
 * What fails here has failed for good: the kernel tells an error of writing once to an open file, so that the fsync which follows
 * would know nothing of it. Only where there is no such call is fsync left to tell.
 */
static int write_back(int fd, unsigned how)
{
	if (os_faulted(OS_WRITE_BACK, NULL))
		return errno;
	return sync_file_range(fd, 0, 0, how) == 0 || errno == ENOSYS ? 0 : errno;
}

/* Files only: what a folder holds is the file system's own. How many are left, at the start of the list, that did not fail. */
static unsigned write_back_all(struct os_sync **list, unsigned count, unsigned how)
{
	unsigned left = 0;

	for (unsigned i = 0; i < count; i++) {
		list[i]->error = list[i]->folder ? 0 : write_back(list[i]->fd, how);
		if (!list[i]->error)
			list[left++] = list[i];
	}
	return left;
}

static bool have_context(void)
{
	if (!together.context && !together.refused)
		together.refused = syscall(SYS_io_setup, OS_SYNCS, &together.context) != 0;
	return !together.refused;
}

/* How many of them, from the first, the kernel has taken. */
static unsigned submit(struct os_sync *const *syncs, unsigned count)
{
	struct iocb requests[OS_SYNCS], *list[OS_SYNCS];
	long taken;

	if (count < 2 || !have_context())
		return 0;
	for (unsigned i = 0; i < count; i++) {
		requests[i] = (struct iocb){ .aio_data = (uint64_t)(uintptr_t)syncs[i],
			.aio_lio_opcode = IOCB_CMD_FSYNC,
			.aio_fildes = (uint32_t)syncs[i]->fd };
		list[i] = &requests[i];
	}
	taken = syscall(SYS_io_submit, together.context, (long)count, list);
	together.refused = taken < 0 && errno != EAGAIN;
	return taken > 0 ? (unsigned)taken : 0;
}

/* What was taken is in flight until the kernel tells its result: nothing may go on before. */
static void collect(unsigned count)
{
	struct io_event events[OS_SYNCS];

	while (count) {
		long n = syscall(
			SYS_io_getevents, together.context, (long)count, (long)count, events, NULL);

		if (n < 0 && errno != EINTR)
			abort();
		for (long i = 0; i < n; i++) {
			struct os_sync *sync = (struct os_sync *)(uintptr_t)events[i].data;

			sync->error = events[i].res < 0 ? (int)-events[i].res : 0;
			count--;
		}
	}
}

void os_fsync_all(struct os_sync *syncs, unsigned count)
{
	struct os_sync *list[OS_SYNCS];
	unsigned n = 0, taken;

	assert(count <= OS_SYNCS);
	for (unsigned i = 0; i < count; i++) {
		syncs[i].error = os_faulted(OS_FSYNC, NULL) ? errno : 0;
		if (!syncs[i].error)
			list[n++] = &syncs[i];
	}
	/* The data first: a file whose data has still to be written when the others are committed would need a commit more. */
	if (n > 1) {
		n = write_back_all(list, n, SYNC_FILE_RANGE_WRITE);
		n = write_back_all(list, n,
			SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
				SYNC_FILE_RANGE_WAIT_AFTER);
	}
	taken = submit(list, n);
	for (unsigned i = taken; i < n; i++)
		list[i]->error = fsync(list[i]->fd) == 0 ? 0 : errno;
	collect(taken);
}
