// SPDX-License-Identifier: ISC
/* LIST and LSUB with LIST-EXTENDED, LIST-STATUS and SPECIAL-USE (RFC 3501 6.3.8, RFC 5258, RFC 5819, RFC 6154). */
#include "imapd/session.h"
#include "service/log.h"

enum { LIST_MAX_PATTERNS = 100, LIST_NAME_MAX = SESSION_NAME_MAX };

enum list_option {
	LIST_SUBSCRIBED = 1,
	LIST_REMOTE = 2,
	LIST_RECURSIVE = 4,
	LIST_SPECIAL_USE = 8,
	LIST_CHILDREN = 16,
	LIST_STATUS = 32
};

struct list_request {
	unsigned select, give; /* enum list_option */
	unsigned status_items;
	bool extended, lsub;
	struct slice reference; /* UTF-8 */
	struct slice patterns[LIST_MAX_PATTERNS]; /* UTF-8, reference in front */
	unsigned count;
};

static const struct {
	const char *name;
	unsigned select, give;
} OPTIONS[] = { { "SUBSCRIBED", LIST_SUBSCRIBED, LIST_SUBSCRIBED }, { "REMOTE", LIST_REMOTE, 0 },
	{ "RECURSIVEMATCH", LIST_RECURSIVE, 0 },
	{ "SPECIAL-USE", LIST_SPECIAL_USE, LIST_SPECIAL_USE }, { "CHILDREN", 0, LIST_CHILDREN },
	{ "STATUS", 0, LIST_STATUS } };

/* One word of selection options (`give` false) or return options. */
static bool parse_option(struct parser *p, struct list_request *r, bool give)
{
	struct slice name;

	if (!parse_atom(p, &name))
		return false;
	for (size_t i = 0; i < sizeof(OPTIONS) / sizeof(OPTIONS[0]); i++) {
		unsigned option = give ? OPTIONS[i].give : OPTIONS[i].select;

		if (!option || !slice_equal_nocase(name, slice_from(OPTIONS[i].name)))
			continue;
		*(give ? &r->give : &r->select) |= option;
		return option != LIST_STATUS ||
		       (parse_space(p) && parse_status_items(p, &r->status_items));
	}
	return parse_fail(p, "Unknown LIST option");
}

static bool parse_options(struct parser *p, struct list_request *r, bool give)
{
	if (!parse_enter(p))
		return false;
	while (!parse_next_is(p, ')')) {
		if (!parse_option(p, r, give) || (!parse_next_is(p, ')') && !parse_space(p)))
			return false;
	}
	r->extended = true;
	return parse_leave(p);
}

static bool parse_pattern(struct parser *p, struct list_request *r)
{
	struct slice wire, pattern;
	char *whole;

	if (r->count == LIST_MAX_PATTERNS)
		return parse_fail(p, "Too many patterns");
	if (!parse_list_mailbox(p, &wire))
		return false;
	if (!mailbox_name_from_wire(wire, p->arena, &pattern))
		return parse_fail(p, "Pattern is not valid modified UTF-7");
	whole = arena_alloc(p->arena, r->reference.length + pattern.length + 1);
	if (!whole)
		return parse_fail(p, "Command is too large");
	if (r->reference.length)
		memcpy(whole, r->reference.data, r->reference.length);
	memcpy(whole + r->reference.length, pattern.data, pattern.length);
	r->patterns[r->count++] = slice_of(whole, r->reference.length + pattern.length);
	if (pattern.length == 0)
		r->patterns[r->count - 1].length = 0;
	return true;
}

static bool parse_patterns(struct parser *p, struct list_request *r)
{
	if (r->lsub || !parse_next_is(p, '('))
		return parse_pattern(p, r);
	r->extended = true;
	if (!parse_enter(p))
		return false;
	do {
		if (!parse_pattern(p, r))
			return false;
	} while (parse_next_is(p, ' ') && parse_space(p));
	return parse_leave(p);
}

