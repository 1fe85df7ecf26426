// SPDX-License-Identifier: ISC
/* The grammar of SEARCH (RFC 3501 section 9 "search", RFC 4731, RFC 7162 3.1.5). See search.h. */
#include "imapd/search.h"

static bool parse_key(struct parser *p, struct search_request *r, struct search_key **key);

static struct search_key *new_key(
	struct parser *p, struct search_request *r, enum search_kind kind, enum search_cost cost)
{
	struct search_key *key =
		r->keys < SEARCH_MAX_KEYS ? arena_alloc(p->arena, sizeof(*key)) : NULL;

	if (!key) {
		parse_fail(p, "Too many search keys");
		return NULL;
	}
	r->keys++;
	key->kind = kind;
	key->cost = cost;
	return key;
}

/* What stands behind a key's name. */
enum key_form {
	FORM_NONE,
	FORM_TEXT,
	FORM_FIELD_TEXT,
	FORM_DATE,
	FORM_NUMBER,
	FORM_ATOM,
	FORM_SET,
	FORM_NOT,
	FORM_OR,
	FORM_MODSEQ
};

static const struct key_name {
	const char *name;
	enum key_form form;
	enum search_kind kind;
	enum search_cost cost;
	uint8_t flag;
	bool negated;
	const char *field;
} KEYS[] = {
	{ "ALL", FORM_NONE, SEARCH_ALL, COST_VIEW, 0, false, NULL },
	{ "ANSWERED", FORM_NONE, SEARCH_FLAG, COST_VIEW, FLAG_ANSWERED, false, NULL },
	{ "DELETED", FORM_NONE, SEARCH_FLAG, COST_VIEW, FLAG_DELETED, false, NULL },
	{ "DRAFT", FORM_NONE, SEARCH_FLAG, COST_VIEW, FLAG_DRAFT, false, NULL },
	{ "FLAGGED", FORM_NONE, SEARCH_FLAG, COST_VIEW, FLAG_FLAGGED, false, NULL },
	{ "SEEN", FORM_NONE, SEARCH_FLAG, COST_VIEW, FLAG_SEEN, false, NULL },
	{ "UNANSWERED", FORM_NONE, SEARCH_FLAG, COST_VIEW, FLAG_ANSWERED, true, NULL },
	{ "UNDELETED", FORM_NONE, SEARCH_FLAG, COST_VIEW, FLAG_DELETED, true, NULL },
	{ "UNDRAFT", FORM_NONE, SEARCH_FLAG, COST_VIEW, FLAG_DRAFT, true, NULL },
	{ "UNFLAGGED", FORM_NONE, SEARCH_FLAG, COST_VIEW, FLAG_FLAGGED, true, NULL },
	{ "UNSEEN", FORM_NONE, SEARCH_FLAG, COST_VIEW, FLAG_SEEN, true, NULL },
	{ "NEW", FORM_NONE, SEARCH_NEW, COST_VIEW, 0, false, NULL },
	{ "RECENT", FORM_NONE, SEARCH_RECENT, COST_VIEW, 0, false, NULL },
	{ "OLD", FORM_NONE, SEARCH_RECENT, COST_VIEW, 0, true, NULL },
	{ "KEYWORD", FORM_ATOM, SEARCH_KEYWORD, COST_VIEW, 0, false, NULL },
	{ "UNKEYWORD", FORM_ATOM, SEARCH_KEYWORD, COST_VIEW, 0, true, NULL },
	{ "BEFORE", FORM_DATE, SEARCH_BEFORE, COST_VIEW, 0, false, NULL },
	{ "ON", FORM_DATE, SEARCH_ON, COST_VIEW, 0, false, NULL },
	{ "SINCE", FORM_DATE, SEARCH_SINCE, COST_VIEW, 0, false, NULL },
	{ "SENTBEFORE", FORM_DATE, SEARCH_SENT_BEFORE, COST_HEADERS, 0, false, NULL },
	{ "SENTON", FORM_DATE, SEARCH_SENT_ON, COST_HEADERS, 0, false, NULL },
	{ "SENTSINCE", FORM_DATE, SEARCH_SENT_SINCE, COST_HEADERS, 0, false, NULL },
	{ "LARGER", FORM_NUMBER, SEARCH_LARGER, COST_VIEW, 0, false, NULL },
	{ "SMALLER", FORM_NUMBER, SEARCH_SMALLER, COST_VIEW, 0, false, NULL },
	{ "UID", FORM_SET, SEARCH_UIDS, COST_VIEW, 0, false, NULL },
	{ "MODSEQ", FORM_MODSEQ, SEARCH_MODSEQ, COST_VIEW, 0, false, NULL },
	{ "BCC", FORM_TEXT, SEARCH_HEADER, COST_HEADERS, 0, false, "Bcc" },
	{ "CC", FORM_TEXT, SEARCH_HEADER, COST_HEADERS, 0, false, "Cc" },
	{ "FROM", FORM_TEXT, SEARCH_HEADER, COST_HEADERS, 0, false, "From" },
	{ "SUBJECT", FORM_TEXT, SEARCH_HEADER, COST_HEADERS, 0, false, "Subject" },
	{ "TO", FORM_TEXT, SEARCH_HEADER, COST_HEADERS, 0, false, "To" },
	{ "HEADER", FORM_FIELD_TEXT, SEARCH_HEADER, COST_HEADERS, 0, false, NULL },
	{ "BODY", FORM_TEXT, SEARCH_BODY, COST_MESSAGE, 0, false, NULL },
	{ "TEXT", FORM_TEXT, SEARCH_TEXT, COST_MESSAGE, 0, false, NULL },
	{ "NOT", FORM_NOT, SEARCH_NOT, COST_VIEW, 0, false, NULL },
	{ "OR", FORM_OR, SEARCH_OR, COST_VIEW, 0, false, NULL },
};

