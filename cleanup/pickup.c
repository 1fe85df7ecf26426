// SPDX-License-Identifier: ISC
/*
 * pickup - takes mail from local users and hands it to cleanup.
 *
 * It comes through a socket, where the kernel says who is there, or, when the suite was stopped, out of the world-writable
 * folder maildrop/. Both are parsed like network input. It has no right to the queue itself.
 */
#include "cleanup/pickup.h"

#include <errno.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "cleanup/pickup_cell.h"
#include "config/place.h"
#include "os/os.h"
#include "service/log.h"

static void settle(struct pickup *p)
{
	if (p->draining && !p->list)
		service_end(p->service, EX_OK);
}

/* There may be room for another, or nothing left to wait for. */
static void ended(struct pickup *p)
{
	drop_pump(p);
	settle(p);
}

/* --- clients of the socket --- */

static void answer_client(struct intake *intake, unsigned code, struct slice dsn,
	struct slice reason, struct slice queue_id)
{
	struct message message = { .type = MESSAGE_CLEANUP_RESULT };

	message.cleanup_result.code = (uint16_t)code;
	message.cleanup_result.dsn = dsn;
	message.cleanup_result.reason = reason;
	message.cleanup_result.queue_id = queue_id;
	channel_send(&intake->channel, &message);
	intake_end(intake);
}

static void refuse_client(struct intake *intake, enum submission_status status)
{
	static const struct {
		unsigned code;
		struct slice dsn, reason;
	} answers[] = {
		[SUBMISSION_LOST] = { 451, SLICE("4.3.0"), SLICE("cleanup is not there") },
		[SUBMISSION_WRONG] = { 554, SLICE("5.5.1"), SLICE("not a whole submission") },
		[SUBMISSION_BAD_SENDER] = { 553, SLICE("5.1.7"),
			SLICE("bad sender address syntax") },
		[SUBMISSION_BAD_RECIPIENT] = { 553, SLICE("5.1.3"),
			SLICE("bad recipient address syntax") },
	};

	if (status == SUBMISSION_CANCELLED)
		intake_end(intake);
	else
		answer_client(intake, answers[status].code, answers[status].dsn,
			answers[status].reason, slice_of("", 0));
}

static void client_receive(struct channel *channel, struct message *message)
{
	struct intake *intake = channel->context;
	enum submission_status status = submission_take(&intake->submission, message);

	intake->active = loop_now(intake->pickup->loop);
	if (status == SUBMISSION_MORE && !intake_may_send(intake->pickup))
		channel_pause(channel, true);
	else if (status != SUBMISSION_MORE && status != SUBMISSION_WHOLE)
		refuse_client(intake, status);
}

static void client_closed(struct channel *channel, const char *why)
{
	struct intake *intake = channel->context;
	struct pickup *p = intake->pickup;
	bool poke = intake->submission.state == SUBMISSION_NEW;

	/* A submission that is whole goes on without its client, as mail does. */
	if (intake->submission.state == SUBMISSION_ENDED && !intake->over)
		return;
	intake_end(intake);
	/* Somebody came and went: there is something in maildrop. */
	if (poke)
		drop_scan(p);
}

static void take_client(struct service *service, void *context, int fd, const struct peer *peer)
{
	struct pickup *p = context;
	struct intake *intake =
		p->clients < PICKUP_CLIENTS ? intake_new(p, false, peer->uid) : NULL;

	/* A client that finds the connection closed leaves its mail in maildrop. */
	if (!intake) {
		close(fd);
		return;
	}
	if (!channel_open(&intake->channel, p->loop, fd, client_receive, client_closed, intake))
		intake_end(intake);
}

/* --- cleanup --- */

static struct intake *intake_of(struct pickup *p, uint32_t serial)
{
	for (struct intake *i = p->list; i; i = i->next) {
		if (!i->over && i->submission.serial == serial)
			return i;
	}
	return NULL;
}

static void cleanup_receive(struct channel *channel, struct message *message)
{
	struct link *link = channel->context;
	struct pickup *p = link->context;
	const struct message_cleanup_result *result = &message->cleanup_result;
	struct intake *intake;

	if (message->type != MESSAGE_CLEANUP_RESULT) {
		log_warning("cleanup sent %s", message_name(message->type));
		return;
	}
	intake = intake_of(p, result->serial);
	if (!intake)
		return;
	if (result->code != 250)
		log_warning("mail of uid %u from=<%s> not taken: %u %.*s %.*s",
			(unsigned)intake->submission.uid, intake->submission.sender, result->code,
			SLICE_ARG(result->dsn), SLICE_ARG(result->reason));
	/* Whatever state it is in: cleanup has forgotten it. */
	intake->submission.state = SUBMISSION_ENDED;
	if (intake->is_file)
		drop_answered(intake, result->code, result->reason);
	else
		answer_client(intake, result->code, result->dsn, result->reason, result->queue_id);
}

static void cleanup_up(struct link *link)
{
	drop_scan(link->context);
}

