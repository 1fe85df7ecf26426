// SPDX-License-Identifier: ISC
/*
 * postsuper - deletes (-d), holds (-h), releases (-H), requeues (-r) and expires (-e, -f) messages, by id, from standard input (-), or
 * ALL. Through qmgr while it runs; on the files when the suite is down. For root and the queue's owner.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/vector.h"
#include "cli/cli.h"
#include "cli/queue_client.h"
#include "queue/action.h"
#include "queue/scan.h"

enum {
	ANSWER_WAIT = 3600 * 1000, /* ms; ALL of a large queue takes long */
	REQUESTS = 10000,
	ID_LINE = 256
};

static const char USAGE[] =
	"usage: postsuper [-c config_dir] [-d queue_id (delete)] [-e queue_id (expire)] "
	"[-f queue_id (expire and/or un-hold)] [-h queue_id (hold)] [-H queue_id (un-hold)] "
	"[-p (purge temporary files)] [-r queue_id (requeue)] [-s (structure fix)] [-v (verbose)] "
	"[queue...]";

static const struct {
	char option;
	enum queue_action action;
	const char *done;
} ACTIONS[] = {
	{ 'r', QUEUE_DO_REQUEUE, "Requeued" },
	{ 'd', QUEUE_DO_DELETE, "Deleted" },
	{ 'e', QUEUE_DO_EXPIRE, "Force-expired" },
	{ 'f', QUEUE_DO_EXPIRE, "Force-expired" },
	{ 'h', QUEUE_DO_HOLD, "Placed on hold" },
	{ 'H', QUEUE_DO_RELEASE, "Released from hold" },
};
enum { ACTION_COUNT = sizeof(ACTIONS) / sizeof(*ACTIONS) };

struct request {
	char option;
	const char *id; /* an id, "ALL" or "-" */
};

struct super {
	struct queue_client client;
	int fd; /* qmgr, or -1: on the files */
	struct queue queue; /* then */
	unsigned folders; /* named on the command line; 0: the usual ones */
	struct vector requests;
	bool asked[ACTION_COUNT], failed, purge;
	uint64_t count[ACTION_COUNT];
};

static void warn(struct super *super, const char *what, const char *id)
{
	fprintf(stderr, "postsuper: warning: %s: %s\n", what, id);
	super->failed = true;
}

/* --- through qmgr --- */

static uint32_t ask(struct super *super, enum queue_action action, const char *id, unsigned folders)
{
	struct message message = { .type = MESSAGE_QUEUE_CONTROL,
		.queue_control = { .action = (uint8_t)action,
			.id = slice_from(id),
			.folders = (uint8_t)folders } };
	struct buffer space = { 0 };
	int64_t deadline = loop_monotonic() + ANSWER_WAIT;
	uint32_t count = 0;

	if (!channel_sync_send(super->fd, &message, deadline) ||
		!channel_sync_receive(super->fd, &message, &space, deadline) ||
		message.type != MESSAGE_QUEUE_CONTROL_ANSWER) {
		warn(super, "no answer from the queue manager", strerror(errno));
	} else if (message.queue_control_answer.status) {
		warn(super, id[0] ? id : "ALL", "refused by the queue manager");
	} else {
		count = message.queue_control_answer.count;
	}
	buffer_free(&space);
	return count;
}

/* --- on the files --- */

static bool act_in(
	struct super *super, enum queue_action action, const char *id, enum queue_name name)
{
	enum queue_name now;
	enum queue_outcome outcome = queue_act(&super->queue, id, action, name, &now);

	if (outcome == QUEUE_ACT_FAILED)
		warn(super, id, strerror(errno));
	return outcome == QUEUE_ACT_DONE;
}

static uint32_t act_one(
	struct super *super, enum queue_action action, const char *id, unsigned folders)
{
	for (enum queue_name name = 0; name < QUEUE_NAMES; name++)
		if ((folders & 1u << name) && act_in(super, action, id, name))
			return 1;
	return 0;
}

static uint32_t act_all(struct super *super, enum queue_action action, unsigned folders)
{
	char id[QUEUE_ID_SIZE];
	uint32_t count = 0;

	for (enum queue_name name = 0; name < QUEUE_NAMES; name++) {
		struct queue_scan *scan =
			folders & 1u << name ? queue_scan_open(&super->queue, name) : NULL;

		while (queue_scan_next(scan, id))
			count += act_in(super, action, id, name);
		queue_scan_close(&scan);
	}
	return count;
}

