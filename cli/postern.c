// SPDX-License-Identifier: ISC
/*
 * postern - all commands of the suite in one program. It runs the command it is called by (as a link: mailq, postconf, ...), or
 * the one named by its first argument: postern [-c FOLDER] COMMAND [ARGUMENT ...].
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli.h"

struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
};

static const struct command COMMANDS[] = {
#define COMMAND(name, function, help) { name, function, help },
#include "cli/commands.def"
#undef COMMAND
};
enum { COMMAND_COUNT = sizeof(COMMANDS) / sizeof(COMMANDS[0]) };

static const struct command *command_of(const char *name)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (strcmp(COMMANDS[i].name, name) == 0)
			return &COMMANDS[i];
	return NULL;
}

int cli_run(int argc, char **argv)
{
	const struct command *command = command_of(argv[0]);

	/* getopt may stand in the middle of the caller's arguments: 0 makes it begin anew (getopt(3)). */
	optind = 0;
	if (command)
		return command->run(argc, argv);
	cli_complain(argv[0], "there is no such command");
	return EX_UNAVAILABLE;
}

static void usage(FILE *out)
{
	fputs("usage: postern [-c FOLDER] COMMAND [ARGUMENT ...]\n\ncommands:\n", out);
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		fprintf(out, "  %-12s %s\n", COMMANDS[i].name, COMMANDS[i].help);
	fputs("\n\"postern COMMAND --help\" tells more. FOLDER holds main.cf and master.cf\n"
	      "(default: $MAIL_CONFIG, else " POSTERN_SYSCONFDIR ").\n",
		out);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Options before the command; the index of the command, or -1 with *status set when there is nothing more to do. */
static int parse_options(int argc, char **argv, int *status)
{
	int i = 1;

	*status = EX_USAGE;
	for (; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			usage(stdout);
			*status = EX_OK;
			return -1;
		}
		if (strcmp(argv[i], "--version") == 0) {
			*status = version_main(1, argv);
			return -1;
		}
		if (strcmp(argv[i], "-v") == 0 || strcmp(argv[i], "-D") == 0)
			continue; /* postfix(1)'s, for scripts */
		if (strcmp(argv[i], "-c") != 0 || i + 1 >= argc ||
			setenv("MAIL_CONFIG", argv[++i], 1) < 0) {
			usage(stderr);
			return -1;
		}
	}
	if (i >= argc) {
		usage(stderr);
		return -1;
	}
	return i;
}

int main(int argc, char **argv)
{
	const struct command *command = argc > 0 ? command_of(base_name(argv[0])) : NULL;
	int first = 0, status;

	if (!command) {
		first = parse_options(argc, argv, &status);
		if (first < 0)
			return status;
		command = command_of(argv[first]);
	}
	if (!command) {
		fprintf(stderr, "postern: fatal: no command \"%s\"; see postern --help\n",
			argv[first]);
		return EX_USAGE;
	}
	return command->run(argc - first, argv + first);
}
