// SPDX-License-Identifier: ISC
/*
 * What this version needs and an instance that a former one has made may lack: entries of master.cf that others ask, and system users. For
 * the commands that read the whole configuration, see instance_open.
 */
#include "cli/instance.h"
#include "cli/postconf.h"

static enum service_id id_of(const struct service_entry *entry)
{
	return service_id_of(slice_from(entry->command));
}

/* IMAP sessions are also told news, by who goes on without them. */
static bool asks(enum service_id asker, enum service_id asked)
{
	const struct cell *cell = cell_of(asker);

	return cell && (cell->talk_to & (1ull << asked)) &&
	       (asked != SERVICE_IMAPD_SESSION || asker == SERVICE_IMAPD);
}

static bool runs(const struct services *services, enum service_id id)
{
	for (unsigned i = 0; i < services->count; i++)
		if (id_of(&services->entries[i]) == id)
			return true;
	return false;
}

/* `line` is an entry as it is delivered. */
static void need_entry(const struct services *services, const struct service_entry *line,
	struct config_report *report)
{
	enum service_id id = id_of(line);
	struct buffer text = { 0 };

	for (unsigned i = 0; i < services->count && !runs(services, id); i++) {
		const struct service_entry *asker = &services->entries[i];

		if (!asks(id_of(asker), id))
			continue;
		postconf_entry_text(line, false, &text);
		if (buffer_text(&text))
			config_fault_add(report, true, services->file, 0, NULL,
				"there is no entry for %s, which %s asks; add the line: %s",
				line->command, asker->command, text.data);
		break;
	}
	buffer_free(&text);
}

static void need_entries(const struct services *services, struct config_report *report)
{
	static struct config_report none;
	struct services delivered = { 0 };

	if (services_parse("master.cf", conf_master_cf(), 0, &delivered, &none))
		for (unsigned i = 0; i < delivered.count; i++)
			need_entry(services, &delivered.entries[i], report);
	services_free(&delivered);
}

static void need_users(const struct instance *instance, struct config_report *report)
{
	const struct services *services = &instance->services;
	bool told[UID_CLASSES] = { false };
	uid_t uid;
	gid_t gid;

	for (unsigned i = 0; i < services->count; i++) {
		const struct service_entry *entry = &services->entries[i];
		const struct cell *cell = cell_of(id_of(entry));

		if (!cell || told[cell->uid] || instance_owner(cell->uid, &uid, &gid))
			continue;
		told[cell->uid] = true;
		config_fault_add(report, false, services->file, entry->line, entry->name,
			"there is no user %s; \"postern init --config %s\" makes it",
			cell_uid_name(cell->uid),
			config_text(instance->config, PARAM_config_directory));
	}
}

void instance_needs(const struct instance *instance, struct config_report *report)
{
	need_entries(&instance->services, report);
	need_users(instance, report);
}
