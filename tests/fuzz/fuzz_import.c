// SPDX-License-Identifier: ISC
/* What postern import and the lists of accounts read. The first byte says how it is read. */
#include "cli/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void refuse(void *context, const char *file, unsigned line, const char *error)
{
	(void)!strlen(error);
}

static void read_lines(struct records *records, struct slice text)
{
	struct record *record;
	const char *error;
	unsigned number = 0;
	struct slice line;

	while (slice_split(&text, '\n', &line))
		(void)!records_read_line(records, line, ++number, &record, &error);
}

/* Every word and text of a record is a string. */
static void look_at(const struct records *records)
{
	size_t sum = 0;

	for (size_t i = 0; i < records->list.count; i++) {
		const struct record *r = records_at(records, i);

		for (unsigned w = 0; w < r->word_count; w++)
			sum += strlen(r->words[w]);
		sum += (r->hash ? strlen(r->hash) : 0) + (r->password ? strlen(r->password) : 0) +
		       (r->quota ? strlen(r->quota) : 0);
	}
	__asm__ volatile("" : : "r"(sum));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct records records;
	struct import_source source = {
		.records = &records, .file = "input", .uid_most = 5000, .refuse = refuse
	};
	struct slice text, first = SLICE("");

	if (size == 0)
		return 0;
	records_init(&records);
	text = slice_of(data + 1, size - 1);
	source.domain = data[0] & 8 ? "example.org" : NULL;
	switch (data[0] & 7) {
	case 0:
		read_lines(&records, text);
		break;
	case 1:
		import_postfix(&source, RECORD_DOMAIN, text);
		break;
	case 2:
		import_postfix(&source, RECORD_MAILBOX, text);
		break;
	case 3:
		import_postfix(&source, RECORD_ALIAS, text);
		break;
	case 4:
		import_passwd_file(&source, text);
		break;
	default:
		(void)slice_split(&text, '\f', &first);
		import_system(&source, text, first);
	}
	look_at(&records);
	records_free(&records);
	return 0;
}
