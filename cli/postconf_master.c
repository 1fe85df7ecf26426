// SPDX-License-Identifier: ISC
/*
 * postconf -M, -F, -P: what is shown of master.cf.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cli/postconf.h"

const char *const POSTCONF_FIELDS[COLUMN_COUNT] = { "service", "type", "private", "unprivileged",
	"chroot", "wakeup", "process_limit", "command" };

/* Where the columns of master.cf begin, as Postfix writes it. */
static const size_t STOPS[COLUMN_COUNT] = { 0, 11, 17, 25, 33, 41, 49, 57 };
enum { FOLD_WIDTH = 80 };

/* An option and its value; an argument in braces when it holds space. */
static void word_text(char *const *words, unsigned *i, unsigned count, struct buffer *out)
{
	const char *word = words[*i];

	buffer_clear(out);
	if (strcmp(word, "-o") == 0 && *i + 1 < count) {
		buffer_add_text(out, "-o ");
		word = words[++*i];
	}
	buffer_printf(out, strpbrk(word, " \t") || !*word ? "{%s}" : "%s", word);
}

/* Folded, options have lines of their own, but for -v and -D that come first; other arguments are wrapped. */
static void add_command(const struct service_entry *entry, bool fold, struct buffer *out)
{
	size_t start = 0;
	bool options = true, first_line = true;
	struct buffer text = { 0 };

	buffer_add_text(out, entry->columns[COLUMN_COMMAND]);
	for (unsigned i = 0; i < entry->word_count; i++) {
		const char *word = entry->words[i];
		bool generic = strcmp(word, "-v") == 0 || strcmp(word, "-D") == 0;
		bool fresh;

		options = options && word[0] == '-';
		word_text(entry->words, &i, entry->word_count, &text);
		fresh = options ? !generic || !first_line
				: out->length - start + 1 + text.length >= FOLD_WIDTH;
		if (fold && fresh) {
			buffer_add_byte(out, '\n');
			start = out->length;
			buffer_add_text(out, "    ");
			first_line = false;
		} else {
			buffer_add_byte(out, ' ');
		}
		buffer_add(out, buffer_slice(&text));
	}
	buffer_free(&text);
}

void postconf_entry_text(const struct service_entry *entry, bool fold, struct buffer *out)
{
	struct buffer line = { 0 };

	for (int i = 0; i < COLUMN_COMMAND; i++) {
		buffer_add_text(&line, entry->columns[i]);
		do
			buffer_add_byte(&line, ' ');
		while (!line.failed && line.length < STOPS[i + 1]);
	}
	add_command(entry, fold, &line);
	buffer_add_byte(&line, '\n');
	buffer_add(out, buffer_slice(&line));
	buffer_free(&line);
}

/* A part of a pattern up to a slash. */
static bool part_matches(struct slice part, const char *text)
{
	return slice_equal(part, SLICE("*")) || slice_equal(part, slice_from(text));
}

bool postconf_matches(const char *pattern, const struct service_entry *entry, const char **rest)
{
	struct slice left = slice_from(pattern), part;

	*rest = NULL;
	if (!slice_split(&left, '/', &part) || !part_matches(part, entry->columns[COLUMN_NAME]))
		return false;
	if (!slice_split(&left, '/', &part))
		return true;
	if (left.length)
		*rest = left.data;
	return part_matches(part, entry->columns[COLUMN_TYPE]);
}

static void print_one(const struct postconf *options, const struct config_source *source,
	const struct service_entry *entry, const char *name, const char *value)
{
	struct buffer label = { 0 }, expanded = { 0 };
	char error[300];

	buffer_printf(
		&label, "%s/%s/%s", entry->columns[COLUMN_NAME], entry->columns[COLUMN_TYPE], name);
	if (options->expand && config_expand(source, value, &expanded, error, sizeof(error)) &&
		buffer_text(&expanded))
		value = expanded.data;
	if (buffer_text(&label))
		postconf_print(options, label.data, value);
	buffer_free(&label);
	buffer_free(&expanded);
}

static bool wanted(const char *only, const char *name)
{
	return !only || strcmp(only, "*") == 0 || strcmp(only, name) == 0;
}

