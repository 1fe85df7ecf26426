// SPDX-License-Identifier: ISC
/*
 * postmap and postalias - make and ask lookup tables, with Postfix's options; newaliases makes those of alias_database.
 * Exit status of -q and -d: 0 found, 1 not.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli.h"
#include "config/config.h"
#include "table/table.h"

enum { NOT_FOUND = 1, LINE_MOST = 1 << 20 };

struct postmap {
	const char *name; /* of the command */
	bool aliases; /* postalias */
	bool fold, warn, incremental, replace, sequence;
	const char *query, *erase;
	struct config_source *source; /* main.cf, or NULL when there is none */
};

static int usage(const struct postmap *map)
{
	fprintf(stderr,
		"usage: %s [-c FOLDER] [-firsw] [-d KEY] [-q KEY] [TYPE:]FILE ...\n"
		"  -q KEY  look up (- reads keys from standard input)    -s  show all entries\n"
		"  -d KEY  delete (- likewise)                           -i  add entries from "
		"standard input\n"
		"  -r      with -i: replace entries that are there       -w  no warning of "
		"duplicates\n"
		"  -f      keys as they are, not in lower case\n"
		"Without -q -s -d -i: make FILE.db from FILE.\n",
		map->name);
	return EX_USAGE;
}

static int fail(const struct postmap *map, const char *text)
{
	cli_complain(map->name, "%s", text);
	return EX_DATAERR;
}

/* --- one table --- */

/* "hash:file"; a name without a type has default_database_type. False when out of memory. */
static bool full_spec(const struct postmap *map, const char *argument, struct buffer *spec)
{
	struct buffer type = { 0 };
	char error[200];

	if (!strchr(argument, ':')) {
		if (!map->source || !config_value(map->source, "default_database_type", &type,
					    error, sizeof(error)))
			buffer_add_text(&type, "hash");
		buffer_add(spec, buffer_slice(&type));
		buffer_add_byte(spec, ':');
	}
	buffer_add_text(spec, argument);
	buffer_free(&type);
	return buffer_text(spec) != NULL;
}

/* "hash" and "file" of "hash:file", in place. */
static const char *split_spec(char *spec)
{
	char *colon = strchr(spec, ':');

	*colon = '\0';
	return colon + 1;
}

static struct table *open_table(const struct postmap *map, const char *spec)
{
	char error[600];
	struct table *table =
		table_open(spec, NULL, map->fold ? TABLE_FOLD : 0, error, sizeof(error));

	if (!table)
		cli_complain(map->name, "%s", error);
	return table;
}

static int make(const struct postmap *map, char *spec)
{
	struct table_build_report report;
	const char *file = split_spec(spec);

	if (!table_build(spec, file, map->aliases, map->fold, &report))
		return fail(map, report.error);
	if (report.duplicates && map->warn)
		fprintf(stderr, "%s: warning: %s: %u duplicate entries ignored\n", map->name, file,
			report.duplicates);
	return EX_OK;
}

static bool print_entry(void *context, struct slice key, struct slice value)
{
	const struct postmap *map = context;

	printf("%.*s%s%.*s\n", SLICE_ARG(key), map->aliases ? ":\t" : "\t", SLICE_ARG(value));
	return true;
}

static int list(const struct postmap *map, char *spec)
{
	struct table *table = open_table(map, spec);
	int status = EX_OK;

	if (!table)
		return EX_DATAERR;
	if (!table_each(table, print_entry, (void *)map))
		status = fail(map, "this table's entries cannot be listed");
	table_close(&table);
	return status;
}

/* --- keys, one or many --- */

/* What to do with a key: EX_OK found, NOT_FOUND, or an error. */
typedef int (*key_action)(const struct postmap *map, void *context, struct slice key, bool many);

static struct slice without_line_end(char *line, ssize_t length)
{
	struct slice s = slice_of(line, (size_t)length);

	while (s.length && (s.data[s.length - 1] == '\n' || s.data[s.length - 1] == '\r'))
		s.length--;
	return s;
}

