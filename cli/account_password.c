// SPDX-License-Identifier: ISC
/* Passwords of commands: asked for, and hashed on all processors. See account.h. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "cli/account.h"
#include "cli/progress.h"
#include "os/os.h"

enum { THREADS_MOST = 64, LOOK = 100 * 1000 /* us between looks at how far they are */ };

/* One line, without its end. False at the end of input, when it is too long, or holds NUL. */
static bool read_line(char *text, size_t size)
{
	size_t length;

	if (!fgets(text, (int)size, stdin))
		return false;
	length = strlen(text);
	if (length == 0 || text[length - 1] != '\n')
		return feof(stdin) && length > 0;
	text[length - 1] = '\0';
	return true;
}

/* Wait for a line of the terminal, or for one of the signals that are blocked. True for the line. */
static bool line_comes(int signals)
{
	struct pollfd sources[] = { { .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = signals, .events = POLLIN } };

	while (poll(sources, 2, -1) < 0)
		if (errno != EINTR)
			return true; /* reading waits as well */
	return !sources[1].revents;
}

/*
 * Once, with nothing shown of what is typed. What would end or stop the command has to wait meanwhile, so that it takes effect on a
 * terminal as it was before; *again when there was such a signal.
 */
static bool ask_once(
	const char *prompt, const sigset_t *signals, char *text, size_t size, bool *again)
{
	int arrived = signalfd(-1, signals, SFD_CLOEXEC);
	struct termios before, unseen;
	bool good = false;

	*again = false;
	if (arrived < 0 || tcgetattr(STDIN_FILENO, &before) < 0) {
		os_close(&arrived);
		return false;
	}
	unseen = before;
	unseen.c_lflag &= ~(tcflag_t)ECHO;
	fprintf(stderr, "%s", prompt);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &unseen);
	if (line_comes(arrived))
		good = read_line(text, size);
	else
		*again = true;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	fputc('\n', stderr);
	os_close(&arrived);
	return good;
}

static bool ask_unseen(const char *prompt, char *text, size_t size)
{
	static const int SIGNALS[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGTSTP };
	sigset_t signals, before;
	bool good, again;

	sigemptyset(&signals);
	for (size_t i = 0; i < sizeof(SIGNALS) / sizeof(SIGNALS[0]); i++)
		sigaddset(&signals, SIGNALS[i]);
	do {
		sigprocmask(SIG_BLOCK, &signals, &before);
		good = ask_once(prompt, &signals, text, size, &again);
		sigprocmask(SIG_SETMASK, &before, NULL);
	} while (again);
	return good;
}

bool account_password(struct account_command *command, char password[CREDENTIALS_MAX_PASSWORD + 2])
{
	char again[CREDENTIALS_MAX_PASSWORD + 2];
	bool same;

	if (!isatty(STDIN_FILENO)) {
		if (read_line(password, sizeof(again)))
			return true;
		cli_complain(command->name, "no password on standard input, or it is too long");
		return false;
	}
	if (!ask_unseen("Password: ", password, sizeof(again)) ||
		!ask_unseen("Again: ", again, sizeof(again))) {
		cli_complain(command->name, "no password");
		return false;
	}
	same = strcmp(password, again) == 0;
	explicit_bzero(again, sizeof(again));
	if (!same)
		cli_complain(command->name, "the two are not the same");
	return same;
}

/* --- many at once --- */

struct hashing {
	struct record **todo;
	size_t count;
	const struct scheme_settings *settings;
	atomic_size_t next, done;
};

static void *hash_some(void *context)
{
	struct hashing *hashing = context;
	struct schemes *schemes = schemes_new(hashing->settings);
	size_t i;

	while ((i = atomic_fetch_add(&hashing->next, 1)) < hashing->count) {
		struct record *record = hashing->todo[i];

		record->bad = !schemes ||
			      !schemes_make(schemes, slice_from(record->password), record->hash);
		atomic_fetch_add(&hashing->done, 1);
	}
	schemes_free(&schemes);
	return NULL;
}

/* Records with a password and no hash yet, each with room for one. */
static bool collect(struct records *records, struct hashing *hashing)
{
	hashing->todo =
		arena_array(&records->arena, records->list.count + 1, sizeof(*hashing->todo));
	if (!hashing->todo)
		return false;
	for (size_t i = 0; i < records->list.count; i++) {
		struct record *record = records_at(records, i);

		if (record->bad || !record->password || record->hash)
			continue;
		record->hash = arena_alloc(&records->arena, CREDENTIALS_MAX_HASH);
		if (!record->hash)
			return false;
		hashing->todo[hashing->count++] = record;
	}
	return true;
}

static void refuse_bad(struct account_command *command, const struct hashing *hashing)
{
	char error[200];

	for (size_t i = 0; i < hashing->count; i++)
		if (hashing->todo[i]->bad) {
			const char *fault = schemes_fault(slice_from(hashing->todo[i]->password));

			snprintf(error, sizeof(error), "the password cannot be used: %s",
				fault ? fault : "it cannot be hashed, or memory is out");
			command->record = hashing->todo[i];
			account_refuse(command, error);
		}
}

bool account_hash_passwords(struct account_command *command)
{
	struct hashing hashing = { .settings = &command->schemes };
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t threads[THREADS_MOST];
	struct progress progress;
	int running = 0;

	if (!collect(&command->records, &hashing)) {
		cli_complain(command->name, "no memory");
		return false;
	}
	progress_begin(&progress, "passwords hashed", hashing.count);
	while (running < processors && running < THREADS_MOST &&
		(size_t)running + 1 < hashing.count &&
		pthread_create(&threads[running], NULL, hash_some, &hashing) == 0)
		running++;
	if (!running)
		hash_some(&hashing);
	while (atomic_load(&hashing.done) < hashing.count) {
		usleep(LOOK);
		progress_tell(&progress, atomic_load(&hashing.done));
	}
	for (int i = 0; i < running; i++)
		pthread_join(threads[i], NULL);
	progress_end(&progress, hashing.count);
	refuse_bad(command, &hashing);
	return true;
}
