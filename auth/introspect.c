// SPDX-License-Identifier: ISC
/*
 * introspect - runs the command that says whether a token is good (RFC 7662), for authd, which runs nothing and connects nowhere.
 *
 * It understands neither tokens nor answers: a token goes to the command's input, what the command says goes back as it is. A user of
 * its own and a cell with nothing of Postern's in it hold for the command, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "auth/command.h"
#include "auth/introspect_cell.h"
#include "config/config.h"
#include "os/os.h"
#include "service/log.h"
#include "service/peers.h"
#include "service/refuse.h"

enum {
	ARGUMENTS_MOST = 32,
	JOBS_MOST = 1000, /* tokens that are asked about at the same time */
	PEERS_MOST = 64,
	PROCESSES_OWN = 16, /* introspect itself, while generations change */
	PROCESSES_MOST = 32, /* of one command */
	TELL_AGAIN = 10000 /* ms between warnings */
};

struct job {
	struct command command; /* first: ended() gets it */
	struct job *next; /* while it waits, or runs */
	struct asker *asker;
	uint32_t serial;
	int64_t until; /* ms of the loop */
	struct buffer token;
};

struct introspect {
	struct service *service;
	struct config *config;
	char *text, *arguments[ARGUMENTS_MOST + 1];
	struct command_settings settings;
	int64_t time; /* ms for one answer */
	unsigned most, jobs, running;
	struct peers askers;
	struct job *waiting, **waiting_end, *started;
	struct watch signals;
	int64_t told; /* ms */
	bool draining;
};

static int64_t now_of(const struct introspect *daemon)
{
	return loop_now(service_loop(daemon->service));
}

static void tell(struct introspect *daemon, const char *what)
{
	int64_t now = now_of(daemon);

	if (daemon->told && now - daemon->told < TELL_AGAIN)
		return;
	daemon->told = now;
	log_warning("%s: %s", daemon->arguments[0], what);
}

/* --- answers --- */

static void answer(
	struct asker *asker, uint32_t serial, enum introspect_status status, struct slice text)
{
	struct message message = { .type = MESSAGE_INTROSPECT_ANSWER };

	message.introspect_answer.serial = serial;
	message.introspect_answer.status = (uint8_t)status;
	message.introspect_answer.answer = text;
	channel_send(&asker->channel, &message);
}

static void finish(struct job *job, enum introspect_status status, struct slice text)
{
	struct asker *asker = job->asker;
	struct introspect *daemon = asker->daemon;

	if (!asker->gone)
		answer(asker, job->serial, status, text);
	asker_done(asker);
	buffer_free(&job->command.output);
	buffer_free(&job->token);
	free(job);
	if (--daemon->jobs == 0 && daemon->draining)
		service_end(daemon->service, EX_OK);
}

static void start_more(struct introspect *daemon);

static void ended(struct command *command, enum command_end end)
{
	struct job *job = (struct job *)command;
	struct introspect *daemon = job->asker->daemon;
	char what[100];

	daemon->running--;
	if (end != COMMAND_DONE) {
		command_describe(command, what, sizeof(what));
		tell(daemon, what);
	}
	finish(job, end == COMMAND_DONE ? INTROSPECT_ANSWERED : INTROSPECT_TEMPORARY,
		end == COMMAND_DONE ? buffer_slice(&command->output) : SLICE(""));
}

static void reap(struct watch *watch, uint32_t events)
{
	struct introspect *daemon = watch->context;
	struct signalfd_siginfo info[16];
	struct job **at = &daemon->started, *job;

	(void)!read(watch->fd, info, sizeof(info));
	while ((job = *at)) {
		struct job *next = job->next;

		if (command_reap(&job->command))
			*at = next;
		else
			at = &job->next;
	}
	start_more(daemon);
}

/* --- questions --- */

static void start_job(struct introspect *daemon, struct job *job)
{
	int64_t left = job->until - now_of(daemon);
	const char *why = "too many wait for it (auth_oauth_introspection_limit)";

	job->command.ended = ended;
	if (left > 0 && command_start(&job->command, &daemon->settings,
				service_loop(daemon->service), buffer_slice(&job->token), left)) {
		daemon->running++;
		job->next = daemon->started;
		daemon->started = job;
		return;
	}
	tell(daemon, left > 0 ? strerror(errno) : why);
	finish(job, INTROSPECT_TEMPORARY, SLICE(""));
}

static void start_more(struct introspect *daemon)
{
	while (daemon->waiting && daemon->running < daemon->most) {
		struct job *job = daemon->waiting;

		daemon->waiting = job->next;
		if (!daemon->waiting)
			daemon->waiting_end = &daemon->waiting;
		start_job(daemon, job);
	}
}

