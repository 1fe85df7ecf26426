// SPDX-License-Identifier: ISC
/*
 * hash: and btree: tables: Berkeley DB files as Postfix's postmap writes them, keys and values with a NUL behind them. Files
 * without (other programs') are read, too.
 *
 * They are read here and not by libdb: a file with a few wrong bytes makes that divide by zero, leak or loop, already when it is opened,
 * and its own check of a file does not fare better. Files are made by libdb (table_build.c). Every number of the file is
 * checked before it is used, every walk has an end, and nothing is kept of it but what the first page says.
 */
#include <errno.h>
#include <stdlib.h>

#include "os/os.h"
#include "table/table_db.h"

/* --- opening --- */

static bool read_btree_meta(struct db_table *t, const unsigned char *meta)
{
	t->root = db_get32(meta + META_ROOT);
	return db_get32(meta + META_VERSION) >= 8 && db_get32(meta + META_VERSION) <= 10 &&
	       t->root > 0 && t->root < t->pages;
}

static bool read_hash_meta(struct db_table *t, const unsigned char *meta)
{
	static const char CHECK[] = "%$sniglet^&";

	t->max_bucket = db_get32(meta + META_MAX_BUCKET);
	t->high_mask = db_get32(meta + META_HIGH_MASK);
	t->low_mask = db_get32(meta + META_LOW_MASK);
	for (int i = 0; i < SPARES; i++)
		t->spares[i] = db_get32(meta + META_SPARES + 4 * i);
	/* Whoever opens a file with another hash function must bring it along; then this known key has another hash. */
	return db_get32(meta + META_VERSION) >= 7 && db_get32(meta + META_VERSION) <= 10 &&
	       t->max_bucket < t->pages && t->low_mask <= t->max_bucket &&
	       t->max_bucket <= t->high_mask &&
	       db_get32(meta + META_HASH_CHECK) == db_hash(slice_of(CHECK, sizeof(CHECK)));
}

/* False when it is no such file, or of a kind that postmap does not make (duplicates, encryption). errno is 0 then. */
static bool read_meta(struct db_table *t)
{
	unsigned char meta[META_SIZE];
	struct stat info;
	ssize_t got = os_pread(t->fd, meta, sizeof(meta), 0);

	if (got < 0 || !os_fstat(t->fd, &info))
		return false;
	errno = 0;
	if (got != META_SIZE ||
		db_get32(meta + META_MAGIC) != (uint32_t)(t->hash ? MAGIC_HASH : MAGIC_BTREE) ||
		db_get32(meta + META_FLAGS) || meta[META_CIPHER] || meta[META_FEATURES])
		return false;
	t->page_size = db_get32(meta + META_PAGE_SIZE);
	if (t->page_size < PAGE_MIN || t->page_size > PAGE_MAX ||
		(t->page_size & (t->page_size - 1)) ||
		info.st_size / t->page_size >= (int64_t)UINT32_MAX)
		return false;
	t->pages = (uint32_t)(info.st_size / t->page_size);
	if (!(t->hash ? read_hash_meta(t, meta) : read_btree_meta(t, meta)))
		return false;
	t->page = malloc(t->page_size);
	return t->page != NULL;
}

static struct table *db_open(const struct table_opening *opening)
{
	struct db_table *t = table_new(opening, sizeof(*t));
	struct table *base = (struct table *)t;
	struct buffer path = { 0 };
	bool done = false;

	if (!t)
		return NULL;
	t->fd = -1;
	t->hash = opening->type == &TABLE_HASH;
	if (table_path(opening, ".db", &path)) {
		if (file_stamp_take(&base->stamp, buffer_text(&path)))
			t->fd = os_open(buffer_text(&path), O_RDONLY, 0);
		done = t->fd >= 0 && read_meta(t);
		if (!done && errno)
			table_fail(opening, "%s: %s", buffer_text(&path), strerror(errno));
		else if (!done)
			table_fail(opening, "%s: not a %s file of Berkeley DB that can be read",
				buffer_text(&path), opening->type->name);
	}
	buffer_free(&path);
	if (!done)
		table_close(&base);
	return base;
}

static void db_table_close(struct table *table)
{
	struct db_table *t = (struct db_table *)table;

	if (t->fd >= 0)
		os_close(&t->fd);
	free(t->page);
	buffer_free(&t->key);
}

/* --- all entries --- */

struct walk {
	struct db_table *t;
	bool (*each)(void *context, struct slice key, struct slice value);
	void *context;
	struct buffer key, value;
	bool ended; /* `each` has enough */
	uint32_t pages; /* that were seen */
};

/* The entries of the page in memory. */
static bool walk_page(struct walk *w)
{
	struct db_table *t = w->t;
	struct db_entry key, value;

	for (unsigned i = 0; i + 1 < db_entries(t) && !w->ended; i += 2) {
		if (t->hash ? !db_bucket_entry(t, i, &key) || !db_bucket_entry(t, i + 1, &value)
			    : !db_leaf_entry(t, i, &key) || !db_leaf_entry(t, i + 1, &value))
			return false;
		if (value.deleted)
			continue;
		buffer_clear(&w->key);
		buffer_clear(&w->value);
		if (db_take_value(t, &key, &w->key) != TABLE_FOUND ||
			db_take_value(t, &value, &w->value) != TABLE_FOUND)
			return false;
		w->ended = !w->each(w->context, buffer_slice(&w->key), buffer_slice(&w->value));
	}
	return true;
}

/* From a page on to the end of its chain: all leaves of a tree, or a bucket. No page comes twice in a good file. */
static bool walk_chain(struct walk *w, uint32_t page)
{
	struct db_table *t = w->t;

	while (page && !w->ended) {
		if (w->pages++ >= t->pages ||
			!(t->hash ? db_read_bucket_page(t, page)
				  : db_read_page(t, page, TYPE_LEAF, TYPE_LEAF)) ||
			!walk_page(w))
			return false;
		page = db_get32(t->page + PAGE_NEXT);
	}
	return true;
}

static bool db_each(struct table *table,
	bool (*each)(void *context, struct slice key, struct slice value), void *context)
{
	struct db_table *t = (struct db_table *)table;
	struct walk w = { .t = t, .each = each, .context = context };
	bool good = true;
	uint32_t page;

	if (!t->hash) {
		good = db_find_leaf(t, NULL, &page) && walk_chain(&w, page);
	} else {
		for (uint32_t bucket = 0; good && bucket <= t->max_bucket && !w.ended; bucket++) {
			page = db_page_of_bucket(t, bucket);
			good = page && walk_chain(&w, page);
		}
	}
	buffer_free(&w.key);
	buffer_free(&w.value);
	return good;
}

const struct table_type TABLE_HASH = { .name = "hash",
	.folds = true,
	.open = db_open,
	.lookup = db_lookup,
	.close = db_table_close,
	.each = db_each };
const struct table_type TABLE_BTREE = { .name = "btree",
	.folds = true,
	.open = db_open,
	.lookup = db_lookup,
	.close = db_table_close,
	.each = db_each };