static bool parse_text(struct parser *p, struct search_request *r, struct search_key *key)
{
	struct slice text;

	if (!parse_space(p) || !parse_astring(p, &text))
		return false;
	if (text.length > SEARCH_MAX_NEEDLE)
		return parse_fail(p, "Search text is too long");
	key->needle = mail_needle_new(r->charset, text);
	if (!key->needle)
		return parse_fail(p, "Command is too large");
	key->next_needle = r->needles;
	r->needles = key;
	return true;
}

/* MODSEQ ["entry" type] number; what the entry is makes no difference: one mod-sequence a message (RFC 7162 3.1.5). */
static bool parse_modseq(struct parser *p, struct search_request *r, struct search_key *key)
{
	struct slice entry, type;

	r->uses_modseq = true;
	if (!parse_space(p))
		return false;
	if (parse_next_is(p, '"') && (!parse_string(p, &entry) || !parse_space(p) ||
					     !parse_atom(p, &type) || !parse_space(p)))
		return false;
	return parse_number(p, INT64_MAX, &key->number);
}

static bool parse_children(
	struct parser *p, struct search_request *r, struct search_key *key, unsigned count)
{
	struct search_key **tail = &key->children;

	if (!parse_deeper(p))
		return false;
	for (unsigned i = 0; i < count; i++) {
		if (!parse_space(p) || !parse_key(p, r, tail))
			return false;
		if ((*tail)->cost > key->cost)
			key->cost = (*tail)->cost;
		tail = &(*tail)->next;
	}
	p->depth--;
	return true;
}

static bool parse_argument(struct parser *p, struct search_request *r, const struct key_name *name,
	struct search_key *key)
{
	switch (name->form) {
	case FORM_NONE:
		return true;
	case FORM_TEXT:
		key->name = slice_from(name->field);
		return parse_text(p, r, key);
	case FORM_FIELD_TEXT:
		return parse_space(p) && parse_astring(p, &key->name) && parse_text(p, r, key);
	case FORM_DATE:
		return parse_space(p) && parse_date(p, &key->day);
	case FORM_NUMBER:
		return parse_space(p) && parse_number(p, INT64_MAX, &key->number);
	case FORM_ATOM:
		return parse_space(p) && parse_atom(p, &key->name);
	case FORM_SET:
		return parse_space(p) && parse_set(p, &key->set);
	case FORM_MODSEQ:
		return parse_modseq(p, r, key);
	case FORM_NOT:
		return parse_children(p, r, key, 1);
	case FORM_OR:
		return parse_children(p, r, key, 2);
	}
	return parse_fail(p, "Unknown search key");
}

static bool parse_named_key(struct parser *p, struct search_request *r, struct search_key **key)
{
	struct slice name;
	size_t i = 0;

	if (!parse_atom(p, &name))
		return false;
	while (i < sizeof(KEYS) / sizeof(KEYS[0]) &&
		!slice_equal_nocase(name, slice_from(KEYS[i].name)))
		i++;
	if (i == sizeof(KEYS) / sizeof(KEYS[0]))
		return parse_fail(p, "Unknown search key");
	*key = new_key(p, r, KEYS[i].kind, KEYS[i].cost);
	if (!*key)
		return false;
	(*key)->flag = KEYS[i].flag;
	if (!parse_argument(p, r, &KEYS[i], *key))
		return false;
	if (KEYS[i].negated) {
		struct search_key *not = new_key(p, r, SEARCH_NOT, (*key)->cost);

		if (!not )
			return false;
		not ->children = *key;
		*key = not ;
	}
	return true;
}

