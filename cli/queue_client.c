// SPDX-License-Identifier: ISC
/* How the queue commands reach the queue. See queue_client.h. */
#include "cli/queue_client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/cli.h"
#include "config/config.h"

/* A value with its $names expanded, or a folder of the instance. */
static bool folder_of(const struct config_source *source, const char *text, char path[PATH_MAX],
	char *error, size_t size)
{
	struct buffer out = buffer_limited(PATH_MAX);
	bool ok = config_expand(source, text, &out, error, size) &&
		  slice_to_string(buffer_slice(&out), path, PATH_MAX);

	buffer_free(&out);
	return ok;
}

bool queue_client_open(struct queue_client *client, const char *command, const char *option)
{
	static struct config_report report;
	const char *folder = cli_folder(option);
	struct config_source *source;
	bool ok;

	*client = (struct queue_client){ .command = command };
	report = (struct config_report){ 0 };
	source = config_read(folder, &report);
	if (!source) {
		cli_complain(command, "%s/main.cf: %s", folder,
			report.count ? report.faults[0].text : "cannot be read");
		return false;
	}
	ok = folder_of(source, "$queue_directory", client->queue_folder, client->error,
		     sizeof(client->error)) &&
	     folder_of(source, "$instance_directory/run", client->run_folder, client->error,
		     sizeof(client->error));
	if (!ok)
		cli_complain(command, "%s/main.cf: %s", folder, client->error);
	config_source_free(&source);
	return ok;
}

/* Paths of sockets are short, those of instances need not be: go through the folder's descriptor. */
static bool address_of(int folder, const char *name, struct sockaddr_un *address)
{
	int length = snprintf(
		address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/%s", folder, name);

	address->sun_family = AF_UNIX;
	return length > 0 && (size_t)length < sizeof(address->sun_path);
}

int queue_client_connect(struct queue_client *client, const char *name)
{
	struct sockaddr_un address = { 0 };
	char path[PATH_MAX + 16];
	int folder, fd = -1;

	snprintf(path, sizeof(path), "%s/public", client->run_folder);
	folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (folder >= 0 && address_of(folder, name, &address))
		fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int saved = errno;

		close(fd);
		fd = -1;
		errno = saved;
	}
	if (fd < 0)
		snprintf(client->error, sizeof(client->error),
			"Connect to the Postern %s service: %s", name, strerror(errno));
	if (folder >= 0)
		close(folder);
	return fd;
}

bool queue_client_direct(struct queue_client *client, struct queue *queue)
{
	return queue_open(queue, client->queue_folder, false, client->error, sizeof(client->error));
}

bool queue_client_privileged(const struct queue_client *client)
{
	struct stat info;

	return geteuid() == 0 ||
	       (stat(client->queue_folder, &info) == 0 && info.st_uid == geteuid());
}
