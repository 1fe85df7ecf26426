// SPDX-License-Identifier: ISC
/*
 * postern status - does it run (exit status 0 or 1, as postfix status), and what its processes have counted. The figures are read from
 * the file that each counts in; nobody is asked.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/vector.h"
#include "cli/instance.h"
#include "cli/json.h"
#include "os/os.h"
#include "service/figures.h"

/* Files of processes, in the order of their start. */
static int compare_numbers(const void *a, const void *b)
{
	unsigned long x = *(const unsigned long *)a, y = *(const unsigned long *)b;

	return x < y ? -1 : x > y;
}

static struct vector numbers_in(int folder)
{
	struct vector numbers = vector_of(sizeof(unsigned long), 0);
	DIR *listing = fdopendir(folder);
	struct dirent *entry;

	while (listing && (entry = readdir(listing))) {
		unsigned long *place = ascii_digit(entry->d_name[0]) ? vector_add(&numbers) : NULL;

		if (place)
			*place = strtoul(entry->d_name, NULL, 10);
	}
	if (listing)
		closedir(listing);
	if (numbers.count)
		qsort(numbers.items, numbers.count, sizeof(unsigned long), compare_numbers);
	return numbers;
}

/* One struct figures for each file; a process that ends meanwhile takes its file with it. */
static struct vector read_figures(const char *root)
{
	struct vector all = vector_of(sizeof(struct figures), 0), numbers;
	char path[PATH_MAX + 64];
	int fd;

	snprintf(path, sizeof(path), "%s/" FIGURES_FOLDER, root);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return all;
	numbers = numbers_in(fd);
	for (size_t i = 0; i < numbers.count; i++) {
		struct figures figures, *place;

		snprintf(path, sizeof(path), "%s/" FIGURES_FOLDER "/%lu", root,
			*(unsigned long *)vector_at(&numbers, i));
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0 && figures_read(fd, &figures) && (place = vector_add(&all)))
			*place = figures;
		os_close(&fd);
	}
	vector_free(&numbers);
	return all;
}

static const struct figures *figures_at(const struct vector *all, size_t i)
{
	return vector_at(all, i);
}

/* What those that have ended counted is a file, too: the sum is of all since the start. */
static void add_up(const struct vector *all, int64_t totals[FIGURE_COUNT])
{
	for (int f = 0; f < FIGURE_COUNT; f++) {
		uint64_t sum = 0;

		for (size_t i = 0; i < all->count; i++)
			sum += (uint64_t)figures_at(all, i)->value[f];
		totals[f] = (int64_t)sum;
	}
}

/*
 * The lock is master's owner's to see; others learn from the figures who master was, and from the system whether such a process is
 * there. Good enough to be told, not to send signals.
 */
static pid_t master_by_figures(const struct vector *all)
{
	char path[64], text[64] = "", wanted[64];
	pid_t pid = all->count ? (pid_t)figures_at(all, 0)->pid : 0;
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

static void print_process(const struct figures *figures)
{
	const char *separator = "";

	printf("%-16s %8lld  ", figures->entry, (long long)figures->pid);
	for (int f = 0; f < FIGURE_COUNT; f++) {
		if (!figures->value[f])
			continue;
		printf("%s%s=%lld", separator, figure_name((enum figure)f),
			(long long)figures->value[f]);
		separator = " ";
	}
	putchar('\n');
}

static void print_table(const struct vector *all)
{
	int64_t totals[FIGURE_COUNT];

	printf("%-16s %8s  %s\n", "service", "pid", "figures");
	for (size_t i = 0; i < all->count; i++)
		if (figures_at(all, i)->pid)
			print_process(figures_at(all, i));
	add_up(all, totals);
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

static void json_process(struct buffer *out, const struct figures *figures)
{
	json_add_member(out, "{", "service", figures->entry);
	buffer_printf(out, ", \"pid\": %lld, \"figures\": ", (long long)figures->pid);
	json_figures(out, figures->value);
	buffer_add_text(out, "}");
}

static void print_json(const char *root, pid_t pid, const struct vector *all)
{
	struct buffer out = { 0 };
	int64_t totals[FIGURE_COUNT];
	const char *separator = "";

	buffer_printf(&out, "{\"running\": %s, \"pid\": %d", pid > 0 ? "true" : "false",
		pid > 0 ? (int)pid : 0);
	json_add_member(&out, ", ", "instance", root);
	if (pid > 0 && all->count) {
		buffer_add_text(&out, ", \"processes\": [");
		for (size_t i = 0; i < all->count; i++) {
			if (!figures_at(all, i)->pid)
				continue;
			buffer_add_text(&out, separator);
			json_process(&out, figures_at(all, i));
			separator = ", ";
		}
		buffer_add_text(&out, "], \"totals\": ");
		add_up(all, totals);
		json_figures(&out, totals);
	}
	buffer_add_text(&out, "}");
	puts(buffer_text(&out) ? out.data : "{}");
	buffer_free(&out);
}

int status_main(int argc, char **argv)
{
	bool json = argc == 2 && strcmp(argv[1], "--json") == 0;
	struct vector all;
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
	all = read_figures(root);
	pid = instance_master(root);
	if (pid < 0 && errno == EACCES)
		pid = master_by_figures(&all);
	else if (pid < 0)
		cli_complain("status", "%s/run/master.pid: %s", root, strerror(errno));
	if (json)
		print_json(root, pid, &all);
	else if (pid > 0)
		printf("the mail system is running: pid %d, %s\n", (int)pid, root);
	else
		printf("the mail system is not running: %s\n", root);
	if (!json && pid > 0 && all.count)
		print_table(&all);
	vector_free(&all);
	return pid > 0 ? EX_OK : 1;
}