static bool add_job(struct asker *asker, const struct message_introspect_ask *ask)
{
	struct introspect *daemon = asker->daemon;
	bool room = daemon->arguments[0] && daemon->jobs < JOBS_MOST;
	struct job *job = room ? calloc(1, sizeof(*job)) : NULL;

	if (!job)
		return false;
	job->token.secret = true;
	/* A line: what reads lines may read it. */
	if (!buffer_add(&job->token, ask->token) || !buffer_add_byte(&job->token, '\n')) {
		buffer_free(&job->token);
		free(job);
		return false;
	}
	job->asker = asker;
	job->serial = ask->serial;
	job->until = now_of(daemon) + daemon->time;
	asker->jobs++;
	daemon->jobs++;
	*daemon->waiting_end = job;
	daemon->waiting_end = &job->next;
	start_more(daemon);
	return true;
}

static void receive(struct channel *channel, struct message *message)
{
	struct asker *asker = channel->context;

	if (message->type != MESSAGE_INTROSPECT_ASK)
		service_refuse(channel, "authd", message);
	else if (!add_job(asker, &message->introspect_ask))
		answer(asker, message->introspect_ask.serial, INTROSPECT_TEMPORARY, SLICE(""));
}

static void take_peer(struct service *service, void *context, int fd, const struct peer *who)
{
	struct introspect *daemon = context;

	(void)askers_take(&daemon->askers, service, fd, who, daemon);
}

/* --- start and end --- */

static void drain(struct service *service, void *context, bool fast)
{
	struct introspect *daemon = context;

	daemon->draining = true;
	if (fast || daemon->jobs == 0)
		service_end(service, EX_OK);
}

/* Words between spaces: there is no shell. */
static bool read_command(struct introspect *daemon)
{
	const char *command = config_text(daemon->config, PARAM_auth_oauth_introspection_command);
	unsigned count = 0;
	char *word, *rest;

	daemon->text = rest = strdup(command);
	while (rest && (word = strsep(&rest, " \t"))) {
		if (word[0] && count == ARGUMENTS_MOST)
			return false;
		if (word[0])
			daemon->arguments[count++] = word;
	}
	daemon->settings.arguments = daemon->arguments;
	daemon->settings.output_most = MAX_INTROSPECTION;
	/* Where the uid is everybody's, the kernel counts everybody's processes: no bound says anything then. */
	if (geteuid() == 0)
		daemon->settings.processes = PROCESSES_OWN + PROCESSES_MOST * daemon->most;
	daemon->settings.null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (count && daemon->arguments[0][0] != '/')
		return false;
	if (count && access(daemon->arguments[0], X_OK) < 0)
		log_error("auth_oauth_introspection_command: %s: %s", daemon->arguments[0],
			strerror(errno));
	return daemon->text && daemon->settings.null >= 0;
}

/* Without a command there is nothing to run, and no right to. */
static void enter_cell(struct introspect *daemon)
{
	struct cell cell = CELL_INTROSPECT;
	unsigned last = 0;

	while (cell.files[last + 1].path)
		last++;
	if (daemon->arguments[0]) {
		cell.files[last].path = daemon->arguments[0] + 1;
	} else {
		cell.files[0].path = NULL;
		cell.calls = 0;
		cell.processes = 0;
	}
	service_enter(daemon->service, &cell);
}

static bool watch_children(struct introspect *daemon)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	daemon->signals = (struct watch){ .fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC),
		.events = EPOLLIN,
		.ready = reap,
		.context = daemon };
	return daemon->signals.fd >= 0 &&
	       loop_watch(service_loop(daemon->service), &daemon->signals);
}

int main(int argc, char **argv)
{
	static const struct service_hooks hooks = { .peer = take_peer, .drain = drain };
	static struct introspect daemon;

	daemon.service = service_start("introspect", argc, argv);
	daemon.config = config_open(service_snapshot(daemon.service));
	if (!daemon.config) {
		log_error("the configuration snapshot cannot be read");
		return EX_SOFTWARE;
	}
	daemon.waiting_end = &daemon.waiting;
	askers_open(&daemon.askers, PEERS_MOST, sizeof(struct asker), receive);
	daemon.time = config_time(daemon.config, PARAM_auth_oauth_introspection_timeout);
	daemon.most = (unsigned)config_int(daemon.config, PARAM_auth_oauth_introspection_limit);
	if (!read_command(&daemon)) {
		log_error("auth_oauth_introspection_command: not a path and at most %d arguments",
			ARGUMENTS_MOST - 1);
		return EX_CONFIG;
	}
	if (!watch_children(&daemon)) {
		log_error("commands cannot be waited for: %s", strerror(errno));
		return EX_OSERR;
	}
	enter_cell(&daemon);
	return service_run(daemon.service, &hooks, &daemon);
}
