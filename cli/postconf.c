// SPDX-License-Identifier: ISC
/*
 * postconf - shows and changes main.cf and master.cf, with Postfix's options, layouts and exit codes. This file: options and
 * what is shown of main.cf. See postconf_master.c, postconf_edit.c and manual.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/vector.h"
#include "cli/postconf.h"

static const char USAGE[] =
	"usage: postconf [-dfhHjnpvx] [-c FOLDER] [-C CLASS,...] [-o NAME=VALUE] [PARAMETER ...]\n"
	"       postconf [-e] [-c FOLDER] PARAMETER=VALUE ...\n"
	"       postconf -X | -# [-c FOLDER] PARAMETER ...\n"
	"       postconf -M [-fjx] [SERVICE[/TYPE] ...]      postconf -M -e SERVICE/TYPE=LINE ...\n"
	"       postconf -F [-fhHjx] [SERVICE[/TYPE[/FIELD]] ...]   postconf -F -e "
	"SERVICE/TYPE/FIELD=VALUE ...\n"
	"       postconf -P [-fhHjx] [SERVICE[/TYPE[/PARAMETER]] ...]  postconf -P -e "
	"SERVICE/TYPE/PARAMETER=VALUE ...\n"
	"       postconf -MX | -M# SERVICE/TYPE ...          postconf -PX SERVICE/TYPE/PARAMETER "
	"...\n"
	"       postconf -l | -m | --manual\n";

/* --- main.cf --- */

/* Names by class, from the file and the table. */
struct listing {
	const struct postconf *options;
	struct config_source *source;
	struct vector names; /* const char * */
};

static unsigned class_of(const struct listing *listing, const char *name)
{
	if (parameter_of(name) < PARAM_COUNT)
		return CLASS_BUILTIN;
	if (parameter_of_transport(name) < PARAM_COUNT || parameter_transport_ignored(name))
		return CLASS_SERVICE;
	return config_source_is_used(listing->source, name) ? CLASS_USER : 0;
}

static void add_name(struct listing *listing, const char *name)
{
	const char **place = vector_add(&listing->names);

	if (place)
		*place = name;
}

