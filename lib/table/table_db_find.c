// SPDX-License-Identifier: ISC
/* Lookups in hash: and btree: tables. See table_db.h. */
#include "os/os.h"
#include "table/table_db.h"

/* --- trees --- */

/* The page below on the way to the key: of the last entry that does not come behind it; the first one has no key of its own. */
static bool step_down(struct db_table *t, struct slice key, uint32_t *page)
{
	unsigned low = 0, high = db_entries(t);
	struct db_entry entry;
	int order;

	while (high - low > 1) {
		unsigned middle = low + (high - low) / 2;

		if (!db_branch_entry(t, middle, &entry, page) ||
			!db_compare(t, key, &entry, &order))
			return false;
		if (order < 0)
			high = middle;
		else
			low = middle;
	}
	return db_branch_entry(t, low, &entry, page);
}

static enum table_status find_in_leaf(struct db_table *t, struct slice key, struct buffer *value)
{
	unsigned low = 0, high = db_entries(t) / 2;
	struct db_entry entry;
	int order;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (!db_leaf_entry(t, 2 * middle, &entry) || !db_compare(t, key, &entry, &order))
			return TABLE_ERROR;
		if (order == 0) {
			if (!db_leaf_entry(t, 2 * middle + 1, &entry))
				return TABLE_ERROR;
			return entry.deleted ? TABLE_NOT_FOUND : db_take_value(t, &entry, value);
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return TABLE_NOT_FOUND;
}

bool db_find_leaf(struct db_table *t, const struct slice *key, uint32_t *page)
{
	struct db_entry first;

	*page = t->root;
	for (int depth = 0; depth < DEPTH_MOST; depth++) {
		if (!db_read_page(t, *page, TYPE_LEAF, TYPE_INTERNAL))
			return false;
		if (t->page[PAGE_TYPE] == TYPE_LEAF)
			return true;
		if (key ? !step_down(t, *key, page) : !db_branch_entry(t, 0, &first, page))
			return false;
	}
	return false;
}

static enum table_status find_in_tree(struct db_table *t, struct slice key, struct buffer *value)
{
	uint32_t page;

	return db_find_leaf(t, &key, &page) ? find_in_leaf(t, key, value) : TABLE_ERROR;
}

/* --- buckets --- */

uint32_t db_hash(struct slice key)
{
	uint32_t hash = 0;

	for (size_t i = 0; i < key.length; i++)
		hash = hash * 16777619u ^ (unsigned char)key.data[i];
	return hash;
}

/* Buckets are made in doublings, and those of each doubling stand together; spares[] says how many other pages come before. */
uint32_t db_page_of_bucket(const struct db_table *t, uint32_t bucket)
{
	unsigned doubling = 0;
	uint64_t page;

	while (doubling < SPARES - 1 && ((uint64_t)1 << doubling) < (uint64_t)bucket + 1)
		doubling++;
	page = (uint64_t)bucket + t->spares[doubling];
	return page < t->pages ? (uint32_t)page : 0;
}

static enum table_status find_in_page(struct db_table *t, struct slice key, struct buffer *value)
{
	struct db_entry entry;
	int order;

	for (unsigned i = 0; i + 1 < db_entries(t); i += 2) {
		if (!db_bucket_entry(t, i, &entry))
			return TABLE_ERROR;
		if (entry.length != key.length)
			continue;
		if (!db_compare(t, key, &entry, &order))
			return TABLE_ERROR;
		if (order == 0)
			return db_bucket_entry(t, i + 1, &entry) ? db_take_value(t, &entry, value)
								 : TABLE_ERROR;
	}
	return TABLE_NOT_FOUND;
}

static enum table_status find_in_bucket(struct db_table *t, struct slice key, struct buffer *value)
{
	uint32_t bucket = db_hash(key) & t->high_mask, page;
	enum table_status status;

	if (bucket > t->max_bucket)
		bucket &= t->low_mask;
	page = db_page_of_bucket(t, bucket);
	for (int i = 0; i < CHAIN_MOST; i++) {
		if (!db_read_bucket_page(t, page))
			return TABLE_ERROR;
		status = find_in_page(t, key, value);
		page = db_get32(t->page + PAGE_NEXT);
		if (status != TABLE_NOT_FOUND || page == 0)
			return status;
	}
	return TABLE_ERROR;
}

/* --- both --- */

enum table_status db_lookup(struct table *table, struct slice key, struct buffer *value)
{
	struct db_table *t = (struct db_table *)table;
	enum table_status status = TABLE_NOT_FOUND;
	char text[TABLE_MAX_KEY + 1];

	memcpy(text, key.data, key.length);
	text[key.length] = '\0';
	for (size_t nul = 2; nul-- > 0 && status == TABLE_NOT_FOUND;) {
		struct slice stored = slice_of(text, key.length + nul);

		status =
			t->hash ? find_in_bucket(t, stored, value) : find_in_tree(t, stored, value);
	}
	return status;
}
