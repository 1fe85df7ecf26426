// SPDX-License-Identifier: ISC
/*
 * master.cf. See services.h.
 */
#include <stdlib.h>

#include "config/internal.h"
#include "config/services.h"

/* The columns before the command's arguments, while a line is taken apart. */
struct line {
	const char *file;
	unsigned number;
	unsigned default_limit;
	bool any_type;
	struct slice rest;
	struct config_report *report;
};

static bool complain(const struct line *line, const struct service_entry *entry, const char *what,
	const char *value)
{
	config_fault_add(line->report, false, line->file, line->number,
		entry->columns[COLUMN_NAME] ? entry->columns[COLUMN_NAME] : NULL, "%s \"%.100s\"",
		what, value);
	return false;
}

static void entry_free(struct service_entry *entry)
{
	for (int i = 0; i < COLUMN_COUNT; i++)
		free(entry->columns[i]);
	for (unsigned i = 0; i < entry->argument_count; i++)
		free(entry->arguments[i]);
	for (unsigned i = 0; i < entry->word_count; i++)
		free(entry->words[i]);
	for (unsigned i = 0; i < entry->override_count; i++) {
		free(entry->overrides[i].name);
		free(entry->overrides[i].value);
	}
	free(entry->arguments);
	free(entry->words);
	free(entry->overrides);
}

void services_free(struct services *services)
{
	for (unsigned i = 0; i < services->count; i++)
		entry_free(&services->entries[i]);
	free(services->entries);
	free(services->file);
	*services = (struct services){ 0 };
}

/* --- columns --- */

static bool parse_yes(const struct line *line, const struct service_entry *entry,
	enum service_column column, bool usual, bool *value)
{
	static const char *const WHAT[] = { [COLUMN_PRIVATE] = "private is neither y, n nor -:",
		[COLUMN_UNPRIVILEGED] = "unprivileged is neither y, n nor -:",
		[COLUMN_CHROOT] = "chroot is neither y, n nor -:" };
	const char *text = entry->columns[column];

	if (strcmp(text, "-") == 0)
		*value = usual;
	else if (strcmp(text, "y") == 0 || strcmp(text, "n") == 0)
		*value = text[0] == 'y';
	else
		return complain(line, entry, WHAT[column], text);
	return true;
}

static bool is_foreign(const char *type)
{
	return strcmp(type, "fifo") == 0 || strcmp(type, "pass") == 0 ||
	       strcmp(type, "unix-dgram") == 0;
}

static bool parse_type(const struct line *line, struct service_entry *entry)
{
	const char *text = entry->columns[COLUMN_TYPE];

	if (strcmp(text, "inet") == 0)
		entry->type = SERVICE_INET;
	else if (strcmp(text, "unix") == 0)
		entry->type = SERVICE_UNIX;
	else if (line->any_type && is_foreign(text))
		entry->type = SERVICE_FOREIGN;
	else
		return complain(line, entry, "type is neither inet nor unix:", text);
	if (entry->type == SERVICE_INET && !services_port(entry->name, 0))
		return complain(line, entry, "not a port, nor [host:]port:", entry->name);
	if (entry->type == SERVICE_UNIX && (strchr(entry->name, '/') || entry->name[0] == '.'))
		return complain(line, entry, "not a name for a socket:", entry->name);
	return true;
}

static bool parse_wakeup(const struct line *line, struct service_entry *entry)
{
	struct slice text = slice_from(entry->columns[COLUMN_WAKEUP]);
	uint64_t value = 0;

	if (slice_equal(text, SLICE("-")))
		return true;
	if (text.length && text.data[text.length - 1] == '?') {
		entry->wakeup_lazy = true;
		text.length--;
	}
	if (!slice_to_u64(text, 86400 * 365, &value))
		return complain(line, entry,
			"wakeup is not a number of seconds:", entry->columns[COLUMN_WAKEUP]);
	entry->wakeup = (int64_t)value;
	return true;
}

static bool parse_maxproc(const struct line *line, struct service_entry *entry)
{
	const char *text = entry->columns[COLUMN_MAXPROC];
	uint64_t value = line->default_limit;

	if (strcmp(text, "-") != 0 && !slice_to_u64(slice_from(text), 1000000, &value))
		return complain(line, entry, "maxproc is not a number:", text);
	entry->maxproc = (unsigned)value;
	return true;
}

