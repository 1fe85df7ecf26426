// SPDX-License-Identifier: ISC
/*
 * master.cf takes anything; what it accepts can be evaluated.
 */
#include <stdlib.h>

#include "config/services.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct config_report report;
	struct services services = { 0 };
	struct config_source *source;
	char host[64];

	memset(&report, 0, sizeof(report));
	source = config_parse("main.cf", SLICE("mua = reject\n"), &report);
	if (source && services_parse("master.cf", slice_of(data, size), 100, &services, &report)) {
		for (unsigned i = 0; i < services.count && i < 3; i++) {
			struct buffer snapshot = { 0 };

			(void)!services_snapshot(
				source, &services, &services.entries[i], &snapshot, &report);
			(void)!services_host(services.entries[i].name, host, sizeof(host));
			buffer_free(&snapshot);
		}
	}
	if (source)
		services_free(&services);
	config_source_free(&source);
	return 0;
}