static bool parse_return(struct parser *p, struct list_request *r)
{
	struct slice word;

	if (p->rest.length == 0)
		return true;
	if (!parse_space(p) || !parse_atom(p, &word))
		return false;
	if (!slice_equal_nocase(word, SLICE("RETURN")))
		return parse_fail(p, "Unexpected argument");
	return parse_space(p) && parse_options(p, r, true) && parse_end(p);
}

static bool parse_list(struct parser *p, struct list_request *r)
{
	struct slice wire;

	if (!parse_space(p))
		return false;
	if (!r->lsub && parse_next_is(p, '(') && (!parse_options(p, r, false) || !parse_space(p)))
		return false;
	if (!parse_astring(p, &wire) || !parse_space(p))
		return false;
	if (!mailbox_name_from_wire(wire, p->arena, &r->reference))
		return parse_fail(p, "Reference is not valid modified UTF-7");
	if (!parse_patterns(p, r) || !(r->lsub ? parse_end(p) : parse_return(p, r)))
		return false;
	if ((r->select & LIST_RECURSIVE) && !(r->select & LIST_SUBSCRIBED))
		return parse_fail(p, "RECURSIVEMATCH alone selects nothing");
	return true;
}

static bool same_byte(char pattern, char name, bool nocase)
{
	return nocase ? ascii_lower(pattern) == ascii_lower(name) : pattern == name;
}

/*
 * "*" is any run, "%" a run without "/". Row by row over the pattern, each row saying up to which ends in the name it matches:
 * no pattern takes more than its length times the name's.
 */
static bool pattern_matches(struct slice pattern, struct slice name)
{
	bool ends[LIST_NAME_MAX + 1] = { true };
	bool inbox =
		slice_starts(name, SLICE("INBOX")) && (name.length == 5 || name.data[5] == '/');

	if (name.length > LIST_NAME_MAX)
		return false;
	for (size_t i = 0; i < pattern.length; i++) {
		char c = pattern.data[i];
		bool wild = c == '*' || c == '%', before = ends[0], any = false;

		ends[0] = wild && ends[0];
		any = ends[0];
		for (size_t n = 1; n <= name.length; n++) {
			bool old = ends[n];

			if (wild)
				ends[n] = old ||
					  (ends[n - 1] && (c == '*' || name.data[n - 1] != '/'));
			else
				ends[n] = before && same_byte(c, name.data[n - 1], inbox && n <= 5);
			before = old;
			any = any || ends[n];
		}
		if (!any)
			return false;
	}
	return ends[name.length];
}

static bool matches(const struct list_request *r, struct slice name)
{
	for (unsigned i = 0; i < r->count; i++) {
		if (pattern_matches(r->patterns[i], name))
			return true;
	}
	return false;
}

static void tell_mailbox(struct session *s, const struct list_request *r,
	const struct mailbox_info *info, bool child_info)
{
	bool flagged = info->subscribed && (r->lsub || ((r->give | r->select) & LIST_SUBSCRIBED));

	out_text(s, r->lsub ? "* LSUB (" : "* LIST (");
	if (!info->exists)
		out_text(s, r->extended && !r->lsub ? "\\NonExistent \\Noselect" : "\\Noselect");
	if (!r->lsub) {
		out_text(s, info->exists ? "" : " ");
		out_text(s, info->has_children ? "\\HasChildren" : "\\HasNoChildren");
		if (flagged)
			out_text(s, " \\Subscribed");
		if (info->special_use.length) {
			out_byte(s, ' ');
			out_slice(s, info->special_use);
		}
	}
	out_text(s, ") \"/\" ");
	out_mailbox(s, info->name);
	if (child_info)
		out_text(s, " (\"CHILDINFO\" (\"SUBSCRIBED\"))");
	out_text(s, "\r\n");
	if ((r->give & LIST_STATUS) && info->exists &&
		tell_status(s, info->name, r->status_items) == STORE_TEMPORARY)
		log_warning("%s: no status of %.*s: %s", s->user, SLICE_ARG(info->name),
			store_error(s->store));
}

