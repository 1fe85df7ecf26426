// SPDX-License-Identifier: ISC
/* What SCRAM keys of all logins look like. See survey.h. */
#include "auth/survey.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/loop.h"
#include "os/os.h"
#include "service/log.h"
#include "service/threads.h"

enum {
	STACK = 256 * 1024,
	PAUSE = 1000, /* ms, at least */
	SHARE = 500,
	FIRST = 1000, /* ms that the start waits for the first count */
	KEEP = 60000 /* ms between two times that the sample is kept */
};

struct survey {
	struct backends *backends;
	const char *path; /* of the sample, or NULL */
	int64_t keep; /* when to keep it, ms */
	bool complained;
	struct scram_forms forms; /* under `lock` */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool started, counted, closing;
};

struct counting {
	struct backends *backends;
	struct scram_forms forms;
};

static void count_one(void *context, struct slice stored)
{
	struct counting *counting = context;
	const struct scram_shape shape = scram_shape_of(stored);

	scram_forms_add(&counting->forms, &shape, 1, backends_plain(counting->backends),
		backends_iterations(counting->backends));
}

/* What cannot be read keeps its last count. */
static void count_all(struct survey *survey)
{
	struct counting counting = { .backends = survey->backends };
	struct scram_sample *sample = backends_sample(survey->backends);

	if (!backends_each(survey->backends, count_one, &counting))
		return;
	if (sample)
		scram_sample_count(sample, &counting.forms, backends_plain(survey->backends),
			backends_iterations(survey->backends), os_now() / 1000000);
	pthread_mutex_lock(&survey->lock);
	survey->forms = counting.forms;
	pthread_mutex_unlock(&survey->lock);
}

/* It is no loss when this fails: what was learned is learned again. */
static void keep_sample(struct survey *survey)
{
	struct scram_sample *sample = backends_sample(survey->backends);

	if (!sample || !survey->path)
		return;
	survey->keep = loop_monotonic() + KEEP;
	if (scram_sample_save(sample, survey->path) || survey->complained)
		return;
	log_warning("%s: %s", survey->path, strerror(errno));
	survey->complained = true;
}

/* `lock` is held. Until `*what`, or for so long. */
static void wait_for(struct survey *survey, const bool *what, int64_t ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	while (!*what && pthread_cond_timedwait(&survey->changed, &survey->lock, &until) == 0)
		continue;
}

static void *work(void *argument)
{
	struct survey *survey = argument;

	pthread_mutex_lock(&survey->lock);
	while (!survey->closing) {
		int64_t before = loop_monotonic();

		pthread_mutex_unlock(&survey->lock);
		count_all(survey);
		if (before >= survey->keep)
			keep_sample(survey);
		pthread_mutex_lock(&survey->lock);
		survey->counted = true;
		pthread_cond_broadcast(&survey->changed);
		wait_for(survey, &survey->closing, PAUSE + SHARE * (loop_monotonic() - before));
	}
	pthread_mutex_unlock(&survey->lock);
	return NULL;
}

struct survey *survey_new(struct backends *backends, const char *path)
{
	struct survey *survey = calloc(1, sizeof(*survey));
	pthread_condattr_t clock;

	if (!survey)
		return NULL;
	survey->backends = backends;
	survey->path = path;
	pthread_mutex_init(&survey->lock, NULL);
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&survey->changed, &clock);
	pthread_condattr_destroy(&clock);
	return survey;
}

bool survey_start(struct survey *survey)
{
	if (!thread_start(&survey->thread, STACK, work, survey))
		return false;
	survey->started = true;
	pthread_mutex_lock(&survey->lock);
	wait_for(survey, &survey->counted, FIRST);
	pthread_mutex_unlock(&survey->lock);
	return true;
}

struct scram_form survey_pick(
	struct survey *survey, enum scram_digest digest, const struct scram_lot *lot, bool known)
{
	struct scram_form form;

	pthread_mutex_lock(&survey->lock);
	form = scram_forms_pick(&survey->forms, digest, lot, known);
	pthread_mutex_unlock(&survey->lock);
	return form;
}

void survey_free(struct survey **survey)
{
	struct survey *s = *survey;

	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->closing = true;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	if (s->started) {
		pthread_join(s->thread, NULL);
		keep_sample(s);
	}
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	free(s);
	*survey = NULL;
}
