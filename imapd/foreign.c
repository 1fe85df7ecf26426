// SPDX-License-Identifier: ISC
/*
 * Changes that other programs make in a mailbox somebody waits for in IDLE, awake or asleep: new/ and cur/ of each such mailbox are
 * watched, once for all its clients. What the suite does itself shows up here as well; it is told by a notice, which comes a moment
 * behind the change and takes the news back before it is passed on.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "imapd/spawn.h"
#include "service/log.h"

enum {
	FOREIGN_DELAY = 200, /* ms for the notice of our own change to come */
	FOREIGN_FOLDERS = 2,
	FOREIGN_EVENTS = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR |
			 IN_DONT_FOLLOW | IN_EXCL_UNLINK
};

/* A mailbox that is watched. */
struct place {
	struct account *account;
	unsigned users; /* idle sessions and sleepers */
	int watches[FOREIGN_FOLDERS]; /* -1: none */
	bool changed; /* since the last notice */
	struct place *next; /* of the account */
	struct place *next_changed;
	bool queued;
	char mailbox[];
};

static struct place *find_place(const struct account *account, struct slice mailbox)
{
	struct place *place = account->places;

	while (place && !slice_equal(mailbox, slice_from(place->mailbox)))
		place = place->next;
	return place;
}

/* Once is enough: the next ones meet the same limit. */
static void complain(struct foreign *f, const char *why)
{
	if (!f->complained)
		log_warning(
			"changes that other programs make in mailboxes are noticed late: %s", why);
	f->complained = true;
}

static int watch_folder(struct foreign *f, struct place *place, const char *path)
{
	int watch = inotify_add_watch(f->watch.fd, path, FOREIGN_EVENTS);

	if (watch < 0) {
		/* A folder that is gone is for its sessions to notice. */
		if (errno != ENOENT && errno != ENOTDIR)
			complain(f, strerror(errno));
		return -1;
	}
	/* Two names of one folder have one watch: it stays the first one's. */
	if (map_get(&f->watches, slice_of(&watch, sizeof(watch))))
		return -1;
	if (!map_put(&f->watches, slice_of(&watch, sizeof(watch)), place)) {
		inotify_rm_watch(f->watch.fd, watch);
		return -1;
	}
	return watch;
}

static void watch_place(struct hub *hub, struct place *place)
{
	static const char *const FOLDERS[FOREIGN_FOLDERS] = { "new", "cur" };
	char folder[MAX_MAILBOX + 64], path[4096];

	if (!store_mailbox_folder(slice_from(place->mailbox), folder, sizeof(folder)))
		return;
	for (unsigned i = 0; i < FOREIGN_FOLDERS; i++) {
		if (snprintf(path, sizeof(path), "%s/%s/%s/%s",
			    service_path(hub->service, CELL_MAIL), place->account->path, folder,
			    FOLDERS[i]) < (int)sizeof(path))
			place->watches[i] = watch_folder(&hub->foreign, place, path);
	}
}

void foreign_watch(struct hub *hub, struct account *account, struct slice mailbox)
{
	struct foreign *f = &hub->foreign;
	struct place *place = find_place(account, mailbox);

	if (f->watch.fd < 0 || mailbox.length == 0)
		return;
	if (place) {
		place->users++;
		return;
	}
	if (f->count >= f->limit) {
		complain(f, "imap_watch_limit is reached");
		return;
	}
	place = calloc(1, sizeof(*place) + mailbox.length + 1);
	if (!place)
		return;
	*place = (struct place){
		.account = account, .users = 1, .watches = { -1, -1 }, .next = account->places
	};
	memcpy(place->mailbox, mailbox.data, mailbox.length);
	account->places = place;
	f->count++;
	watch_place(hub, place);
}

static void unqueue(struct foreign *f, struct place *place)
{
	struct place **at = &f->changed;

	while (*at && *at != place)
		at = &(*at)->next_changed;
	if (*at)
		*at = place->next_changed;
	place->queued = false;
}

void foreign_unwatch(struct hub *hub, struct account *account, struct slice mailbox)
{
	struct foreign *f = &hub->foreign;
	struct place *place = find_place(account, mailbox), **at = &account->places;

	/* None when there was no room for it, and then there was none for its other users. */
	if (!place || --place->users)
		return;
	while (*at != place)
		at = &(*at)->next;
	*at = place->next;
	for (unsigned i = 0; i < FOREIGN_FOLDERS; i++) {
		int watch = place->watches[i];

		if (watch < 0)
			continue;
		map_remove(&f->watches, slice_of(&watch, sizeof(watch)));
		inotify_rm_watch(f->watch.fd, watch);
	}
	if (place->queued)
		unqueue(f, place);
	free(place);
	f->count--;
}

void foreign_told(struct account *account, struct slice mailbox)
{
	struct place *place = find_place(account, mailbox);

	if (place)
		place->changed = false;
}

/* --- events --- */

static void tell_all(struct timer *timer)
{
	struct hub *hub = timer->context;
	struct foreign *f = &hub->foreign;

	/* Each is taken off before it is told. */
	while (f->changed) {
		struct place *place = f->changed;

		f->changed = place->next_changed;
		place->queued = false;
		if (place->changed) {
			place->changed = false;
			hub_changed(place->account, slice_from(place->mailbox));
		}
	}
}

static void note(struct hub *hub, struct place *place)
{
	struct foreign *f = &hub->foreign;

	place->changed = true;
	if (place->queued)
		return;
	place->queued = true;
	place->next_changed = f->changed;
	f->changed = place;
	if (!f->timer.place)
		loop_timer_start(service_loop(hub->service), &f->timer, FOREIGN_DELAY);
}

static bool note_each(void *context, struct slice key, void *value)
{
	note(context, value);
	return true;
}

static void take_event(struct hub *hub, const struct inotify_event *event)
{
	struct foreign *f = &hub->foreign;
	struct slice key = slice_of(&event->wd, sizeof(event->wd));
	struct place *place = map_get(&f->watches, key);

	if (event->mask & IN_Q_OVERFLOW) {
		map_each(&f->watches, note_each, hub);
		return;
	}
	if (!place)
		return;
	if (event->mask & IN_IGNORED) {
		map_remove(&f->watches, key);
		for (unsigned i = 0; i < FOREIGN_FOLDERS; i++)
			place->watches[i] = place->watches[i] == event->wd ? -1 : place->watches[i];
	}
	note(hub, place);
}

static void foreign_ready(struct watch *watch, uint32_t events)
{
	_Alignas(struct inotify_event) char data[16384];
	ssize_t n = read(watch->fd, data, sizeof(data));
	const char *at = data;

	while (n > 0 && at < data + n) {
		const struct inotify_event *event = (const struct inotify_event *)at;

		take_event(watch->context, event);
		at += sizeof(*event) + event->len;
	}
}

void foreign_open(struct hub *hub, unsigned limit)
{
	struct foreign *f = &hub->foreign;

	*f = (struct foreign){ .limit = limit,
		.watch = { .fd = -1, .events = EPOLLIN, .ready = foreign_ready, .context = hub },
		.timer = { .fire = tell_all, .context = hub } };
	if (!limit)
		return;
	f->watch.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (f->watch.fd < 0 || !loop_watch(service_loop(hub->service), &f->watch))
		complain(f, strerror(errno));
}
