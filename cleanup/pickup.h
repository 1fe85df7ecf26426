// SPDX-License-Identifier: ISC
/*
 * pickup's own structs, and what its chapters offer each other; each calls those below it only:
 *
 *	pickup.c  main, clients of the socket and cleanup's answers
 *	drop.c    maildrop/, looked through and read
 *	intake.c  one submission, whatever it comes from
 */
#ifndef CLEANUP_PICKUP_H
#define CLEANUP_PICKUP_H

#include <dirent.h>

#include "base/map.h"
#include "cleanup/maildrop.h"
#include "cleanup/submission.h"
#include "config/config.h"
#include "service/service.h"

enum {
	PICKUP_CLIENTS = 48, /* of the socket, at a time */
	PICKUP_FILES = 8, /* of maildrop, at a time */
	PICKUP_BACKLOG = 1 << 20, /* bytes waiting for cleanup before input is paused */
	PICKUP_PUMP = 10, /* ms until paused input is looked at again */
	PICKUP_CLIENT_TIMEOUT = 60000, /* ms a client may be quiet before its end */
	PICKUP_ANSWER_TIMEOUT = 300000, /* ms for cleanup's answer */
	PICKUP_INTERVAL = 60000, /* ms between looks into maildrop */
	PICKUP_STALE = 86400, /* seconds after which an unfinished file is removed */
	PICKUP_STUCK = 10000 /* files that are done and cannot be removed, remembered */
};

struct pickup {
	struct service *service;
	struct config *config;
	struct loop *loop;
	struct link cleanup;
	struct submission_rules rules;
	char domain[256], host[256];
	int folder; /* maildrop/ */
	struct intake *list;
	unsigned clients, files;
	uint32_t serial;
	DIR *scan; /* a look into maildrop/ in progress */
	bool scan_again;
	struct map stuck; /* names not to be submitted once more */
	struct timer pump, interval, housekeeping;
	void (*ended)(struct pickup *p); /* a submission has gone */
	bool draining;
};

/* One submission: from a client of the socket, or from a file. */
struct intake {
	struct pickup *pickup;
	struct submission submission;
	bool is_file, over;
	struct channel channel; /* client */
	struct maildrop_reader reader; /* file */
	char name[MAILDROP_NAME + 1];
	int64_t active; /* loop time of the last packet */
	struct deferred reap;
	struct intake *next, **place;
};

/* --- intake.c --- */
struct intake *intake_new(struct pickup *p, bool is_file, uid_t uid);
/* Forget it; what cleanup has of it is taken back. Freed at the end of the turn. */
void intake_end(struct intake *intake);
/* Whether more may be sent to cleanup now; if not, the pump will go on later. */
bool intake_may_send(struct pickup *p);

/* --- drop.c --- */
/* Look through maildrop/ now (again, if a look is in progress). */
void drop_scan(struct pickup *p);
/* Go on with files that are being read and with the look, as far as there is room. */
void drop_pump(struct pickup *p);
/* cleanup's answer (code 0: none will come). */
void drop_answered(struct intake *intake, unsigned code, struct slice reason);

#endif
