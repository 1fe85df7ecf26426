// SPDX-License-Identifier: ISC
/*
 * What operators ask for over public/qmgr: flush (anybody may), delete, hold, release, requeue, expire (root and the suite's own
 * user). What concerns all messages is done a few files a turn, and answered when it is done.
 */
#include <errno.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "mail/address.h"
#include "os/os.h"
#include "qmgr/qmgr.h"
#include "service/log.h"

enum { SITE_MEMORY = 64 << 10 /* bytes, to make a domain comparable */ };

/* One operator's connection, with at most one sweep over folders. */
struct control {
	struct qmgr *qmgr;
	struct channel channel;
	struct control *next;
	bool privileged;
	/* the sweep */
	bool sweeping;
	enum queue_action action;
	unsigned folders; /* still to look through */
	enum queue_name folder;
	struct queue_scan *scan;
	uint32_t count;
	char site[256]; /* lower case, A-labels */
	struct timer more;
};

static void answer(struct control *control, uint8_t status, uint32_t count, const char *reason)
{
	struct message message = { .type = MESSAGE_QUEUE_CONTROL_ANSWER,
		.queue_control_answer = {
			.status = status, .count = count, .reason = slice_from(reason) } };

	channel_send(&control->channel, &message);
}

/* --- one message --- */

/* Whatever is in flight. */
static void delete_active(struct mail *mail)
{
	resolve_cancel(mail);
	mail_list_leave(mail);
	mail_lost(mail);
	mail_advance(mail);
}

static bool move_active(struct mail *mail, enum queue_name to)
{
	bool moved = mail_move(mail, to);

	if (!moved && errno != ENOENT)
		log_error("%s: cannot be moved to %s: %s", mail->id, queue_folder_name(to),
			strerror(errno));
	return moved;
}

/*
 * Its file is in hold/ from now on, so that not even the end of this process lets it go. What is in flight comes to its end, and its
 * results go to the file. May free it.
 */
static bool hold_active(struct mail *mail)
{
	if (!move_active(mail, QUEUE_HOLD))
		return false;
	mail->hold = true;
	resolve_cancel(mail);
	if (mail->flying || mail->report_serial)
		return true;
	/* What waits for an agent will find the message gone. */
	mail_list_leave(mail);
	mail_record(mail);
	mail_lost(mail);
	mail_advance(mail);
	return true;
}

/* Out of hold/ while deliveries are still in flight: the rest is due as soon as they are over. */
static bool release_active(struct mail *mail)
{
	return mail->place != QUEUE_HOLD || move_active(mail, QUEUE_ACTIVE);
}

static bool act_on_active(struct mail *mail, enum queue_action action)
{
	struct qmgr *q = mail->qmgr;

	switch (action) {
	case QUEUE_DO_DELETE:
		if (!queue_remove(&q->queue, mail->place, mail->id))
			log_debug("%s: was gone already", mail->id);
		delete_active(mail);
		return true;
	case QUEUE_DO_HOLD:
		return hold_active(mail);
	case QUEUE_DO_RELEASE:
		return release_active(mail);
	case QUEUE_DO_REQUEUE:
		/* It is being looked up and delivered anew as it is. */
		mail->envelope.info.attempts = 0;
		return release_active(mail);
	case QUEUE_DO_EXPIRE:
		mail_expire(mail);
		return true;
	default:
		return true;
	}
}

/* A file at rest was changed: what the schedule knows of it follows. */
static void reschedule(struct qmgr *q, const char *id, enum queue_name before, enum queue_name now)
{
	if (before == QUEUE_DEFERRED)
		agenda_forget(q, id);
	if (now == QUEUE_INCOMING)
		agenda_scan(q, QUEUE_INCOMING);
}

/* Its writer is at it: its client has not heard yet that it was taken, and the writer, should it fail, looks for it where it put it. */
static bool is_unfinished(const struct qmgr *q, const char *id, enum queue_name folder)
{
	bool made_here = folder == QUEUE_INCOMING || folder == QUEUE_HOLD;
	int fd = made_here ? queue_open_file(&q->queue, folder, id, O_RDONLY) : -1;
	bool unfinished = fd >= 0 && queue_has_writer(fd);

	if (fd >= 0)
		os_close(&fd);
	return unfinished;
}

