// SPDX-License-Identifier: ISC
/*
 * postern status - does it run (exit status 0 or 1, as postfix status), and what its processes have counted. The figures are read from the
 * page set that they share; nobody is asked.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/instance.h"
#include "cli/json.h"
#include "service/figures.h"

static const struct figures_slot *map_figures(const char *root)
{
	char path[PATH_MAX + 32];
	void *map = MAP_FAILED;
	struct stat info;
	int fd;

	snprintf(path, sizeof(path), "%s/run/figures", root);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	if (fstat(fd, &info) == 0 &&
		(size_t)info.st_size >= sizeof(struct figures_slot) * FIGURES_SLOTS)
		map = mmap(NULL, sizeof(struct figures_slot) * FIGURES_SLOTS, PROT_READ, MAP_SHARED,
			fd, 0);
	close(fd);
	return map == MAP_FAILED ? NULL : map;
}

static int64_t figure_of(const struct figures_slot *slot, int figure)
{
	return atomic_load_explicit((_Atomic int64_t *)&slot->value[figure], memory_order_relaxed);
}

static long long pid_of(const struct figures_slot *slot)
{
	return atomic_load_explicit((_Atomic int64_t *)&slot->pid, memory_order_relaxed);
}

/* Slots of processes that ended keep what they counted: the sum is of all since the start. */
static void add_up(const struct figures_slot *slots, int64_t totals[FIGURE_COUNT])
{
	for (int f = 0; f < FIGURE_COUNT; f++)
		totals[f] = 0;
	for (int i = 0; i < FIGURES_SLOTS; i++)
		for (int f = 0; f < FIGURE_COUNT; f++)
			totals[f] += figure_of(&slots[i], f);
}

/* The entry's name as a C string: another process writes the page. */
static void entry_name(const struct figures_slot *slot, char name[sizeof(slot->entry) + 1])
{
	memcpy(name, slot->entry, sizeof(slot->entry));
	name[sizeof(slot->entry)] = 0;
}

/*
 * The lock is master's owner's to see; others learn from the figures who master was, and from the system whether such a process is
 * there. Good enough to be told, not to send signals.
 */
static pid_t master_by_figures(const struct figures_slot *slots)
{
	char path[64], text[64] = "", wanted[64];
	pid_t pid = slots ? (pid_t)pid_of(&slots[0]) : 0;
	FILE *file;

	if (pid <= 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (!fgets(text, sizeof(text), file))
		text[0] = 0;
	fclose(file);
	/* "PID (NAME) STATE ...": one that has ended and waits to be fetched does not run. */
	snprintf(wanted, sizeof(wanted), "%d (master) ", (int)pid);
	return strncmp(text, wanted, strlen(wanted)) == 0 && text[strlen(wanted)] != 'Z' ? pid : 0;
}

/* --- for people --- */

static void print_process(const struct figures_slot *slot)
{
	char name[sizeof(slot->entry) + 1];
	const char *separator = "";

	entry_name(slot, name);
	printf("%-16s %8lld  ", name, pid_of(slot));
	for (int f = 0; f < FIGURE_COUNT; f++) {
		if (!figure_of(slot, f))
			continue;
		printf("%s%s=%lld", separator, figure_name((enum figure)f),
			(long long)figure_of(slot, f));
		separator = " ";
	}
	putchar('\n');
}

static void print_table(const struct figures_slot *slots)
{
	int64_t totals[FIGURE_COUNT];

	printf("%-16s %8s  %s\n", "service", "pid", "figures");
	for (int i = 0; i < FIGURES_SLOTS; i++)
		if (pid_of(&slots[i]))
			print_process(&slots[i]);
	add_up(slots, totals);
	puts("\nsince the start:");
	for (int f = 0; f < FIGURE_COUNT; f++)
		if (totals[f])
			printf("%12lld  %s\n", (long long)totals[f], figure_help((enum figure)f));
}

/* --- for programs --- */

static void json_figures(struct buffer *out, const int64_t *values)
{
	for (int f = 0; f < FIGURE_COUNT; f++)
		buffer_printf(out, "%s\"%s\": %lld", f ? ", " : "{", figure_name((enum figure)f),
			(long long)values[f]);
	buffer_add_text(out, "}");
}

static void json_process(struct buffer *out, const struct figures_slot *slot)
{
	char name[sizeof(slot->entry) + 1];
	int64_t values[FIGURE_COUNT];

	for (int f = 0; f < FIGURE_COUNT; f++)
		values[f] = figure_of(slot, f);
	entry_name(slot, name);
	json_member(out, "{", "service", name);
	buffer_printf(out, ", \"pid\": %lld, \"figures\": ", pid_of(slot));
	json_figures(out, values);
	buffer_add_text(out, "}");
}

static void print_json(const char *root, pid_t pid, const struct figures_slot *slots)
{
	struct buffer out = { 0 };
	int64_t totals[FIGURE_COUNT];
	const char *separator = "";

	buffer_printf(&out, "{\"running\": %s, \"pid\": %d", pid > 0 ? "true" : "false",
		pid > 0 ? (int)pid : 0);
	json_member(&out, ", ", "instance", root);
	if (slots) {
		buffer_add_text(&out, ", \"processes\": [");
		for (int i = 0; i < FIGURES_SLOTS; i++) {
			if (!pid_of(&slots[i]))
				continue;
			buffer_add_text(&out, separator);
			json_process(&out, &slots[i]);
			separator = ", ";
		}
		buffer_add_text(&out, "], \"totals\": ");
		add_up(slots, totals);
		json_figures(&out, totals);
	}
	buffer_add_text(&out, "}");
	puts(buffer_text(&out) ? out.data : "{}");
	buffer_free(&out);
}

int status_main(int argc, char **argv)
{
	bool json = argc == 2 && strcmp(argv[1], "--json") == 0;
	const struct figures_slot *slots;
	char root[PATH_MAX];
	pid_t pid;

	if (argc > 1 && !json) {
		puts("usage: postern [-c FOLDER] status [--json]\n"
		     "Does the mail system run (exit status 0) or not (1), and what its processes "
		     "have done.");
		return strcmp(argv[1], "--help") == 0 ? EX_OK : EX_USAGE;
	}
	if (!instance_find("status", root))
		return EX_CONFIG;
	slots = map_figures(root);
	pid = instance_master(root);
	if (pid < 0 && errno == EACCES)
		pid = master_by_figures(slots);
	else if (pid < 0)
		cli_complain("status", "%s/run/master.pid: %s", root, strerror(errno));
	if (pid <= 0)
		slots = NULL;
	if (json)
		print_json(root, pid, slots);
	else if (pid > 0)
		printf("the mail system is running: pid %d, %s\n", (int)pid, root);
	else
		printf("the mail system is not running: %s\n", root);
	if (!json && slots)
		print_table(slots);
	return pid > 0 ? EX_OK : 1;
}
