// SPDX-License-Identifier: ISC
/*
 * What the chapters of lib/store share: the open database, a mailbox's row with its folder, Maildir file names. Nobody outside
 * lib/store includes this. The order of things, who may do what and what survives a crash is told in docs/store.md.
 */
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include <limits.h>
#include <sqlite3.h>

#include "os/os.h"
#include "store/store.h"

enum {
	STORE_SCHEMA = 1, /* PRAGMA user_version */
	STORE_BUSY_MS = 30000, /* longest wait for another writer */
	STORE_DIRTY_US = 2000000, /* a folder's mtime younger than this may hide a later change */
	STORE_SCAN_TRIES = 3, /* listings of a folder that changes while it is read */
	STORE_TAKE_CHUNK = 4000, /* messages taken over in one transaction */
	STORE_MAX_MESSAGES = 4000000, /* files of one mailbox */
	STORE_MAX_MAILBOXES = 10000,
	STORE_MAX_SUBSCRIPTIONS = 10000,
	STORE_NAME_MAX = 250, /* bytes of a mailbox name on disk; NAME_MAX is 255 */
	STORE_DEPTH_MAX = 20, /* levels of a mailbox name */
	STORE_KEYWORD_MAX = 128, /* bytes of a keyword */
	STORE_LETTERS = 26, /* keywords that have a letter in file names */
	STORE_UID_BLOCK = 1000, /* UIDs reserved at a time in postern-uidvalidity */
	STORE_UID_JUMP = 1000000, /* a file name's U= may be so far ahead of what we know */
	STORE_VANISHED_MAX = 100000, /* expunged UIDs kept for a mailbox */
	STORE_HEADER_CACHE = 8192, /* longest header block that is cached */
	STORE_STRUCTURE_CACHE = 65536, /* longest rendered structure that is cached */
	STORE_RESERVE = 128 << 10, /* bytes held back for a full disk */
	STORE_WHOLE_READ =
		32768, /* messages up to this size are read whole for any of their parts */
	STORE_PLAN_ROWS = 256, /* rows fetched ahead at a time */
	STORE_FILL_ROWS = 512, /* cache rows collected for one transaction */
	STORE_FILL_BYTES = 2 << 20,
	STORE_FILE_NAME = NAME_MAX + 1,
};
#define STORE_UID_MAX        0xfffffff0u
#define STORE_UID_TRUSTED    0x7fffffffu /* highest U= believed when there is nothing else to go by */
#define STORE_MAX_MESSAGE    0xfffffff0ll /* octets of one message */
#define STORE_DATABASE       "postern.db"
#define STORE_LOCK_FILE      "postern.lock"
#define STORE_POP3_LOCK      "postern-pop3.lock"
#define STORE_RESERVE_FILE   "postern.reserve"
#define STORE_VALIDITY_FILE  "postern-uidvalidity"
#define STORE_TRASHED_PREFIX "..postern-trashed-"

#define BOX_COLUMNS \
	"id, uid_validity, uid_next, uid_floor, recent_uid, highest_modseq, changed_modseq, " \
	"vanished_floor, messages, unseen, " \
	"deleted, size, new_mtime, cur_mtime, new_dirty, cur_dirty, keyword_count"
#define MESSAGE_RANGE "id BETWEEN ?1 AND ?2"