static bool act_at_rest(
	struct qmgr *q, const char *id, enum queue_action action, enum queue_name folder)
{
	enum queue_name now;

	if (is_unfinished(q, id, folder) ||
		queue_act(&q->queue, id, action, folder, &now) != QUEUE_ACT_DONE)
		return false;
	reschedule(q, id, folder, now);
	if (now == QUEUE_DEFERRED && action != QUEUE_DO_DELETE)
		agenda_later(q, id, 0);
	return true;
}

static bool act_on(struct qmgr *q, const char *id, enum queue_action action, unsigned folders)
{
	struct mail *mail = mail_find(q, slice_from(id));
	bool done = mail && (folders & 1u << mail->place) && act_on_active(mail, action);

	for (enum queue_name folder = 0; !mail && !done && folder < QUEUE_NAMES; folder++)
		if (folders & 1u << folder)
			done = act_at_rest(q, id, action, folder);
	if (done)
		log_info("%s: %s", id, queue_action_done(action));
	return done;
}

/* --- flush by destination --- */

/* An address is kept as it was given, perhaps with U-labels. */
static bool recipient_at(struct slice address, struct slice site, struct arena *arena)
{
	ptrdiff_t at = slice_find_last(address, '@');
	struct slice given = slice_tail(address, (size_t)(at + 1)), domain;

	return at >= 0 &&
	       (slice_equal_nocase(given, site) || (address_domain(given, true, arena, &domain) &&
							   slice_equal_nocase(domain, site)));
}

/* What is no domain (an address literal) is compared as it stands. */
static void keep_site(struct control *control, struct slice site)
{
	struct slice domain = site;
	struct arena arena;

	arena_init(&arena, SITE_MEMORY);
	if (!address_domain(site, true, &arena, &domain))
		domain = site;
	if (!slice_to_string(domain, control->site, sizeof(control->site)))
		control->site[0] = '\0';
	arena_free(&arena);
}

static bool goes_to(struct qmgr *q, const char *id, struct slice site)
{
	struct queue_envelope envelope;
	struct arena arena;
	bool match = false;
	int fd = queue_open_file(&q->queue, QUEUE_DEFERRED, id, O_RDONLY);

	if (fd < 0)
		return false;
	arena_init(&arena, QMGR_MESSAGE_MEMORY);
	if (queue_read(fd, QUEUE_CHECK_HEAD, &arena, &envelope))
		for (uint32_t i = 0; i < envelope.info.recipient_count && !match; i++)
			match = !envelope.recipients[i].done &&
				recipient_at(envelope.recipients[i].address, site, &arena);
	arena_free(&arena);
	os_close(&fd);
	return match;
}

/* --- sweeps --- */

static void end_sweep(struct control *control)
{
	if (!control->sweeping)
		return;
	control->sweeping = false;
	if (--control->qmgr->sweeps == 0)
		agenda_wake(control->qmgr);
}

static void free_control(struct control *control)
{
	struct qmgr *q = control->qmgr;

	for (struct control **at = &q->controls; *at; at = &(*at)->next)
		if (*at == control) {
			*at = control->next;
			break;
		}
	q->client_count--;
	end_sweep(control);
	loop_timer_stop(&control->more);
	queue_scan_close(&control->scan);
	free(control);
}

/* What leaves active/ meanwhile goes to a folder that is looked through later; nothing enters it during a sweep (mail_settle_some
 * waits). */
static const enum queue_name ORDER[] = { QUEUE_ACTIVE, QUEUE_INCOMING, QUEUE_DEFERRED, QUEUE_HOLD,
	QUEUE_CORRUPT };

static bool next_folder(struct control *control)
{
	for (size_t i = 0; i < sizeof(ORDER) / sizeof(*ORDER); i++) {
		enum queue_name folder = ORDER[i];

		if (!(control->folders & 1u << folder))
			continue;
		control->folders &= ~(1u << folder);
		control->folder = folder;
		control->scan = queue_scan_open(&control->qmgr->queue, folder);
		if (control->scan)
			return true;
	}
	return false;
}

static bool sweep_one(struct control *control, const char *id)
{
	struct qmgr *q = control->qmgr;

	if (control->action != QUEUE_DO_FLUSH_SITE)
		return act_on(q, id, control->action, 1u << control->folder);
	if (!goes_to(q, id, slice_from(control->site)))
		return false;
	agenda_later(q, id, 0);
	return agenda_due(q, id);
}

