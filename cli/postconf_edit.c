// SPDX-License-Identifier: ISC
/*
 * postconf -e, -X, -#: changes of main.cf and master.cf, in place, all or nothing. What comes out is parsed before it takes the
 * place of the file, so that a slip of the hand is told and changes nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/postconf.h"
#include "os/os.h"

static bool read_file(const char *path, struct buffer *text)
{
	char *room = buffer_reserve(text, CONFIG_FILE_MAX);
	ssize_t length = room ? os_read_file(AT_FDCWD, path, room, CONFIG_FILE_MAX) : -1;

	if (length < 0) {
		cli_complain("postconf", "open %s: %s", path, strerror(errno));
		return false;
	}
	text->length = (size_t)length;
	return true;
}

static bool write_file(const char *path, const struct buffer *text)
{
	char error[600];

	if (config_replace_file(path, buffer_slice(text), error, sizeof(error)))
		return true;
	cli_complain("postconf", "%s", error);
	return false;
}

/* --- main.cf --- */

/* "name=value", or "name" for the other changes. Cuts the argument in two. */
static bool parse_item(char *argument, enum config_change change, struct config_edit_item *item)
{
	char *equals = strchr(argument, '=');
	struct slice name;

	if ((change == CONFIG_SET) != (equals != NULL)) {
		cli_complain("postconf",
			equals ? "no value is allowed here: \"%s\""
			       : "missing '=' after attribute name: \"%s\"",
			argument);
		return false;
	}
	if (strpbrk(argument, "\r\n")) {
		cli_complain("postconf", "-e, -X, or -# accepts no multi-line input");
		return false;
	}
	if (equals)
		*equals = 0;
	name = slice_trim(slice_from(argument));
	argument += name.data - argument;
	argument[name.length] = 0;
	item->name = argument;
	if (equals)
		for (item->value = equals + 1; *item->value == ' ' || *item->value == '\t';
			item->value++)
			continue;
	for (const char *c = item->name; *c || c == item->name; c++) {
		if (!*c || (!ascii_alnum(*c) && !strchr("_-.", *c))) {
			cli_complain("postconf", "bad parameter name: \"%s\"", item->name);
			return false;
		}
	}
	return true;
}

static bool apply_main(
	const char *path, enum config_change change, struct config_edit_item *items, size_t count)
{
	static struct config_report report;
	struct buffer before = buffer_limited(CONFIG_FILE_MAX + 1),
		      after = buffer_limited(CONFIG_FILE_MAX);
	struct config_source *source = NULL;
	bool good = read_file(path, &before);

	if (good && !config_edit_settings(buffer_slice(&before), change, items, count, &after)) {
		cli_complain("postconf", "%s would be too large", path);
		good = false;
	}
	if (good) {
		source = config_parse(path, buffer_slice(&after), &report);
		config_report_print(&report, "postconf", false, stderr);
		good = source && write_file(path, &after);
	}
	config_source_free(&source);
	buffer_free(&before);
	buffer_free(&after);
	return good;
}

int postconf_edit_main(const struct postconf *options)
{
	enum config_change change = options->edit     ? CONFIG_SET
				    : options->remove ? CONFIG_REMOVE
						      : CONFIG_COMMENT_OUT;
	struct config_edit_item *items = calloc((size_t)options->name_count, sizeof(*items));
	char path[PATH_MAX];
	bool good = items != NULL;

	for (int i = 0; good && i < options->name_count; i++)
		good = parse_item(options->names[i], change, &items[i]);
	snprintf(path, sizeof(path), "%s/main.cf", options->folder);
	good = good && apply_main(path, change, items, (size_t)options->name_count);
	for (int i = 0; good && i < options->name_count; i++)
		if (items[i].found > 1 && change == CONFIG_SET)
			fprintf(stderr, "postconf: warning: %s: was there %u times; once now\n",
				items[i].name, items[i].found);
	free(items);
	return good ? 0 : 1;
}

/* --- master.cf --- */