/* Whether a subscribed mailbox below `i` (the list is in order of names) does not match by itself. */
static bool subscribed_below(
	const struct list_request *r, const struct vector *infos, size_t i, bool even_matching)
{
	const struct mailbox_info *list = infos->items;
	struct slice name = list[i].name;

	for (size_t k = 0; k < infos->count; k++) {
		struct slice other = list[k].name;

		if (list[k].subscribed && other.length > name.length &&
			other.data[name.length] == '/' && slice_starts(other, name) &&
			(even_matching || !matches(r, other)))
			return true;
	}
	return false;
}

static void list_one(
	struct session *s, const struct list_request *r, const struct vector *infos, size_t i)
{
	const struct mailbox_info *info = &((const struct mailbox_info *)infos->items)[i];
	bool recursive = r->select & LIST_RECURSIVE, child_info = false;

	if (!matches(r, info->name))
		return;
	if ((r->select & LIST_SPECIAL_USE) && !info->special_use.length)
		return;
	if (r->lsub || r->select & LIST_SUBSCRIBED) {
		if (recursive)
			child_info = subscribed_below(r, infos, i, true);
		if (!info->subscribed && !child_info)
			return;
	} else if (!info->exists && !info->has_children) {
		return;
	}
	tell_mailbox(s, r, info, child_info);
}

/* LSUB's "%" shows the parents of subscribed mailboxes that it does not reach (RFC 3501 6.3.9). */
static void lsub_parents(
	struct session *s, const struct list_request *r, const struct vector *infos)
{
	const struct mailbox_info *list = infos->items;
	struct slice last = { 0 };

	for (size_t i = 0; i < infos->count; i++) {
		if (!list[i].subscribed || matches(r, list[i].name))
			continue;
		for (size_t n = 1; n < list[i].name.length; n++) {
			struct mailbox_info parent = { .name = slice_head(list[i].name, n) };
			bool told = slice_equal(parent.name, last);

			if (list[i].name.data[n] != '/' || told || !matches(r, parent.name))
				continue;
			for (size_t k = 0; k < infos->count && !told; k++)
				told = list[k].subscribed && slice_equal(list[k].name, parent.name);
			if (!told)
				tell_mailbox(s, r, &parent, false);
			last = parent.name;
		}
	}
}

static void list_mailboxes(struct session *s, struct command *c, struct list_request *r)
{
	struct vector infos = vector_of(sizeof(struct mailbox_info), 0);
	struct arena names;
	enum store_status status;

	/* The names are not the client's doing alone: they have an arena that is larger than the command's. */
	arena_init(&names, (size_t)64 << 20);
	status = store_list(s->store, &names, &infos);
	if (status == STORE_OK) {
		for (size_t i = 0; i < infos.count; i++)
			list_one(s, r, &infos, i);
		if (r->lsub)
			lsub_parents(s, r, &infos);
		reply_done(s, c);
	} else {
		reply_store(s, c, status);
	}
	vector_free(&infos);
	arena_free(&names);
}

static void list(struct session *s, struct command *c, bool lsub)
{
	struct list_request *r = arena_alloc(&s->arena, sizeof(*r));

	if (!r) {
		parse_fail(&c->parser, "Command is too large");
		return;
	}
	r->lsub = lsub;
	if (!parse_list(&c->parser, r))
		return;
	if (r->status_items & STATUS_HIGHESTMODSEQ)
		session_enable_condstore(s);
	if (!r->extended && r->patterns[0].length == 0) {
		/* "" asks for the separator and the root of the reference. */
		out_text(s, lsub ? "* LSUB (\\Noselect) \"/\" \"\"\r\n"
				 : "* LIST (\\Noselect) \"/\" \"\"\r\n");
		reply_done(s, c);
		return;
	}
	list_mailboxes(s, c, r);
}

void command_list(struct session *s, struct command *c)
{
	list(s, c, false);
}

void command_lsub(struct session *s, struct command *c)
{
	list(s, c, true);
}
