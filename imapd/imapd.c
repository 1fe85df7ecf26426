// SPDX-License-Identifier: ISC
/*
 * imapd - the IMAP front: accepts clients, speaks what comes before login, asks authd, hands logged-in clients to the session
 * spawner, and holds those who sleep in IDLE. It can open no mailbox: the spawner asks authd itself whose ticket it was given.
 */
#include "imapd/front.h"

#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "config/tls_settings.h"
#include "imapd/imapd_cell.h"
#include "service/figures.h"
#include "service/log.h"

static void maybe_done(struct imap_front *f)
{
	if (service_draining(f->service) && !f->conns)
		service_end(f->service, EX_OK);
}

void conn_close(struct conn *conn)
{
	struct imap_front *f = conn->front;

	login_cancel(f->login, &conn->client);
	loop_timer_stop(&conn->timer);
	if (conn->watch.fd >= 0) {
		loop_unwatch(&conn->watch);
		close(conn->watch.fd);
	}
	conn_forget_prelogin(conn);
	if (conn->sleeper)
		figures_add(FIGURE_hibernated_now, -1);
	free(conn->sleeper);
	*conn->previous = conn->next;
	if (conn->next)
		conn->next->previous = conn->previous;
	front_release(f->front, conn->client.peer.address);
	free(conn);
	maybe_done(f);
}

static struct conn *conn_new(struct imap_front *f, int fd, const struct front_client *client)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	if (!conn)
		return NULL;
	conn->front = f;
	conn->since = loop_now(f->loop);
	conn->watch.fd = fd;
	conn->client.peer = *client;
	conn->client.context = conn;
	conn->plaintext = conn->client.secured =
		tls_plaintext_allowed(&f->tls, f->disable_plaintext, f->plaintext_networks, client);
	conn->next = f->conns;
	conn->previous = &f->conns;
	if (conn->next)
		conn->next->previous = &conn->next;
	f->conns = conn;
	return conn;
}

static void accepted(
	void *context, int fd, const struct front_client *client, enum front_refusal refusal)
{
	static const char TOO_MANY[] = "* BYE [UNAVAILABLE] Too many connections.\r\n";
	struct imap_front *f = context;
	struct conn *conn = refusal == FRONT_ACCEPTED ? conn_new(f, fd, client) : NULL;

	if (conn) {
		conn_begin(conn);
		return;
	}
	if (write(fd, TOO_MANY, sizeof(TOO_MANY) - 1) < 0)
		log_debug("a refused client did not wait");
	log_info("imap-login: Disconnected: Too many connections: rip=%s, lip=%s", client->address,
		client->local_address);
	close(fd);
	if (refusal == FRONT_ACCEPTED)
		front_release(f->front, client->address);
}

static void end_conn(struct conn *conn)
{
	switch (conn->state) {
	case CONN_ASLEEP:
	case CONN_RESUMING:
		sleeper_end(conn, "Server shutting down.");
		break;
	case CONN_SESSION:
		conn_close(conn);
		break;
	default:
		conn_end(conn, "Server shutting down", "Server shutting down.");
	}
}

static void front_drain(struct service *service, void *context, bool fast)
{
	struct imap_front *f = context;

	front_stop(f->front);
	while (fast && f->conns)
		end_conn(f->conns);
	maybe_done(f);
}

static bool front_start(struct imap_front *f)
{
	const struct config *c = f->config;
	struct front_limits limits = {
		.connections = (unsigned)config_int(c, PARAM_imap_connection_limit),
		.connections_per_client =
			(unsigned)config_int(c, PARAM_imap_client_connection_count_limit),
		.unit = config_time(c, PARAM_anvil_rate_time_unit),
		.ipv4_prefix = (unsigned)config_int(c, PARAM_smtpd_client_ipv4_prefix_length),
		.ipv6_prefix = (unsigned)config_int(c, PARAM_smtpd_client_ipv6_prefix_length),
		.exempt = config_text(c, PARAM_smtpd_client_event_limit_exceptions),
	};

	f->login_timeout = config_time(c, PARAM_imap_login_timeout);
	f->keepalive_interval = config_time(c, PARAM_imap_idle_notify_interval);
	f->max_failures = (unsigned)config_int(c, PARAM_imap_max_login_failures);
	f->mechanisms = config_text(c, PARAM_auth_mechanisms);
	f->disable_plaintext = config_bool(c, PARAM_disable_plaintext_auth);
	f->plaintext_networks = config_text(c, PARAM_plaintext_auth_networks);
	if (!tls_settings_load(&f->tls, c, TLS_IMAP))
		return false;
	if (tls_offered(&f->tls)) {
		f->tlsd = tls_open(f->service, &f->tls);
		if (!f->tlsd)
			return false;
	}
	f->front = front_open(f->service, &limits, accepted, f);
	if (!f->front)
		return false;
	f->login = login_open(f->service, "imap", SERVICE_IMAPD_SESSION, &CONN_LOGIN_HOOKS, f);
	return f->login != NULL;
}

int main(int argc, char **argv)
{
	static const struct service_hooks HOOKS = { .drain = front_drain };
	struct imap_front f = { .service = service_start("imapd", argc, argv) };

	f.loop = service_loop(f.service);
	f.config = config_open(service_snapshot(f.service));
	if (!f.config) {
		log_error("the configuration snapshot cannot be read");
		return EX_SOFTWARE;
	}
	service_enter(f.service, &CELL_IMAPD);
	if (!front_start(&f)) {
		log_error("out of memory");
		return EX_OSERR;
	}
	return service_run(f.service, &HOOKS, &f);
}
