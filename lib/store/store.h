// SPDX-License-Identifier: ISC
/*
 * Mailboxes of one user: Maildir is the truth for messages, one SQLite database beside it for UIDs, flags, keywords, modseq and
 * the cache (docs/store.md). Nobody above this interface knows that a message is a file with a name.
 *
 * Mailbox names are UTF-8 with '/' between levels, "INBOX" first (case folded by the caller of protocols). All calls are made by
 * one thread. Functions answer enum store_status; store_error() has a text for the log.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/vector.h"

enum store_status {
	STORE_TEMPORARY = 0, /* disk, database, busy: try later */
	STORE_OK,
	STORE_NONE, /* no such mailbox, message */
	STORE_EXISTS,
	STORE_BAD_NAME, /* cannot be a mailbox */
	STORE_OVER_QUOTA,
	STORE_LIMIT, /* too many keywords, mailboxes */
	STORE_IN_USE, /* INBOX cannot be deleted, has children ... */
	STORE_LOCKED /* POP3's session lock is held */
};

struct store;
struct mailbox;

/* System flags as bits. */
enum message_flag {
	FLAG_SEEN = 1,
	FLAG_ANSWERED = 2,
	FLAG_FLAGGED = 4,
	FLAG_DELETED = 8,
	FLAG_DRAFT = 16,
	FLAG_SYSTEM = 31
};
enum { STORE_KEYWORDS = 62 }; /* of one mailbox, bits of struct message_entry.keywords */

/* One message of the session's view, in UID order. */
struct message_entry {
	uint32_t uid;
	uint32_t size; /* octets with CR LF line ends, RFC822.SIZE (messages are below 4 GiB) */
	int64_t internal_date; /* seconds since 1970 */
	uint64_t modseq;
	uint64_t keywords; /* bit k is keyword k of the mailbox */
	uint8_t flags; /* enum message_flag */
	bool recent; /* RFC 3501 2.3.2, for this session */
	bool expunged; /* gone from the store, still in this session's numbering until mailbox_forget_expunged */
	bool changed; /* flags or keywords differ from what this session was last told */
};

/* --- the store of one user --- */
/* `folder` is absolute; made with its INBOX (cur new tmp) when missing and `create`. quota in bytes, 0 none. */
enum store_status store_open(const char *folder, bool create, int64_t quota, struct store **store);
void store_close(struct store **store);
/* Empty when nothing failed since the store was opened; after store_open: the index was damaged and is made anew. NULL: why this
 * thread's last store_open gave out none. */
const char *store_error(const struct store *store);
/* The disk is full, or the system's disk quota: what failed last, failed for that; what was read lags behind the folder. */
bool store_no_room(const struct store *store);
/* The index that this store has open was found damaged, or is not the one in the folder any more: no change is possible. */
bool store_lost(const struct store *store);
/* Open the index again, made anew if it is damaged. No mailbox may be open. With STORE_OK, store_error() tells if it was made anew. */
enum store_status store_reopen(struct store *store);
/* Throw the index away and build it anew from the Maildir; UIDs are kept where file names tell them. */
enum store_status store_rebuild(const char *folder, unsigned *mailboxes, unsigned *messages);

struct store_check_result {
	unsigned mailboxes, messages;
	unsigned faults; /* told, and put right unless the answer says otherwise */
	unsigned leftovers; /* of crashes, removed */
};
/* Look everything through and put it right; `tell` gets a line for each fault. */
enum store_status store_check(const char *folder, void (*tell)(void *context, const char *text),
	void *context, struct store_check_result *result);

/* Where a mailbox's cur/ and new/ are, below the user's folder: "." or ".A.B". False for what cannot be a name. */
MUST_CHECK bool store_mailbox_folder(struct slice name, char *folder, size_t size);

struct mailbox_info {
	struct slice name;
	bool exists; /* false: only subscribed, or only a parent of others (\NonExistent) */
	bool subscribed, has_children;
	struct slice special_use; /* "\\Sent", or empty */
};
/* All mailboxes and subscriptions, ordered by name; slices in `arena`. */
enum store_status store_list(struct store *store, struct arena *arena,
	struct vector *infos /* of struct mailbox_info */);
enum store_status store_create(
	struct store *store, struct slice name, struct slice special_use /* or empty */);
enum store_status store_delete(struct store *store, struct slice name);
/* With children; INBOX: its messages move into the new mailbox (RFC 3501 6.3.5). */
enum store_status store_rename(struct store *store, struct slice from, struct slice to);
enum store_status store_subscribe(struct store *store, struct slice name, bool on);

struct mailbox_counts {
	uint32_t messages, recent, unseen, deleted, uid_validity, uid_next;
	uint64_t highest_modseq;
	int64_t size; /* octets of all messages, STATUS=SIZE */
};
/* STATUS without selecting; brings the index up to date first. */
enum store_status store_status(
	struct store *store, struct slice name, struct mailbox_counts *counts);

/* --- one selected mailbox --- */
/* The session's view: numbers stay as they are until mailbox_forget_expunged. */
enum store_status mailbox_open(
	struct store *store, struct slice name, bool read_only, struct mailbox **mailbox);
void mailbox_close(struct mailbox **mailbox);
void mailbox_counts(const struct mailbox *mailbox, struct mailbox_counts *counts);
/* The view: message number n is entry n - 1. */
const struct message_entry *mailbox_entries(const struct mailbox *mailbox, uint32_t *count);
/* Index of the first entry with that UID or a higher one (count when none). */
uint32_t mailbox_find_uid(const struct mailbox *mailbox, uint32_t uid);
/* Keyword names, NULL-ended, index = bit. */
const char *const *mailbox_keywords(const struct mailbox *mailbox);
/* Bit number of a keyword; made when `create`. STORE_LIMIT when there is no room. */
enum store_status mailbox_keyword(
	struct mailbox *mailbox, struct slice name, bool create, unsigned *bit);
