// SPDX-License-Identifier: ISC
/* The life of one session process, from the fork to its end: smtpd-session's spawner starts it. */
#ifndef SMTPD_SESSION_RUN_H
#define SMTPD_SESSION_RUN_H

#include "service/service.h"

/* What it gets through the fork. The descriptors are its own. */
struct session_seed {
	const char *host; /* where myhostname is not set */
	int front, directory, cleanup, config;
};

/* For struct session_start; `argument` is a struct session_seed. */
int session_run(struct service *service, int channel_fd, void *argument);

#endif
