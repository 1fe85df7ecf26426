// SPDX-License-Identifier: ISC
/*
 * pop3d - the POP3 front: accepts clients, speaks until they have logged in, then hands them to a session of their own. It holds
 * no file and no password longer than it takes to pass it on, and cannot open a mailbox.
 */
#include <sysexits.h>

#include "config/config.h"
#include "config/tls_settings.h"
#include "pop3d/front.h"
#include "pop3d/pop3d_cell.h"
#include "service/log.h"

static void drain(struct service *service, void *context, bool fast)
{
	struct pop3_front *front = context;

	front->draining = true;
	front_stop(front->clients);
	/* Without trust there is no work to lose: who has not logged in comes again to the successor. */
	pop3_close_all(front);
	if (front->count == 0 || fast)
		service_end(service, EX_OK);
}

int main(int argc, char **argv)
{
	struct service *service = service_start("pop3d", argc, argv);
	struct config *config = config_open(service_snapshot(service));
	struct pop3_front front = { .service = service };
	const struct service_hooks hooks = { .drain = drain };
	struct front_limits limits = { 0 };

	if (!config)
		return EX_SOFTWARE;
	front.settings = (struct pop3_settings){
		.host = config_text(config, PARAM_myhostname),
		.login_timeout = config_time(config, PARAM_pop3_login_timeout),
		.max_failures = (unsigned)config_int(config, PARAM_pop3_max_login_failures),
		.mechanisms = config_text(config, PARAM_auth_mechanisms),
		.no_plaintext = config_bool(config, PARAM_disable_plaintext_auth),
		.plaintext_networks = config_text(config, PARAM_plaintext_auth_networks),
	};
	limits.connections = (unsigned)config_int(config, PARAM_pop3_connection_limit);
	limits.connections_per_client =
		(unsigned)config_int(config, PARAM_pop3_client_connection_count_limit);
	limits.unit = config_time(config, PARAM_anvil_rate_time_unit);
	limits.ipv4_prefix = (unsigned)config_int(config, PARAM_smtpd_client_ipv4_prefix_length);
	limits.ipv6_prefix = (unsigned)config_int(config, PARAM_smtpd_client_ipv6_prefix_length);
	limits.exempt = config_text(config, PARAM_smtpd_client_event_limit_exceptions);
	if (!tls_settings_load(&front.settings.tls, config, TLS_POP3))
		return EX_OSERR;
	service_enter(service, &CELL_POP3D);
	if (tls_offered(&front.settings.tls)) {
		front.tlsd = tls_open(service, &front.settings.tls);
		if (!front.tlsd)
			return EX_OSERR;
	}
	front.login = login_open(service, "pop3", SERVICE_POP3D_SESSION, &POP3_LOGIN_HOOKS, &front);
	front.clients = front_open(service, &limits, pop3_accepted, &front);
	if (!front.login || !front.clients) {
		log_error("cannot serve: out of memory or descriptors");
		return EX_OSERR;
	}
	return service_run(service, &hooks, &front);
}