/* `key`, or each line of standard input when it is "-". Found when one was. */
static int each_key(const struct postmap *map, const char *key, key_action action, void *context)
{
	int status = NOT_FOUND;
	char *line = NULL;
	size_t size = 0;
	ssize_t length;

	if (strcmp(key, "-") != 0)
		return action(map, context, slice_from(key), false);
	while ((length = getline(&line, &size, stdin)) >= 0) {
		int one = length > LINE_MOST
				  ? fail(map, "line too long")
				  : action(map, context, without_line_end(line, length), true);

		if (one == EX_OK)
			status = one;
		else if (one != NOT_FOUND) {
			status = one;
			break;
		}
	}
	free(line);
	return status;
}

static int query_key(const struct postmap *map, void *context, struct slice key, bool many)
{
	struct buffer value = { 0 };
	enum table_status found = table_lookup(context, key, &value);

	if (found == TABLE_FOUND && many)
		printf("%.*s\t", SLICE_ARG(key));
	if (found == TABLE_FOUND)
		printf("%.*s\n", SLICE_ARG(buffer_slice(&value)));
	buffer_free(&value);
	if (found == TABLE_ERROR) {
		const char *why = table_error(context);

		cli_complain(map->name, "%s: the lookup failed%s%s", table_spec(context),
			*why ? ": " : "", why);
		return EX_TEMPFAIL;
	}
	return found == TABLE_FOUND ? EX_OK : NOT_FOUND;
}

static int query(const struct postmap *map, char *spec)
{
	struct table *table = open_table(map, spec);
	int status;

	if (!table)
		return EX_DATAERR;
	status = each_key(map, map->query, query_key, table);
	table_close(&table);
	return status;
}

struct edit {
	const char *type, *file;
};

static bool fold_key(const struct postmap *map, struct slice key, struct buffer *out)
{
	for (size_t i = 0; i < key.length; i++)
		buffer_add_byte(out, map->fold ? ascii_lower(key.data[i]) : key.data[i]);
	return !out->failed;
}

static int erase_key(const struct postmap *map, void *context, struct slice key, bool many)
{
	const struct edit *edit = context;
	struct buffer folded = { 0 };
	char error[500] = "out of memory";
	bool done = fold_key(map, key, &folded) &&
		    table_edit(edit->type, edit->file, buffer_slice(&folded), NULL, error,
			    sizeof(error));

	buffer_free(&folded);
	if (done)
		return EX_OK;
	return error[0] ? fail(map, error) : NOT_FOUND;
}

/* Is the key in the table already? A table that is not there yet has none. */
static bool is_there(const struct edit *edit, struct slice key)
{
	struct buffer spec = { 0 }, value = { 0 };
	char error[300];
	struct table *table = NULL;
	bool there;

	buffer_printf(&spec, "%s:%s", edit->type, edit->file);
	if (buffer_text(&spec))
		table = table_open(buffer_text(&spec), NULL, 0, error, sizeof(error));
	there = table && table_lookup(table, key, &value) == TABLE_FOUND;
	table_close(&table);
	buffer_free(&spec);
	buffer_free(&value);
	return there;
}

static int add_entry(
	const struct postmap *map, const struct edit *edit, struct slice key, struct slice value)
{
	struct buffer folded = { 0 };
	char error[500] = "out of memory";
	int status = EX_OK;

	if (!fold_key(map, key, &folded))
		status = fail(map, error);
	else if (!map->replace && is_there(edit, buffer_slice(&folded))) {
		if (map->warn)
			fprintf(stderr, "%s: warning: %s.db: duplicate entry: \"%.*s\"\n",
				map->name, edit->file, SLICE_ARG(buffer_slice(&folded)));
	} else if (!table_edit(edit->type, edit->file, buffer_slice(&folded), &value, error,
			   sizeof(error)))
		status = fail(map, error);
	buffer_free(&folded);
	return status;
}

static int add_line(const struct postmap *map, void *context, struct slice line, bool many)
{
	struct slice key, value;

	line = slice_trim(line);
	if (line.length == 0 || line.data[0] == '#')
		return EX_OK;
	value = line;
	if (map->aliases ? !slice_split(&value, ':', &key) : !slice_word(&value, " \t", &key))
		return fail(map, "expected a key and a value");
	key = slice_trim(key);
	value = slice_trim(value);
	if (key.length == 0 || value.length == 0)
		return fail(map, "expected a key and a value");
	return add_entry(map, context, key, value);
}

