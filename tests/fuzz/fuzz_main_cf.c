// SPDX-License-Identifier: ISC
/*
 * main.cf takes anything: parsed, warned of, evaluated; a snapshot that was made can be read.
 */
#include <stdlib.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct config_report report;
	struct buffer snapshot = { 0 };
	struct config_source *source;
	struct config *config;

	memset(&report, 0, sizeof(report));
	source = config_parse("main.cf", slice_of(data, size), &report);
	if (!source)
		return 0;
	config_warn(source, true, &report);
	if (config_snapshot(source, &snapshot, &report)) {
		config = config_open(buffer_slice(&snapshot));
		if (!config)
			abort();
		config_lookup(config, "smtpd_banner");
		config_lookup(config, "user_defined");
		config_free(&config);
	}
	buffer_free(&snapshot);
	config_source_free(&source);
	return 0;
}
