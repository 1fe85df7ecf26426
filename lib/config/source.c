// SPDX-License-Identifier: ISC
/*
 * main.cf as written: settings by name, with file and line.
 */
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "config/internal.h"

/* Names that have a value by circumstances; empty where there are none. */
static const struct {
	const char *name, *value;
} AUTOMATIC[] = {
	{ "mail_version", POSTERN_VERSION },
	{ "process_id", "" },
	{ "process_name", "" },
	{ "server_id", "" },
	{ "service_name", "" },
	{ "stress", "" },
};

static const char *automatic_value(const char *name)
{
	for (size_t i = 0; i < sizeof(AUTOMATIC) / sizeof(AUTOMATIC[0]); i++)
		if (strcmp(AUTOMATIC[i].name, name) == 0)
			return AUTOMATIC[i].value;
	return NULL;
}

bool name_is_automatic(const char *name)
{
	return automatic_value(name) != NULL;
}

bool parameter_is_raw(enum parameter p)
{
	return p == PARAM_mailbox_command || p == PARAM_luser_relay ||
	       p == PARAM_smtpd_reject_footer;
}

/* A name without a domain gets Postfix's. */
static void system_hostname(char *name, size_t size)
{
	char host[200];

	if (gethostname(host, sizeof(host)) < 0 || !host[0])
		snprintf(host, sizeof(host), "localhost");
	host[sizeof(host) - 1] = 0;
	snprintf(name, size, "%s%s", host, strchr(host, '.') ? "" : ".localdomain");
}

static struct config_source *source_new(const struct config_source *parent)
{
	struct config_source *source = calloc(1, sizeof(*source));

	if (!source)
		return NULL;
	source->parent = parent;
	source->settings = vector_of(sizeof(struct setting *), CONFIG_SETTINGS_MAX);
	if (!parent)
		system_hostname(source->hostname, sizeof(source->hostname));
	return source;
}

struct config_source *config_source_overlay(const struct config_source *parent)
{
	return source_new(parent);
}

static void setting_free(struct setting *setting)
{
	if (!setting)
		return;
	free(setting->name);
	free(setting->value);
	free(setting->file);
	free(setting);
}

void config_source_free(struct config_source **source)
{
	struct config_source *s = *source;

	if (!s)
		return;
	for (size_t i = 0; i < s->settings.count; i++)
		setting_free(*(struct setting **)vector_at(&s->settings, i));
	vector_free(&s->settings);
	map_free(&s->by_name);
	map_free(&s->used);
	free(s);
	*source = NULL;
}

const struct setting *source_find(const struct config_source *source, const char *name)
{
	const struct setting *setting = NULL;

	for (; source && !setting; source = source->parent)
		setting = map_get(&source->by_name, slice_from(name));
	return setting;
}

const char *source_text(const struct config_source *source, const char *name)
{
	const struct setting *setting = source_find(source, name);
	enum parameter p = parameter_of(name);
	bool hostname = p == PARAM_myhostname;

	if (setting && !(hostname && !setting->value[0]))
		return setting->value;
	if (hostname) {
		while (source->parent)
			source = source->parent;
		return source->hostname;
	}
	if (p < PARAM_COUNT)
		return parameter_info(p)->value;
	return automatic_value(name);
}

const char *config_source_raw(const struct config_source *source, const char *name, unsigned *line)
{
	const struct setting *setting = source_find(source, name);

	if (line)
		*line = setting ? setting->line : 0;
	return setting ? setting->value : NULL;
}

/* A second setting of a name takes the place of the first. */
static bool setting_replace(
	struct setting *setting, const char *value, const char *file, unsigned line)
{
	char *new_value = strdup(value), *new_file = strdup(file);

	if (!new_value || !new_file) {
		free(new_value);
		free(new_file);
		return false;
	}
	free(setting->value);
	free(setting->file);
	setting->value = new_value;
	setting->file = new_file;
	setting->line = line;
	return true;
}

bool config_source_set_at(struct config_source *source, const char *name, const char *value,
	const char *file, unsigned line)
{
	struct setting *setting = map_get(&source->by_name, slice_from(name)), **place;

	if (setting)
		return setting_replace(setting, value, file, line);
	setting = calloc(1, sizeof(*setting));
	if (!setting)
		return false;
	setting->name = strdup(name);
	if (!setting->name || !setting_replace(setting, value, file, line)) {
		setting_free(setting);
		return false;
	}
	place = vector_add(&source->settings);
	if (!place) {
		setting_free(setting);
		return false;
	}
	*place = setting;
	return map_put(&source->by_name, slice_from(name), setting);
}