/* The program's name; it is looked for in daemon_directory and nowhere else. */
static bool parse_command(const struct line *line, struct service_entry *entry)
{
	entry->command = entry->columns[COLUMN_COMMAND];
	if (strchr(entry->command, '/') || entry->command[0] == '.' || entry->command[0] == '-')
		return complain(line, entry, "not a program in daemon_directory:", entry->command);
	return true;
}

/* All of them, so that one line's faults are told together. */
static bool parse_columns(const struct line *line, struct service_entry *entry)
{
	bool unprivileged, good;

	entry->name = entry->columns[COLUMN_NAME];
	good = parse_type(line, entry);
	good = parse_yes(line, entry, COLUMN_PRIVATE, true, &entry->is_private) && good;
	good = parse_yes(line, entry, COLUMN_UNPRIVILEGED, true, &unprivileged) && good;
	good = parse_yes(line, entry, COLUMN_CHROOT, false, &entry->chroot) && good;
	good = parse_wakeup(line, entry) && good;
	good = parse_maxproc(line, entry) && good;
	return parse_command(line, entry) && good;
}

/* --- arguments --- */

static bool add_text(char ***list, unsigned *count, struct slice text)
{
	char **grown =
		*count < SERVICE_WORDS_MAX ? realloc(*list, (*count + 2) * sizeof(*grown)) : NULL;

	if (!grown)
		return false;
	*list = grown;
	grown[*count] = slice_dup(text);
	if (!grown[*count])
		return false;
	grown[++*count] = NULL;
	return true;
}

static bool add_override(struct service_entry *entry, struct slice name, struct slice value)
{
	struct service_override *grown =
		realloc(entry->overrides, (entry->override_count + 1) * sizeof(*grown));

	if (!grown)
		return false;
	entry->overrides = grown;
	grown[entry->override_count].name = slice_dup(name);
	grown[entry->override_count].value = slice_dup(value);
	if (!grown[entry->override_count].name || !grown[entry->override_count].value) {
		free(grown[entry->override_count].name);
		free(grown[entry->override_count].value);
		return false;
	}
	entry->override_count++;
	return true;
}

/* The next word, or the inside of a { } group. False at the end, or (with a fault) when a group is not closed. */
static bool next_word(struct line *line, struct service_entry *entry, struct slice *word)
{
	line->rest = slice_trim(line->rest);
	if (line->rest.length && line->rest.data[0] == '{') {
		if (take_group(&line->rest, word))
			return true;
		complain(line, entry, "no \"}\" in", line->rest.data);
		return false;
	}
	return slice_word(&line->rest, " \t", word);
}

/* "name=value" behind -o. */
static bool parse_override(struct line *line, struct service_entry *entry, struct slice text)
{
	ptrdiff_t equals = slice_find(text, '=');
	struct slice name =
		equals > 0 ? slice_trim(slice_head(text, (size_t)equals)) : slice_of("", 0);
	struct slice value =
		equals > 0 ? slice_trim(slice_tail(text, (size_t)equals + 1)) : slice_of("", 0);
	struct buffer whole = { 0 };
	bool good;

	if (!name.length || slice_find(name, ' ') >= 0 || name.length > 120) {
		config_fault_add(line->report, false, line->file, line->number, entry->name,
			"-o is not followed by name=value but by \"%.*s\"",
			SLICE_ARG(slice_head(text, 100)));
		return false;
	}
	buffer_printf(&whole, "%.*s=%.*s", SLICE_ARG(name), SLICE_ARG(value));
	good = !whole.failed && add_override(entry, name, value) &&
	       add_text(&entry->words, &entry->word_count, SLICE("-o")) &&
	       add_text(&entry->words, &entry->word_count, buffer_slice(&whole));
	buffer_free(&whole);
	return good || complain(line, entry, "out of memory, or too many arguments at", "-o");
}

static bool parse_arguments(struct line *line, struct service_entry *entry)
{
	unsigned before = line->report->errors;
	struct slice word;
	bool good = true;

	while (good && next_word(line, entry, &word)) {
		if (slice_equal(word, SLICE("-o"))) {
			if (!next_word(line, entry, &word))
				word = slice_of("", 0);
			good = line->report->errors == before && parse_override(line, entry, word);
		} else if (slice_starts(word, SLICE("-o")) && slice_find(word, '=') > 0) {
			good = parse_override(line, entry, slice_tail(word, 2));
		} else if (!add_text(&entry->arguments, &entry->argument_count, word) ||
			   !add_text(&entry->words, &entry->word_count, word)) {
			good = complain(line, entry,
				"out of memory, or too many arguments:", entry->command);
		}
	}
	return good && line->report->errors == before;
}

