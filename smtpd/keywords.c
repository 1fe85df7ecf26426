// SPDX-License-Identifier: ISC
/*
 * What EHLO offers: all that is there but smtpd_discard_ehlo_keywords, or, for clients that stand in
 * smtpd_discard_ehlo_keyword_address_maps, but what stands there.
 */
#include "service/log.h"
#include "smtpd/session.h"

static const struct {
	const char *name;
	enum ehlo_keyword keyword;
} KEYWORDS[] = {
	{ "pipelining", EHLO_PIPELINING },
	{ "size", EHLO_SIZE },
	{ "enhancedstatuscodes", EHLO_ENHANCEDSTATUSCODES },
	{ "8bitmime", EHLO_8BITMIME },
	{ "smtputf8", EHLO_SMTPUTF8 },
	{ "chunking", EHLO_CHUNKING },
	{ "starttls", EHLO_STARTTLS },
	{ "auth", EHLO_AUTH },
};

unsigned keywords_without(struct slice discard)
{
	struct slice word;
	unsigned offered = 0;

	for (size_t i = 0; i < sizeof(KEYWORDS) / sizeof(KEYWORDS[0]); i++)
		offered |= KEYWORDS[i].keyword;
	while (slice_word(&discard, ", \t\r\n", &word)) {
		for (size_t i = 0; i < sizeof(KEYWORDS) / sizeof(KEYWORDS[0]); i++) {
			if (slice_equal_nocase(word, slice_from(KEYWORDS[i].name)))
				offered &= ~(unsigned)KEYWORDS[i].keyword;
		}
	}
	return offered;
}

/* As Postfix looks it up: the address as it is, and no networks. */
bool keywords_choose(struct session *s)
{
	struct message question = { .type = MESSAGE_DIRECTORY_LOOKUP }, answer;
	const struct message_directory_lookup_answer *found = &answer.directory_lookup_answer;

	s->keywords = s->settings->keywords;
	if (!s->settings->keyword_maps[0])
		return true;
	question.directory_lookup.serial = ++s->serial;
	question.directory_lookup.tables = slice_from(s->settings->keyword_maps);
	question.directory_lookup.key = slice_from(s->client.address);
	if (!session_ask(s, TO_DIRECTORY, &question, s->serial, MESSAGE_DIRECTORY_LOOKUP_ANSWER,
		    &answer) ||
		(found->status != DIRECTORY_FOUND && found->status != DIRECTORY_NOT_FOUND)) {
		log_warning("%s: smtpd_discard_ehlo_keyword_address_maps lookup error", s->name);
		return false;
	}
	if (found->status == DIRECTORY_FOUND)
		s->keywords = keywords_without(found->value) & s->settings->keywords_most;
	return true;
}
