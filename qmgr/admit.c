// SPDX-License-Identifier: ISC
/* How a message comes into the active queue: its file is opened, believed after what has to be checked, and its recipients are looked up. */
#include <errno.h>

#include "os/os.h"
#include "qmgr/qmgr.h"
#include "service/log.h"

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

	mail->active = os_now();
	if (mail->place == QUEUE_INCOMING)
		mail_fresh(mail);
	log_info("%s: from=<%.*s>, size=%lld, nrcpt=%u (queue active)", mail->id,
		SLICE_ARG(mail->envelope.sender), (long long)mail->envelope.info.content_size,
		mail->left);
	if (q->open_files > QMGR_OPEN_FILES)
		mail_close(mail);
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
	if (!prepare_targets(mail) || !mail_enter(mail)) {
		log_warning("%s: out of memory, left in %s", mail->id, queue_folder_name(from));
		mail_free(mail);
		return MAIL_GONE;
	}
	mail->place = from == QUEUE_INCOMING ? QUEUE_INCOMING : QUEUE_ACTIVE;
	if (mail->place != from && !queue_move(&q->queue, mail->id, from, mail->place)) {
		if (errno != ENOENT)
			log_warning("%s: cannot be moved to active: %s", mail->id, strerror(errno));
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
		return MAIL_UNFINISHED;
	}
	mail = mail_new(q, id, fd);
	if (!mail) {
		os_close(&fd);
		return MAIL_NO_ROOM;
	}
	return admit(mail, from, told ? QUEUE_CHECK_HEAD : QUEUE_CHECK_NEW);
}