static void add_setting(void *context, const char *name, const char *raw, unsigned line)
{
	struct listing *listing = context;
	unsigned class = class_of(listing, name);

	/* All of the table is listed by itself unless only what is set is wanted. */
	if ((class & listing->options->classes) &&
		(listing->options->changed || class != CLASS_BUILTIN))
		add_name(listing, name);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Value to show; false with a message when it does not evaluate, and when the name is unknown. */
static bool value_of(const struct postconf *options, const struct config_source *source,
	const char *name, struct buffer *value)
{
	const char *raw = config_source_raw(source, name, NULL);
	char error[300];

	if (options->expand || (!raw && parameter_of(name) == PARAM_myhostname)) {
		if (config_value(source, name, value, error, sizeof(error)))
			return buffer_text(value) != NULL;
		if (error[0])
			fprintf(stderr, "postconf: warning: %s: %s\n", name, error);
		else
			fprintf(stderr, "postconf: warning: %s: unknown parameter\n", name);
		return false;
	}
	if (!raw && parameter_of(name) == PARAM_mydomain)
		return config_value(source, name, value, error, sizeof(error)) &&
		       buffer_text(value);
	if (!raw && parameter_of(name) < PARAM_COUNT)
		raw = parameter_info(parameter_of(name))->value;
	if (!raw) {
		fprintf(stderr, "postconf: warning: %s: unknown parameter\n", name);
		return false;
	}
	buffer_add_text(value, raw);
	return buffer_text(value) != NULL;
}

static void show(
	const struct postconf *options, const struct config_source *source, const char *name)
{
	struct buffer value = { 0 };

	if (options->changed && !config_source_raw(source, name, NULL))
		return;
	if (value_of(options, source, name, &value))
		postconf_print(options, name, value.data);
	buffer_free(&value);
}

static void show_all(const struct postconf *options, struct config_source *source)
{
	struct listing listing = { options, source, vector_of(sizeof(const char *), 0) };

	config_source_each(source, add_setting, &listing);
	if (!options->changed && (options->classes & CLASS_BUILTIN))
		for (int p = 0; p < PARAM_COUNT; p++)
			if (parameter_info((enum parameter)p)->type != PARAMETER_OBSOLETE)
				add_name(&listing, parameter_info((enum parameter)p)->name);
	if (listing.names.count)
		qsort(listing.names.items, listing.names.count, listing.names.size, compare_names);
	for (size_t i = 0; i < listing.names.count; i++)
		show(options, source, *(const char **)vector_at(&listing.names, i));
	vector_free(&listing.names);
}

int postconf_main_cf(const struct postconf *options)
{
	static struct config_report report;
	struct config_source *source = postconf_source(options, &report);
	struct services services = { .any_type = true };

	if (!source)
		return 1;
	if (!options->defaults) {
		/* Its overrides refer to names too; its own faults are not asked for here. */
		(void)!services_read(options->folder, source, &services, &report);
		memset(&report, 0, sizeof(report));
	}
	config_warn(source, false, &report);
	config_report_print(&report, "postconf", true, stderr);
	for (int i = 0; i < options->name_count; i++)
		show(options, source, options->names[i]);
	if (!options->name_count)
		show_all(options, source);
	services_free(&services);
	config_source_free(&source);
	return 0;
}

/* --- options --- */

static int show_list(const char *const *words)
{
	for (; *words; words++)
		puts(*words);
	return 0;
}

static const char *const TABLES[] = { "btree", "cidr", "hash", "inline", "pcre", "regexp", "sqlite",
	"static", "texthash", NULL };
static const char *const LOCKS[] = { "flock", "fcntl", "dotlock", NULL };

static bool parse_classes(const char *text, unsigned *classes)
{
	static const struct {
		const char *name;
		unsigned class;
	} NAMES[] = { { "builtin", CLASS_BUILTIN }, { "service", CLASS_SERVICE },
		{ "user", CLASS_USER }, { "all", CLASS_ALL } };
	struct slice rest = slice_from(text), word;

	*classes = 0;
	while (slice_word(&rest, ", ", &word)) {
		unsigned class = 0;

		for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
			if (slice_equal(word, slice_from(NAMES[i].name)))
				class = NAMES[i].class;
		if (!class)
			return false;
		*classes |= class;
	}
	return *classes != 0;
}

static bool take_option(struct postconf *options, int letter, char *value)
{
	switch (letter) {
	case 'c':
		options->folder = cli_folder(value);
		return true;
	case 'C':
		return parse_classes(value, &options->classes);
	case 'o':
		options->overrides[options->override_count++] = value;
		return strchr(value, '=') != NULL;
	case 'M':
		options->mode = MODE_MASTER;
		return true;
	case 'F':
		options->mode = MODE_FIELDS;
		return true;
	case 'P':
		options->mode = MODE_PARAMETERS;
		return true;
	case 'm':
		options->mode = MODE_TABLES;
		return true;
	case 'l':
		options->mode = MODE_LOCKS;
		return true;
	default:
		return letter == 'p' || letter == 'v';
	}
}

/* The switches without a value of their own. */
static bool *flag_of(struct postconf *options, int letter)
{
	switch (letter) {
	case 'd':
		return &options->defaults;
	case 'n':
		return &options->changed;
	case 'x':
		return &options->expand;
	case 'f':
		return &options->fold;
	case 'j':
		return &options->json;
	case 'h':
		return &options->no_name;
	case 'H':
		return &options->no_value;
	case 'e':
		return &options->edit;
	case 'X':
		return &options->remove;
	case '#':
		return &options->comment_out;
	default:
		return NULL;
	}
}

static bool parse(struct postconf *options, int argc, char **argv)
{
	int letter;

	optind = 1;
	while ((letter = getopt(argc, argv, "c:C:deFfhHjlmMno:pPvxX#")) != -1) {
		bool *flag = flag_of(options, letter);

		if (flag)
			*flag = true;
		else if (!take_option(options, letter, optarg))
			return false;
	}
	options->names = argv + optind;
	options->name_count = argc - optind;
	return true;
}

/* An argument with a value in it means a change, as if -e were there. */
static void imply_edit(struct postconf *options)
{
	if (options->remove || options->comment_out || options->defaults || options->changed)
		return;
	for (int i = 0; i < options->name_count; i++)
		if (strchr(options->names[i], '='))
			options->edit = true;
}

static int complain(const char *text)
{
	cli_complain("postconf", "%s", text);
	return 1;
}

static int run(struct postconf *options)
{
	bool edits;

	imply_edit(options);
	edits = options->edit || options->remove || options->comment_out;
	if (options->edit + options->remove + options->comment_out + options->defaults +
			options->changed >
		1)
		return complain("specify one of -e -X -# -d -n");
	if (options->mode == MODE_MASTER && (options->no_value || options->no_name))
		return complain("with option -M, do not specify -h or -H");
	if (edits && !options->name_count)
		return complain(options->edit ? "-e requires name=value argument"
					      : "-X and -# require a name");
	switch (options->mode) {
	case MODE_MAIN:
		return edits ? postconf_edit_main(options) : postconf_main_cf(options);
	case MODE_TABLES:
		return show_list(TABLES);
	case MODE_LOCKS:
		return show_list(LOCKS);
	case MODE_MANUAL:
		return postconf_manual();
	default:
		return edits ? postconf_edit_master(options) : postconf_master(options);
	}
}

int postconf_main(int argc, char **argv)
{
	struct postconf options = { .folder = cli_folder(NULL), .classes = CLASS_ALL };
	int status;

	if (argc > 1 && strcmp(argv[1], "--help") == 0) {
		fputs(USAGE, stdout);
		return 0;
	}
	if (argc == 2 && strcmp(argv[1], "--manual") == 0)
		return postconf_manual();
	options.overrides = calloc((size_t)argc, sizeof(char *));
	if (!options.overrides)
		return complain("out of memory");
	if (parse(&options, argc, argv)) {
		status = run(&options);
	} else {
		fputs(USAGE, stderr);
		status = 1;
	}
	free(options.overrides);
	return status;
}
