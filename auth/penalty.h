// SPDX-License-Identifier: ISC
/*
 * What failures cost. They are counted by the client's network (an IPv4 address, an IPv6 /64: the least that somebody who
 * moves about has) and by account. Each makes the answer to the next one wait longer; past a limit attempts are refused for a
 * while without being looked at. Counts go down with time, to nothing in one window.
 *
 * Nobody can lock a user out: networks that he logged in from lately are exempt from his account's count, and an account under
 * attack is refused only to networks where somebody failed within the window. The exempt networks (webmail, proxies) are not counted
 * at all.
 *
 * No process waits here, and nothing is kept for an answer that waits: the front's own timer does that. Memory is bounded: when a
 * table is full the entry that was touched least recently is forgotten. Without a loop, with the caller's clock; one thread.
 */
#ifndef AUTH_PENALTY_H
#define AUTH_PENALTY_H

#include "base/slice.h"
#include "service/front.h"

enum {
	PENALTY_NETWORKS = 20000,
	PENALTY_ACCOUNTS = 20000,
	PENALTY_KNOWN = 50000, /* pairs of account and network where a login was good */
	PENALTY_NETWORK_TEXT = NETWORK_TEXT
};

struct penalty_limits {
	int64_t delay, delay_most; /* ms; of the first failure, doubled with each further one */
	int64_t window; /* ms */
	unsigned network, account; /* failures in one window; 0: no limit */
	int64_t known; /* ms that a network is known for a user's after a good login */
	const char *exempt; /* networks as in mynetworks; stays the caller's */
};
enum penalty_refusal { PENALTY_NONE, PENALTY_NETWORK, PENALTY_ACCOUNT };

struct penalties;
/* NULL when memory is out. */
struct penalties *penalties_new(const struct penalty_limits *limits);
void penalties_free(struct penalties **penalties);

/* "192.0.2.1", "2001:db8:1:2::/64"; what is no address stays as it is. */
void penalty_network(const char *address, char network[PENALTY_NETWORK_TEXT]);

/* Is this client refused before it has said who it is? */
bool penalties_network_refused(struct penalties *penalties, int64_t now, const char *address);
/* Is this account refused to that client? Ask this for good passwords, too: whoever guesses must not see the difference. */
bool penalties_account_refused(
	struct penalties *penalties, int64_t now, const char *address, const char *login);
/* Did this client's network fail within the window? */
bool penalties_suspect(struct penalties *penalties, int64_t now, const char *address);
/* Count a failure; the ms that its answer has to wait. `login` "" when that never came. */
int64_t penalties_failed(
	struct penalties *penalties, int64_t now, const char *address, const char *login);
/* An account was refused to this client: that counts for its network alone. The ms that the answer has to wait. */
int64_t penalties_refused(struct penalties *penalties, int64_t now, const char *address);
/* The user logged in from there at `when`, which may lie behind (what was known before a restart). */
void penalties_good(
	struct penalties *penalties, int64_t when, const char *address, const char *login);
/* The wait of a refusal. */
int64_t penalties_longest_delay(const struct penalties *penalties);
/* Entries kept in all. */
size_t penalties_count(const struct penalties *penalties);

#endif