struct request {
	const char *pattern; /* "smtp/inet", "smtp/inet/chroot" */
	const char *value; /* behind "=", NULL when there is none */
	bool done;
};
struct master_edit {
	const struct postconf *options;
	struct request *requests;
	int count;
	bool failed;
};

/* One line as an entry. */
static bool parse_entry(struct slice line, struct services *services)
{
	static struct config_report report;
	bool good;

	memset(&report, 0, sizeof(report));
	good = services_parse("master.cf", line, 0, services, &report) && services->count == 1;
	if (!good && !report.errors)
		config_fault_add(&report, false, "master.cf", 0, NULL, "not an entry: \"%.*s\"",
			SLICE_ARG(slice_head(line, 100)));
	config_report_print(&report, "postconf", false, stderr);
	return good;
}

/* The line with one column, or the whole command, changed. */
static bool change_field(const struct service_entry *entry, const char *field, const char *value,
	struct buffer *line)
{
	bool known = false;
	struct buffer whole = { 0 };
	struct slice rest, arguments;

	postconf_entry_text(entry, false, &whole);
	rest = slice_trim(buffer_slice(&whole));
	arguments = rest;
	for (int i = 0; i < COLUMN_COUNT; i++) {
		struct slice word;
		bool this = strcmp(field, POSTCONF_FIELDS[i]) == 0;

		slice_word(&arguments, " ", &word);
		known = known || this;
		buffer_printf(line, "%.*s ", SLICE_ARG(this ? slice_from(value) : word));
	}
	if (strcmp(field, "command") != 0)
		buffer_add(line, slice_trim(arguments));
	buffer_free(&whole);
	if (!known)
		cli_complain("postconf", "invalid service attribute name: \"%s\"", field);
	return known && !line->failed;
}

/* The line with an override set (value) or taken away (NULL). */
static bool change_parameter(
	const struct service_entry *entry, const char *name, const char *value, struct buffer *line)
{
	struct service_entry bare = *entry;
	size_t length = strlen(name);

	bare.word_count = 0;
	postconf_entry_text(&bare, false, line);
	line->length--;
	for (unsigned i = 0; i < entry->word_count; i++) {
		const char *word = entry->words[i];
		bool override = strcmp(word, "-o") == 0 && i + 1 < entry->word_count;

		if (override)
			word = entry->words[++i];
		if (override && strncmp(word, name, length) == 0 && word[length] == '=')
			continue;
		buffer_printf(line,
			override               ? " -o {%s}"
			: strpbrk(word, " \t") ? " {%s}"
					       : " %s",
			word);
	}
	if (value)
		buffer_printf(line, " -o {%s=%s}", name, value);
	return !line->failed;
}

/* The new text of an entry that `request` means. */
static bool change_entry(struct master_edit *edit, const struct service_entry *entry,
	const struct request *request, const char *rest, struct buffer *line)
{
	const struct postconf *options = edit->options;

	if (options->mode == MODE_MASTER)
		return options->edit ? buffer_add_text(line, request->value) : true;
	if (!rest) {
		cli_complain("postconf", "a third part is missing in \"%s\"", request->pattern);
		return false;
	}
	if (options->mode == MODE_PARAMETERS)
		return change_parameter(entry, rest, options->edit ? request->value : NULL, line);
	if (!options->edit) {
		cli_complain("postconf", "-F cannot be used with -X or -#");
		return false;
	}
	return change_field(entry, rest, request->value, line);
}

static bool print_entry(struct master_edit *edit, struct slice line, struct buffer *out)
{
	struct services parsed = { .any_type = true };
	bool good = parse_entry(line, &parsed);

	if (good)
		postconf_entry_text(&parsed.entries[0], true, out);
	services_free(&parsed);
	return good;
}

/* Apply all requests for this entry, one after the other. */
static enum config_edit_action edit_entry(void *context, struct slice text, struct buffer *out)
{
	struct master_edit *edit = context;
	const struct postconf *options = edit->options;
	struct buffer current = { 0 }, next = { 0 };
	bool changed = false, gone = false,
	     to_comment = options->mode == MODE_MASTER && options->comment_out;

