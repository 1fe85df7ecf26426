// SPDX-License-Identifier: ISC
/*
 * postcat - shows queue files: by path, or by queue id with -q (through showq while it runs). -e envelope, -h header, -b body; all of
 * them when none is asked for.
 */
#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/queue_client.h"
#include "os/os.h"

enum {
	SHOW_ENVELOPE = 1,
	SHOW_HEADER = 2,
	SHOW_BODY = 4,
	ANSWER_WAIT = 10000,
	ENVELOPE_LIMIT = 256 << 20
};

static const char USAGE[] =
	"usage: postcat [-b (body text)] [-c config_dir] [-e (envelope records)] "
	"[-h (header text)] [-q (access queue)] [-v] [file(s)...]";

struct postcat {
	struct queue_client client;
	bool client_open, by_id, verbose;
	unsigned show;
};

/* --- finding the file --- */

/* "active/ID" into `name`. */
static int open_through(int fd, const char *id, char *name, size_t size)
{
	struct message message = { .type = MESSAGE_QUEUE_OPEN,
		.queue_open = { .id = slice_from(id) } };
	struct buffer space = { 0 };
	int64_t deadline = loop_monotonic() + ANSWER_WAIT;
	int file = -1;

	if (!channel_sync_send(fd, &message, deadline) ||
		!channel_sync_receive(fd, &message, &space, deadline) ||
		message.type != MESSAGE_QUEUE_FILE) {
		cli_complain("postcat", "no answer from the showq service");
	} else {
		snprintf(name, size, "%.*s/%s", SLICE_ARG(message.queue_file.queue_name), id);
		file = message_take_fd(&message, 0);
		if (file < 0)
			cli_complain("postcat", "open queue file %s: %.*s", id,
				SLICE_ARG(message.queue_file.reason));
		message_close_fds(&message);
	}
	buffer_free(&space);
	return file;
}

static int open_direct(struct postcat *postcat, const char *id, char *name, size_t size)
{
	struct queue queue;
	int file = -1;

	if (!queue_client_direct(&postcat->client, &queue)) {
		cli_complain("postcat", "%s", postcat->client.error);
		return -1;
	}
	for (enum queue_name folder = 0; folder < QUEUE_NAMES && file < 0; folder++) {
		file = queue_open_file(&queue, folder, id, O_RDONLY);
		snprintf(name, size, "%s/%s", queue_folder_name(folder), id);
	}
	if (file < 0)
		cli_complain("postcat", "open queue file %s: %s", id, strerror(errno));
	queue_close(&queue);
	return file;
}

static int open_id(struct postcat *postcat, const char *id, char *name, size_t size)
{
	int fd, file;

	if (!queue_id_valid(slice_from(id))) {
		cli_complain("postcat", "bad mail queue id: %s", id);
		return -1;
	}
	fd = queue_client_connect(&postcat->client, "showq");
	if (fd < 0)
		return open_direct(postcat, id, name, size);
	file = open_through(fd, id, name, size);
	close(fd);
	return file;
}

static int open_path(const char *path, char *name, size_t size)
{
	int file = os_open(path, O_RDONLY, 0);

	if (file < 0)
		cli_complain("postcat", "open %s: %s", path, strerror(errno));
	snprintf(name, size, "%s", path);
	return file;
}

/* --- showing it --- */

static void show_time(const char *what, int64_t microseconds)
{
	time_t seconds = (time_t)(microseconds / 1000000);
	struct tm local;
	char text[64] = "";

	if (localtime_r(&seconds, &local))
		strftime(text, sizeof(text), "%a %b %e %H:%M:%S %Y", &local);
	printf("%s: %s\n", what, text);
}

static void show_text(const char *what, struct slice text)
{
	printf("%s: ", what);
	for (size_t i = 0; i < text.length; i++)
		putchar((unsigned char)text.data[i] < ' ' || text.data[i] == 127 ? '?'
										 : text.data[i]);
	putchar('\n');
}

static void show_attribute(const char *name, struct slice value)
{
	char what[64];

	if (value.length == 0)
		return;
	snprintf(what, sizeof(what), "named_attribute: %s=", name);
	fputs(what, stdout);
	for (size_t i = 0; i < value.length; i++)
		putchar((unsigned char)value.data[i] < ' ' || value.data[i] == 127 ? '?'
										   : value.data[i]);
	putchar('\n');
}

static void show_recipient(const struct queue_recipient *recipient, bool verbose)
{
	if (recipient->orcpt.length)
		show_attribute("dsn_orig_rcpt", recipient->orcpt);
	if (recipient->notify)
		printf("named_attribute: notify_flags=%u\n", recipient->notify);
	if (recipient->original.length)
		show_text("original_recipient", recipient->original);
	show_text(recipient->done ? "done_recipient" : "recipient", recipient->address);
	if (verbose && recipient->reason.length)
		show_text("delay_reason", recipient->reason);
}