static void show_fields(const struct postconf *options, const struct config_source *source,
	const struct service_entry *entry, const char *only)
{
	struct buffer command = { 0 };

	for (int i = 0; i < COLUMN_COMMAND; i++)
		if (wanted(only, POSTCONF_FIELDS[i]))
			print_one(options, source, entry, POSTCONF_FIELDS[i], entry->columns[i]);
	add_command(entry, false, &command);
	if (wanted(only, POSTCONF_FIELDS[COLUMN_COMMAND]) && buffer_text(&command))
		print_one(options, source, entry, POSTCONF_FIELDS[COLUMN_COMMAND], command.data);
	buffer_free(&command);
}

static int compare_overrides(const void *a, const void *b)
{
	return strcmp(((const struct service_override *)a)->name,
		((const struct service_override *)b)->name);
}

/* Sorted by name; of doubles the last holds. */
static void show_parameters(const struct postconf *options, const struct config_source *source,
	struct service_entry *entry, const char *only)
{
	for (unsigned i = 0; i < entry->override_count; i++)
		for (unsigned j = i + 1; j < entry->override_count; j++)
			if (strcmp(entry->overrides[i].name, entry->overrides[j].name) == 0)
				entry->overrides[i].value[0] = 0, entry->overrides[i].name[0] = 0;
	if (entry->override_count)
		qsort(entry->overrides, entry->override_count, sizeof(entry->overrides[0]),
			compare_overrides);
	for (unsigned i = 0; i < entry->override_count; i++)
		if (entry->overrides[i].name[0] && wanted(only, entry->overrides[i].name))
			print_one(options, source, entry, entry->overrides[i].name,
				entry->overrides[i].value);
}

static void show_entry(const struct postconf *options, const struct config_source *source,
	struct service_entry *entry, const char *only)
{
	struct buffer line = { 0 };

	if (options->mode == MODE_FIELDS) {
		show_fields(options, source, entry, only);
	} else if (options->mode == MODE_PARAMETERS) {
		show_parameters(options, source, entry, only);
	} else if (options->json) {
		postconf_entry_text(entry, false, &line);
		line.length--;
		if (buffer_text(&line))
			print_one(options, source, entry, "line", line.data);
	} else {
		postconf_entry_text(entry, options->fold, &line);
		if (buffer_text(&line))
			fputs(line.data, stdout);
	}
	buffer_free(&line);
}

static bool show_matching(const struct postconf *options, const struct config_source *source,
	struct services *services, const char *pattern)
{
	bool any = false;
	const char *rest;

	for (unsigned i = 0; i < services->count; i++) {
		if (pattern && !postconf_matches(pattern, &services->entries[i], &rest))
			continue;
		any = true;
		show_entry(options, source, &services->entries[i], pattern ? rest : NULL);
	}
	return any;
}

static bool is_field(const char *name)
{
	for (int i = 0; i < COLUMN_COUNT; i++)
		if (wanted(name, POSTCONF_FIELDS[i]))
			return true;
	return false;
}

static const char *third_part(const char *pattern)
{
	const char *slash = strchr(pattern, '/');

	slash = slash ? strchr(slash + 1, '/') : NULL;
	return slash && slash[1] ? slash + 1 : NULL;
}

int postconf_master(const struct postconf *options)
{
	static struct config_report report;
	struct config_source *source = postconf_source(options, &report);
	struct services services = { .any_type = true };
	int status = 1;

	if (source && services_read(options->folder, source, &services, &report)) {
		status = 0;
		if (!options->name_count)
			show_matching(options, source, &services, NULL);
		for (int i = 0; i < options->name_count && status == 0; i++) {
			if (options->mode == MODE_FIELDS &&
				!is_field(third_part(options->names[i]))) {
				cli_complain("postconf", "invalid service attribute name: \"%s\"",
					third_part(options->names[i]));
				status = 1;
			} else if (!show_matching(options, source, &services, options->names[i])) {
				fprintf(stderr, "postconf: warning: unmatched request: \"%s\"\n",
					options->names[i]);
			}
		}
	}
	config_report_print(&report, "postconf", true, stderr);
	services_free(&services);
	config_source_free(&source);
	return status;
}
