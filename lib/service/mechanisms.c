// SPDX-License-Identifier: ISC
/* SASL mechanisms and what may be offered. See mechanisms.h. */
#include "service/mechanisms.h"

static const struct mechanism_row {
	const char *name;
	unsigned traits;
} MECHANISMS[] = {
	/* RFC 4422 appendix A */
	{ "EXTERNAL", MECHANISM_CERTIFICATE },
	/* RFC 7677, RFC 5802 */
	{ "SCRAM-SHA-256-PLUS", MECHANISM_DICTIONARY | MECHANISM_MUTUAL | MECHANISM_BINDING },
	{ "SCRAM-SHA-1-PLUS", MECHANISM_DICTIONARY | MECHANISM_MUTUAL | MECHANISM_BINDING },
	{ "SCRAM-SHA-256", MECHANISM_DICTIONARY | MECHANISM_MUTUAL },
	{ "SCRAM-SHA-1", MECHANISM_DICTIONARY | MECHANISM_MUTUAL },
	/* RFC 2831, historic since RFC 6331 */
	{ "DIGEST-MD5", MECHANISM_ACTIVE | MECHANISM_DICTIONARY | MECHANISM_MUTUAL },
	/* RFC 2195 */
	{ "CRAM-MD5", MECHANISM_ACTIVE | MECHANISM_DICTIONARY },
	/* RFC 7628, and what came before it */
	{ "OAUTHBEARER", MECHANISM_PLAINTEXT | MECHANISM_ACTIVE },
	{ "XOAUTH2", MECHANISM_PLAINTEXT | MECHANISM_ACTIVE },
	/* RFC 4616 */
	{ "PLAIN", MECHANISM_PLAINTEXT | MECHANISM_ACTIVE | MECHANISM_DICTIONARY },
	/* draft-murchison-sasl-login */
	{ "LOGIN", MECHANISM_PLAINTEXT | MECHANISM_ACTIVE | MECHANISM_DICTIONARY },
};
enum { MECHANISM_COUNT = sizeof(MECHANISMS) / sizeof(MECHANISMS[0]) };

static const struct {
	const char *option;
	unsigned unwanted, wanted;
} OPTIONS[] = {
	{ "noplaintext", MECHANISM_PLAINTEXT, 0 },
	{ "noactive", MECHANISM_ACTIVE, 0 },
	{ "nodictionary", MECHANISM_DICTIONARY, 0 },
	{ "mutual_auth", 0, MECHANISM_MUTUAL },
};

static const char SEPARATORS[] = ", \t\r\n";

static const struct mechanism_row *row_of(struct slice name)
{
	for (int i = 0; i < MECHANISM_COUNT; i++)
		if (slice_equal_nocase(name, slice_from(MECHANISMS[i].name)))
			return &MECHANISMS[i];
	return NULL;
}

const char *mechanism_find(struct slice name, unsigned *traits)
{
	const struct mechanism_row *row = row_of(name);

	if (row)
		*traits = row->traits;
	return row ? row->name : NULL;
}

static bool listed(const struct mechanism_row *row, const char *configured)
{
	struct slice rest = slice_from(configured), name = slice_from(row->name), word;

	if (row->traits & MECHANISM_BINDING)
		name = slice_head(name, name.length - strlen("-PLUS"));
	while (slice_word(&rest, SEPARATORS, &word))
		if (slice_equal_nocase(word, name) ||
			slice_equal_nocase(word, slice_from(row->name)))
			return true;
	return false;
}

static bool suits(const struct mechanism_row *row, const char *options)
{
	struct slice rest = slice_from(options), word;

	while (slice_word(&rest, SEPARATORS, &word))
		for (size_t i = 0; i < sizeof(OPTIONS) / sizeof(OPTIONS[0]); i++)
			if (slice_equal_nocase(word, slice_from(OPTIONS[i].option)) &&
				((row->traits & OPTIONS[i].unwanted) ||
					(row->traits & OPTIONS[i].wanted) != OPTIONS[i].wanted))
				return false;
	return true;
}

static bool allowed(const struct mechanism_row *row, const char *configured, const char *options,
	const struct mechanism_situation *situation)
{
	return listed(row, configured) && suits(row, options) &&
	       (!(row->traits & MECHANISM_BINDING) || situation->bindings) &&
	       (!(row->traits & MECHANISM_CERTIFICATE) || situation->certificate);
}

bool mechanism_allowed(struct slice name, const char *configured, const char *options,
	const struct mechanism_situation *situation)
{
	const struct mechanism_row *row = row_of(name);

	return row && allowed(row, configured, options, situation);
}

bool mechanisms_offer(const char *configured, const char *options,
	const struct mechanism_situation *situation, const char *before, struct buffer *out)
{
	for (int i = 0; i < MECHANISM_COUNT; i++)
		if (allowed(&MECHANISMS[i], configured, options, situation)) {
			buffer_add_text(out, before);
			buffer_add_text(out, MECHANISMS[i].name);
		}
	return !out->failed;
}

bool mechanisms_unknown(const char *configured, struct slice *word)
{
	struct slice rest = slice_from(configured);

	while (slice_word(&rest, SEPARATORS, word))
		if (!row_of(*word))
			return true;
	return false;
}