static void sweep(struct timer *timer)
{
	struct control *control = timer->context;
	char id[QUEUE_ID_SIZE];

	for (unsigned i = 0; i < QMGR_TURN_FILES; i++) {
		if (!control->scan && !next_folder(control)) {
			end_sweep(control);
			answer(control, 0, control->count, "");
			return;
		}
		if (!queue_scan_next(control->scan, id))
			queue_scan_close(&control->scan);
		else if (sweep_one(control, id))
			control->count++;
	}
	loop_timer_start(control->qmgr->loop, timer, 0);
}

static void begin_sweep(
	struct control *control, enum queue_action action, unsigned folders, struct slice site)
{
	control->sweeping = true;
	control->qmgr->sweeps++;
	control->action = action;
	control->folders = folders;
	control->count = 0;
	keep_site(control, site);
	control->more = (struct timer){ .fire = sweep, .context = control };
	loop_timer_start(control->qmgr->loop, &control->more, 0);
}

/* --- requests --- */

static void flush_all(struct control *control)
{
	struct qmgr *q = control->qmgr;

	schedule_resume(q, loop_now(q->loop), true);
	agenda_scan(q, QUEUE_INCOMING);
	agenda_scan(q, QUEUE_DEFERRED);
	answer(control, 0, (uint32_t)agenda_due_all(q), "");
}

static void flush_one(struct control *control, const char *id)
{
	struct qmgr *q = control->qmgr;
	struct stat info;
	bool known;

	schedule_resume(q, loop_now(q->loop), true);
	known = agenda_due(q, id) || mail_find(q, slice_from(id));
	if (!known && os_fstatat(q->queue.folder[QUEUE_DEFERRED], id, &info, AT_SYMLINK_NOFOLLOW)) {
		agenda_later(q, id, 0);
		known = true;
	}
	answer(control, 0, known, "");
}

static void change_one(
	struct control *control, enum queue_action action, const char *id, unsigned folders)
{
	answer(control, 0, act_on(control->qmgr, id, action, folders), "");
}

static void receive(struct channel *channel, struct message *message)
{
	struct control *control = channel->context;
	const struct message_queue_control *request = &message->queue_control;
	enum queue_action action = request->action;
	unsigned usual = queue_action_folders(action);
	unsigned folders = request->folders ? request->folders & ((1u << QUEUE_NAMES) - 1) : usual;
	char id[QUEUE_ID_SIZE] = "";
	bool all = request->id.length == 0;

	if (message->type != MESSAGE_QUEUE_CONTROL || control->sweeping)
		return;
	if (usual == 0)
		answer(control, EX_USAGE, 0, "no such action");
	else if (action >= QUEUE_DO_DELETE && !control->privileged)
		answer(control, EX_NOPERM, 0, "only root and the mail system's user may do that");
	else if (!all &&
		 (!queue_id_valid(request->id) || !slice_to_string(request->id, id, sizeof(id))))
		answer(control, EX_USAGE, 0, "that is no queue id");
	else if (!control->qmgr->locked)
		answer(control, EX_TEMPFAIL, 0, "the queue manager is only starting");
	else if (action == QUEUE_DO_FLUSH)
		flush_all(control);
	else if (action == QUEUE_DO_FLUSH_ID)
		flush_one(control, id);
	else if (action == QUEUE_DO_FLUSH_SITE || all)
		begin_sweep(control, action, action == QUEUE_DO_FLUSH_SITE ? usual : folders,
			request->site);
	else
		change_one(control, action, id, folders);
}

static void closed(struct channel *channel, const char *why)
{
	free_control(channel->context);
}

void control_client(struct qmgr *q, int fd, const struct peer *peer)
{
	struct control *control =
		q->client_count < QMGR_CLIENTS ? calloc(1, sizeof(*control)) : NULL;

	if (!control) {
		os_close(&fd);
		return;
	}
	control->qmgr = q;
	control->privileged = peer->uid == 0 || peer->uid == getuid();
	control->next = q->controls;
	q->controls = control;
	q->client_count++;
	if (!channel_open(&control->channel, q->loop, fd, receive, closed, control))
		free_control(control);
}

void control_close_all(struct qmgr *q)
{
	while (q->controls) {
		channel_close(&q->controls->channel);
		free_control(q->controls);
	}
}
