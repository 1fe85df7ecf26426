// SPDX-License-Identifier: ISC
/* One message in the active queue: found again, its file, on which lists it is, let go. How it comes is told in admit.c, what becomes of it in outcome.c and record.c. */
#include <errno.h>
#include <stdlib.h>

#include "os/os.h"
#include "qmgr/qmgr.h"
#include "service/figures.h"
#include "service/log.h"

/* --- lists --- */

void mail_list_add(struct mail_list *list, struct mail *mail)
{
	mail->list = list;
	mail->next = NULL;
	mail->before = list->tail;
	if (list->tail)
		list->tail->next = mail;
	else
		list->head = mail;
	list->tail = mail;
	list->count++;
}

void mail_list_leave(struct mail *mail)
{
	struct mail_list *list = mail->list;

	if (!list)
		return;
	if (mail->before)
		mail->before->next = mail->next;
	else
		list->head = mail->next;
	if (mail->next)
		mail->next->before = mail->before;
	else
		list->tail = mail->before;
	mail->next = mail->before = NULL;
	mail->list = NULL;
	list->count--;
}

struct mail *mail_list_take(struct mail_list *list)
{
	struct mail *mail = list->head;

	if (mail)
		mail_list_leave(mail);
	return mail;
}

/* --- known by its id, with its file --- */

struct mail *mail_find(struct qmgr *q, struct slice id)
{
	return map_get(&q->mails, id);
}

bool mail_room(const struct qmgr *q)
{
	return (int64_t)q->mails.count < q->settings.active_limit &&
	       q->recipients < q->settings.recipient_limit;
}

void mail_close(struct mail *mail)
{
	if (mail->fd < 0)
		return;
	os_close(&mail->fd);
	mail->qmgr->open_files--;
}

bool mail_enter(struct mail *mail)
{
	struct qmgr *q = mail->qmgr;

	if (!map_put(&q->mails, slice_from(mail->id), mail))
		return false;
	mail->known = true;
	q->recipients += mail->left;
	figures_set(FIGURE_queue_now, (int64_t)q->mails.count);
	return true;
}

void mail_forget(struct mail *mail)
{
	struct qmgr *q = mail->qmgr;

	if (!mail->known)
		return;
	mail->known = false;
	map_remove(&q->mails, slice_from(mail->id));
	q->recipients -= mail->left;
	figures_set(FIGURE_queue_now, (int64_t)q->mails.count);
	agenda_wake(q);
}

void mail_undirty(struct mail *mail)
{
	struct mail **at = &mail->qmgr->dirty;

	if (!mail->dirty)
		return;
	while (*at && *at != mail)
		at = &(*at)->dirty_next;
	if (*at)
		*at = mail->dirty_next;
	mail->dirty = false;
}

/* --- in incoming/ until it takes long --- */

void mail_fresh(struct mail *mail)
{
	struct qmgr *q = mail->qmgr;

	mail->fresh_before = q->fresh_tail;
	*(q->fresh_tail ? &q->fresh_tail->fresh_next : &q->fresh_head) = mail;
	q->fresh_tail = mail;
}

static void fresh_leave(struct mail *mail)
{
	struct qmgr *q = mail->qmgr;

	if (mail != q->fresh_head && !mail->fresh_before)
		return;
	*(mail->fresh_before ? &mail->fresh_before->fresh_next : &q->fresh_head) = mail->fresh_next;
	*(mail->fresh_next ? &mail->fresh_next->fresh_before : &q->fresh_tail) = mail->fresh_before;
	mail->fresh_next = mail->fresh_before = NULL;
}

bool mail_move(struct mail *mail, enum queue_name to)
{
	if (!queue_move(&mail->qmgr->queue, mail->id, mail->place, to))
		return false;
	fresh_leave(mail);
	mail->place = to;
	return true;
}

void mail_settle_some(struct qmgr *q)
{
	int64_t before = os_now() - QMGR_SETTLE * 1000000ll;

	for (unsigned i = 0; i < QMGR_SETTLE_TURN && !q->sweeps; i++) {
		struct mail *mail = q->fresh_head;

		if (!mail || mail->active > before)
			return;
		if (!mail->vanished && !mail_move(mail, QUEUE_ACTIVE) && errno != ENOENT)
			log_warning("%s: cannot be moved to active: %s", mail->id, strerror(errno));
		fresh_leave(mail);
	}
}

void mail_free(struct mail *mail)
{
	mail_forget(mail);
	mail_list_leave(mail);
	fresh_leave(mail);
	mail_undirty(mail);
	mail_close(mail);
	arena_free(&mail->arena);
	free(mail);
}

struct mail *mail_new(struct qmgr *q, const char *id, int fd)
{
	struct mail *mail = calloc(1, sizeof(*mail));

	if (!mail)
		return NULL;
	mail->qmgr = q;
	mail->fd = fd;
	q->open_files++;
	memcpy(mail->id, id, QUEUE_ID_SIZE);
	arena_init(&mail->arena, QMGR_MESSAGE_MEMORY);
	return mail;
}

int mail_fd(struct mail *mail)
{
	struct qmgr *q = mail->qmgr;

	if (mail->fd >= 0)
		return mail->fd;
	mail->fd = queue_open_file(&q->queue, mail->place, mail->id, O_RDONLY);
	if (mail->fd >= 0)
		q->open_files++;
	return mail->fd;
}