/* --- requests --- */

static uint32_t act(struct super *super, enum queue_action action, const char *id, unsigned folders)
{
	if (super->fd >= 0)
		return ask(super, action, id, folders);
	if (folders == 0)
		folders = queue_action_folders(action);
	return id[0] ? act_one(super, action, id, folders) : act_all(super, action, folders);
}

/* `id` empty: all. */
static void serve(struct super *super, unsigned place, const char *id)
{
	super->count[place] += act(super, ACTIONS[place].action, id, super->folders);
	if (ACTIONS[place].option == 'f')
		(void)act(super, QUEUE_DO_RELEASE, id, 0);
}

static void serve_checked(struct super *super, unsigned place, const char *id)
{
	if (queue_id_valid(slice_from(id)))
		serve(super, place, id);
	else
		warn(super, "invalid mail queue id", id);
}

/* One id a line, as mailq and jq print them: what follows the id is left out, and its mark. */
static void serve_input(struct super *super, unsigned place)
{
	char line[ID_LINE];

	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, " \t\r\n*!#")] = '\0';
		if (line[0])
			serve_checked(super, place, line);
	}
}

static unsigned place_of(char option)
{
	unsigned place = 0;

	while (place < ACTION_COUNT - 1 && ACTIONS[place].option != option)
		place++;
	return place;
}

static void serve_request(struct super *super, const struct request *request)
{
	unsigned place = place_of(request->option);

	super->asked[place] = true;
	if (strcmp(request->id, "ALL") == 0)
		serve(super, place, "");
	else if (strcmp(request->id, "-") == 0)
		serve_input(super, place);
	else
		serve_checked(super, place, request->id);
}

static int run(struct super *super)
{
	super->fd = queue_client_connect(&super->client, "qmgr");
	if ((super->fd < 0 || super->purge) &&
		!queue_client_direct(&super->client, &super->queue)) {
		cli_complain("postsuper", "%s", super->client.error);
		return EX_UNAVAILABLE;
	}
	if (super->purge)
		(void)queue_remove_unfinished(&super->queue);
	for (size_t i = 0; i < super->requests.count; i++)
		serve_request(super, vector_at(&super->requests, i));
	for (unsigned i = 0; i < ACTION_COUNT; i++)
		if (super->asked[i])
			fprintf(stderr, "postsuper: %s: %llu message%s\n", ACTIONS[i].done,
				(unsigned long long)super->count[i],
				super->count[i] == 1 ? "" : "s");
	return super->failed ? 1 : EX_OK;
}

static bool take_folder(struct super *super, const char *text)
{
	for (enum queue_name name = 0; name < QUEUE_NAMES; name++)
		if (strcmp(queue_folder_name(name), text) == 0) {
			super->folders |= 1u << name;
			return true;
		}
	return strcmp(text, "maildrop") == 0; /* Postfix's; what is there is not in the queue yet */
}

int postsuper_main(int argc, char **argv)
{
	static struct super super;
	const char *config = NULL;
	int option;

	super.requests = vector_of(sizeof(struct request), REQUESTS);
	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		puts(USAGE);
		return EX_OK;
	}
	opterr = 0;
	while ((option = getopt(argc, argv, "c:d:e:f:h:H:pr:sSv")) != -1) {
		struct request *request;

		if (option == '?') {
			cli_complain("postsuper", "%s", USAGE);
			return EX_USAGE;
		}
		if (option == 'c')
			config = optarg;
		super.purge = super.purge || option == 'p';
		if (!strchr("defhHr", option))
			continue;
		request = vector_add(&super.requests);
		if (!request) {
			cli_complain("postsuper", "too many requests; use - and standard input");
			return EX_USAGE;
		}
		*request = (struct request){ (char)option, optarg };
	}
	for (; optind < argc; optind++)
		if (!take_folder(&super, argv[optind])) {
			cli_complain("postsuper", "invalid directory name: %s", argv[optind]);
			return EX_USAGE;
		}
	if (!queue_client_open(&super.client, "postsuper", config))
		return EX_CONFIG;
	if (!queue_client_privileged(&super.client)) {
		cli_complain("postsuper", "use of this command is reserved for the superuser");
		return 1;
	}
	return run(&super);
}
