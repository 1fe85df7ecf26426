// SPDX-License-Identifier: ISC
/* What postconf's modes share: main.cf as its options want it read, and a value as they want it shown. See postconf.h. */
#include <stdio.h>
#include <string.h>

#include "cli/json.h"
#include "cli/postconf.h"

enum { FOLD_WIDTH = 80 };

/* Words separated by one space; folded lines begin with four. */
static void print_words(const char *name, const char *value, bool fold)
{
	size_t column = strlen(name);
	struct slice rest = slice_from(value), word;

	fputs(name, stdout);
	for (bool first = true; slice_word(&rest, " \t\r\n", &word); first = false) {
		bool plain_start = first && !*name;

		if (fold && !plain_start && column > 4 && column + 1 + word.length >= FOLD_WIDTH) {
			fputs("\n    ", stdout);
			column = 4;
		} else if (!plain_start) {
			putchar(' ');
			column++;
		}
		printf("%.*s", SLICE_ARG(word));
		column += word.length;
	}
	putchar('\n');
}

void postconf_print(const struct postconf *options, const char *name, const char *value)
{
	struct buffer label = { 0 };

	if (options->json) {
		json_add_member(&label, "{", "name", name);
		json_add_member(&label, ", ", "value", value);
		buffer_add_text(&label, "}");
		puts(buffer_text(&label) ? label.data : "");
	} else if (options->no_value) {
		puts(name);
	} else {
		if (!options->no_name)
			buffer_printf(&label, "%s =", name);
		print_words(buffer_text(&label) ? label.data : "", value, options->fold);
	}
	buffer_free(&label);
}

struct config_source *postconf_source(const struct postconf *options, struct config_report *report)
{
	struct config_source *source;
	bool good = true;

	if (options->defaults)
		source = config_parse("default", SLICE(""), report);
	else
		source = config_read(options->folder, report);
	for (int i = 0; source && good && i < options->override_count; i++) {
		char *equals = strchr(options->overrides[i], '=');

		*equals = 0;
		good = config_source_set(source, options->overrides[i], equals + 1);
		*equals = '=';
	}
	config_report_print(report, "postconf", true, stderr);
	memset(report, 0, sizeof(*report));
	if (!good)
		config_source_free(&source);
	return source;
}