/* Every statement, prepared at first use. Message ids are mailbox id << 32 | UID, so that a mailbox is one run of rows. */
#define STATEMENTS(S) \
	S(BEGIN, "BEGIN IMMEDIATE") \
	S(BEGIN_READ, "BEGIN") \
	S(COMMIT, "COMMIT") \
	S(ROLLBACK, "ROLLBACK") \
	S(NORMAL, "PRAGMA synchronous=NORMAL") \
	S(FULL, "PRAGMA synchronous=FULL") \
	S(VALIDITY, "SELECT value FROM meta WHERE key='uidvalidity'") \
	S(VALIDITY_SET, "INSERT OR REPLACE INTO meta(key, value) VALUES('uidvalidity', ?1)") \
	S(VALIDITY_RAISE, "INSERT INTO meta(key, value) VALUES('uidvalidity', ?1) " \
			  "ON CONFLICT(key) DO UPDATE SET value=max(value, excluded.value)") \
	S(BOX_FIND, "SELECT " BOX_COLUMNS " FROM mailbox WHERE name=?1") \
	S(BOX_LOAD, "SELECT " BOX_COLUMNS " FROM mailbox WHERE id=?1") \
	S(BOX_INSERT, "INSERT INTO mailbox(name, uid_validity, uid_next, uid_floor, recent_uid, " \
		      "special_use) " \
		      "VALUES(?1, ?2, ?3, ?4, ?3, ?5)") \
	S(BOX_SAVE, "UPDATE mailbox SET uid_validity=?2, uid_next=?3, uid_floor=?4, " \
		    "recent_uid=?5, highest_modseq=?6, " \
		    "changed_modseq=?7, vanished_floor=?8, messages=?9, unseen=?10, deleted=?11, " \
		    "size=?12, new_mtime=?13, " \
		    "cur_mtime=?14, new_dirty=?15, cur_dirty=?16, keyword_count=?17 WHERE id=?1") \
	S(BOX_RENAME, "UPDATE mailbox SET name=?2 WHERE name=?1") \
	S(BOX_DELETE, "DELETE FROM mailbox WHERE id=?1") \
	S(BOX_SPECIAL, "SELECT special_use FROM mailbox WHERE id=?1") \
	S(BOX_COUNT, "SELECT count(*) FROM mailbox") \
	S(BOX_LIST, "SELECT name, special_use, id FROM mailbox ORDER BY name") \
	S(KEYWORDS, "SELECT bit, name FROM keyword WHERE mailbox=?1 ORDER BY bit") \
	S(KEYWORD_INSERT, "INSERT OR IGNORE INTO keyword(mailbox, bit, name) VALUES(?1, ?2, ?3)") \
	S(KEYWORDS_DELETE, "DELETE FROM keyword WHERE mailbox=?1") \
	S(MESSAGES, \
		"SELECT id, flags, keywords, size, date, modseq FROM message WHERE " MESSAGE_RANGE \
		" ORDER BY id") \
	S(MESSAGES_SINCE, \
		"SELECT id, flags, keywords, size, date, modseq FROM message WHERE " MESSAGE_RANGE \
		" AND modseq>?3 ORDER BY id") \
	S(MESSAGE_FILES, \
		"SELECT id, flags, keywords, size, name FROM message WHERE " MESSAGE_RANGE \
		" ORDER BY id") \
	S(MESSAGE_GET, \
		"SELECT flags, keywords, size, date, modseq, name FROM message WHERE id=?1") \
	S(MESSAGE_NAMES, \
		"SELECT id, name FROM message WHERE " MESSAGE_RANGE " ORDER BY id LIMIT ?3") \
	S(MESSAGE_INSERT, "INSERT INTO message(id, flags, keywords, size, date, modseq, name) " \
			  "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)") \
	S(MESSAGE_FLAGS, \
		"UPDATE message SET flags=?2, keywords=?3, modseq=?4, name=?5 WHERE id=?1") \
	S(MESSAGE_SIZE, "UPDATE message SET size=?2 WHERE id=?1") \
	S(MESSAGE_DELETE, "DELETE FROM message WHERE id=?1") \
	S(MESSAGES_DELETE, "DELETE FROM message WHERE " MESSAGE_RANGE) \
	S(MESSAGE_SUMS, "SELECT count(*), total((flags & 1) = 0), total((flags & 8) != 0), " \
			"total(size) FROM message WHERE " MESSAGE_RANGE) \
	S(MESSAGE_LAST, "SELECT max(id) FROM message WHERE " MESSAGE_RANGE) \
	S(CHECK, "PRAGMA quick_check(1)") \
	S(RECENT_COUNT, "SELECT count(*) FROM message WHERE " MESSAGE_RANGE) \
	S(EXPUNGED_INSERT, \
		"INSERT OR IGNORE INTO expunged(mailbox, modseq, uid) VALUES(?1, ?2, ?3)") \
	S(EXPUNGED_SINCE, "SELECT uid FROM expunged WHERE mailbox=?1 AND modseq>?2 ORDER BY uid") \
	S(EXPUNGED_BOUND, "SELECT modseq FROM expunged WHERE mailbox=?1 ORDER BY modseq DESC " \
			  "LIMIT 1 OFFSET ?2") \
	S(EXPUNGED_PRUNE, "DELETE FROM expunged WHERE mailbox=?1 AND modseq<=?2") \
	S(DOOMED_INSERT, "INSERT OR IGNORE INTO doomed(mailbox, name) VALUES(?1, ?2)") \
	S(DOOMED_LIST, "SELECT name FROM doomed WHERE mailbox=?1") \
	S(DOOMED_BOXES, \
		"SELECT DISTINCT m.name FROM doomed d JOIN mailbox m ON m.id=d.mailbox LIMIT 1") \
	S(DOOMED_CLEAR, "DELETE FROM doomed WHERE mailbox=?1") \
	S(STRUCTURES, \
		"SELECT id, envelope, body, bodystructure FROM structure WHERE " MESSAGE_RANGE \
		" ORDER BY id LIMIT ?3") \
	S(STRUCTURE_PUT, \
		"INSERT INTO structure(id, envelope, body, bodystructure) SELECT ?1, ?2, ?3, ?4 " \
		"WHERE EXISTS (SELECT 1 FROM message WHERE id=?1) ON CONFLICT(id) DO UPDATE SET " \
		"envelope=coalesce(excluded.envelope, envelope), body=coalesce(excluded.body, " \
		"body), " \
		"bodystructure=coalesce(excluded.bodystructure, bodystructure)") \
	S(STRUCTURE_DELETE, "DELETE FROM structure WHERE id=?1") \
	S(STRUCTURES_DELETE, "DELETE FROM structure WHERE " MESSAGE_RANGE) \
	S(HEADERS, "SELECT id, headers FROM header WHERE " MESSAGE_RANGE " ORDER BY id LIMIT ?3") \
	S(HEADER_PUT, "INSERT OR IGNORE INTO header(id, headers) SELECT ?1, ?2 WHERE EXISTS " \
		      "(SELECT 1 FROM message WHERE id=?1)") \
	S(HEADER_DELETE, "DELETE FROM header WHERE id=?1") \
	S(HEADERS_DELETE, "DELETE FROM header WHERE " MESSAGE_RANGE) \
	S(CACHE_ANY, "SELECT EXISTS(SELECT 1 FROM structure WHERE " MESSAGE_RANGE \
		     "), EXISTS(SELECT 1 FROM header WHERE " MESSAGE_RANGE ")")
