// SPDX-License-Identifier: ISC
/* Local submission, the client's side: to pickup's socket, or into maildrop when nobody listens. Used by sendmail. */
#ifndef CLI_SUBMIT_H
#define CLI_SUBMIT_H

#include "base/buffer.h"
#include "base/vector.h"

enum {
	SUBMIT_CONNECT_TIMEOUT = 10000, /* ms for one packet to be taken */
	SUBMIT_ANSWER_TIMEOUT = 300000 /* ms for the verdict */
};

/* Where an instance takes mail; paths live as long as the process. */
struct submit_place {
	const char *instance; /* instance_directory */
	const char *queue; /* queue_directory */
};

struct submission_text {
	struct slice sender; /* empty: the null sender */
	struct slice full_name, envid;
	uint8_t notify;
	uint32_t flags; /* enum cleanup_flag */
	const struct vector *recipients; /* of struct slice */
	struct slice content; /* LF line ends */
};

/* Hand it over: exit code of sysexits.h (0 when it is durable), with a complaint on standard error when it is not 0. */
int submit(
	const char *command, const struct submit_place *place, const struct submission_text *text);
/* A connected socket to run/public/NAME of the instance; -1 with errno. `type` is SOCK_SEQPACKET or SOCK_STREAM. */
int submit_connect(const struct submit_place *place, const char *name, int type);

#endif