bool config_source_set(struct config_source *source, const char *name, const char *value)
{
	return config_source_set_at(source, name, value, "-o", 0);
}

void config_source_each(const struct config_source *source,
	void (*each)(void *context, const char *name, const char *raw, unsigned line),
	void *context)
{
	for (size_t i = 0; i < source->settings.count; i++) {
		const struct setting *setting = *(struct setting **)vector_at(&source->settings, i);

		each(context, setting->name, setting->value, setting->line);
	}
}

/* --- parsing --- */

static bool is_name(struct slice name)
{
	for (size_t i = 0; i < name.length; i++)
		if (!ascii_alnum(name.data[i]) && !strchr("_-.", name.data[i]))
			return false;
	return name.length > 0;
}

static void parse_setting(struct config_source *source, const char *file, unsigned line,
	struct slice text, struct config_report *report)
{
	ptrdiff_t equals = slice_find(text, '=');
	struct slice value =
		equals < 0 ? slice_of("", 0) : slice_trim(slice_tail(text, (size_t)equals + 1));
	struct slice name = equals < 0 ? text : slice_trim(slice_head(text, (size_t)equals));
	const struct setting *before;
	char name_text[128], *value_text;

	if (equals < 0 || !is_name(name) || !slice_to_string(name, name_text, sizeof(name_text))) {
		config_fault_add(report, false, file, line, NULL,
			"\"%.*s\" is not \"name = value\"", SLICE_ARG(slice_head(text, 100)));
		return;
	}
	before = map_get(&source->by_name, name);
	if (before)
		config_fault_add(
			report, true, file, line, name_text, "overrides line %u", before->line);
	value_text = slice_dup(value);
	if (!value_text || !config_source_set_at(source, name_text, value_text, file, line))
		config_fault_add(report, false, file, line, name_text,
			"out of memory, or more than %d parameters", CONFIG_SETTINGS_MAX);
	free(value_text);
}

/* False when the file as a whole could not be gone through. */
static void parse_lines(struct config_source *source, const char *file, struct slice text,
	struct config_report *report)
{
	struct line_reader reader = { text, 1 };
	struct buffer logical = { 0 };
	enum line_kind kind;
	unsigned line;

	while ((kind = line_next(&reader, &logical, &line)) != LINE_END) {
		if (kind == LINE_TOO_LONG)
			config_fault_add(report, false, file, line, NULL, "longer than %d bytes",
				CONFIG_VALUE_MAX);
		else if (kind == LINE_STRAY)
			config_fault_add(report, true, file, line, NULL,
				"begins with white space but continues nothing; it is ignored");
		else
			parse_setting(source, file, line, buffer_slice(&logical), report);
	}
	buffer_free(&logical);
}

struct config_source *config_parse(
	const char *name, struct slice text, struct config_report *report)
{
	struct config_source *source = source_new(NULL);
	unsigned before = report->errors;

	if (!source) {
		config_fault_add(report, false, name, 0, NULL, "out of memory");
		return NULL;
	}
	if (slice_find(text, '\0') >= 0)
		config_fault_add(report, false, name, 0, NULL, "holds a NUL byte");
	else
		parse_lines(source, name, text, report);
	if (report->errors > before)
		config_source_free(&source);
	return source;
}

struct config_source *config_read(const char *folder, struct config_report *report)
{
	struct buffer text = buffer_limited(CONFIG_FILE_MAX + 1);
	struct config_source *source = NULL;
	char path[PATH_MAX], absolute[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/main.cf", folder) >= (int)sizeof(path))
		config_fault_add(report, false, folder, 0, NULL, "the path is too long");
	else if (!realpath(folder, absolute))
		config_fault_add(report, false, path, 0, NULL, "cannot be read: %m");
	else if (read_config_file(path, &text, report))
		source = config_parse(path, buffer_slice(&text), report);
	if (source && !config_source_set(source, "config_directory", absolute))
		config_source_free(&source);
	buffer_free(&text);
	return source;
}
