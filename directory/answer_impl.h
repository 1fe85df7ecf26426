// SPDX-License-Identifier: ISC
/* Inside of answer.h: what answer.c, its chapters answer_*.c, classify.c, expand.c, owner.c and resolve.c share. */
#ifndef DIRECTORY_ANSWER_IMPL_H
#define DIRECTORY_ANSWER_IMPL_H

#include <sys/stat.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/vector.h"
#include "directory/accounts.h"
#include "directory/answer.h"
#include "directory/names.h"

enum directory_list {
	LIST_MYDESTINATION,
	LIST_ALIAS_DOMAINS,
	LIST_MAILBOX_DOMAINS,
	LIST_RELAY_DOMAINS,
	LIST_COUNT
};
enum directory_maps {
	MAPS_ALIAS,
	MAPS_MAILBOX,
	MAPS_LOCAL,
	MAPS_RELAY,
	MAPS_TRANSPORT,
	MAPS_COUNT
};

struct directory {
	struct directory_settings settings;
	struct accounts *accounts; /* NULL: away, see away.c */
	struct stat accounts_file; /* what was opened */
	bool accounts_told; /* the log knows that it is away */
	struct names *lists[LIST_COUNT];
	struct table_list *maps[MAPS_COUNT];
	struct map lookups; /* spec -> struct table_list *, for DIRECTORY_LOOKUP */
	struct map answers; /* type + key -> struct remembered * */
	struct vector answer_order; /* struct remembered *, oldest first */
	int64_t version; /* of accounts.db, when `answers` were made */
	int64_t now;
	uint64_t hits;
	struct arena arena; /* of the question at hand */
	struct buffer value; /* of the lookup at hand */
	bool parents_transport;
};

/* An address as questions have it: split, and in lower case as key. */
struct recipient {
	struct slice local; /* as given */
	struct slice domain; /* the key's */
	struct slice address; /* local@domain, U-labels as given */
	struct slice
		key; /* all in lower case, the domain in A-labels: what is looked up and compared */
	struct slice stripped; /* key without extension; empty when it has none */
	struct slice extension; /* without the delimiter, as given */
	struct slice key_local; /* the key's local part */
	bool bare_postmaster; /* "postmaster" without domain: RFC 5321 4.5.1 */
};

/* DIRECTORY_FOUND: it is an address; DIRECTORY_BAD, or DIRECTORY_TEMPORARY without memory. */
enum directory_status recipient_parse(
	struct directory *d, struct slice text, struct recipient *recipient);

/* The address with U-labels as A-labels; itself when there are none. Data NULL when memory is out. */
struct slice ascii_address(struct arena *arena, struct slice address);
/* The domain's class; DOMAIN_UNKNOWN when that could not be found out. `accounts` tells that it stands in accounts.db. */
enum domain_class classify(struct directory *d, const struct recipient *recipient, bool *accounts);
/* Has it a mailbox? With `path` and `quota` where it is. Extensions are passed over. */
enum directory_status find_mailbox(struct directory *d, const struct recipient *recipient,
	struct buffer *path, int64_t *quota);
/* Its aliases in d->value, and the extension that belongs to each of them (or an empty one). */
enum directory_status find_alias(
	struct directory *d, const struct recipient *recipient, struct slice *extension);
bool is_postmaster(const struct recipient *recipient);

/* Is it somebody's, as DIRECTORY_RECIPIENT tells? */
enum directory_status check_recipient(struct directory *d, const struct recipient *recipient,
	enum domain_class *class, const char **reason);
/* Where its aliases lead when that is one address (itself when it has none). DIRECTORY_NOT_FOUND: several. */
enum directory_status expand_alone(
	struct directory *d, const struct recipient *recipient, struct recipient *final);

typedef void (*answer_send)(void *context, const struct message *answer);
/* Works out the answer to a question of one type. */
typedef void (*answer_work)(
	struct directory *d, const struct message *question, answer_send send, void *context);
void answer_recipient(
	struct directory *d, const struct message *question, answer_send send, void *context);
void answer_expand(
	struct directory *d, const struct message *question, answer_send send, void *context);
void answer_resolve(
	struct directory *d, const struct message *question, answer_send send, void *context);
void answer_mailbox(
	struct directory *d, const struct message *question, answer_send send, void *context);
void answer_owner(
	struct directory *d, const struct message *question, answer_send send, void *context);
void answer_lookup(
	struct directory *d, const struct message *question, answer_send send, void *context);

/* --- answer_memory.c --- */
void memory_open(struct directory *d);
void memory_close(struct directory *d);
/* Answer from memory, or by `work`, and remember that. `subject` (at most MAX_ADDRESS) and the type are what the answer depends on. */
void memory_answer(struct directory *d, answer_work work, const struct message *question,
	struct slice subject, answer_send send, void *context);

static inline enum directory_status status_of_accounts(enum accounts_status status)
{
	return status == ACCOUNTS_FOUND       ? DIRECTORY_FOUND
	       : status == ACCOUNTS_NOT_FOUND ? DIRECTORY_NOT_FOUND
					      : DIRECTORY_TEMPORARY;
}
static inline enum directory_status status_of_table(enum table_status status)
{
	return status == TABLE_FOUND       ? DIRECTORY_FOUND
	       : status == TABLE_NOT_FOUND ? DIRECTORY_NOT_FOUND
					   : DIRECTORY_TEMPORARY;
}

#endif
