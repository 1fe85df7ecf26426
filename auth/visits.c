// SPDX-License-Identifier: ISC
/* Good logins on their way to the disk. See visits.h. */
#include "auth/visits.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/map.h"
#include "service/log.h"
#include "service/threads.h"

enum { STACK = 256 * 1024 };

struct visits {
	struct loop *loop;
	struct credentials *credentials;
	struct timer timer; /* runs while something is gathered */
	int64_t interval;
	struct map places; /* login and network -> its struct credentials_visit in `gathered` */
	struct credentials_visit *gathered;
	size_t count, room;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct credentials_visit *writing; /* handed to the thread, until it has written them */
	size_t writing_count;
	bool closing;
};

static void write_all(
	struct credentials *credentials, const struct credentials_visit *visits, size_t count)
{
	char error[300];

	if (count && !credentials_visits_write(credentials, visits, count, error, sizeof(error)))
		log_warning("last logins cannot be written: %s", error);
}

static void *work(void *argument)
{
	struct visits *visits = argument;

	pthread_mutex_lock(&visits->lock);
	while (!visits->closing || visits->writing) {
		struct credentials_visit *batch = visits->writing;
		size_t count = visits->writing_count;

		if (!batch) {
			pthread_cond_wait(&visits->more, &visits->lock);
			continue;
		}
		pthread_mutex_unlock(&visits->lock);
		write_all(visits->credentials, batch, count);
		free(batch);
		pthread_mutex_lock(&visits->lock);
		visits->writing = NULL;
	}
	pthread_mutex_unlock(&visits->lock);
	return NULL;
}

/* False when the thread is still busy with the last ones. */
static bool hand_over(struct visits *visits)
{
	bool free_now;

	pthread_mutex_lock(&visits->lock);
	free_now = visits->writing == NULL;
	if (free_now && visits->count) {
		visits->writing = visits->gathered;
		visits->writing_count = visits->count;
		pthread_cond_signal(&visits->more);
	}
	pthread_mutex_unlock(&visits->lock);
	if (!free_now)
		return false;
	map_free(&visits->places);
	visits->gathered = NULL;
	visits->count = visits->room = 0;
	return true;
}

static void interval_over(struct timer *timer)
{
	struct visits *visits = timer->context;

	if (!hand_over(visits))
		loop_timer_start(visits->loop, timer, visits->interval);
}

struct visits *visits_open(struct loop *loop, struct credentials *credentials, int64_t interval)
{
	struct visits *visits = calloc(1, sizeof(*visits));

	if (!visits)
		return NULL;
	visits->loop = loop;
	visits->credentials = credentials;
	visits->interval = interval;
	visits->timer = (struct timer){ .fire = interval_over, .context = visits };
	pthread_mutex_init(&visits->lock, NULL);
	pthread_cond_init(&visits->more, NULL);
	if (thread_start(&visits->thread, STACK, work, visits))
		return visits;
	free(visits);
	return NULL;
}

/* Places are counted from one, as pointers: the array moves when it grows. */
static struct credentials_visit *place_of(struct visits *visits, struct slice key)
{
	uintptr_t number = (uintptr_t)map_get(&visits->places, key);

	if (number)
		return &visits->gathered[number - 1];
	if (visits->count == VISITS_MOST)
		return NULL;
	if (visits->count == visits->room) {
		size_t room = visits->room ? 2 * visits->room : 16;
		void *grown = realloc(visits->gathered, room * sizeof(*visits->gathered));

		if (!grown)
			return NULL;
		visits->gathered = grown;
		visits->room = room;
	}
	if (!map_put(&visits->places, key, (void *)(uintptr_t)(visits->count + 1)))
		return NULL;
	return &visits->gathered[visits->count++];
}

void visits_note(struct visits *visits, const struct credentials_visit *visit)
{
	char key[sizeof(visit->login) + sizeof(visit->network)];
	size_t login = strlen(visit->login) + 1, network = strlen(visit->network);
	struct credentials_visit *place;

	memcpy(key, visit->login, login);
	memcpy(key + login, visit->network, network);
	place = place_of(visits, slice_of(key, login + network));
	if (place)
		*place = *visit;
	if (!visits->timer.place)
		loop_timer_start(visits->loop, &visits->timer, visits->interval);
}

void visits_close(struct visits **visits)
{
	struct visits *v = *visits;

	if (!v)
		return;
	loop_timer_stop(&v->timer);
	pthread_mutex_lock(&v->lock);
	v->closing = true;
	pthread_cond_signal(&v->more);
	pthread_mutex_unlock(&v->lock);
	pthread_join(v->thread, NULL);
	write_all(v->credentials, v->gathered, v->count);
	map_free(&v->places);
	free(v->gathered);
	pthread_cond_destroy(&v->more);
	pthread_mutex_destroy(&v->lock);
	free(v);
	*visits = NULL;
}