/* Take over what others did: new entries at the end, `expunged`, `changed`, modseq. True in *news when there was anything. */
enum store_status mailbox_refresh(struct mailbox *mailbox, bool *news);
/* Drop the entries marked expunged from the view (after the client was told); `each` gets their numbers as EXPUNGE wants
 * them (counting down the gaps already made); NULL: nobody wants to know. */
void mailbox_forget_expunged(struct mailbox *mailbox,
	void (*each)(void *context, uint32_t number, uint32_t uid), void *context);
void mailbox_clear_changed(struct mailbox *mailbox, uint32_t index);

enum flag_change { FLAGS_ADD, FLAGS_REMOVE, FLAGS_REPLACE };
/*
 * Change flags of the entries at `indexes`, in one transaction. With unchanged_since (0: none) messages with a higher modseq are
 * left alone and their indexes collected in `conflicts` (of uint32_t). Entries changed have `changed` set.
 */
enum store_status mailbox_store_flags(struct mailbox *mailbox, const uint32_t *indexes,
	uint32_t count, enum flag_change change, uint8_t flags, uint64_t keywords,
	uint64_t unchanged_since, struct vector *conflicts);
/* Remove for good those of `indexes` that are \Deleted (all that are when indexes is NULL); they become `expunged` entries. */
enum store_status mailbox_expunge(struct mailbox *mailbox, const uint32_t *indexes, uint32_t count);
/* As expunge, whatever the flags: for MOVE and POP3. */
enum store_status mailbox_remove(struct mailbox *mailbox, const uint32_t *indexes, uint32_t count);
/* Copy (hard links) to another mailbox, all or none; the new UIDs in order, and the target's UIDVALIDITY. */
enum store_status mailbox_copy(struct mailbox *mailbox, const uint32_t *indexes, uint32_t count,
	struct slice target, bool move, uint32_t *uid_validity,
	struct vector *uids /* of uint32_t */);
/* UIDs expunged since a modseq, for CONDSTORE's VANISHED later; of uint32_t. */
enum store_status mailbox_vanished(struct mailbox *mailbox, uint64_t since, struct vector *uids);

/* The whole message with CR LF line ends. Valid until the next call that reads from this mailbox. STORE_NONE: it is gone. */
enum store_status mailbox_read(struct mailbox *mailbox, uint32_t index, struct slice *message);
/* Its header block, from the cache or the file. */
enum store_status mailbox_read_headers(
	struct mailbox *mailbox, uint32_t index, struct slice *headers);
/* The rendered ENVELOPE, BODY and BODYSTRUCTURE, from the cache, or made and cached. */
enum store_part { STORE_ENVELOPE, STORE_BODY, STORE_BODYSTRUCTURE };
enum store_status mailbox_read_cached(
	struct mailbox *mailbox, uint32_t index, enum store_part part, struct slice *text);
/* Says that entries in this range will be read in order, so that the cache is read and filled in one transaction. */
void mailbox_plan_read(struct mailbox *mailbox, uint32_t first, uint32_t last);
void mailbox_plan_end(struct mailbox *mailbox);

/* --- adding messages --- */
/* One APPEND or MULTIAPPEND: begun, filled, all committed at once or not at all. */
struct store_append;
enum store_status store_append_begin(
	struct store *store, struct slice mailbox, struct store_append **append);
/* The next message: written to tmp/ piece by piece; any line ends come in, LF is stored. keywords by name. */
enum store_status store_append_message(struct store_append *append, uint8_t flags,
	const struct slice *keywords, unsigned keyword_count, int64_t internal_date,
	uint64_t size_hint);
enum store_status store_append_data(struct store_append *append, struct slice data);
/* fsync all, give out UIDs, rename, fsync folder. */
enum store_status store_append_commit(
	struct store_append **append, uint32_t *uid_validity, struct vector *uids);
void store_append_abort(struct store_append **append);

/* --- delivery, without the index (local/virtual) --- */
struct delivery_source {
	int fd; /* the queue file */
	int64_t offset, size; /* of the content, LF line ends */
	int64_t lines; /* LF bytes in it */
	int64_t arrival; /* seconds since 1970 */
	struct slice
		prefix; /* header lines to stand before it, LF: Return-Path, X-Original-To, Delivered-To */
};
enum { STORE_DELIVERIES = 16 /* that are made together, at most */ };
/* One message for one mailbox. */
struct store_delivery {
	const char *folder; /* the user's, relative to mail_dir; made when missing */
	const struct delivery_source *source;
	int64_t quota; /* bytes; 0: none */
	/* what became of it */
	enum store_status status;
	char error[256]; /* why, when it is not STORE_OK; cut when too long */
};
/* Into new/ of each user's INBOX: tmp/, fsync, rename, fsync of the folder. Durable when STORE_OK. Those for one mailbox share the
 * sync of its folder; one that fails harms no other. At most STORE_DELIVERIES. */
void store_deliver(int mail_dir, struct store_delivery *deliveries, unsigned count);

/* POP3's exclusive session lock on a user's INBOX; held until store_pop3_unlock or store_close. STORE_LOCKED when somebody else has it. */
enum store_status store_pop3_lock(struct store *store);
/* Before the client is told that its session is over: it may be back before the store is closed. */
void store_pop3_unlock(struct store *store);

#endif