/* --- lines --- */

static bool parse_line(struct line *line, struct service_entry *entry)
{
	struct slice word;

	for (int i = 0; i < COLUMN_COUNT; i++) {
		if (!slice_word(&line->rest, " \t", &word)) {
			config_fault_add(line->report, false, line->file, line->number,
				entry->columns[COLUMN_NAME],
				"%d columns; there must be service type private unpriv chroot "
				"wakeup maxproc "
				"command",
				i);
			return false;
		}
		entry->columns[i] = slice_dup(word);
		if (!entry->columns[i])
			return complain(line, entry, "out of memory at", line->file);
	}
	return parse_columns(line, entry) && parse_arguments(line, entry);
}

/* NULL-ended also when empty. */
static bool end_lists(struct service_entry *entry)
{
	if (!entry->arguments)
		entry->arguments = calloc(1, sizeof(char *));
	if (!entry->words)
		entry->words = calloc(1, sizeof(char *));
	return entry->arguments && entry->words;
}

static const struct service_entry *find_entry(
	const struct services *services, const struct service_entry *like)
{
	for (unsigned i = 0; i < services->count; i++)
		if (services->entries[i].type == like->type &&
			strcmp(services->entries[i].name, like->name) == 0)
			return &services->entries[i];
	return NULL;
}

static bool add_entry(struct services *services, struct line *line, struct service_entry *entry)
{
	const struct service_entry *same = find_entry(services, entry);
	struct service_entry *grown;

	if (same) {
		config_fault_add(line->report, false, line->file, line->number, entry->name,
			"is in line %u already", same->line);
		return false;
	}
	grown = services->count < SERVICES_MAX
			? realloc(services->entries, (services->count + 1) * sizeof(*grown))
			: NULL;
	if (!grown)
		return complain(line, entry, "out of memory, or too many services:", entry->name);
	services->entries = grown;
	grown[services->count++] = *entry;
	return true;
}

static void take_line(struct services *services, struct line *line)
{
	struct service_entry entry = { .line = line->number };

	if (!parse_line(line, &entry) || !end_lists(&entry) || !add_entry(services, line, &entry))
		entry_free(&entry);
}

bool services_parse(const char *name, struct slice text, unsigned default_limit,
	struct services *services, struct config_report *report)
{
	struct line_reader reader = { text, 1 };
	struct buffer logical = { 0 };
	unsigned before = report->errors, number;
	enum line_kind kind;

	*services = (struct services){ .file = strdup(name), .any_type = services->any_type };
	while ((kind = line_next(&reader, &logical, &number)) != LINE_END) {
		struct line line = { name, number, default_limit, services->any_type,
			buffer_slice(&logical), report };

		if (kind == LINE_TOO_LONG)
			config_fault_add(report, false, name, number, NULL, "longer than %d bytes",
				CONFIG_VALUE_MAX);
		else if (kind == LINE_STRAY)
			config_fault_add(report, true, name, number, NULL,
				"begins with white space but continues nothing; it is ignored");
		else
			take_line(services, &line);
	}
	buffer_free(&logical);
	if (!services->file)
		config_fault_add(report, false, name, 0, NULL, "out of memory");
	return report->errors == before;
}

/* The value of default_process_limit; when it is bad, config_snapshot tells. */
static unsigned default_limit_of(const struct config_source *source)
{
	const struct parameter_info *info = parameter_info(PARAM_default_process_limit);
	struct buffer text = { 0 };
	char error[200];
	int64_t value = 0;

	if (!config_value(source, info->name, &text, error, sizeof(error)) ||
		!parameter_parse(info, buffer_slice(&text), &value, error, sizeof(error)))
		value = info->least;
	buffer_free(&text);
	return (unsigned)value;
}

bool services_read(const char *folder, struct config_source *source, struct services *services,
	struct config_report *report)
{
	struct buffer text = buffer_limited(CONFIG_FILE_MAX + 1), path = { 0 };
	bool good = false;