/* Keys up to the closing parenthesis or the end, cheap ones first. */
static bool parse_keys(struct parser *p, struct search_request *r, struct search_key **all)
{
	struct search_key *lists[COST_MESSAGE + 1] = { NULL }, **tails[COST_MESSAGE + 1], *key;

	for (unsigned i = 0; i <= COST_MESSAGE; i++)
		tails[i] = &lists[i];
	*all = new_key(p, r, SEARCH_AND, COST_VIEW);
	if (!*all)
		return false;
	for (;;) {
		if (!parse_key(p, r, &key))
			return false;
		*tails[key->cost] = key;
		tails[key->cost] = &key->next;
		if (key->cost > (*all)->cost)
			(*all)->cost = key->cost;
		if (!parse_next_is(p, ' '))
			break;
		parse_space(p);
	}
	*tails[COST_HEADERS] = lists[COST_MESSAGE];
	*tails[COST_VIEW] = lists[COST_HEADERS];
	(*all)->children = lists[COST_VIEW];
	return true;
}

static bool parse_key(struct parser *p, struct search_request *r, struct search_key **key)
{
	if (parse_next_is(p, '('))
		return parse_enter(p) && parse_keys(p, r, key) && parse_leave(p);
	if (p->rest.length && (ascii_digit(p->rest.data[0]) || p->rest.data[0] == '*')) {
		*key = new_key(p, r, SEARCH_NUMBERS, COST_VIEW);
		return *key && parse_set(p, &(*key)->set);
	}
	return parse_named_key(p, r, key);
}

static bool parse_return(struct parser *p, struct search_request *r)
{
	static const struct {
		const char *name;
		enum search_return give;
	} OPTIONS[] = { { "MIN", RETURN_MIN }, { "MAX", RETURN_MAX }, { "ALL", RETURN_ALL },
		{ "COUNT", RETURN_COUNT } };
	struct slice name;

	r->extended = true;
	if (!parse_space(p) || !parse_enter(p))
		return false;
	while (!parse_next_is(p, ')')) {
		size_t i = 0;

		if (!parse_atom(p, &name))
			return false;
		while (i < 4 && !slice_equal_nocase(name, slice_from(OPTIONS[i].name)))
			i++;
		if (i == 4)
			return parse_fail(p, "Unknown SEARCH return option");
		r->give |= OPTIONS[i].give;
		if (!parse_next_is(p, ')') && !parse_space(p))
			return false;
	}
	if (r->give == 0)
		r->give = RETURN_ALL;
	return parse_leave(p);
}

static bool parse_charset(struct parser *p, struct search_request *r)
{
	static const char *const KNOWN[] = { "US-ASCII", "UTF-8", "ISO-8859-1", "ISO-8859-2",
		"ISO-8859-15", "WINDOWS-1250", "WINDOWS-1251", "WINDOWS-1252", "KOI8-R",
		"ISO-2022-JP", "SHIFT_JIS", "EUC-JP", "GB2312", "BIG5" };

	if (!parse_space(p) || !parse_astring(p, &r->charset))
		return false;
	for (size_t i = 0; i < sizeof(KNOWN) / sizeof(KNOWN[0]); i++) {
		if (slice_equal_nocase(r->charset, slice_from(KNOWN[i])))
			return true;
	}
	r->bad_charset = true;
	return false;
}

/* Take `word` and nothing else off the front, if it stands there. */
static bool take_word(struct parser *p, struct slice word)
{
	if (!slice_starts_nocase(p->rest, word) ||
		(p->rest.length > word.length && p->rest.data[word.length] != ' '))
		return false;
	p->rest = slice_tail(p->rest, word.length);
	return true;
}

bool search_parse(struct parser *p, struct search_request *r)
{
	*r = (struct search_request){ .charset = SLICE("UTF-8") };
	if (!parse_space(p))
		return false;
	if (take_word(p, SLICE("RETURN")) && (!parse_return(p, r) || !parse_space(p)))
		return false;
	if (take_word(p, SLICE("CHARSET")) && (!parse_charset(p, r) || !parse_space(p)))
		return false;
	return parse_keys(p, r, &r->top) && parse_end(p);
}

void search_free(struct search_request *r)
{
	for (struct search_key *key = r->needles; key; key = key->next_needle)
		mail_needle_free(&key->needle);
	r->needles = NULL;
}
