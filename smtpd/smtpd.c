// SPDX-License-Identifier: ISC
/*
 * smtpd - the front of SMTP: accepts clients, counts and limits them, and hands each to an idle session.
 *
 * It never reads a byte of what clients send (the handshake that comes first with smtpd_tls_wrappermode is tlsd's) and speaks no SMTP but the 421
 * to those whom a limit refuses. One event-driven
 * process for each SMTP entry of master.cf; the sessions come from the spawner smtpd-session. While a reload replaces it, it
 * accepts nothing more and stays until its sessions have finished with their clients.
 */
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "config/config.h"
#include "service/log.h"
#include "smtpd/smtpd_cell.h"
#include "smtpd/wrapped.h"

enum { SESSIONS_DEFAULT = 1000 /* when maxproc is 0 */ };

enum { FRONT_REFUSALS = FRONT_TOO_FAST + 1 };

struct smtpd {
	struct service *service;
	struct front *front;
	struct pool *pool;
	struct wrapped *wrapped; /* NULL: no handshake comes first */
	bool fast; /* the end is not waited for */
	unsigned limits[FRONT_REFUSALS]; /* what a client or all were over, by enum front_refusal */
	char host[256];
};

static const struct {
	const char *log, *reply;
} REFUSALS[] = {
	[FRONT_TOO_MANY] = { "Connection limit exceeded",
		"421 4.3.2 %s All server ports are busy\r\n" },
	[FRONT_TOO_MANY_FROM_CLIENT] = { "Connection concurrency limit exceeded",
		"421 4.7.0 %s Error: too many connections from %s\r\n" },
	[FRONT_TOO_FAST] = { "Connection rate limit exceeded",
		"421 4.7.0 %s Error: too many connections from %s\r\n" },
};

static void accepted(
	void *context, int fd, const struct front_client *client, enum front_refusal refusal)
{
	struct smtpd *smtpd = context;
	char text[400];

	if (refusal == FRONT_ACCEPTED) {
		if (smtpd->wrapped && !client->local)
			wrapped_serve(smtpd->wrapped, fd, client);
		else
			pool_serve(smtpd->pool, fd, client, NULL);
		return;
	}
	log_warning("%s: %u from %s[%s] for service %s", REFUSALS[refusal].log,
		smtpd->limits[refusal] + 1, front_client_name(client->address), client->address,
		service_entry(smtpd->service));
	snprintf(text, sizeof(text), REFUSALS[refusal].reply, smtpd->host, client->address);
	pool_refuse(fd, text);
}

static void drained(void *context)
{
	struct smtpd *smtpd = context;

	service_end(smtpd->service, EX_OK);
}

/* Nobody is on his way to the sessions any more. */
static void all_have_come(void *context)
{
	struct smtpd *smtpd = context;

	pool_drain(smtpd->pool, smtpd->fast);
}

static void drain(struct service *service, void *context, bool fast)
{
	struct smtpd *smtpd = context;

	smtpd->fast = fast;
	front_stop(smtpd->front);
	if (smtpd->wrapped)
		wrapped_drain(smtpd->wrapped, fast, all_have_come, smtpd);
	else
		all_have_come(smtpd);
}

static bool open_all(struct smtpd *smtpd, const struct config *config)
{
	const struct pool_settings pool = { .host = smtpd->host,
		.entry = service_entry(smtpd->service),
		.sessions = service_max_sessions(smtpd->service)
				    ? service_max_sessions(smtpd->service)
				    : SESSIONS_DEFAULT,
		.wait = config_time(config, PARAM_smtpd_timeout),
		.idle = config_time(config, PARAM_max_idle),
		.message_rate = (unsigned)config_int(config, PARAM_smtpd_client_message_rate_limit),
		.recipient_rate =
			(unsigned)config_int(config, PARAM_smtpd_client_recipient_rate_limit),
		.auth_rate = (unsigned)config_int(config, PARAM_smtpd_client_auth_rate_limit) };
	const struct front_limits limits = { .connections = (unsigned)config_int(
						     config, PARAM_smtpd_connection_limit),
		.connections_per_client =
			(unsigned)config_int(config, PARAM_smtpd_client_connection_count_limit),
		.rate_per_client =
			(unsigned)config_int(config, PARAM_smtpd_client_connection_rate_limit),
		.unit = config_time(config, PARAM_anvil_rate_time_unit),
		.ipv4_prefix = (unsigned)config_int(config, PARAM_smtpd_client_ipv4_prefix_length),
		.ipv6_prefix = (unsigned)config_int(config, PARAM_smtpd_client_ipv6_prefix_length),
		.exempt = config_text(config, PARAM_smtpd_client_event_limit_exceptions) };

	smtpd->limits[FRONT_TOO_MANY] = limits.connections;
	smtpd->limits[FRONT_TOO_MANY_FROM_CLIENT] = limits.connections_per_client;
	smtpd->limits[FRONT_TOO_FAST] = limits.rate_per_client;
	smtpd->pool = pool_open(smtpd->service, &pool, drained, smtpd);
	if (!smtpd->pool || !wrapped_open(&smtpd->wrapped, smtpd->service, config, smtpd->pool))
		return false;
	smtpd->front = front_open(smtpd->service, &limits, accepted, smtpd);
	if (!smtpd->front)
		return false;
	pool_set_front(smtpd->pool, smtpd->front);
	if (smtpd->wrapped)
		wrapped_set_front(smtpd->wrapped, smtpd->front);
	return true;
}

int main(int argc, char **argv)
{
	static const struct service_hooks HOOKS = { .drain = drain };
	struct smtpd smtpd = { .service = service_start("smtpd", argc, argv), .host = "localhost" };
	struct config *config = config_open(service_snapshot(smtpd.service));

	if (!config) {
		log_error("the configuration snapshot is not of this build");
		return EX_CONFIG;
	}
	gethostname(smtpd.host, sizeof(smtpd.host) - 1);
	if (config_text(config, PARAM_myhostname)[0])
		snprintf(smtpd.host, sizeof(smtpd.host), "%s",
			config_text(config, PARAM_myhostname));
	service_enter(smtpd.service, &CELL_SMTPD);
	if (!open_all(&smtpd, config)) {
		log_error("out of memory");
		return EX_OSERR;
	}
	return service_run(smtpd.service, &HOOKS, &smtpd);
}