static void give_up(struct intake *intake, struct slice reason)
{
	if (intake->is_file)
		drop_answered(intake, 0, reason);
	else
		answer_client(intake, 451, SLICE("4.3.0"), reason, slice_of("", 0));
}

static void cleanup_down(struct link *link)
{
	struct pickup *p = link->context;
	struct intake *next;

	for (struct intake *i = p->list; i; i = next) {
		next = i->next;
		if (!i->over && i->submission.state != SUBMISSION_NEW)
			give_up(i, SLICE("cleanup went away"));
	}
}

/* --- time --- */

static void pump(struct timer *timer)
{
	struct pickup *p = timer->context;

	if (!intake_may_send(p))
		return;
	for (struct intake *i = p->list; i; i = i->next) {
		if (!i->is_file && !i->over && i->channel.paused)
			channel_pause(&i->channel, false);
	}
	drop_pump(p);
}

static void look(struct timer *timer)
{
	struct pickup *p = timer->context;

	if (!loop_timer_start(p->loop, timer, PICKUP_INTERVAL))
		log_warning("out of memory");
	drop_scan(p);
}

static void housekeep(struct timer *timer)
{
	struct pickup *p = timer->context;
	int64_t now = loop_now(p->loop);
	struct intake *next;

	for (struct intake *i = p->list; i; i = next) {
		bool waits = i->submission.state == SUBMISSION_ENDED;
		int64_t quiet = now - i->active;

		next = i->next;
		if (i->over)
			continue;
		if (waits && quiet > PICKUP_ANSWER_TIMEOUT)
			give_up(i, SLICE("cleanup does not answer"));
		else if (!waits && !i->is_file && !i->channel.paused &&
			 quiet > PICKUP_CLIENT_TIMEOUT)
			intake_end(i);
	}
	if (!loop_timer_start(p->loop, timer, PICKUP_CLIENT_TIMEOUT / 6))
		log_warning("out of memory");
}

static void wake(struct service *service, void *context, unsigned reason)
{
	drop_scan(context);
}

static void drain(struct service *service, void *context, bool fast)
{
	struct pickup *p = context;
	struct intake *next;

	p->draining = true;
	for (struct intake *i = p->list; i; i = next) {
		next = i->next;
		if (!i->over && (i->is_file || fast || i->submission.state == SUBMISSION_NEW) &&
			i->submission.state != SUBMISSION_ENDED)
			intake_end(i);
	}
	settle(p);
}

/* --- start --- */

static void load_rules(struct pickup *p)
{
	const char *host = config_text(p->config, PARAM_myhostname);
	const char *origin = config_text(p->config, PARAM_myorigin);
	const char *domain = config_text(p->config, PARAM_mydomain);
	const char *dot;

	if (host && *host)
		snprintf(p->host, sizeof(p->host), "%s", host);
	else if (gethostname(p->host, sizeof(p->host) - 1) < 0 || !p->host[0])
		snprintf(p->host, sizeof(p->host), "localhost");
	dot = strchr(p->host, '.');
	snprintf(p->domain, sizeof(p->domain), "%s",
		domain && *domain ? domain
		: dot             ? dot + 1
				  : p->host);
	p->rules = (struct submission_rules){ .origin = origin && *origin ? origin : p->host,
		.domain = p->domain,
		.append_origin = config_bool(p->config, PARAM_append_at_myorigin),
		.append_domain = config_bool(p->config, PARAM_append_dot_mydomain) };
}

static bool open_all(struct pickup *p)
{
	char path[4096];

	p->config = config_open(service_snapshot(p->service));
	if (!p->config) {
		log_error("configuration snapshot cannot be read");
		return false;
	}
	config_place(p->service, p->config);
	load_rules(p);
	snprintf(path, sizeof(path), "%s/maildrop", service_path(p->service, CELL_QUEUE));
	p->folder = os_open(path, O_RDONLY | O_DIRECTORY, 0);
	if (p->folder < 0)
		log_error("%s: %s", path, strerror(errno));
	return p->folder >= 0;
}

int main(int argc, char **argv)
{
	static const struct service_hooks hooks = {
		.client = take_client, .wakeup = wake, .drain = drain
	};
	static struct pickup p;

	p.service = service_start("pickup", argc, argv);
	if (!open_all(&p))
		return EX_CONFIG;
	service_enter(p.service, &CELL_PICKUP);
	p.loop = service_loop(p.service);
	p.ended = ended;
	p.pump = (struct timer){ .fire = pump, .context = &p };
	p.interval = (struct timer){ .fire = look, .context = &p };
	p.housekeeping = (struct timer){ .fire = housekeep, .context = &p };
	if (!loop_timer_start(p.loop, &p.interval, PICKUP_INTERVAL) ||
		!loop_timer_start(p.loop, &p.housekeeping, PICKUP_CLIENT_TIMEOUT / 6))
		return EX_OSERR;
	link_open(&p.cleanup, p.service, SERVICE_CLEANUP, cleanup_receive, cleanup_up, cleanup_down,
		&p);
	return service_run(p.service, &hooks, &p);
}
