// SPDX-License-Identifier: ISC
/*
 * attempts PID < world: run the table of attempts from inside a process and print a line for each: name, TAB, "refused", "works",
 * "absent" or "own", TAB, the error or what worked. --list prints names and descriptions. The process runs on afterwards as if nothing had been.
 */
#include "tests/isolation/attempts.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { SECONDS_MOST = 60 };

const char *world_value(const struct world *world, const char *name, unsigned n)
{
	for (unsigned i = 0; i < world->count; i++) {
		if (strcmp(world->entry[i].name, name) == 0 && n-- == 0)
			return world->entry[i].value;
	}
	return NULL;
}

bool outcome_add(struct outcome *outcome, const char *what, long result)
{
	size_t used = strlen(outcome->detail);

	/* Addresses of memory are results, too. */
	if (result < 0 && result > -4096) {
		if (!outcome->error)
			outcome->error = -result;
		return false;
	}
	outcome->worked = true;
	if (what[0])
		snprintf(outcome->detail + used, sizeof(outcome->detail) - used, "%s%s",
			used ? ", " : "", what);
	return true;
}

static void read_world(struct world *world)
{
	char line[4400];

	while (world->count < WORLD_MOST && fgets(line, sizeof(line), stdin)) {
		char *value = strchr(line, ' ');

		line[strcspn(line, "\n")] = '\0';
		if (!value)
			continue;
		*value++ = '\0';
		world->entry[world->count].name = strdup(line);
		world->entry[world->count++].value = strdup(value);
	}
}

/* Somebody of this machine who has nothing to do with the mail: one listener by TCP, one with an abstract name. */
static bool listen_around(struct world *world)
{
	static char name[40];
	struct sockaddr_in tcp = { .sin_family = AF_INET };
	struct sockaddr_un hidden = { .sun_family = AF_UNIX };
	socklen_t size = sizeof(tcp);
	int tcp_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
	    unix_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(name, sizeof(name), "isolation-%d", (int)getpid());
	memcpy(hidden.sun_path + 1, name, strlen(name));
	tcp.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(tcp_fd, (struct sockaddr *)&tcp, sizeof(tcp)) < 0 || listen(tcp_fd, 8) < 0 ||
		getsockname(tcp_fd, (struct sockaddr *)&tcp, &size) < 0 ||
		bind(unix_fd, (struct sockaddr *)&hidden,
			(socklen_t)(sizeof(sa_family_t) + 1 + strlen(name))) < 0 ||
		listen(unix_fd, 8) < 0)
		return false;
	world->tcp_port = ntohs(tcp.sin_port);
	world->abstract = name;
	return true;
}

static void report(const struct attempt *attempt, const struct outcome *outcome)
{
	const char *how = outcome->absent    ? "absent"
			  : !outcome->worked ? "refused"
			  : attempt->control ? "own"
					     : "works";

	printf("%s\t%s\t%s\n", attempt->name, how,
		outcome->worked  ? outcome->detail
		: outcome->error ? strerrorname_np((int)outcome->error)
				 : "");
}

static void run_list(
	struct target *target, const struct world *world, const struct attempt *attempt)
{
	for (; attempt->name; attempt++) {
		struct outcome outcome = { 0 };

		target_forget(target);
		attempt->run(target, world, attempt, &outcome);
		report(attempt, &outcome);
		if (target->gone) {
			printf("gone\tworks\tafter %s\n", attempt->name);
			return;
		}
	}
}

static void describe(const struct attempt *attempt)
{
	for (; attempt->name; attempt++)
		printf("%s\t%s\t%s\n", attempt->name, attempt->control ? "own" : "other",
			attempt->what);
}

int main(int argc, char **argv)
{
	static struct world world;
	struct target target;

	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		describe(ATTEMPTS_ON_FILES);
		describe(ATTEMPTS_ON_PROCESSES);
		return 0;
	}
	if (argc == 3 && strcmp(argv[1], "--rebel") == 0) {
		bool done = target_open(&target, (pid_t)strtol(argv[2], NULL, 10));

		if (done) {
			done = rebel(&target);
			target_close(&target);
		}
		return done ? 0 : 1;
	}
	if (argc != 2) {
		fprintf(stderr, "usage: attempts PID < world | attempts --rebel PID\n");
		return 2;
	}
	alarm(SECONDS_MOST);
	read_world(&world);
	if (!listen_around(&world) || !target_open(&target, (pid_t)strtol(argv[1], NULL, 10))) {
		fprintf(stderr, "attempts: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	run_list(&target, &world, ATTEMPTS_ON_FILES);
	if (!target.gone)
		run_list(&target, &world, ATTEMPTS_ON_PROCESSES);
	target_close(&target);
	return 0;
}
