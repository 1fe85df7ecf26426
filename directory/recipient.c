// SPDX-License-Identifier: ISC
/* Is there somebody of that address? By the class of its domain. See answer_impl.h. */
#include "directory/answer_impl.h"

/* By the maps of the class; an empty list of maps knows everybody. */
static enum directory_status listed(
	struct directory *d, enum directory_maps maps, const struct recipient *r)
{
	struct slice extension;

	if (table_list_count(d->maps[maps]) == 0)
		return DIRECTORY_FOUND;
	return status_of_table(table_lookup_address(d->maps[maps], r->key,
		d->settings.recipient_delimiter, maps == MAPS_LOCAL, &d->value, &extension));
}

static enum directory_status mailbox_listed(
	struct directory *d, const struct recipient *r, bool accounts)
{
	struct buffer path = { 0 };
	enum directory_status status;
	int64_t quota;

	status = find_mailbox(d, r, &path, &quota);
	buffer_free(&path);
	if (status == DIRECTORY_NOT_FOUND && !accounts &&
		table_list_count(d->maps[MAPS_MAILBOX]) == 0)
		return DIRECTORY_FOUND; /* the domain is handed to another transport that knows its users */
	return status;
}

enum directory_status check_recipient(struct directory *d, const struct recipient *r,
	enum domain_class *class, const char **reason)
{
	static const char *const UNKNOWN[] = { [DOMAIN_LOCAL] =
						       "User unknown in local recipient table",
		[DOMAIN_VIRTUAL_ALIAS] = "User unknown in virtual alias table",
		[DOMAIN_VIRTUAL_MAILBOX] = "User unknown in virtual mailbox table",
		[DOMAIN_RELAY] = "User unknown in relay recipient table" };
	enum directory_status status;
	struct slice extension;
	bool accounts;

	*reason = "";
	*class = classify(d, r, &accounts);
	if (*class == DOMAIN_UNKNOWN)
		return DIRECTORY_TEMPORARY;
	if (*class == DOMAIN_OTHER)
		return DIRECTORY_NOT_OURS;
	status = find_alias(d, r, &extension);
	if (status != DIRECTORY_NOT_FOUND)
		return status;
	if (*class == DOMAIN_VIRTUAL_MAILBOX)
		status = mailbox_listed(d, r, accounts);
	else if (*class == DOMAIN_LOCAL)
		status = listed(d, MAPS_LOCAL, r);
	else if (*class == DOMAIN_RELAY)
		status = listed(d, MAPS_RELAY, r);
	if (status == DIRECTORY_NOT_FOUND)
		*reason = UNKNOWN[*class];
	return status;
}
