// SPDX-License-Identifier: ISC
/*
 * What SCRAM keys of logins in tables look like. A table cannot be listed, so what it holds is learned from those who log in; never from
 * who only asks, or whoever watches the answers to names that nobody has could see in them whether a name that he tried is somebody.
 *
 * Bounded, and yet fair: of each name there is a mark, evenly spread bits, and kept is whoever has one below a limit. That each login
 * comes at most once, however often it is used, and how many there are altogether, follows from the limit. Names are not kept.
 *
 * It is written down, so that a start changes nothing of what is shown.
 */
#ifndef AUTH_SCRAM_SAMPLE_H
#define AUTH_SCRAM_SAMPLE_H

#include "auth/scram_forms.h"

enum {
	SCRAM_SAMPLE_MOST = 4096, /* logins that are kept */
	SCRAM_SAMPLE_AGAIN = 3600, /* s after which one is looked at once more */
	SCRAM_SAMPLE_LIFETIME = 180 * 86400 /* s after its last login that one counts */
};

/* All functions may be called in any thread. Times are seconds since 1970. */
struct scram_sample;
/* `secret` is what marks are made with. NULL when memory is out. */
struct scram_sample *scram_sample_new(const unsigned char secret[32]);
void scram_sample_free(struct scram_sample **sample);
/* Somebody logged in: is it of use to know what is stored of him? */
bool scram_sample_wants(struct scram_sample *sample, struct slice login, int64_t now);
/* What is stored of him; empty where it is counted elsewhere. */
void scram_sample_take(
	struct scram_sample *sample, struct slice login, struct slice stored, int64_t now);
/* Count them, as many as there are altogether. `plain` and `iterations` as in scram_forms_add. */
void scram_sample_count(struct scram_sample *sample, struct scram_forms *forms, bool plain,
	unsigned iterations, int64_t now);

/* From a file of scram_sample_save; lines that are none of it are left out. False with errno. */
MUST_CHECK bool scram_sample_load(struct scram_sample *sample, const char *path);
/* Where something changed since the last time; true also when not. False with errno: it is tried again the next time. */
MUST_CHECK bool scram_sample_save(struct scram_sample *sample, const char *path);

#endif
