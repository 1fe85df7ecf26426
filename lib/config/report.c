// SPDX-License-Identifier: ISC
/*
 * Faults of configuration files, collected so that all of them are told at once.
 */
#include <stdarg.h>

#include "config/config.h"

enum { REPORT_ROOM = sizeof(((struct config_report *)0)->faults) / sizeof(struct config_fault) };

/* Room for one more: the end, or (for an error) the place of the last warning. */
static struct config_fault *fault_slot(struct config_report *report, bool warning)
{
	if (report->count < REPORT_ROOM)
		return &report->faults[report->count++];
	for (unsigned i = report->count; !warning && i-- > 0;)
		if (report->faults[i].warning)
			return &report->faults[i];
	return NULL;
}

void config_fault_add(struct config_report *report, bool warning, const char *file, unsigned line,
	const char *parameter, const char *format, ...)
{
	struct config_fault *fault = fault_slot(report, warning);
	va_list args;

	if (!warning)
		report->errors++;
	if (!fault)
		return;
	fault->warning = warning;
	fault->line = line;
	snprintf(fault->file, sizeof(fault->file), "%s", file);
	snprintf(fault->parameter, sizeof(fault->parameter), "%s", parameter ? parameter : "");
	va_start(args, format);
	vsnprintf(fault->text, sizeof(fault->text), format, args);
	va_end(args);
}

void config_fault_text(const struct config_fault *fault, char *text, size_t size)
{
	char line[16] = "";

	if (fault->line)
		snprintf(line, sizeof(line), ":%u", fault->line);
	snprintf(text, size, "%s%s: %s%s%s", fault->file, line, fault->parameter,
		fault->parameter[0] ? ": " : "", fault->text);
}

void config_report_print(
	const struct config_report *report, const char *name, bool warnings, FILE *out)
{
	unsigned told = 0;

	for (unsigned i = 0; i < report->count; i++) {
		const struct config_fault *fault = &report->faults[i];
		char text[900];

		told += !fault->warning;
		if (fault->warning && !warnings)
			continue;
		config_fault_text(fault, text, sizeof(text));
		fprintf(out, "%s: %s: %s\n", name, fault->warning ? "warning" : "error", text);
	}
	if (report->errors > told)
		fprintf(out, "%s: error: and %u more\n", name, report->errors - told);
}
