// SPDX-License-Identifier: ISC
/* The tables of sessions, and directoryd --check. See lookup_tables.h. */
#include "directory/lookup_tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "config/self_check.h"
#include "directory/names.h"
#include "table/table_sql.h"

enum { MAX_CLASS_DEPTH = 4 /* restriction classes in restriction classes */ };

struct restriction_reader {
	const struct config *config;
	struct buffer *tables;
	unsigned depth;
	bool is_map; /* the item before was check_..._access or another that takes a table */
};

static bool takes_table(struct slice word)
{
	return slice_starts(word, SLICE("check_")) && slice_ends_nocase(word, SLICE("_access"));
}

static bool read_restriction(void *context, struct slice item)
{
	struct restriction_reader *reader = context, inner = *reader;
	const char *class;
	char name[128];

	/* "{ check_sender_access hash:/x, reject }" groups an action with its arguments. */
	if (item.length > 2 && item.data[0] == '{' && item.data[item.length - 1] == '}') {
		char *text = slice_dup(slice_of(item.data + 1, item.length - 2));

		inner.depth++;
		if (text && inner.depth <= MAX_CLASS_DEPTH)
			(void)config_each(text, read_restriction, &inner);
		free(text);
	} else if (slice_find(item, ':') > 0) {
		if (reader->is_map) {
			buffer_add(reader->tables, item);
			buffer_add_text(reader->tables, ", ");
		}
	} else if (reader->depth < MAX_CLASS_DEPTH && slice_to_string(item, name, sizeof(name)) &&
		   parameter_of(name) == PARAM_COUNT &&
		   (class = config_lookup(reader->config, name))) {
		inner.depth++;
		inner.is_map = false;
		(void)config_each(class, read_restriction, &inner);
	}
	reader->is_map = takes_table(item) || (reader->is_map && slice_find(item, ':') > 0);
	return true;
}

/* What one value names, to whoever asked for all. */
static void read_value(const struct config *config, const char *name, const char *value,
	bool is_map, void (*each)(void *context, const char *name, const char *tables),
	void *context)
{
	struct buffer tables = buffer_limited(MAX_LOOKUP_TABLES);
	struct restriction_reader reader = {
		.config = config, .tables = &tables, .is_map = is_map
	};

	(void)config_each(value, read_restriction, &reader);
	if (tables.failed || tables.length)
		each(context, name, buffer_text(&tables));
	buffer_free(&tables);
}

void lookup_tables_each(const struct config *config,
	void (*each)(void *context, const char *name, const char *tables), void *context)
{
	static const struct {
		enum parameter parameter;
		bool is_map;
	} VALUES[] = {
		{ PARAM_smtpd_client_restrictions, false },
		{ PARAM_smtpd_helo_restrictions, false },
		{ PARAM_smtpd_sender_restrictions, false },
		{ PARAM_smtpd_relay_restrictions, false },
		{ PARAM_smtpd_recipient_restrictions, false },
		{ PARAM_smtpd_data_restrictions, false },
		{ PARAM_smtpd_end_of_data_restrictions, false },
		{ PARAM_relay_clientcerts, true },
		{ PARAM_smtpd_sender_login_maps, true },
		{ PARAM_submission_limit_maps, true },
		{ PARAM_smtpd_discard_ehlo_keyword_address_maps, true },
	};
	/* What master found in -o options of other entries. */
	const char *overrides = config_lookup(config, "override_restrictions");

	for (size_t i = 0; i < sizeof(VALUES) / sizeof(VALUES[0]); i++)
		read_value(config, parameter_info(VALUES[i].parameter)->name,
			config_text(config, VALUES[i].parameter), VALUES[i].is_map, each, context);
	if (overrides)
		read_value(config, "", overrides, false, each, context);
}

/* --- the check --- */

/* Tables of servers are not asked. */
static enum table_status ask_nobody(
	void *context, const char *spec, struct slice key, struct buffer *value)
{
	return TABLE_ERROR;
}

static void check_tables(void *context, const char *name, const char *tables)
{
	const struct config *config = context;
	char error[600] = "too many tables";
	struct table_list *list =
		tables ? table_list_open(tables, config_text(config, PARAM_config_directory),
				 TABLE_FOLD, error, sizeof(error))
		       : NULL;

	if (list)
		table_list_close(&list);
	else
		self_check_fault(true, name, error);
}

static void check_names(const struct config *config, enum parameter parameter)
{
	char error[600] = "";
	struct names *names = names_open(config_text(config, parameter),
		config_text(config, PARAM_config_directory), false, error, sizeof(error));

	if (names)
		names_close(&names);
	else
		self_check_fault(true, parameter_info(parameter)->name, error);
}

int lookup_tables_check(void)
{
	static const enum parameter NAMES[] = { PARAM_mydestination, PARAM_virtual_alias_domains,
		PARAM_virtual_mailbox_domains, PARAM_relay_domains };
	static const enum parameter TABLES[] = { PARAM_virtual_alias_maps,
		PARAM_virtual_mailbox_maps, PARAM_local_recipient_maps, PARAM_relay_recipient_maps,
		PARAM_transport_maps };
	struct config *config = self_check_open();

	if (!config)
		return EX_SOFTWARE;
	sql_tables_through(ask_nobody, NULL);
	/* Tables first: by default virtual_alias_domains is virtual_alias_maps. */
	for (size_t i = 0; i < sizeof(TABLES) / sizeof(TABLES[0]); i++)
		check_tables(
			config, parameter_info(TABLES[i])->name, config_text(config, TABLES[i]));
	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
		check_names(config, NAMES[i]);
	lookup_tables_each(config, check_tables, config);
	return self_check_close(&config);
}
