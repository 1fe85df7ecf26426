// SPDX-License-Identifier: ISC
/*
 * Subscriptions stand in a file of their own, one mailbox a line in the form of its folder name without the first '.', so that
 * they outlive the index and other servers can read them. Dovecot's second format (a "V 2" line first, levels separated by TAB) is
 * read, too. Changes are made under the store's write lock.
 */
#include <errno.h>

#include "store/subscriptions.h"

#define SUBSCRIPTIONS "subscriptions"
enum { SUBSCRIPTIONS_MAX = STORE_MAX_SUBSCRIPTIONS * 64 };

/* One line as an API name; false when it is none. */
static bool line_name(struct slice line, bool tabs, char *name, size_t size)
{
	char folder[STORE_NAME_MAX + 2] = ".";

	if (slice_equal_nocase(line, SLICE("INBOX"))) {
		memcpy(name, "INBOX", 6);
		return true;
	}
	if (!slice_to_string(line, folder + 1, sizeof(folder) - 1))
		return false;
	for (char *p = folder + 1; tabs && *p; p++)
		*p = (char)(*p == '\t' ? '.' : *p);
	return store_name_from_folder(folder, name, size);
}

static bool read_all(struct store *store, struct buffer *text)
{
	char *room = buffer_reserve(text, SUBSCRIPTIONS_MAX);
	ssize_t n = room ? os_read_file(store->root, SUBSCRIPTIONS, room, SUBSCRIPTIONS_MAX) : -1;

	if (n < 0 && room && errno == ENOENT)
		n = 0;
	if (n < 0) {
		(void)store_system_failed(store, SUBSCRIPTIONS);
		return false;
	}
	text->length += (size_t)n;
	return true;
}

bool subscriptions_each(
	struct store *store, void (*each)(void *context, struct slice name), void *context)
{
	struct buffer text = { 0 };
	struct slice rest, line;
	char name[STORE_NAME_MAX + 1];
	bool tabs, good = read_all(store, &text);

	rest = buffer_slice(&text);
	tabs = slice_starts(rest, SLICE("V\t2\n"));
	if (tabs)
		(void)slice_split(&rest, '\n', &line);
	while (good && slice_split(&rest, '\n', &line)) {
		if (line_name(line, tabs, name, sizeof(name)))
			each(context, slice_from(name));
	}
	buffer_free(&text);
	return good;
}

struct rewriting {
	struct buffer out;
	struct slice name;
	bool found;
	unsigned count;
};

static bool put_line(struct buffer *out, struct slice name)
{
	char text[STORE_NAME_MAX + 1], folder[STORE_NAME_MAX + 1];

	if (slice_equal(name, SLICE("INBOX")))
		return buffer_add_text(out, "INBOX\n");
	return slice_to_string(name, text, sizeof(text)) &&
	       store_name_to_folder(text, folder, sizeof(folder)) &&
	       buffer_printf(out, "%s\n", folder + 1);
}

static void keep_line(void *context, struct slice name)
{
	struct rewriting *r = context;

	if (slice_equal(name, r->name)) {
		r->found = true;
		return;
	}
	r->count++;
	if (!put_line(&r->out, name))
		r->out.failed = true;
}

static enum store_status rewrite(struct store *store, struct slice name, bool on)
{
	struct rewriting r = { .out = buffer_limited(SUBSCRIPTIONS_MAX), .name = name };
	enum store_status status = STORE_TEMPORARY;

	if (subscriptions_each(store, keep_line, &r)) {
		if (r.found == on)
			status = STORE_OK; /* nothing to change */
		else if (on && r.count >= STORE_MAX_SUBSCRIPTIONS)
			status = STORE_LIMIT;
		else if ((on && !put_line(&r.out, name)) || r.out.failed)
			status = store_failed(store, SUBSCRIPTIONS ": too large");
		else if (!store_replace_file(
				 store->root, SUBSCRIPTIONS, buffer_slice(&r.out), true))
			status = store_system_failed(store, SUBSCRIPTIONS);
		else
			status = STORE_OK;
	}
	buffer_free(&r.out);
	return status;
}

/* Names of mailboxes that do not exist may be subscribed (RFC 3501 6.3.6). */
enum store_status store_subscribe(struct store *store, struct slice name, bool on)
{
	char canonical[STORE_NAME_MAX + 1];
	enum store_status status = store_name_check(name, canonical, sizeof(canonical));

	if (status != STORE_OK)
		return status;
	status = store_begin(store, false);
	if (status != STORE_OK)
		return status;
	status = rewrite(store, slice_from(canonical), on);
	store_rollback(store);
	return status;
}
