// SPDX-License-Identifier: ISC
/* A cell in plain words, for `postern explain`. See cell.h. */
#include "base/buffer.h"
#include "sandbox/cell.h"

static const struct {
	unsigned bit;
	const char *text;
} RIGHTS[] = { { CELL_READ, "read" }, { CELL_WRITE, "write" }, { CELL_CREATE, "create" },
	{ CELL_REMOVE, "remove" }, { CELL_MOVE, "move between folders" }, { CELL_EXECUTE, "run" } };

static const struct {
	unsigned bit;
	const char *may, *may_not;
} CALLS[] = {
	{ CELL_CALLS_FILE, "open files by name, within the folders above",
		"open any file by name" },
	{ CELL_CALLS_SYNC,
		"write files to disk, rename, link and remove them, within the folders above",
		"change anything on disk" },
	{ CELL_CALLS_THREAD, "start threads", NULL },
	{ CELL_CALLS_COMMAND,
		"run the programs of the files above, in the same cell, and connect to the network",
		"run another program" },
	{ CELL_CALLS_FORK, "fork copies of itself, and signal those", "start any other process" },
	{ CELL_CALLS_LOCK_IN, "confine those copies further", NULL },
	{ CELL_CALLS_SOCKET, "accept clients on the sockets master gave it", "accept connections" },
	{ CELL_CALLS_CONNECT, "open connections to the network",
		"make a socket or connect anywhere" },
	{ CELL_CALLS_ROOT_FOLDER, "make one folder the root folder of each of those copies", NULL },
	{ CELL_CALLS_TOGETHER, "have several open files written to disk at a time", NULL },
	{ CELL_CALLS_PAIR, "make pairs of connected sockets", NULL },
	{ CELL_CALLS_STREAM,
		"connect by TCP to the ports of the servers in its tables, when there are such",
		NULL },
	{ CELL_CALLS_UNIX, "connect to UNIX sockets that its user may open, when a table names one",
		NULL },
	{ CELL_CALLS_WATCH, "be told when a file in the folders above comes or goes", NULL },
};

static const char *const BASES[] = { [CELL_INSTANCE] = "$instance_directory",
	[CELL_QUEUE] = "$queue_directory",
	[CELL_MAIL] = "$mail_directory",
	[CELL_DATA] = "$data_directory",
	[CELL_RUN] = "$instance_directory/run",
	[CELL_ETC] = "$config_directory",
	[CELL_SYSTEM] = "" };

static void explain_files(const struct cell *cell, struct buffer *text)
{
	if (!cell->files[0].path) {
		buffer_add_text(text, "Files: none at all.\n");
		return;
	}
	buffer_add_text(text, "Files:\n");
	for (unsigned i = 0; i < CELL_MAX_FILES && cell->files[i].path; i++) {
		const struct cell_file *file = &cell->files[i];
		const char *separator = "";

		/* A path that a parameter says is called by its name. */
		buffer_printf(text, "  %s%s%s: ", BASES[file->base],
			file->path[0] && file->path[0] != '$' ? "/" : "", file->path);
		for (size_t r = 0; r < sizeof(RIGHTS) / sizeof(RIGHTS[0]); r++) {
			if (file->rights & RIGHTS[r].bit) {
				buffer_printf(text, "%s%s", separator, RIGHTS[r].text);
				separator = ", ";
			}
		}
		buffer_add_text(text, file->optional ? " (if it exists)\n" : "\n");
	}
}

static void explain_peers(uint64_t peers, const char *title, struct buffer *text)
{
	const char *separator = "";

	buffer_printf(text, "%s: ", title);
	for (unsigned id = 0; id < SERVICE_COUNT; id++) {
		if (peers & (1ull << id)) {
			buffer_printf(text, "%s%s", separator, service_id_name(id));
			separator = ", ";
		}
	}
	buffer_add_text(text, peers ? "\n" : "nobody\n");
}

static void explain_calls(const struct cell *cell, struct buffer *text)
{
	/* Programs may connect: it is no use to say that copies of the process may not. */
	unsigned calls = cell->calls | (cell->calls & CELL_CALLS_COMMAND ? CELL_CALLS_CONNECT : 0);

	buffer_add_text(text, "It may:\n");
	for (size_t i = 0; i < sizeof(CALLS) / sizeof(CALLS[0]); i++) {
		if (cell->calls & CALLS[i].bit)
			buffer_printf(text, "  %s\n", CALLS[i].may);
	}
	buffer_add_text(text, "  read and write the descriptors it was given\nIt may not:\n");
	for (size_t i = 0; i < sizeof(CALLS) / sizeof(CALLS[0]); i++) {
		if (!(calls & CALLS[i].bit) && CALLS[i].may_not)
			buffer_printf(text, "  %s\n", CALLS[i].may_not);
	}
	buffer_add_text(text,
		"  trace or signal other processes, change its user, gain rights, run "
		"memory it has written\n");
}

void cell_explain(const struct cell *cell, struct buffer *text)
{
	const char *user = cell_uid_name(cell->uid);

	buffer_printf(text, "%s: %s\n", service_id_name(cell->service),
		cell->purpose ? cell->purpose : "");
	if (cell->uid == UID_KEEP)
		buffer_add_text(text, "User: the one who started the suite.\n");
	else
		buffer_printf(text,
			"User: %s when the suite was started by root, otherwise the one who "
			"started it.\n",
			user);
	explain_files(cell, text);
	explain_peers(cell->talk_to, "It may ask to be connected to", text);
	explain_peers(cell->serve, "It may be connected to by", text);
	if (cell->outside & CELL_OUTSIDE_SASLAUTHD)
		buffer_add_text(text, "It may ask for a connection to saslauthd's socket, which "
				      "master opens.\n");
	explain_calls(cell, text);
	buffer_printf(text, "Limits: %llu MB of memory, %u descriptors, ",
		(unsigned long long)(cell->memory >> 20), cell->descriptors);
	if (cell->processes)
		buffer_printf(text, "%u processes or threads of its own\n", cell->processes);
	else
		buffer_add_text(text, "no process of its own\n");
}
