// SPDX-License-Identifier: ISC
/*
 * What is not an error in main.cf, but worth telling; and which names its values refer to, so that those are no surprise.
 */
#include "config/internal.h"

struct warner {
	struct config_source *source;
	struct config_report *report;
	const struct setting *setting;
	bool effects;
};

static void use_name(void *context, struct slice name, bool plain)
{
	struct config_source *source = context;

	/* Failure means out of memory, and costs a warning too many. */
	(void)!map_put(&source->used, name, source);
}

void config_source_use(struct config_source *source, const char *text)
{
	expand_references(text, use_name, source);
}

static bool use_item(void *context, struct slice item)
{
	struct config_source *source = context;

	return map_put(&source->used, item, source);
}

/* $name where no such name is: it expands to nothing. */
static void check_reference(void *context, struct slice name, bool plain)
{
	struct warner *w = context;
	const struct setting *at = w->setting;
	char key[128];

	if (!plain || !slice_to_string(name, key, sizeof(key)) || source_text(w->source, key))
		return;
	config_fault_add(
		w->report, true, at->file, at->line, at->name, "$%s is not defined anywhere", key);
}

bool config_source_is_used(const struct config_source *source, const char *name)
{
	for (; source; source = source->parent)
		if (map_get(&source->used, slice_from(name)))
			return true;
	return false;
}

static void warn_unknown(struct warner *w)
{
	const struct setting *at = w->setting;
	const char *nearest = parameter_nearest(at->name);

	if (config_source_is_used(w->source, at->name) || name_is_automatic(at->name) ||
		parameter_of_transport(at->name) < PARAM_COUNT)
		return;
	if (parameter_transport_ignored(at->name) && !w->effects)
		return;
	if (parameter_transport_ignored(at->name))
		config_fault_add(w->report, true, at->file, at->line, at->name,
			"is known but has no effect in this version");
	else
		config_fault_add(w->report, true, at->file, at->line, at->name,
			"unknown parameter, and nothing refers to it%s%s%s",
			nearest ? "; is \"" : "", nearest ? nearest : "",
			nearest ? "\" meant?" : "");
}

static void warn_setting(struct warner *w)
{
	const struct setting *at = w->setting;
	enum parameter p = parameter_of(at->name);
	const struct parameter_info *info = p < PARAM_COUNT ? parameter_info(p) : NULL;

	if (!info)
		warn_unknown(w);
	else if (w->effects && info->type == PARAMETER_OBSOLETE)
		config_fault_add(w->report, true, at->file, at->line, at->name,
			"is obsolete and has no effect: %s", info->help);
	else if (w->effects && info->later)
		config_fault_add(w->report, true, at->file, at->line, at->name,
			"is known but has no effect in this version");
	if (!info || !parameter_is_raw(p))
		expand_references(at->value, check_reference, w);
}

void config_warn(struct config_source *source, bool effects, struct config_report *report)
{
	const char *classes = config_source_raw(source, "smtpd_restriction_classes", NULL);
	struct warner w = { source, report, NULL, effects };

	for (size_t i = 0; i < source->settings.count; i++)
		config_source_use(
			source, (*(struct setting **)vector_at(&source->settings, i))->value);
	if (classes)
		config_each(classes, use_item, source);
	for (size_t i = 0; i < source->settings.count; i++) {
		w.setting = *(struct setting **)vector_at(&source->settings, i);
		warn_setting(&w);
	}
}