/* --- the command --- */

static int work_on(const struct postmap *map, const char *argument)
{
	struct buffer spec = { 0 };
	struct edit edit;
	int status;

	if (!full_spec(map, argument, &spec)) {
		status = fail(map, "out of memory");
	} else if (map->query) {
		status = query(map, spec.data);
	} else if (map->sequence) {
		status = list(map, spec.data);
	} else if (map->erase || map->incremental) {
		edit.file = split_spec(spec.data);
		edit.type = spec.data;
		status = map->erase ? each_key(map, map->erase, erase_key, &edit)
				    : each_key(map, "-", add_line, &edit);
		if (!map->erase && status == NOT_FOUND)
			status = EX_OK;
	} else {
		status = make(map, spec.data);
	}
	buffer_free(&spec);
	return status;
}

static bool take_options(struct postmap *map, int argc, char **argv, const char **folder)
{
	int option;

	optind = 1;
	while ((option = getopt(argc, argv, "Nbc:d:fhimnopq:rsuvwF")) != -1)
		switch (option) {
		case 'c':
			*folder = optarg;
			break;
		case 'd':
			map->erase = optarg;
			break;
		case 'q':
			map->query = optarg;
			break;
		case 'f':
			map->fold = false;
			break;
		case 'i':
			map->incremental = true;
			break;
		case 'r':
			map->replace = true;
			break;
		case 's':
			map->sequence = true;
			break;
		case 'w':
			map->warn = false;
			break;
		case 'N': /* keys end with NUL: they always do */
		case 'o':
		case 'p':
		case 'u':
		case 'v':
			break;
		default:
			return false;
		}
	return optind < argc &&
	       (map->query != NULL) + (map->erase != NULL) + map->incremental + map->sequence <= 1;
}

static int run(struct postmap *map, int argc, char **argv)
{
	static struct config_report report;
	const char *folder = NULL;
	int status = EX_OK;

	if (!take_options(map, argc, argv, &folder))
		return usage(map);
	map->source = config_read(cli_folder(folder), &report);
	/* A query asks the tables in turn, up to the first that knows; everything else is done to each. */
	for (int i = optind; i < argc; i++) {
		status = work_on(map, argv[i]);
		if (map->query || map->erase ? status != NOT_FOUND : status != EX_OK)
			break;
	}
	config_source_free(&map->source);
	if (fflush(stdout) != 0 && status == EX_OK)
		status = EX_IOERR;
	return status;
}

int postmap_main(int argc, char **argv)
{
	struct postmap map = { .name = "postmap", .fold = true, .warn = true };

	return run(&map, argc, argv);
}

int postalias_main(int argc, char **argv)
{
	struct postmap map = { .name = "postalias", .aliases = true, .fold = true, .warn = true };

	return run(&map, argc, argv);
}

struct newaliases {
	struct postmap map;
	int status;
};

static bool make_alias(void *context, struct slice item)
{
	struct newaliases *aliases = context;
	char *argument = slice_dup(item);
	int status = argument ? work_on(&aliases->map, argument) : EX_OSERR;

	if (status != EX_OK)
		aliases->status = status;
	free(argument);
	return true;
}

int newaliases_main(int argc, char **argv)
{
	static struct config_report report;
	struct newaliases aliases = {
		.map = { .name = "newaliases", .aliases = true, .fold = true, .warn = true }
	};
	struct buffer list = { 0 };
	char error[300] = "";

	aliases.map.source = config_read(cli_folder(NULL), &report);
	if (!aliases.map.source) {
		config_report_print(&report, "newaliases", false, stderr);
		return EX_CONFIG;
	}
	if (config_value(aliases.map.source, "alias_database", &list, error, sizeof(error)) &&
		buffer_text(&list))
		(void)config_each(buffer_text(&list), make_alias, &aliases);
	else if (error[0])
		aliases.status = fail(&aliases.map, error);
	buffer_free(&list);
	config_source_free(&aliases.map.source);
	return aliases.status;
}
