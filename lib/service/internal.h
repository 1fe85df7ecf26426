// SPDX-License-Identifier: ISC
/* Inside of lib/service: the service itself, shared by service.c, link.c, spawner.c and escape.c. */
#ifndef SERVICE_INTERNAL_H
#define SERVICE_INTERNAL_H

#include "base/vector.h"
#include "service/acceptor.h"
#include "service/service.h"

enum {
	CONTROL_FD = 3, /* where master puts the control channel */
	CONNECT_REQUESTS = 4096 /* introductions asked for and not yet answered */
};

struct listener {
	struct acceptor acceptor; /* of public ones */
	struct acceptor *waiting; /* to be started when master says so; NULL: none */
	int fd;
	char *name;
};

struct connect_request {
	uint32_t serial;
	service_connected connected;
	void *context;
};

struct service {
	const char *name;
	char *entry, *root;
	struct slice snapshot;
	int snapshot_fd;
	uid_t uid;
	gid_t gid;
	unsigned char seal_key[32];
	bool has_seal_key;
	bool best_effort, draining, ended, control_open;
	bool held; /* nobody is accepted yet */
	int status;
	unsigned max_sessions;
	uint32_t first_order;
	struct cell_bases bases;
	const struct cell *cell;
	struct cell_session *session_cell; /* of spawners */
	const char *session_folder; /* in a session */
	struct loop *loop;
	struct channel control;
	struct vector requests; /* of struct connect_request */
	uint32_t next_serial;
	struct listener listeners[MESSAGE_FDS];
	unsigned listener_count;
	const struct service_hooks *hooks;
	void *context;
};

void service_open_control(struct service *service);
/*
 * In a build with test hooks: on SIGUSR1 the process tries everything that its cell should refuse, and logs how each attempt
 * went ("escape: open-shadow refused (Permission denied)"). Otherwise nothing.
 */
void escape_arm(struct service *service);

#endif
