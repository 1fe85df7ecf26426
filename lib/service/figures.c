// SPDX-License-Identifier: ISC
/* Figures in a shared page set. See figures.h. */
#include "service/figures.h"

#include <sys/mman.h>
#include <sys/stat.h>

static struct figures_slot nowhere;
static struct figures_slot *own = &nowhere;

bool figures_open(int fd, unsigned slot)
{
	size_t size = sizeof(struct figures_slot) * FIGURES_SLOTS;
	long page = 4096;
	size_t start = sizeof(struct figures_slot) * slot,
	       first = start / (size_t)page * (size_t)page;
	struct stat info;
	char *map;

	if (slot >= FIGURES_SLOTS || fstat(fd, &info) < 0 || (size_t)info.st_size < size)
		return false;
	/* Only the pages of its own slot: a process sees little of the others, and cannot reach most of them. */
	map = mmap(NULL, start + sizeof(struct figures_slot) - first, PROT_READ | PROT_WRITE,
		MAP_SHARED, fd, (off_t)first);
	if (map == MAP_FAILED)
		return false;
	own = (struct figures_slot *)(map + (start - first));
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

#define FIGURE_NAME(name, help) #name,
#define FIGURE_HELP(name, help) help,
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
