// SPDX-License-Identifier: ISC
/*
 * The snapshot: every parameter's final value in one run of bytes, made by master, mapped read-only by daemons.
 *
 * Layout, in the machine's byte order (both ends are one build; `table` proves it): struct header; one struct row a parameter
 * in the order of the enum; `extras` pairs of string offsets (name, value), sorted by name; strings, NUL-ended.
 */
#include <stdlib.h>

#include "config/internal.h"

#define SNAPSHOT_MAGIC 0x46435350u /* "PSCF" */

struct header {
	uint32_t magic;
	uint32_t size; /* of it all, bytes */
	uint64_t table; /* hash of the table of parameters */
	uint32_t rows;
	uint32_t extras;
};
struct row {
	uint32_t text; /* offset from the beginning */
	uint32_t unused;
	int64_t value; /* as of parameter_parse */
};
struct extra {
	uint32_t name, value;
};

struct config {
	struct slice data;
	const struct row *rows;
	const struct extra *extras;
	uint32_t extra_count;
};

static uint64_t hash_bytes(uint64_t hash, const void *data, size_t length)
{
	const unsigned char *byte = data;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ byte[i]) * 0x100000001b3ull;
	return hash;
}

/* Changes whenever a snapshot of another build would be read wrongly. FNV-1a: this is no defence, only a version. */
static uint64_t table_hash(void)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (int p = 0; p < PARAM_COUNT; p++) {
		const struct parameter_info *info = parameter_info((enum parameter)p);

		hash = hash_bytes(hash, info->name, strlen(info->name) + 1);
		hash = hash_bytes(hash, &info->type, sizeof(info->type));
		hash = hash_bytes(hash, &info->least, sizeof(info->least));
		hash = hash_bytes(hash, &info->most, sizeof(info->most));
	}
	return hash;
}

/* --- making --- */

/* Parameters whose values are few words. A value with an empty list of its own is not here. */
static const struct {
	enum parameter parameter;
	const char *words; /* separated by space */
} CHOICES[] = {
	{ PARAM_inet_protocols, "all ipv4 ipv6" },
	{ PARAM_log_format, "text json" },
	{ PARAM_sandbox, "required best-effort" },
	{ PARAM_syslog_facility, "mail user daemon auth authpriv syslog cron lpr news uucp local0 "
				 "local1 local2 local3 "
				 "local4 local5 local6 local7" },
	{ PARAM_smtpd_forbid_bare_newline, "reject normalize yes no note" },
};

static bool is_choice(struct slice value, const char *words)
{
	struct slice rest = slice_from(words), word;

	while (slice_word(&rest, " ", &word))
		if (slice_equal(value, word))
			return true;
	return false;
}

/* Every word of `value` must be a choice, and there is at least one. */
static bool check_choice(enum parameter p, struct slice value, char *error, size_t error_size)
{
	struct slice word;
	bool any = false;

	for (size_t i = 0; i < sizeof(CHOICES) / sizeof(CHOICES[0]); i++) {
		if (CHOICES[i].parameter != p)
			continue;
		while (slice_word(&value, ", \t", &word)) {
			any = true;
			if (!is_choice(word, CHOICES[i].words)) {
				snprintf(error, error_size, "\"%.*s\" is none of: %s",
					SLICE_ARG(slice_head(word, 100)), CHOICES[i].words);
				return false;
			}
		}
		if (!any)
			snprintf(
				error, error_size, "is empty; choose one of: %s", CHOICES[i].words);
		return any;
	}
	return true;
}

void config_setting_fault(const struct config_source *source, const char *name, bool warning,
	const char *error, struct config_report *report)
{
	const struct setting *setting = source_find(source, name);

	config_fault_add(report, warning, setting ? setting->file : "default",
		setting ? setting->line : 0, name, "%s", error);
}

/* Appends the NUL-ended text of one name. */
static bool evaluate(const struct config_source *source, const char *name,
	const struct parameter_info *info, struct buffer *strings, int64_t *value,
	struct config_report *report)
{
	size_t start = strings->length;
	char error[300] = "";
	struct slice text;