#define STATEMENT_ENUM(NAME, sql) SQL_##NAME,
enum statement { STATEMENTS(STATEMENT_ENUM) SQL_COUNT };
#undef STATEMENT_ENUM

struct store {
	char *folder;
	int root; /* the folder */
	int64_t quota;
	sqlite3 *db;
	sqlite3_stmt *statements[SQL_COUNT];
	dev_t db_device; /* of the database file we opened: another there means that the index was replaced */
	ino_t db_inode;
	bool writing; /* between store_begin and its end */
	bool durable; /* the level of PRAGMA synchronous */
	bool damaged, replaced; /* see store_lost */
	bool reserves; /* a session's: holds room back when it closes */
	bool full; /* the last failure was for want of room; a commit ends it */
	int pop3_lock; /* -1: not held */
	char host[64]; /* for file names */
	uint64_t unique; /* random for this store, with `serial` the unique part of names */
	uint32_t serial;
	char error[400];
};

/* --- schema.c: the database --- */
/* Opens store->db, made when missing. On false store->error tells, and store->damaged if it must be rebuilt. */
MUST_CHECK bool store_database_open(struct store *store);
void store_database_close(struct store *store);
/* Sets the damaged database aside, after making sure that it is damaged and ours is the newest. */
MUST_CHECK bool store_database_discard(struct store *store, bool even_if_good);
/* The database file of the folder is another one than ours, or none: told to store->error. */
bool store_replaced(struct store *store);
/* Records the text of what failed: the database's with `what`. Always STORE_TEMPORARY. */
enum store_status store_database_failed(struct store *store, const char *what);
/* Likewise, errno's. */
enum store_status store_system_failed(struct store *store, const char *what);
enum store_status store_failed(struct store *store, const char *format, ...) PRINTF_LIKE(2, 3);
/* The write lock. durable: the commit is on disk when it returns. */
enum store_status store_begin(struct store *store, bool durable);
enum store_status store_commit(struct store *store);
void store_rollback(struct store *store);
/*
 * The statement, reset, with arguments bound by type letter: i int64_t, t struct slice as text, b struct slice as blob (NULL
 * data: NULL). Slices must live until the statement is stepped. NULL on failure.
 */
sqlite3_stmt *store_sql(struct store *store, enum statement statement, const char *types, ...);
/* Step: 1 a row, 0 done, -1 failed (told to store->error). */
int store_step(struct store *store, sqlite3_stmt *statement);
/* store_sql and one step of a statement without rows. */
bool store_run(struct store *store, enum statement statement, const char *types, ...);
struct slice store_column(sqlite3_stmt *statement, int column);