	*services = (struct services){ .any_type = services->any_type };
	buffer_printf(&path, "%s/master.cf", folder);
	if (buffer_text(&path) && read_config_file(path.data, &text, report))
		good = services_parse(
			path.data, buffer_slice(&text), default_limit_of(source), services, report);
	for (unsigned i = 0; i < services->count; i++)
		for (unsigned j = 0; j < services->entries[i].override_count; j++)
			config_source_use(source, services->entries[i].overrides[j].value);
	buffer_free(&text);
	buffer_free(&path);
	return good;
}

/* --- evaluation --- */

struct config_source *services_source(const struct config_source *source,
	const struct services *services, const struct service_entry *entry)
{
	struct config_source *overlay = config_source_overlay(source);
	bool good = overlay && config_source_set(overlay, "service_name", entry->name) &&
		    config_source_set(overlay, "process_name", entry->command);

	for (unsigned i = 0; good && i < entry->override_count; i++)
		good = config_source_set_at(overlay, entry->overrides[i].name,
			entry->overrides[i].value, services->file, entry->line);
	if (!good)
		config_source_free(&overlay);
	return overlay;
}

bool services_snapshot(const struct config_source *source, const struct services *services,
	const struct service_entry *entry, struct buffer *snapshot, struct config_report *report)
{
	struct config_source *overlay = services_source(source, services, entry);
	bool good = overlay && config_snapshot(overlay, snapshot, report);

	if (!overlay)
		config_fault_add(
			report, false, services->file, entry->line, entry->name, "out of memory");
	config_source_free(&overlay);
	return good;
}

/* Each entry's overrides: their warnings, and whether all evaluates. Entries without any are main.cf itself. */
static void check_overrides(const struct config_source *source, const struct services *services,
	struct config_report *report)
{
	for (unsigned i = 0; i < services->count; i++) {
		struct config_source *overlay;
		struct buffer snapshot = { 0 };

		if (!services->entries[i].override_count)
			continue;
		overlay = services_source(source, services, &services->entries[i]);
		if (overlay) {
			config_warn(overlay, true, report);
			(void)!config_snapshot(overlay, &snapshot, report);
		}
		config_source_free(&overlay);
		buffer_free(&snapshot);
	}
}

struct config_source *services_load(
	const char *folder, struct services *services, struct config_report *report)
{
	struct config_source *source = config_read(folder, report);
	unsigned before = report->errors;
	struct buffer snapshot = { 0 };

	*services = (struct services){ 0 };
	if (!source)
		return NULL;
	(void)!services_read(folder, source, services, report);
	config_warn(source, true, report);
	/* When main.cf itself is wrong, it would be told again for each entry. */
	if (config_snapshot(source, &snapshot, report))
		check_overrides(source, services, report);
	buffer_free(&snapshot);
	if (report->errors > before)
		config_source_free(&source);
	return source;
}

/* --- ports --- */

static const struct {
	const char *name;
	uint16_t port;
} PORTS[] = {
	{ "smtp", 25 },
	{ "submission", 587 },
	{ "submissions", 465 },
	{ "smtps", 465 },
	{ "imap", 143 },
	{ "imap2", 143 },
	{ "imaps", 993 },
	{ "pop3", 110 },
	{ "pop-3", 110 },
	{ "pop3s", 995 },
	{ "sieve", 4190 },
	{ "lmtp", 24 },
};

/* Where the port begins: behind the last colon, unless that stands in brackets. */
static size_t port_offset(struct slice name)
{
	ptrdiff_t colon = slice_find_last(name, ':'), bracket = slice_find_last(name, ']');

	return colon < 0 || colon < bracket ? 0 : (size_t)colon + 1;
}

uint16_t services_port(const char *name, unsigned port_base)
{
	struct slice port = slice_from(name);
	uint64_t value;

	port = slice_tail(port, port_offset(port));
	if (slice_to_u64(port, 65535, &value))
		return (uint16_t)value;
	for (size_t i = 0; i < sizeof(PORTS) / sizeof(PORTS[0]); i++)
		if (slice_equal(port, slice_from(PORTS[i].name)))
			return PORTS[i].port + port_base <= 65535
				       ? (uint16_t)(PORTS[i].port + port_base)
				       : 0;
	return 0;
}

bool services_host(const char *name, char *host, size_t size)
{
	struct slice text = slice_from(name);
	size_t offset = port_offset(text);

	text = slice_head(text, offset ? offset - 1 : 0);
	if (text.length >= 2 && text.data[0] == '[' && text.data[text.length - 1] == ']')
		text = slice_tail(slice_head(text, text.length - 1), 1);
	return slice_to_string(text, host, size);
}
