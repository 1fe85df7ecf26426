// SPDX-License-Identifier: ISC
/*
 * Inside of hash: and btree: tables, as table_db.c tells: what it shares with table_db_page.c (pages and entries) and table_db_find.c
 * (lookups).
 *
 * Files have pages of one size. The first one tells the kind and where to begin: the root of the tree, or where the buckets are.
 * Page numbers, sizes and so on are in the byte order of the machine that made the file; it must be ours.
 */
#ifndef TABLE_TABLE_DB_H
#define TABLE_TABLE_DB_H

#include "table/table_impl.h"

enum {
	META_SIZE = 512,
	MAGIC_BTREE = 0x053162,
	MAGIC_HASH = 0x061561,
	/* Of the first page: */
	META_MAGIC = 12,
	META_VERSION = 16,
	META_PAGE_SIZE = 20,
	META_CIPHER = 24, /* one byte */
	META_FEATURES = 26, /* one byte: checksums, partitions */
	META_FLAGS = 48, /* duplicates, record numbers and so on */
	META_ROOT = 88,
	META_MAX_BUCKET = 72,
	META_HIGH_MASK = 76,
	META_LOW_MASK = 80,
	META_HASH_CHECK = 92,
	META_SPARES = 96,
	SPARES = 32,
	/* Of the others: */
	PAGE_NUMBER = 8,
	PAGE_NEXT = 16,
	PAGE_ENTRIES = 20,
	PAGE_USED = 22, /* of an overflow page: bytes of data */
	PAGE_LEVEL = 24,
	PAGE_TYPE = 25,
	PAGE_HEAD = 26, /* behind it: the places of the entries, two bytes each */
	PAGE_MIN = 512,
	PAGE_MAX = 65536,
	TYPE_HASH_UNSORTED = 2,
	TYPE_INTERNAL = 3,
	TYPE_LEAF = 5,
	TYPE_OVERFLOW = 7,
	TYPE_HASH = 13,
	/* Of entries of a tree: */
	ENTRY_DATA = 1,
	ENTRY_OVERFLOW = 3,
	ENTRY_DELETED = 0x80,
	/* Of entries of a bucket: */
	ENTRY_HASH_DATA = 1,
	ENTRY_HASH_OVERFLOW = 3,
	/* Bounds of a walk: */
	DEPTH_MOST = 32, /* levels of a tree */
	CHAIN_MOST = 1000 /* pages of one bucket */
};

struct db_table {
	struct table table;
	int fd;
	bool hash;
	uint32_t page_size, pages;
	uint32_t root; /* btree */
	uint32_t max_bucket, high_mask, low_mask, spares[SPARES]; /* hash */
	unsigned char *page; /* the one that was read last */
	struct buffer key; /* of an entry that is compared */
};

/* A key or a value: on the page, or in a chain of overflow pages. */
struct db_entry {
	const unsigned char *data; /* NULL: in the chain */
	uint32_t length, chain;
	bool deleted;
};

static inline uint32_t db_get16(const unsigned char *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static inline uint32_t db_get32(const unsigned char *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

/* --- table_db_page.c: everything may be wrong in a file; false, or TABLE_ERROR, says that it is --- */

static inline unsigned db_entries(const struct db_table *t)
{
	return db_get16(t->page + PAGE_ENTRIES);
}
/* The page in memory becomes this one, of one of two types, with room for as many entries as it says. */
MUST_CHECK bool db_read_page(struct db_table *t, uint32_t page, unsigned type, unsigned other);
/* A page of a bucket. */
MUST_CHECK bool db_read_bucket_page(struct db_table *t, uint32_t page);
/* Entry i of the page in memory, which is a tree's leaf, one above the leaves, or of a bucket. Keys and values take turns. */
MUST_CHECK bool db_leaf_entry(const struct db_table *t, unsigned i, struct db_entry *entry);
MUST_CHECK bool db_branch_entry(
	const struct db_table *t, unsigned i, struct db_entry *entry, uint32_t *below);
MUST_CHECK bool db_bucket_entry(const struct db_table *t, unsigned i, struct db_entry *entry);
/* `order` is below 0, 0 or above as the key comes before, is, or comes behind the entry. */
MUST_CHECK bool db_compare(
	struct db_table *t, struct slice key, const struct db_entry *entry, int *order);
/* Append the entry without the NUL behind it. */
enum table_status db_take_value(
	struct db_table *t, const struct db_entry *entry, struct buffer *value);

/* --- table_db_find.c --- */
/* The function that libdb has had since version 5 of its hash files. */
uint32_t db_hash(struct slice key);
/* The leaf where the key would be; with a NULL key the first one. It becomes the page in memory. */
MUST_CHECK bool db_find_leaf(struct db_table *t, const struct slice *key, uint32_t *page);
/* The first page of a bucket; 0 when there is no such page. */
uint32_t db_page_of_bucket(const struct db_table *t, uint32_t bucket);
enum table_status db_lookup(struct table *table, struct slice key, struct buffer *value);

#endif
