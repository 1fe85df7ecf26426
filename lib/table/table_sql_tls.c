// SPDX-License-Identifier: ISC
/*
 * What connections to SQL servers are secured by: the tls_ parameters of mysql: tables, and the files that the client libraries read,
 * these or those of a URI, when they connect. Who confines himself must know the files before. See table_sql_impl.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "os/os.h"
#include "table/table_sql_impl.h"

static const enum cf_option FILE_OPTIONS[] = { CF_TLS_CERT_FILE, CF_TLS_KEY_FILE, CF_TLS_CA_FILE,
	CF_TLS_CA_PATH, CF_OPTION_FILE };
enum { FILE_OPTION_COUNT = sizeof(FILE_OPTIONS) / sizeof(FILE_OPTIONS[0]), FILES_MOST = 64 };

/* --- parameters --- */

static bool is_one_of(const char *value, const char *const words[2])
{
	return slice_equal_nocase(slice_from(value), slice_from(words[0])) ||
	       slice_equal_nocase(slice_from(value), slice_from(words[1]));
}

/* NULL is no. False: it is neither. */
static bool read_bool(const char *value, bool *on)
{
	static const char *const YES[2] = { "yes", "true" }, *const NO[2] = { "no", "false" };

	*on = value && is_one_of(value, YES);
	return !value || *on || is_one_of(value, NO);
}

bool sql_tls_check(
	const struct table_opening *opening, const char *path, const struct cf_options *options)
{
	bool verify;

	for (size_t i = 0; i < FILE_OPTION_COUNT; i++) {
		const char *file = options->value[FILE_OPTIONS[i]];

		if (file && file[0] != '/')
			return table_fail(opening, "%s:%u: not an absolute path: %s", path,
				       options->line[FILE_OPTIONS[i]], file) != NULL;
	}
	if (!read_bool(options->value[CF_TLS_VERIFY_CERT], &verify))
		return table_fail(opening, "%s:%u: tls_verify_cert is yes or no", path,
			       options->line[CF_TLS_VERIFY_CERT]) != NULL;
	/* The library's own authorities are out of reach for who confines himself. */
	if (verify && !options->value[CF_TLS_CA_FILE] && !options->value[CF_TLS_CA_PATH])
		return table_fail(opening, "%s:%u: tls_verify_cert needs tls_CAfile or tls_CApath",
			       path, options->line[CF_TLS_VERIFY_CERT]) != NULL;
	if (options->value[CF_TLS_KEY_FILE] && !options->value[CF_TLS_CERT_FILE])
		return table_fail(opening, "%s:%u: tls_key_file needs a tls_cert_file", path,
			       options->line[CF_TLS_KEY_FILE]) != NULL;
	if (options->value[CF_OPTION_GROUP] && !options->value[CF_OPTION_FILE])
		return table_fail(opening, "%s:%u: option_group needs an option_file", path,
			       options->line[CF_OPTION_GROUP]) != NULL;
	return true;
}

struct sql_tls sql_tls_of(const struct sql_lookup_table *table)
{
	char *const *value = table->options.value;
	struct sql_tls tls = { .cert_file = value[CF_TLS_CERT_FILE],
		.key_file = value[CF_TLS_KEY_FILE],
		.ca_file = value[CF_TLS_CA_FILE],
		.ca_path = value[CF_TLS_CA_PATH],
		.ciphers = value[CF_TLS_CIPHERS] };

	(void)!read_bool(value[CF_TLS_VERIFY_CERT], &tls.verify_name); /* it was checked */
	tls.wanted = tls.cert_file || tls.ca_file || tls.ca_path || tls.ciphers || tls.verify_name;
	return tls;
}

/* --- files --- */

bool sql_file_add(struct sql_lookup_table *table, const struct table_opening *opening,
	const char *path, unsigned line, const char *file)
{
	struct sql_file *entry;

	if (table->files.size == 0)
		table->files = vector_of(sizeof(struct sql_file), FILES_MOST);
	entry = vector_add(&table->files);
	if (!entry)
		return table_fail(opening, "%s:%u: too many files", path, line) != NULL;
	entry->stamp = FILE_STAMP_NONE;
	entry->path = strdup(file);
	return (entry->path && file_stamp_take(&entry->stamp, file)) ||
	       table_fail(opening, "%s:%u: %s: %s", path, line, file, strerror(errno));
}

bool sql_files_add(
	struct sql_lookup_table *table, const struct table_opening *opening, const char *path)
{
	for (size_t i = 0; i < FILE_OPTION_COUNT; i++) {
		enum cf_option option = FILE_OPTIONS[i];

		if (table->options.value[option] &&
			!sql_file_add(table, opening, path, table->options.line[option],
				table->options.value[option]))
			return false;
	}
	return true;
}

void sql_files_free(struct sql_lookup_table *table)
{
	for (size_t i = 0; i < table->files.count; i++) {
		struct sql_file *entry = vector_at(&table->files, i);

		file_stamp_free(&entry->stamp);
		free(entry->path);
	}
	vector_free(&table->files);
}

bool sql_files_changed(const struct table *base)
{
	const struct sql_lookup_table *table = (const struct sql_lookup_table *)base;
	bool changed = file_stamp_changed(&base->stamp);

	for (size_t i = 0; i < table->files.count && !changed; i++)
		changed = file_stamp_changed(
			&((const struct sql_file *)vector_at(&table->files, i))->stamp);
	return changed;
}

bool sql_files_read(const struct sql_lookup_table *table, char *error, size_t size)
{
	for (size_t i = 0; i < table->files.count; i++) {
		const char *path = ((const struct sql_file *)vector_at(&table->files, i))->path;
		int fd = os_open(path, O_RDONLY | O_NONBLOCK, 0);

		if (fd < 0) {
			snprintf(error, size, "%s: %s", path, strerror(errno));
			return false;
		}
		os_close(&fd);
	}
	return true;
}

bool sql_table_files(
	const struct table *base, bool (*each)(void *context, const char *path), void *context)
{
	const struct sql_lookup_table *table = (const struct sql_lookup_table *)base;

	for (size_t i = 0; i < table->files.count; i++)
		if (!each(context, ((const struct sql_file *)vector_at(&table->files, i))->path))
			return false;
	return true;
}
