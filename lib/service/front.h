// SPDX-License-Identifier: ISC
/*
 * What every protocol front shares: accepting clients on the entry's inet listeners, counting and limiting them by address.
 */
#ifndef SERVICE_FRONT_H
#define SERVICE_FRONT_H

#include <sys/socket.h>

#include "service/service.h"

enum { NETWORK_TEXT = 65 }; /* bytes of a network's name, with its NUL */

/* Beyond enum rate_kind, for front_rate: clients that were cut off because others waited. */
enum { CLIENTS_CUT_OFF = 7 };

struct front;
struct front_client {
	char address[64]; /* "192.0.2.1", "2001:db8::1" */
	uint16_t port;
	char local_address[64];
	uint16_t local_port;
	bool local; /* over the public UNIX socket */
	uid_t uid; /* of that peer */
};
struct front_limits {
	unsigned connections; /* in all; 0 no limit */
	unsigned
		connections_per_client; /* smtpd_client_connection_count_limit and its like; 0 no limit */
	unsigned rate_per_client; /* new ones in one `unit`; 0 no limit */
	int64_t unit; /* ms (anvil_rate_time_unit) */
	unsigned ipv4_prefix, ipv6_prefix; /* bits that clients counted as one have in common */
	const char *exempt; /* list of networks (cidr) that no limit but `connections` holds for */
};
enum front_refusal { FRONT_ACCEPTED, FRONT_TOO_MANY, FRONT_TOO_MANY_FROM_CLIENT, FRONT_TOO_FAST };

/* `accepted` gets a connected non-blocking descriptor (its own to close) and whether a limit refuses it: then it writes its
 * protocol's refusal and closes. It calls front_release once for each client that was FRONT_ACCEPTED, when it has gone. */
struct front *front_open(struct service *service, const struct front_limits *limits,
	void (*accepted)(void *context, int fd, const struct front_client *client,
		enum front_refusal refusal),
	void *context);
void front_release(struct front *front, const char *address);
/* Count an event (message, recipient, login) of a client against `limit` in the rate unit; true when it is over. */
bool front_rate(struct front *front, const char *address, unsigned what, unsigned limit);
/* What clients_trust, clients_network and clients_crowd (clients.h) say, for who is to make room for whom. */
void front_trust(struct front *front, const char *address, bool more);
void front_network(const struct front *front, const char *address, char network[NETWORK_TEXT]);
unsigned front_crowd(const struct front *front, const char *network);
/* Stop accepting (drain). */
void front_stop(struct front *front);
void front_free(struct front **front);

/* What stands before "[address]" in SMTP's log lines: "localhost" or "unknown". */
const char *front_client_name(const char *address);
/* Networks: "10.0.0.0/8", "[2001:db8::]/32", "192.0.2.1", "!…" excludes; separated by comma or space. For mynetworks and the like. */
bool network_match(const char *list, const char *address);
/* The network of an address: "192.0.2.0/24", "2001:db8:1:2::/64"; with all bits the address itself, which a mapped one is, too. What
 * is no address stays as it is, cut to fit. */
void network_of(
	const char *address, unsigned ipv4_bits, unsigned ipv6_bits, char network[NETWORK_TEXT]);

#endif