/* --- room.c: a full disk --- */
/* Hold room back, if that is not done and there is room. */
void store_reserve(struct store *store);
bool store_has_reserve(const struct store *store);
/* After a failure for want of room: give up what can be. True when trying again makes sense. Never inside of a transaction. */
MUST_CHECK bool store_make_room(struct store *store);
/* The same, with the status of the call that failed. */
MUST_CHECK bool store_want_room(struct store *store, enum store_status status);

/* --- name.c: mailbox names --- */
/* "INBOX" any case becomes "INBOX". STORE_BAD_NAME when it cannot be a mailbox. */
enum store_status store_name_check(struct slice name, char *canonical, size_t size);
/* The folder's name below the user's: "." for INBOX, ".A.B" for "A/B". */
MUST_CHECK bool store_name_to_folder(const char *name, char *folder, size_t size);
/* And back; false for what is not a mailbox's folder. */
MUST_CHECK bool store_name_from_folder(const char *folder, char *name, size_t size);

/* --- maildir.c: files --- */
/* A Maildir file name taken apart; slices point into it. */
struct file_name {
	struct slice base; /* up to the first ',' or ':' */
	struct slice
		extra; /* fields that are not ours, with their leading commas as far as they stand in one piece */
	int64_t size; /* S=, -1 when absent */
	int64_t virtual_size; /* W= */
	uint32_t uid; /* U=, 0 when absent */
	struct slice letters; /* behind ":2," */
};
struct file_name store_file_parse(struct slice name);
/* Letters to flags; keyword letters to bits, P to bit `forwarded` (-1: there is none). */
uint8_t store_letters_flags(struct slice letters, int forwarded, uint64_t *keywords);
/* Writes ":2,LETTERS"-less letters in order; at least 40 bytes. */
void store_letters_write(uint8_t flags, uint64_t keywords, int forwarded, char *letters);
/* base[,extra],S=,W=,U=uid:2,letters. False when too long. */
MUST_CHECK bool store_file_format(char *name, struct slice base, struct slice extra, int64_t size,
	int64_t virtual_size, uint32_t uid, const char *letters);
/* The same name with other letters. */
MUST_CHECK bool store_file_reletter(char *name, struct slice old, const char *letters);
/* A new unique base. */
void store_file_base(char *base, size_t size, const char *host, uint64_t unique, uint32_t serial);
void store_host_name(char *host, size_t size);
/* Physical size and size with CR LF line ends of an open file. */
MUST_CHECK bool store_file_sizes(int fd, int64_t *size, int64_t *virtual_size);
/* mkdir -p of `path` below dir with cur, new and tmp, each step durable. */
MUST_CHECK bool store_make_maildir(int dir, const char *path);
MUST_CHECK bool store_sync_dir(int dir, const char *path);
/* Replace a small file by way of tmp and rename; fsync of file and folder when durable. */
MUST_CHECK bool store_replace_file(int dir, const char *path, struct slice content, bool durable);
/* Removes a folder with all in it, two levels deep as a Maildir is. */
void store_remove_tree(int dir, const char *path);
/* Calls `each` for the names in a folder but "." and ".."; stops at false. False on error. `type` is DT_*. */
MUST_CHECK bool store_each_file(
	int fd, bool (*each)(void *context, const char *name, unsigned char type), void *context);

struct validity {
	uint32_t uid_validity, uid_floor; /* 0: unknown */
	uint32_t last; /* INBOX's: the highest UIDVALIDITY given out */
	char special_use[32];
};
/* All zero when there is no file. False when it cannot be read: then nothing is known, and it must not be written. */
MUST_CHECK bool store_validity_read(int dir, struct validity *validity);
MUST_CHECK bool store_validity_write(int dir, const struct validity *validity);

