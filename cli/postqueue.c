// SPDX-License-Identifier: ISC
/*
 * postqueue - lists the queue (-p, -j; mailq does -p) and asks for another try (-f all, -i one message, -s one destination). Anybody may. When
 * the suite is down, root and the queue's owner get the listing from the files.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/queue_client.h"
#include "cli/queue_text.h"
#include "os/os.h"
#include "queue/scan.h"

enum {
	ANSWER_WAIT = 60000, /* ms until the next packet */
	FLUSH_AT = 64 * 1024, /* bytes collected before they are written */
	ENVELOPE_LIMIT = 256 << 20
};

static const char USAGE[] = "usage: postqueue [-c config_dir] -f | postqueue -i queueid | "
			    "postqueue -j | postqueue -p | postqueue -s site";

static bool write_out(struct buffer *out, bool all)
{
	if (!all && out->length < FLUSH_AT)
		return true;
	if (out->failed ||
		(out->length > 0 && fwrite(out->data, 1, out->length, stdout) != out->length))
		return false;
	buffer_clear(out);
	return !all || fflush(stdout) == 0;
}

/* --- through showq --- */

static void print_message(struct queue_printer *printer, const struct message *message)
{
	const struct message_queue_message *m = &message->queue_message;

	queue_print_entry(printer, &(struct queue_entry){ .queue_name = m->queue_name,
					   .queue_id = m->queue_id,
					   .sender = m->sender,
					   .arrival = m->arrival,
					   .size = m->size,
					   .next_try = m->next_try,
					   .attempts = m->attempts,
					   .forced_expire = m->forced_expire });
}

static void print_recipient(struct queue_printer *printer, const struct message *message)
{
	const struct message_queue_recipient *r = &message->queue_recipient;

	queue_print_recipient(printer,
		&(struct queue_entry_recipient){
			.address = r->address, .original = r->original, .reason = r->reason });
}

static int list_through(int fd, struct queue_printer *printer)
{
	struct message message = { .type = MESSAGE_QUEUE_LIST };
	struct buffer space = { 0 };
	bool sent = channel_sync_send(fd, &message, loop_monotonic() + ANSWER_WAIT);

	while (sent && channel_sync_receive(fd, &message, &space, loop_monotonic() + ANSWER_WAIT)) {
		message_close_fds(&message);
		if (message.type == MESSAGE_QUEUE_END) {
			queue_print_end(printer);
			buffer_free(&space);
			return write_out(printer->out, true) ? EX_OK : EX_IOERR;
		}
		if (message.type == MESSAGE_QUEUE_MESSAGE)
			print_message(printer, &message);
		else if (message.type == MESSAGE_QUEUE_RECIPIENT)
			print_recipient(printer, &message);
		if (!write_out(printer->out, false))
			break;
	}
	buffer_free(&space);
	cli_complain("postqueue", "the queue report broke off: %s", strerror(errno));
	return EX_UNAVAILABLE;
}

/* --- by hand --- */

static void print_file(
	struct queue *queue, enum queue_name name, const char *id, struct queue_printer *printer)
{
	struct queue_envelope envelope;
	struct arena arena;
	int fd = queue_open_file(queue, name, id, O_RDONLY);

	if (fd < 0)
		return;
	arena_init(&arena, ENVELOPE_LIMIT);
	if (queue_read(fd, QUEUE_CHECK_HEAD, &arena, &envelope)) {
		queue_print_entry(printer,
			&(struct queue_entry){ .queue_name = slice_from(queue_folder_name(name)),
				.queue_id = slice_from(id),
				.sender = envelope.sender,
				.arrival = envelope.info.arrival,
				.size = envelope.info.content_size,
				.next_try = envelope.info.next_try,
				.attempts = envelope.info.attempts,
				.forced_expire = envelope.info.flags & QUEUE_FLAG_EXPIRED });
		for (uint32_t i = 0; i < envelope.info.recipient_count; i++)
			if (!envelope.recipients[i].done)
				queue_print_recipient(printer,
					&(struct queue_entry_recipient){
						.address = envelope.recipients[i].address,
						.original = envelope.recipients[i].original,
						.reason = envelope.recipients[i].reason });
	}
	arena_free(&arena);
	os_close(&fd);
}