static void show_envelope(const struct queue_envelope *envelope, bool verbose)
{
	const struct queue_info *info = &envelope->info;

	printf("message_size: %15lld %15d %15u %15u %15lld %15u\n", (long long)info->content_size,
		QUEUE_CONTENT_OFFSET, info->recipient_count, info->flags,
		(long long)info->content_size, !!(info->flags & QUEUE_FLAG_SMTPUTF8));
	show_time("message_arrival_time", info->arrival);
	if (info->next_try)
		show_time("next_try", info->next_try);
	if (info->attempts)
		printf("attempts: %u\n", info->attempts);
	show_attribute("dsn_envelope_id", envelope->envid);
	show_text("sender", envelope->sender);
	show_attribute("log_client_name", envelope->client_name);
	show_attribute("log_client_address", envelope->client_address);
	show_attribute("log_helo_name", envelope->helo);
	show_attribute("log_protocol_name", envelope->protocol);
	show_attribute("sasl_username", envelope->login);
	for (uint32_t i = 0; i < info->recipient_count; i++)
		show_recipient(&envelope->recipients[i], verbose);
}

/* Lines before the empty one are the header; it and all behind it the body. */
struct content {
	unsigned show;
	bool body, line_start;
};

static void show_chunk(struct content *content, struct slice chunk)
{
	for (size_t i = 0; i < chunk.length; i++) {
		if (content->line_start && chunk.data[i] == '\n')
			content->body = true;
		content->line_start = chunk.data[i] == '\n';
		if (content->show & (content->body ? SHOW_BODY : SHOW_HEADER))
			putchar(chunk.data[i]);
	}
}

static bool show_content(int file, const struct queue_info *info, unsigned show)
{
	struct content content = { .show = show, .line_start = true };
	char chunk[32 * 1024];

	for (int64_t at = 0; at < info->content_size;) {
		int64_t left = info->content_size - at;
		ssize_t got = os_pread(file, chunk,
			left < (int64_t)sizeof(chunk) ? (size_t)left : sizeof(chunk),
			QUEUE_CONTENT_OFFSET + at);

		if (got <= 0)
			return false;
		show_chunk(&content, slice_of(chunk, (size_t)got));
		at += got;
	}
	return true;
}

static bool show_file(const struct postcat *postcat, int file, const char *name)
{
	struct queue_envelope envelope;
	struct arena arena;
	bool titles = postcat->show & SHOW_ENVELOPE, ok;

	arena_init(&arena, ENVELOPE_LIMIT);
	ok = queue_read(file, QUEUE_CHECK_ALL, &arena, &envelope);
	if (!ok) {
		cli_complain("postcat", "%s: %s", name,
			errno == EBADMSG ? "damaged, or no queue file" : strerror(errno));
	} else {
		if (titles) {
			printf("*** ENVELOPE RECORDS %s ***\n", name);
			show_envelope(&envelope, postcat->verbose);
			printf("*** MESSAGE CONTENTS %s ***\n", name);
		}
		ok = show_content(file, &envelope.info, postcat->show);
		if (titles)
			printf("*** HEADER EXTRACTED %s ***\n*** MESSAGE FILE END %s ***\n", name,
				name);
	}
	arena_free(&arena);
	return ok;
}

static bool run_one(struct postcat *postcat, const char *what)
{
	char name[PATH_MAX];
	int file = postcat->by_id ? open_id(postcat, what, name, sizeof(name))
				  : open_path(what, name, sizeof(name));
	bool ok = file >= 0 && show_file(postcat, file, name);

	os_close(&file);
	return ok;
}

int postcat_main(int argc, char **argv)
{
	static struct postcat postcat;
	const char *config = NULL;
	bool ok = true;
	int option;

	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		puts(USAGE);
		return EX_OK;
	}
	opterr = 0;
	while ((option = getopt(argc, argv, "bc:defhoqrs:v")) != -1) {
		if (option == '?') {
			cli_complain("postcat", "%s", USAGE);
			return EX_USAGE;
		}
		if (option == 'c')
			config = optarg;
		postcat.by_id = postcat.by_id || option == 'q';
		postcat.verbose = postcat.verbose || option == 'v';
		postcat.show |= option == 'e'   ? SHOW_ENVELOPE
				: option == 'h' ? SHOW_HEADER
				: option == 'b' ? SHOW_BODY
						: 0;
	}
	if (optind >= argc) {
		cli_complain("postcat", "%s", USAGE);
		return EX_USAGE;
	}
	if (!postcat.show)
		postcat.show = SHOW_ENVELOPE | SHOW_HEADER | SHOW_BODY;
	if (postcat.by_id && !queue_client_open(&postcat.client, "postcat", config))
		return EX_CONFIG;
	for (; optind < argc; optind++)
		ok = run_one(&postcat, argv[optind]) && ok;
	return ok && fflush(stdout) == 0 ? EX_OK : 1;
}
