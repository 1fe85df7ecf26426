// SPDX-License-Identifier: ISC
/* One message in the active queue: taken from a folder, found again, let go. What becomes of it is told in outcome.c and record.c. */
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

/* --- taking --- */

struct mail *mail_find(struct qmgr *q, struct slice id)
{
	return map_get(&q->mails, id);
}

bool mail_room(const struct qmgr *q)
{
	return (int64_t)q->mails.count < q->settings.active_limit &&
	       q->recipients < q->settings.recipient_limit;
}

static void close_file(struct mail *mail)
{
	if (mail->fd < 0)
		return;
	os_close(&mail->fd);
	mail->qmgr->open_files--;
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
	intake_room(q);
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

static void fresh_add(struct mail *mail)
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

void mail_settle_some(struct qmgr *q)
{
	int64_t before = os_now() - QMGR_SETTLE * 1000000ll;

	for (unsigned i = 0; i < QMGR_SETTLE_TURN && !q->sweeps; i++) {
		struct mail *mail = q->fresh_head;

		if (!mail || mail->active > before)
			return;
		fresh_leave(mail);
		if (mail->vanished)
			continue;
		if (queue_move(&q->queue, mail->id, QUEUE_INCOMING, QUEUE_ACTIVE))
			mail->place = QUEUE_ACTIVE;
		else if (errno != ENOENT)
			log_warning("%s: cannot be moved to active: %s", mail->id, strerror(errno));
	}
}

void mail_free(struct mail *mail)
{
	mail_forget(mail);
	mail_list_leave(mail);
	fresh_leave(mail);
	mail_undirty(mail);
	close_file(mail);
	arena_free(&mail->arena);
	free(mail);
}

/* A file that does not check out is set aside and told about; it stops nothing else. */
static void set_aside(struct qmgr *q, const char *id, enum queue_name from)
{
	log_warning("%s: corrupt queue file in %s, moved to corrupt%s", id, queue_folder_name(from),
		from == QUEUE_INCOMING ? " (if the machine stopped just now: not finished, and its "
					 "client was not told that it was accepted)"
				       : "");
	if (!queue_move(&q->queue, id, from, QUEUE_CORRUPT) && errno != ENOENT)
		log_error("%s: cannot be moved to corrupt: %s", id, strerror(errno));
}

static struct mail *new_mail(struct qmgr *q, const char *id, int fd)
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

static bool prepare_targets(struct mail *mail)
{
	struct queue_envelope *envelope = &mail->envelope;
	uint32_t count = envelope->info.recipient_count;

	mail->targets = arena_array(&mail->arena, count ? count : 1, sizeof(*mail->targets));
	if (!mail->targets)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		if (envelope->recipients[i].done) {
			mail->targets[i].state = RECIPIENT_SETTLED;
			mail->targets[i].marked = true;
		} else {
			mail->left++;
		}
	}
	return true;
}

/* An operator asked for its end: every recipient fails with what held it up. */
static void expire_by_order(struct mail *mail)
{
	for (uint32_t i = 0; i < mail->envelope.info.recipient_count; i++) {
		const struct queue_recipient *recipient = &mail->envelope.recipients[i];

		if (mail->targets[i].state == RECIPIENT_SETTLED)
			continue;
		mail->targets[i].state = RECIPIENT_DEFERRED;
		mail->targets[i].address = recipient->address;
		mail->targets[i].dsn = recipient->dsn.length ? recipient->dsn : SLICE("4.7.0");
		mail->targets[i].reason = recipient->reason.length
						  ? recipient->reason
						  : SLICE("message is administratively expired");
	}
	mail->resolve_next = mail->envelope.info.recipient_count;
}

static void begin(struct mail *mail)
{
	struct qmgr *q = mail->qmgr;

	mail->known = true;
	mail->active = os_now();
	if (mail->place == QUEUE_INCOMING)
		fresh_add(mail);
	q->recipients += mail->left;
	figures_set(FIGURE_queue_now, (int64_t)q->mails.count);
	log_info("%s: from=<%.*s>, size=%lld, nrcpt=%u (queue active)", mail->id,
		SLICE_ARG(mail->envelope.sender), (long long)mail->envelope.info.content_size,
		mail->left);
	if (q->open_files > QMGR_OPEN_FILES)
		close_file(mail);
	if (mail->left == 0 || (mail->envelope.info.flags & QUEUE_FLAG_EXPIRED)) {
		expire_by_order(mail);
		mail_advance(mail);
	} else {
		resolve_add(mail);
	}
}

/* Read the envelope, and move an old file; on failure the message is freed. */
static enum mail_taken admit(struct mail *mail, enum queue_name from, enum queue_check check)
{
	struct qmgr *q = mail->qmgr;

	if (!queue_read(mail->fd, check, &mail->arena, &mail->envelope)) {
		if (errno == EBADMSG)
			set_aside(q, mail->id, from);
		else
			log_warning("%s: cannot be read: %s", mail->id, strerror(errno));
		mail_free(mail);
		return MAIL_GONE;
	}
	if (!prepare_targets(mail) || !map_put(&q->mails, slice_from(mail->id), mail)) {
		log_warning("%s: out of memory, left in %s", mail->id, queue_folder_name(from));
		mail_free(mail);
		return MAIL_GONE;
	}
	mail->place = from == QUEUE_INCOMING ? QUEUE_INCOMING : QUEUE_ACTIVE;
	if (mail->place != from && !queue_move(&q->queue, mail->id, from, mail->place)) {
		if (errno != ENOENT)
			log_warning("%s: cannot be moved to active: %s", mail->id, strerror(errno));
		map_remove(&q->mails, slice_from(mail->id));
		mail_free(mail);
		return MAIL_GONE;
	}
	begin(mail);
	return MAIL_TAKEN;
}

/*
 * What cleanup tells of is durable, but an operator may have been faster: it is its name in the folder that counts. What is found may
 * have been on its way to the disk when the machine stopped.
 */
enum mail_taken mail_take(struct qmgr *q, const char *id, enum queue_name from, bool told)
{
	struct mail *mail;
	int fd;

	if (mail_find(q, slice_from(id)) || leftover_is(q, id))
		return MAIL_GONE;
	if (!mail_room(q))
		return MAIL_NO_ROOM;
	fd = queue_open_file(&q->queue, from, id, O_RDONLY);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE)
			return MAIL_NO_ROOM;
		if (errno != ENOENT)
			log_warning("%s: cannot be opened: %s", id, strerror(errno));
		return MAIL_GONE;
	}
	if (!told && queue_has_writer(fd)) {
		os_close(&fd);
		intake_soon(q, from);
		return MAIL_GONE;
	}
	mail = new_mail(q, id, fd);
	if (!mail) {
		os_close(&fd);
		return MAIL_NO_ROOM;
	}
	return admit(mail, from, told ? QUEUE_CHECK_HEAD : QUEUE_CHECK_NEW);
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