static int list_direct(struct queue_client *client, struct queue_printer *printer)
{
	static const enum queue_name ORDER[] = { QUEUE_ACTIVE, QUEUE_INCOMING, QUEUE_DEFERRED,
		QUEUE_HOLD };
	struct queue queue;
	char id[QUEUE_ID_SIZE];

	if (!queue_client_direct(client, &queue)) {
		cli_complain("postqueue", "%s", client->error);
		return EX_UNAVAILABLE;
	}
	for (size_t i = 0; i < sizeof(ORDER) / sizeof(*ORDER); i++) {
		struct queue_scan *scan = queue_scan_open(&queue, ORDER[i]);

		while (queue_scan_next(scan, id)) {
			print_file(&queue, ORDER[i], id, printer);
			if (!write_out(printer->out, false))
				break;
		}
		queue_scan_close(&scan);
	}
	queue_close(&queue);
	queue_print_end(printer);
	return write_out(printer->out, true) ? EX_OK : EX_IOERR;
}

static int list(struct queue_client *client, bool json)
{
	struct buffer out = { 0 };
	struct queue_printer printer;
	int status, fd = queue_client_connect(client, "showq");

	queue_print_begin(&printer, &out, json);
	if (fd >= 0) {
		status = list_through(fd, &printer);
		close(fd);
	} else if (queue_client_privileged(client)) {
		fprintf(stderr,
			"postqueue: warning: Mail system is down -- accessing queue directly "
			"(%s)\n",
			client->error);
		status = list_direct(client, &printer);
	} else {
		cli_complain("postqueue", "Queue report unavailable - mail system is down (%s)",
			client->error);
		status = EX_UNAVAILABLE;
	}
	buffer_free(&out);
	return status;
}

/* --- another try --- */

static int flush(
	struct queue_client *client, enum queue_action action, const char *id, const char *site)
{
	struct message message = { .type = MESSAGE_QUEUE_CONTROL,
		.queue_control = { .action = (uint8_t)action,
			.id = slice_from(id),
			.site = slice_from(site) } };
	struct buffer space = { 0 };
	int64_t deadline = loop_monotonic() + ANSWER_WAIT;
	int status = EX_UNAVAILABLE, fd;

	if (id[0] && !queue_id_valid(slice_from(id))) {
		cli_complain("postqueue", "Cannot flush queue ID - invalid name: \"%.100s\"", id);
		return EX_USAGE;
	}
	fd = queue_client_connect(client, "qmgr");
	if (fd < 0) {
		cli_complain("postqueue", "Cannot flush mail queue - mail system is down");
		return EX_UNAVAILABLE;
	}
	if (!channel_sync_send(fd, &message, deadline) ||
		!channel_sync_receive(fd, &message, &space, deadline) ||
		message.type != MESSAGE_QUEUE_CONTROL_ANSWER) {
		cli_complain("postqueue", "Cannot flush mail queue - no answer");
	} else {
		status = message.queue_control_answer.status;
		if (status)
			cli_complain("postqueue", "%.*s",
				SLICE_ARG(message.queue_control_answer.reason));
	}
	buffer_free(&space);
	close(fd);
	return status;
}

static int usage(void)
{
	cli_complain("postqueue", "%s", USAGE);
	return EX_USAGE;
}

static int run(char mode, const char *config, const char *argument)
{
	struct queue_client client;

	if (mode == 's' && (argument[0] == '\0' || strlen(argument) > 255)) {
		cli_complain("postqueue",
			"Cannot flush mail queue - invalid destination: \"%.100s\"", argument);
		return EX_USAGE;
	}
	if (!queue_client_open(&client, "postqueue", config))
		return EX_CONFIG;
	switch (mode) {
	case 'p':
	case 'j':
		return list(&client, mode == 'j');
	case 'f':
		return flush(&client, QUEUE_DO_FLUSH, "", "");
	case 'i':
		return flush(&client, QUEUE_DO_FLUSH_ID, argument, "");
	default:
		return flush(&client, QUEUE_DO_FLUSH_SITE, "", argument);
	}
}

int postqueue_main(int argc, char **argv)
{
	const char *config = NULL, *argument = "";
	char mode = 0;
	int option;

	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		puts(USAGE);
		return EX_OK;
	}
	opterr = 0;
	while ((option = getopt(argc, argv, "c:fi:jps:v")) != -1) {
		if (option == 'c') {
			config = optarg;
		} else if (option == '?' || (option != 'v' && mode)) {
			return usage();
		} else if (option != 'v') {
			mode = (char)option;
			argument = optarg ? optarg : "";
		}
	}
	if (!mode || optind < argc)
		return usage();
	return run(mode, config, argument);
}

int mailq_main(int argc, char **argv)
{
	char *list_argv[] = { argv[0], "-p", NULL };

	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		puts("usage: mailq");
		return EX_OK;
	}
	/* sendmail's options (-v, -Ac, ...) come from habit and change nothing here. */
	return postqueue_main(2, list_argv);
}
