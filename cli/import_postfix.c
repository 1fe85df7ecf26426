// SPDX-License-Identifier: ISC
/* Postfix's tables as accounts, and what all readers share. See import.h. */
#include <stdarg.h>
#include <stdio.h>

#include "cli/import.h"
#include "table/table_impl.h"

void import_refuse(struct import_source *source, unsigned line, const char *format, ...)
{
	char text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	source->refuse(source->context, source->file, line, text);
}

struct record *import_record(
	struct import_source *source, enum record_kind kind, unsigned line, struct slice address)
{
	struct record *record;
	struct buffer whole = { 0 };

	if (slice_find(address, '\0') >= 0) {
		import_refuse(source, line, "a NUL byte");
		return NULL;
	}
	if (kind != RECORD_DOMAIN && slice_find(address, '@') < 0 && !source->domain) {
		import_refuse(source, line, "%.*s: no domain (--domain gives one)",
			SLICE_ARG(slice_head(address, 100)));
		return NULL;
	}
	buffer_add(&whole, address);
	if (kind != RECORD_DOMAIN && slice_find(address, '@') < 0)
		buffer_printf(&whole, "@%s", source->domain);
	record = records_add(source->records, kind, source->file, line);
	if (!record || whole.failed ||
		!record_add_word(source->records, record, buffer_slice(&whole))) {
		import_refuse(source, line, "too many records, or no memory");
		if (record)
			record->bad = true;
		record = NULL;
	}
	buffer_free(&whole);
	return record;
}

bool import_password(struct import_source *source, struct record *record, struct slice stored)
{
	static const struct slice PLAIN[] = { SLICE("{PLAIN}"), SLICE("{CLEARTEXT}"),
		SLICE("{CLEAR}"), SLICE("{PLAIN-TRUNC}") };
	char **place = &record->hash;

	for (size_t i = 0; i < sizeof(PLAIN) / sizeof(PLAIN[0]); i++)
		if (slice_starts_nocase(stored, PLAIN[i])) {
			stored = slice_tail(stored, PLAIN[i].length);
			place = &record->password;
			break;
		}
	*place = arena_dup(&source->records->arena, stored);
	if (*place && slice_find(stored, '\0') < 0)
		return true;
	import_refuse(source, record->line, *place ? "a NUL byte" : "no memory");
	record->bad = true;
	return false;
}

bool import_quota(struct import_source *source, struct record *record, uint64_t bytes)
{
	record->quota = arena_printf(&source->records->arena, "%llu", (unsigned long long)bytes);
	return record->quota != NULL;
}

/* --- entries --- */

static void add_destinations(
	struct import_source *source, struct record *record, struct slice value)
{
	struct buffer whole = { 0 };
	struct slice item;

	while (table_next_item(&value, &item)) {
		buffer_clear(&whole);
		buffer_add(&whole, item);
		if (item.data[0] == '|' || item.data[0] == '/' || item.data[0] == '"' ||
			slice_starts(item, SLICE(":include:")))
			import_refuse(source, record->line,
				"%.*s: commands, files and included lists are for alias_maps",
				SLICE_ARG(slice_head(item, 100)));
		else if (item.data[0] == '@')
			import_refuse(source, record->line, "%.*s: a whole domain as destination",
				SLICE_ARG(slice_head(item, 100)));
		else if (slice_find(item, '@') < 0 && !source->domain)
			import_refuse(source, record->line, "%.*s: no domain (--domain gives one)",
				SLICE_ARG(slice_head(item, 100)));
		else if ((slice_find(item, '@') < 0 &&
				 !buffer_printf(&whole, "@%s", source->domain)) ||
			 !record_add_word(source->records, record, buffer_slice(&whole)))
			import_refuse(source, record->line, "too many destinations");
	}
	buffer_free(&whole);
	if (record->word_count < 2)
		record->bad = true;
}

static void add_mailbox(struct import_source *source, unsigned line, struct slice key)
{
	if (key.data[0] == '@')
		import_refuse(source, line,
			"%.*s: a mailbox for a whole domain; make it an alias for one user",
			SLICE_ARG(slice_head(key, 100)));
	else
		(void)import_record(source, RECORD_MAILBOX, line, key);
}

static void add_alias(
	struct import_source *source, unsigned line, struct slice key, struct slice value)
{
	struct record *record;

	/* "example.org anything": a domain of aliases. */
	if (slice_find(key, '@') < 0 && slice_find(key, '.') >= 0) {
		(void)import_record(source, RECORD_DOMAIN, line, key);
		return;
	}
	record = import_record(source, RECORD_ALIAS, line, key);
	if (record)
		add_destinations(source, record, value);
}

void import_postfix_entry(struct import_source *source, enum record_kind kind, unsigned line,
	struct slice key, struct slice value)
{
	if (key.length == 0)
		import_refuse(source, line, "no key");
	else if (kind == RECORD_MAILBOX)
		add_mailbox(source, line, key);
	else if (kind == RECORD_ALIAS)
		add_alias(source, line, key, value);
	else if (slice_find(key, '@') >= 0)
		import_refuse(source, line, "%.*s: an address in a list of domains",
			SLICE_ARG(slice_head(key, 100)));
	else
		(void)import_record(source, RECORD_DOMAIN, line, key);
}

void import_postfix(struct import_source *source, enum record_kind kind, struct slice text)
{
	struct slice line, key, value;
	struct table_lines lines;

	table_lines_begin(&lines, text);
	while (table_lines_next(&lines, &line)) {
		/* Lists of domains are often without values. */
		if (!table_split_entry(line, &key, &value) &&
			(kind != RECORD_DOMAIN || key.length == 0)) {
			import_refuse(source, lines.number, "expected a key and a value");
			continue;
		}
		import_postfix_entry(source, kind, lines.number, key, value);
	}
	if (lines.failed)
		import_refuse(source, lines.next_number, "the line is too long");
	table_lines_end(&lines);
}
