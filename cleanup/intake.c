// SPDX-License-Identifier: ISC
/* Submissions in pickup's hands, from clients of the socket as from files: each begins, sends what it has to cleanup, and ends here. */
#include <stdlib.h>

#include "cleanup/pickup.h"
#include "service/log.h"

static void intake_reap(struct deferred *deferred)
{
	struct intake *intake = deferred->context;
	struct pickup *p = intake->pickup;

	*intake->place = intake->next;
	if (intake->next)
		intake->next->place = intake->place;
	*(intake->is_file ? &p->files : &p->clients) -= 1;
	free(intake);
	p->ended(p);
}

static bool send_to_cleanup(void *context, const struct message *message)
{
	struct pickup *p = context;
	struct channel *channel = link_channel(&p->cleanup);

	return channel && channel_send(channel, message);
}

struct intake *intake_new(struct pickup *p, bool is_file, uid_t uid)
{
	struct intake *intake = calloc(1, sizeof(*intake));

	if (!intake)
		return NULL;
	intake->pickup = p;
	intake->is_file = is_file;
	intake->reader.fd = -1;
	intake->channel.watch.fd = -1;
	intake->active = loop_now(p->loop);
	intake->reap = (struct deferred){ .run = intake_reap, .context = intake };
	intake->submission = (struct submission){ .rules = &p->rules,
		.serial = ++p->serial,
		.uid = uid,
		.send = send_to_cleanup,
		.context = p };
	intake->next = p->list;
	intake->place = &p->list;
	if (intake->next)
		intake->next->place = &intake->next;
	p->list = intake;
	*(is_file ? &p->files : &p->clients) += 1;
	return intake;
}

void intake_end(struct intake *intake)
{
	if (intake->over)
		return;
	intake->over = true;
	submission_cancel(&intake->submission);
	channel_close(&intake->channel);
	maildrop_close(&intake->reader);
	loop_defer(intake->pickup->loop, &intake->reap);
}

bool intake_may_send(struct pickup *p)
{
	struct channel *channel = link_channel(&p->cleanup);

	if (!channel)
		return false;
	if (channel->out_bytes < PICKUP_BACKLOG)
		return true;
	if (!p->pump.place && !loop_timer_start(p->loop, &p->pump, PICKUP_PUMP))
		log_warning("out of memory");
	return false;
}