	if (!config_value(source, name, strings, error, sizeof(error))) {
		config_setting_fault(source, name, !info, error, report);
		strings->length = start;
		return false;
	}
	text = slice_tail(buffer_slice(strings), start);
	if (info && !parameter_parse(info, text, value, error, sizeof(error))) {
		config_setting_fault(source, name, false, error, report);
		return false;
	}
	if (info && strcmp(info->name, name) == 0 &&
		!check_choice(parameter_of(name), text, error, sizeof(error))) {
		config_setting_fault(source, name, false, error, report);
		return false;
	}
	return buffer_add_byte(strings, 0);
}

/* Names outside the table: user-defined, and TRANSPORT_destination_...; of source and its parents, without doubles. */
static void collect_extras(const struct config_source *source, struct vector *extras)
{
	for (const struct config_source *s = source; s; s = s->parent) {
		for (size_t i = 0; i < s->settings.count; i++) {
			const struct setting *setting =
				*(struct setting **)vector_at(&s->settings, i);
			const struct setting **place;

			if (parameter_of(setting->name) != PARAM_COUNT ||
				source_find(source, setting->name) != setting)
				continue;
			place = vector_add(extras);
			if (place)
				*place = setting;
		}
	}
}

static int compare_settings(const void *a, const void *b)
{
	const struct setting *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

/* Strings of the extras; those that cannot be evaluated are left out (a parameter that refers to one fails by itself). */
static unsigned add_extras(const struct config_source *source, const struct vector *settings,
	struct extra *extras, struct buffer *strings, struct config_report *report)
{
	unsigned count = 0;

	for (size_t i = 0; i < settings->count; i++) {
		const struct setting *setting = *(const struct setting **)vector_at(settings, i);
		enum parameter standard = parameter_of_transport(setting->name);
		uint32_t start = (uint32_t)strings->length;
		int64_t value;

		extras[count].value = start;
		if (!evaluate(source, setting->name,
			    standard < PARAM_COUNT ? parameter_info(standard) : NULL, strings,
			    &value, report)) {
			strings->length = start;
			continue;
		}
		extras[count++].name = (uint32_t)strings->length;
		buffer_append(strings, setting->name, strlen(setting->name) + 1);
	}
	return count;
}

/* Offsets so far count from the strings' beginning; in the snapshot they count from the header. */
static bool assemble(struct buffer *snapshot, struct row *rows, struct extra *extras,
	unsigned extra_count, const struct buffer *strings)
{
	uint32_t base = (uint32_t)(sizeof(struct header) + PARAM_COUNT * sizeof(*rows) +
				   extra_count * sizeof(*extras));
	struct header header = { .magic = SNAPSHOT_MAGIC,
		.size = base + (uint32_t)strings->length,
		.table = table_hash(),
		.rows = PARAM_COUNT,
		.extras = extra_count };

	for (unsigned i = 0; i < PARAM_COUNT; i++)
		rows[i].text += base;
	for (unsigned i = 0; i < extra_count; i++) {
		extras[i].name += base;
		extras[i].value += base;
	}
	buffer_append(snapshot, &header, sizeof(header));
	buffer_append(snapshot, rows, PARAM_COUNT * sizeof(*rows));
	buffer_append(snapshot, extras, extra_count * sizeof(*extras));
	return buffer_append(snapshot, strings->data, strings->length);
}

bool config_snapshot(
	const struct config_source *source, struct buffer *snapshot, struct config_report *report)
{
	struct vector settings = vector_of(sizeof(struct setting *), 0);
	struct row rows[PARAM_COUNT] = { 0 };
	struct buffer strings = { 0 };
	struct extra *extras;
	unsigned before = report->errors, count;
	bool good = false;

	for (int p = 0; p < PARAM_COUNT; p++) {
		const struct parameter_info *info = parameter_info((enum parameter)p);

		rows[p].text = (uint32_t)strings.length;
		(void)!evaluate(source, info->name, info, &strings, &rows[p].value, report);
	}
	collect_extras(source, &settings);
	if (settings.count)
		qsort(settings.items, settings.count, settings.size, compare_settings);
	extras = calloc(settings.count + 1, sizeof(*extras));
	if (extras) {
		count = add_extras(source, &settings, extras, &strings, report);
		good = report->errors == before && !strings.failed &&
		       assemble(snapshot, rows, extras, count, &strings);
	}
	if (!good && report->errors == before)
		config_fault_add(report, false, "main.cf", 0, NULL, "out of memory");
	free(extras);
	vector_free(&settings);
	buffer_free(&strings);
	return good;
}

/* --- reading --- */

/* Every offset must lie inside; the last byte is NUL, so every string ends. */
static bool offsets_good(const struct config *config)
{
	for (unsigned i = 0; i < PARAM_COUNT; i++)
		if (config->rows[i].text >= config->data.length)
			return false;
	for (unsigned i = 0; i < config->extra_count; i++)
		if (config->extras[i].name >= config->data.length ||
			config->extras[i].value >= config->data.length)
			return false;
	return true;
}

static bool open_into(struct config *config, struct slice snapshot)
{
	size_t fixed = sizeof(struct header) + PARAM_COUNT * sizeof(struct row);
	struct header header;

	if (snapshot.length < fixed || (uintptr_t)snapshot.data % _Alignof(struct row))
		return false;
	memcpy(&header, snapshot.data, sizeof(header));
	if (header.magic != SNAPSHOT_MAGIC || header.size != snapshot.length ||
		header.table != table_hash() || header.rows != PARAM_COUNT ||
		header.extras > (snapshot.length - fixed) / sizeof(struct extra) ||
		snapshot.data[snapshot.length - 1] != 0)
		return false;
	config->data = snapshot;
	config->rows = (const void *)(snapshot.data + sizeof(header));
	config->extras = (const void *)(snapshot.data + fixed);
	config->extra_count = header.extras;
	return offsets_good(config);
}

struct config *config_open(struct slice snapshot)
{
	struct config *config = calloc(1, sizeof(*config));

	if (config && !open_into(config, snapshot))
		config_free(&config);
	return config;
}

void config_free(struct config **config)
{
	free(*config);
	*config = NULL;
}

const char *config_text(const struct config *config, enum parameter p)
{
	return config->data.data + config->rows[p].text;
}

bool config_bool(const struct config *config, enum parameter p)
{
	return config->rows[p].value != 0;
}

int64_t config_int(const struct config *config, enum parameter p)
{
	return config->rows[p].value;
}

int64_t config_time(const struct config *config, enum parameter p)
{
	return config->rows[p].value;
}

const char *config_lookup(const struct config *config, const char *name)
{
	enum parameter p = parameter_of(name);
	unsigned low = 0, high = config->extra_count;

	if (p < PARAM_COUNT)
		return config_text(config, p);
	while (low < high) {
		unsigned middle = low + (high - low) / 2;
		const struct extra *extra = &config->extras[middle];
		int order = strcmp(name, config->data.data + extra->name);

		if (order == 0)
			return config->data.data + extra->value;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* --- lists --- */

/* The end of an item: separators inside { } do not count. */
static size_t item_length(struct slice s)
{
	size_t i;
	int depth = 0;

	for (i = 0; i < s.length; i++) {
		if (s.data[i] == '{')
			depth++;
		else if (s.data[i] == '}' && depth)
			depth--;
		else if (!depth && strchr(", \t\r\n", s.data[i]))
			break;
	}
	return i;
}

bool config_each(const char *list, bool (*each)(void *context, struct slice item), void *context)
{
	struct slice rest = slice_from(list);

	while (rest.length) {
		size_t length = item_length(rest);

		if (length && !each(context, slice_head(rest, length)))
			return false;
		rest = slice_tail(rest, length ? length : 1);
	}
	return true;
}