/* --- box.c: one mailbox's row and folder --- */
struct box_row {
	int64_t id;
	uint32_t uid_validity, uid_next, uid_floor, recent_uid;
	uint64_t highest_modseq;
	uint64_t changed_modseq; /* of the last change that was not just an addition */
	uint64_t vanished_floor; /* `expunged` is whole for modseqs above this */
	uint32_t messages, unseen, deleted;
	int64_t size;
	int64_t new_mtime,
		cur_mtime; /* nanoseconds since 1970, when last scanned or written by us */
	bool new_dirty,
		cur_dirty; /* the scan was so young that a change may hide behind the same mtime */
	unsigned keyword_count;
};
struct box {
	struct store *store;
	char name[STORE_NAME_MAX + 1];
	int dir, cur, fresh; /* the mailbox's folder, cur/ and new/ */
	struct box_row row;
	bool unsaved; /* a sync changed the row since it was loaded or saved */
	char *keywords[STORE_KEYWORDS + 1];
	unsigned keyword_count; /* loaded ones */
	int forwarded; /* bit of $Forwarded, -1 */
};
static inline int64_t box_id(const struct box *box, uint32_t uid)
{
	return (int64_t)((uint64_t)box->row.id << 32 | uid);
}
/* Opens folder and row (made when there is a folder but no row). */
enum store_status box_open(struct store *store, struct slice name, struct box *box);
void box_close(struct box *box);
/* The row as it is now. STORE_NONE when the mailbox is gone. */
enum store_status box_load(struct box *box);
enum store_status box_save(struct box *box);
/* After our own writes into cur/: remember its mtime. Only behind box_sync in the same transaction. */
void box_touch(struct box *box);
/* Next UID, reserving a block in the folder when needed. 0 on failure. */
uint32_t box_next_uid(struct box *box);
enum store_status box_keywords_load(struct box *box);
void box_keywords_free(struct box *box);
/* In a transaction: what another program has added to dovecot-keywords. */
enum store_status box_keywords_import(struct box *box);
enum store_status box_keyword(struct box *box, struct slice name, bool create, unsigned *bit);
/* Begin, load, bring up to date: what every change starts with. On any other answer than STORE_OK nothing is begun. */
enum store_status box_begin(struct box *box, bool durable);
/* The same for a second mailbox, inside of what box_begin began. */
enum store_status box_join(struct box *box);
/* Save the row and commit; rolls back on failure. */
enum store_status box_commit(struct box *box);
/* The same for a change that may have come to nothing: the row is saved if the caller `changed` it, or box_begin's sync did. */
enum store_status box_end(struct box *box, bool changed);
/* A fresh row's rules for counters. sign is +1 or -1. */
void box_count(struct box *box, uint8_t flags, int64_t size, int sign);
enum store_status box_insert(struct box *box, uint32_t uid, uint8_t flags, uint64_t keywords,
	int64_t size, int64_t date, struct slice name);
/* Row out, expunged in, counters; does not touch the file. */
enum store_status box_remove_row(struct box *box, uint32_t uid, uint8_t flags, int64_t size);
enum store_status box_uid_validity(struct store *store, uint32_t *value);
/* UIDs and UIDVALIDITY of Dovecot or Courier, if they had this mailbox before; `validity` stays zero if not. */
enum store_status box_import_uids(struct box *box, struct validity *validity);
enum store_status box_forget(struct store *store, int64_t id);

/* --- sync.c --- */
bool box_stale(const struct box *box);
/* In a transaction: take over what other programs did. *more: call again in a new transaction. */
enum store_status box_sync(struct box *box, bool force, bool *more);
/* Outside of one: if the folder changed, begin, sync, commit. On a full disk, unless `force`, the row stays what it was, and that is
 * STORE_OK: old mail can be read although new mail cannot be shown. */
enum store_status box_refresh(struct box *box, bool force);

/* --- quota.c --- */
/* Room for `size` more bytes? STORE_OVER_QUOTA. Always STORE_OK when quota is 0. */
enum store_status quota_check(int root, int64_t quota, int64_t size);
void quota_add(int root, int64_t quota, int64_t size, int64_t count);

/* --- view.c, read.c --- */
struct read_plan;
struct mailbox {
	struct store *store;
	struct box box;
	bool read_only;
	struct message_entry *entries;
	uint32_t count, capacity;
	uint32_t uid_next; /* all messages below are known to the view */
	uint64_t modseq; /* all changes up to this are in the view */
	struct read_plan *plan;
};
/* What the database says of one message now. */
struct current {
	uint8_t flags;
	uint64_t keywords, modseq;
	int64_t size, date;
	char name[STORE_FILE_NAME];
};
enum store_status box_current(struct box *box, uint32_t uid, struct current *now);
/* Where a message's file is; STORE_NONE when it is gone. `name` holds STORE_FILE_NAME bytes. */
enum store_status mailbox_file(struct mailbox *mailbox, uint32_t uid, char *name);
void read_plan_free(struct read_plan **plan);
/* File names may have changed. */
void read_plan_stale(struct mailbox *mailbox);

#endif
