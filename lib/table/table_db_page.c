// SPDX-License-Identifier: ISC
/* Pages of Berkeley DB files and what stands on them. Nothing is believed that was not looked at. See table_db.h. */
#include "os/os.h"
#include "table/table_db.h"

/* --- pages --- */

static bool read_at(struct db_table *t, uint32_t page, uint32_t offset, void *data, uint32_t length)
{
	return page > 0 && page < t->pages && offset + length <= t->page_size &&
	       os_pread(t->fd, data, length, (int64_t)page * t->page_size + offset) ==
		       (ssize_t)length;
}

bool db_read_page(struct db_table *t, uint32_t page, unsigned type, unsigned other)
{
	return read_at(t, page, 0, t->page, t->page_size) &&
	       db_get32(t->page + PAGE_NUMBER) == page &&
	       (t->page[PAGE_TYPE] == type || t->page[PAGE_TYPE] == other) &&
	       PAGE_HEAD + 2 * db_entries(t) <= t->page_size;
}

/* Those of buckets that never had an entry are made in advance, as nothing but zeros. */
bool db_read_bucket_page(struct db_table *t, uint32_t page)
{
	static const unsigned char UNUSED[PAGE_HEAD];

	return db_read_page(t, page, TYPE_HASH, TYPE_HASH_UNSORTED) ||
	       (read_at(t, page, 0, t->page, t->page_size) &&
		       memcmp(t->page, UNUSED, sizeof(UNUSED)) == 0);
}

/* --- entries --- */

/* Where entry i begins; 0 when there is no room for `least` bytes behind. */
static uint32_t place_of(const struct db_table *t, unsigned i, uint32_t least)
{
	uint32_t place = i < db_entries(t) ? db_get16(t->page + PAGE_HEAD + 2 * i) : 0;

	return place >= PAGE_HEAD + 2 * db_entries(t) && place + least <= t->page_size ? place : 0;
}

/* Number of the first page, and length: at 4 and 8 of what stands for a key or value that is elsewhere. */
static bool chain_at(const struct db_table *t, uint32_t place, struct db_entry *entry)
{
	if (place + 12 > t->page_size)
		return false;
	entry->data = NULL;
	entry->chain = db_get32(t->page + place + 4);
	entry->length = db_get32(t->page + place + 8);
	return true;
}

static bool data_at(
	const struct db_table *t, uint32_t place, uint32_t length, struct db_entry *entry)
{
	if (place + length > t->page_size)
		return false;
	entry->data = t->page + place;
	entry->length = length;
	return true;
}

/* Entry of a tree's leaf: length, type, data. */
bool db_leaf_entry(const struct db_table *t, unsigned i, struct db_entry *entry)
{
	uint32_t place = place_of(t, i, 3);
	unsigned type = place ? t->page[place + 2] : 0;

	entry->deleted = type & ENTRY_DELETED;
	switch (type & ~(unsigned)ENTRY_DELETED) {
	case ENTRY_DATA:
		return data_at(t, place + 3, db_get16(t->page + place), entry);
	case ENTRY_OVERFLOW:
		return chain_at(t, place, entry);
	default:
		return false;
	}
}

/* Entry of a page above the leaves: length, type, the page below, records below, key. */
bool db_branch_entry(const struct db_table *t, unsigned i, struct db_entry *entry, uint32_t *below)
{
	uint32_t place = place_of(t, i, 12);

	if (!place)
		return false;
	*below = db_get32(t->page + place + 4);
	switch (t->page[place + 2] & ~(unsigned)ENTRY_DELETED) {
	case ENTRY_DATA:
		return data_at(t, place + 12, db_get16(t->page + place), entry);
	case ENTRY_OVERFLOW:
		return chain_at(t, place + 12, entry);
	default:
		return false;
	}
}

/* Entry of a bucket: type and data, up to where the one before begins. */
bool db_bucket_entry(const struct db_table *t, unsigned i, struct db_entry *entry)
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

/* --- what they hold --- */

/* The first bytes of an entry, at most `most`. The page stays. */
static bool entry_bytes(
	struct db_table *t, const struct db_entry *entry, size_t most, struct buffer *out)
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
		here = db_get16(head + PAGE_USED);
		here = here < left ? here : left;
		room = buffer_reserve(out, here);
		/* A page without anything would let the chain go in a circle. */
		if (here == 0 || !room || !read_at(t, page, PAGE_HEAD, room, here))
			return false;
		out->length += here;
		left -= here;
		page = db_get32(head + PAGE_NEXT);
	}
	return true;
}

bool db_compare(struct db_table *t, struct slice key, const struct db_entry *entry, int *order)
{
	size_t common = key.length < entry->length ? key.length : entry->length;

	buffer_clear(&t->key);
	if (!entry->data && !entry_bytes(t, entry, common, &t->key))
		return false;
	/* Where nothing was read there may be no memory to compare with. */
	*order = common ? memcmp(key.data, entry->data ? (const char *)entry->data : t->key.data,
				  common)
			: 0;
	if (*order == 0)
		*order = (key.length > common) - (entry->length > common);
	return true;
}

enum table_status db_take_value(
	struct db_table *t, const struct db_entry *entry, struct buffer *value)
{
	if (entry->length > TABLE_MAX_LINE || !entry_bytes(t, entry, entry->length, value))
		return TABLE_ERROR;
	if (value->length && value->data[value->length - 1] == '\0')
		value->length--;
	return TABLE_FOUND;
}
