// SPDX-License-Identifier: ISC
/* How the queue commands (postqueue, postsuper, postcat) reach the queue: through the daemons' public sockets, or by hand. */
#ifndef CLI_QUEUE_CLIENT_H
#define CLI_QUEUE_CLIENT_H

#include <limits.h>

#include "ipc/channel.h"
#include "queue/queue.h"

struct queue_client {
	const char *command; /* for messages: "postqueue" */
	char queue_folder[PATH_MAX];
	char run_folder[PATH_MAX];
	char error[512]; /* of the last failure */
};

/* Find the folders in main.cf; `option` as for cli_folder. False after a message: exit EX_CONFIG. */
MUST_CHECK bool queue_client_open(
	struct queue_client *client, const char *command, const char *option);
/* A connection to public/NAME ("qmgr", "showq"); -1 with `error` filled when the suite is down. */
MUST_CHECK int queue_client_connect(struct queue_client *client, const char *name);
/* The queue's folders, without any daemon. False with `error` filled. */
MUST_CHECK bool queue_client_direct(struct queue_client *client, struct queue *queue);
/* Root or the owner of the queue: may do what concerns others' mail. */
bool queue_client_privileged(const struct queue_client *client);

#endif