	buffer_add(&current, text);
	for (int i = 0; i < edit->count && !edit->failed && !gone; i++) {
		struct services parsed = { .any_type = true };
		const char *rest;

		if (!parse_entry(buffer_slice(&current), &parsed)) {
			edit->failed = true;
		} else if (postconf_matches(edit->requests[i].pattern, &parsed.entries[0], &rest)) {
			edit->requests[i].done = changed = true;
			gone = options->mode == MODE_MASTER && options->remove;
			buffer_clear(&next);
			edit->failed = !change_entry(
				edit, &parsed.entries[0], &edit->requests[i], rest, &next);
			if (!edit->failed &&
				!(options->mode == MODE_MASTER && options->comment_out)) {
				buffer_clear(&current);
				buffer_add(&current, buffer_slice(&next));
			}
		}
		services_free(&parsed);
	}
	if (changed && !gone && !edit->failed && !to_comment)
		edit->failed = !print_entry(edit, buffer_slice(&current), out);
	buffer_free(&current);
	buffer_free(&next);
	return !changed || edit->failed ? CONFIG_KEEP
	       : to_comment             ? CONFIG_TO_COMMENT
					: CONFIG_REPLACE;
}

/* Entries that are new, and requests that meant nothing. */
static void finish_requests(struct master_edit *edit, struct buffer *out)
{
	for (int i = 0; i < edit->count && !edit->failed; i++) {
		const struct request *request = &edit->requests[i];

		if (request->done)
			continue;
		if (edit->options->mode == MODE_MASTER && edit->options->edit)
			edit->failed = !print_entry(edit, slice_from(request->value), out);
		else
			fprintf(stderr, "postconf: warning: unmatched service_name/type: \"%s\"\n",
				request->pattern);
	}
}

static bool parse_request(const struct postconf *options, char *argument, struct request *request)
{
	char *equals = strchr(argument, '=');

	if (options->edit != (equals != NULL) || strpbrk(argument, "\r\n")) {
		cli_complain("postconf",
			options->edit ? "missing '=' in \"%s\""
				      : "no value is allowed here: \"%s\"",
			argument);
		return false;
	}
	if (equals)
		*equals = 0;
	request->pattern = argument;
	request->value = equals ? equals + 1 : NULL;
	if (!strchr(argument, '/'))
		cli_complain("postconf", "service/type is missing in \"%s\"", argument);
	return strchr(argument, '/') != NULL;
}

static bool apply_master(const struct postconf *options, struct request *requests)
{
	static struct config_report report;
	struct master_edit edit = { options, requests, options->name_count, false };
	struct buffer before = buffer_limited(CONFIG_FILE_MAX + 1),
		      after = buffer_limited(CONFIG_FILE_MAX);
	struct services services = { .any_type = true };
	char path[PATH_MAX];
	bool good;

	snprintf(path, sizeof(path), "%s/master.cf", options->folder);
	good = read_file(path, &before) &&
	       config_edit(buffer_slice(&before), edit_entry, &edit, &after);
	if (good && !edit.failed)
		finish_requests(&edit, &after);
	good = good && !edit.failed && !after.failed;
	if (good) {
		good = services_parse(path, buffer_slice(&after), 0, &services, &report);
		config_report_print(&report, "postconf", false, stderr);
	}
	good = good && write_file(path, &after);
	services_free(&services);
	buffer_free(&before);
	buffer_free(&after);
	return good;
}

int postconf_edit_master(const struct postconf *options)
{
	struct request *requests = calloc((size_t)options->name_count, sizeof(*requests));
	bool good = requests != NULL;

	for (int i = 0; good && i < options->name_count; i++)
		good = parse_request(options, options->names[i], &requests[i]);
	good = good && apply_master(options, requests);
	free(requests);
	return good ? 0 : 1;
}
