// SPDX-License-Identifier: ISC
/*
 * hash: and btree: tables: Berkeley DB files as Postfix's postmap writes them, keys and values with a NUL behind them. Files
 * without (other programs') are read, too.
 *
 * They are read here and not by libdb: a file with a few wrong bytes makes that divide by zero, leak or loop, already when it is opened,
 * and its own check of a file does not fare better. Files are made by libdb (table_build.c). Every number of the file is
 * checked before it is used, every walk has an end, and nothing is kept of it but what the first page says.
 *
 * Files have pages of one size. The first one tells the kind and where to begin: the root of the tree, or where the buckets are.
 * Page numbers, sizes and so on are in the byte order of the machine that made the file; it must be ours.
 */
#include <errno.h>
#include <stdlib.h>

#include "os/os.h"
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
struct entry {
	const unsigned char *data; /* NULL: in the chain */
	uint32_t length, chain;
	bool deleted;
};

static uint32_t get16(const unsigned char *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static uint32_t get32(const unsigned char *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

/* The function that libdb has had since version 5 of its hash files. */
static uint32_t hash_of(struct slice key)
{
	uint32_t hash = 0;

	for (size_t i = 0; i < key.length; i++)
		hash = hash * 16777619u ^ (unsigned char)key.data[i];
	return hash;
}

/* --- opening --- */

static bool read_btree_meta(struct db_table *t, const unsigned char *meta)
{
	t->root = get32(meta + META_ROOT);
	return get32(meta + META_VERSION) >= 8 && get32(meta + META_VERSION) <= 10 && t->root > 0 &&
	       t->root < t->pages;
}

static bool read_hash_meta(struct db_table *t, const unsigned char *meta)
{
	static const char CHECK[] = "%$sniglet^&";

	t->max_bucket = get32(meta + META_MAX_BUCKET);
	t->high_mask = get32(meta + META_HIGH_MASK);
	t->low_mask = get32(meta + META_LOW_MASK);
	for (int i = 0; i < SPARES; i++)
		t->spares[i] = get32(meta + META_SPARES + 4 * i);
	/* Whoever opens a file with another hash function must bring it along; then this known key has another hash. */
	return get32(meta + META_VERSION) >= 7 && get32(meta + META_VERSION) <= 10 &&
	       t->max_bucket < t->pages && t->low_mask <= t->max_bucket &&
	       t->max_bucket <= t->high_mask &&
	       get32(meta + META_HASH_CHECK) == hash_of(slice_of(CHECK, sizeof(CHECK)));
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
		get32(meta + META_MAGIC) != (uint32_t)(t->hash ? MAGIC_HASH : MAGIC_BTREE) ||
		get32(meta + META_FLAGS) || meta[META_CIPHER] || meta[META_FEATURES])
		return false;
	t->page_size = get32(meta + META_PAGE_SIZE);
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
		if (table_stamp_take(&base->stamp, buffer_text(&path)))
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

/* --- pages and entries --- */

static bool read_at(struct db_table *t, uint32_t page, uint32_t offset, void *data, uint32_t length)
{
	return page > 0 && page < t->pages && offset + length <= t->page_size &&
	       os_pread(t->fd, data, length, (int64_t)page * t->page_size + offset) ==
		       (ssize_t)length;
}

static unsigned entries_of(const struct db_table *t)
{
	return get16(t->page + PAGE_ENTRIES);
}

/* Of one of two types, with room for as many entries as it says. */
static bool read_page(struct db_table *t, uint32_t page, unsigned type, unsigned other)
{
	return read_at(t, page, 0, t->page, t->page_size) && get32(t->page + PAGE_NUMBER) == page &&
	       (t->page[PAGE_TYPE] == type || t->page[PAGE_TYPE] == other) &&
	       PAGE_HEAD + 2 * entries_of(t) <= t->page_size;
}

/* A page of a bucket. Those of buckets that never had an entry are made in advance, as nothing but zeros. */
static bool read_bucket_page(struct db_table *t, uint32_t page)
{
	static const unsigned char UNUSED[PAGE_HEAD];

	return read_page(t, page, TYPE_HASH, TYPE_HASH_UNSORTED) ||
	       (read_at(t, page, 0, t->page, t->page_size) &&
		       memcmp(t->page, UNUSED, sizeof(UNUSED)) == 0);
}

/* Where entry i begins; 0 when there is no room for `least` bytes behind. */
static uint32_t place_of(const struct db_table *t, unsigned i, uint32_t least)
{
	uint32_t place = i < entries_of(t) ? get16(t->page + PAGE_HEAD + 2 * i) : 0;

	return place >= PAGE_HEAD + 2 * entries_of(t) && place + least <= t->page_size ? place : 0;
}

/* Number of the first page, and length: at 4 and 8 of what stands for a key or value that is elsewhere. */
static bool chain_at(const struct db_table *t, uint32_t place, struct entry *entry)
{
	if (place + 12 > t->page_size)
		return false;
	entry->data = NULL;
	entry->chain = get32(t->page + place + 4);
	entry->length = get32(t->page + place + 8);
	return true;
}

static bool data_at(const struct db_table *t, uint32_t place, uint32_t length, struct entry *entry)
{
	if (place + length > t->page_size)
		return false;
	entry->data = t->page + place;
	entry->length = length;
	return true;
}

/* Entry of a tree's leaf: length, type, data. */
static bool leaf_entry(const struct db_table *t, unsigned i, struct entry *entry)
{
	uint32_t place = place_of(t, i, 3);
	unsigned type = place ? t->page[place + 2] : 0;

	entry->deleted = type & ENTRY_DELETED;
	switch (type & ~(unsigned)ENTRY_DELETED) {
	case ENTRY_DATA:
		return data_at(t, place + 3, get16(t->page + place), entry);
	case ENTRY_OVERFLOW:
		return chain_at(t, place, entry);
	default:
		return false;
	}
}

/* Entry of a page above the leaves: length, type, the page below, records below, key. */
static bool branch_entry(const struct db_table *t, unsigned i, struct entry *entry, uint32_t *below)
{
	uint32_t place = place_of(t, i, 12);

	if (!place)
		return false;
	*below = get32(t->page + place + 4);
	switch (t->page[place + 2] & ~(unsigned)ENTRY_DELETED) {
	case ENTRY_DATA:
		return data_at(t, place + 12, get16(t->page + place), entry);
	case ENTRY_OVERFLOW:
		return chain_at(t, place + 12, entry);
	default:
		return false;
	}
}

/* Entry of a bucket: type and data, up to where the one before begins. */
static bool bucket_entry(const struct db_table *t, unsigned i, struct entry *entry)
{
	uint32_t place = place_of(t, i, 1), end = i ? place_of(t, i - 1, 0) : t->page_size;

	entry->deleted = false;
	if (!place || end <= place)
		return false;
	switch (t->page[place]) {
	case ENTRY_HASH_DATA:
		return data_at(t, place + 1, end - place - 1, entry);
	case ENTRY_HASH_OVERFLOW:
		return chain_at(t, place, entry);
	default:
		return false;
	}
}

/* The first bytes of an entry, at most `most`. The page stays. */
static bool entry_bytes(
	struct db_table *t, const struct entry *entry, size_t most, struct buffer *out)
{
	uint32_t left = entry->length < most ? entry->length : (uint32_t)most, page = entry->chain;

	if (entry->data)
		return buffer_append(out, entry->data, left);
	while (left > 0) {
		unsigned char head[PAGE_HEAD];
		uint32_t here;
		char *room;

		if (!read_at(t, page, 0, head, sizeof(head)) || head[PAGE_TYPE] != TYPE_OVERFLOW)
			return false;
		here = get16(head + PAGE_USED);
		here = here < left ? here : left;
		room = buffer_reserve(out, here);
		/* A page without anything would let the chain go in a circle. */
		if (here == 0 || !room || !read_at(t, page, PAGE_HEAD, room, here))
			return false;
		out->length += here;
		left -= here;
		page = get32(head + PAGE_NEXT);
	}
	return true;
}

/* Below 0, 0 or above as the key comes before, is, or comes behind the entry. */
static bool compare(struct db_table *t, struct slice key, const struct entry *entry, int *order)
{
	size_t common = key.length < entry->length ? key.length : entry->length;

	buffer_clear(&t->key);
	if (!entry->data && !entry_bytes(t, entry, common, &t->key))
		return false;
	*order = memcmp(key.data, entry->data ? (const char *)entry->data : t->key.data, common);
	if (*order == 0)
		*order = (key.length > common) - (entry->length > common);
	return true;
}

static enum table_status take_value(
	struct db_table *t, const struct entry *entry, struct buffer *value)
{
	if (entry->length > TABLE_MAX_LINE || !entry_bytes(t, entry, entry->length, value))
		return TABLE_ERROR;
	if (value->length && value->data[value->length - 1] == '\0')
		value->length--;
	return TABLE_FOUND;
}

/* --- lookups --- */

/* The page below on the way to the key: of the last entry that does not come behind it; the first one has no key of its own. */
static bool step_down(struct db_table *t, struct slice key, uint32_t *page)
{
	unsigned low = 0, high = entries_of(t);
	struct entry entry;
	int order;

	while (high - low > 1) {
		unsigned middle = low + (high - low) / 2;

		if (!branch_entry(t, middle, &entry, page) || !compare(t, key, &entry, &order))
			return false;
		if (order < 0)
			high = middle;
		else
			low = middle;
	}
	return branch_entry(t, low, &entry, page);
}

static enum table_status find_in_leaf(struct db_table *t, struct slice key, struct buffer *value)
{
	unsigned low = 0, high = entries_of(t) / 2;
	struct entry entry;
	int order;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (!leaf_entry(t, 2 * middle, &entry) || !compare(t, key, &entry, &order))
			return TABLE_ERROR;
		if (order == 0) {
			if (!leaf_entry(t, 2 * middle + 1, &entry))
				return TABLE_ERROR;
			return entry.deleted ? TABLE_NOT_FOUND : take_value(t, &entry, value);
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return TABLE_NOT_FOUND;
}

/* The leaf where the key would be; with a NULL key the first one. It becomes the page in memory. */
static bool find_leaf(struct db_table *t, const struct slice *key, uint32_t *page)
{
	struct entry first;

	*page = t->root;
	for (int depth = 0; depth < DEPTH_MOST; depth++) {
		if (!read_page(t, *page, TYPE_LEAF, TYPE_INTERNAL))
			return false;
		if (t->page[PAGE_TYPE] == TYPE_LEAF)
			return true;
		if (key ? !step_down(t, *key, page) : !branch_entry(t, 0, &first, page))
			return false;
	}
	return false;
}

static enum table_status find_in_tree(struct db_table *t, struct slice key, struct buffer *value)
{
	uint32_t page;

	return find_leaf(t, &key, &page) ? find_in_leaf(t, key, value) : TABLE_ERROR;
}

/* Buckets are made in doublings, and those of each doubling stand together; spares[] says how many other pages come before. */
static uint32_t page_of_bucket(const struct db_table *t, uint32_t bucket)
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
	struct entry entry;
	int order;

	for (unsigned i = 0; i + 1 < entries_of(t); i += 2) {
		if (!bucket_entry(t, i, &entry))
			return TABLE_ERROR;
		if (entry.length != key.length)
			continue;
		if (!compare(t, key, &entry, &order))
			return TABLE_ERROR;
		if (order == 0)
			return bucket_entry(t, i + 1, &entry) ? take_value(t, &entry, value)
							      : TABLE_ERROR;
	}
	return TABLE_NOT_FOUND;
}

static enum table_status find_in_bucket(struct db_table *t, struct slice key, struct buffer *value)
{
	uint32_t bucket = hash_of(key) & t->high_mask, page;
	enum table_status status;

	if (bucket > t->max_bucket)
		bucket &= t->low_mask;
	page = page_of_bucket(t, bucket);
	for (int i = 0; i < CHAIN_MOST; i++) {
		if (!read_bucket_page(t, page))
			return TABLE_ERROR;
		status = find_in_page(t, key, value);
		page = get32(t->page + PAGE_NEXT);
		if (status != TABLE_NOT_FOUND || page == 0)
			return status;
	}
	return TABLE_ERROR;
}

static enum table_status db_lookup(struct table *table, struct slice key, struct buffer *value)
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
	struct entry key, value;

	for (unsigned i = 0; i + 1 < entries_of(t) && !w->ended; i += 2) {
		if (t->hash ? !bucket_entry(t, i, &key) || !bucket_entry(t, i + 1, &value)
			    : !leaf_entry(t, i, &key) || !leaf_entry(t, i + 1, &value))
			return false;
		if (value.deleted)
			continue;
		buffer_clear(&w->key);
		buffer_clear(&w->value);
		if (take_value(t, &key, &w->key) != TABLE_FOUND ||
			take_value(t, &value, &w->value) != TABLE_FOUND)
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
			!(t->hash ? read_bucket_page(t, page)
				  : read_page(t, page, TYPE_LEAF, TYPE_LEAF)) ||
			!walk_page(w))
			return false;
		page = get32(t->page + PAGE_NEXT);
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
		good = find_leaf(t, NULL, &page) && walk_chain(&w, page);
	} else {
		for (uint32_t bucket = 0; good && bucket <= t->max_bucket && !w.ended; bucket++) {
			page = page_of_bucket(t, bucket);
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
