// SPDX-License-Identifier: ISC
/*
 * master.cf: the services. Columns: service type private unpriv chroot wakeup maxproc command + args, continuation lines,
 * -o name=value and -o { name = value }.
 */
#ifndef CONFIG_SERVICES_H
#define CONFIG_SERVICES_H

#include "base/vector.h"
#include "config/config.h"

enum service_type { SERVICE_INET, SERVICE_UNIX };
struct service_override {
	char *name, *value;
};
struct service_entry {
	char *name; /* "smtp", "127.0.0.1:2525", "cleanup" */
	enum service_type type;
	bool is_private, chroot; /* unpriv is parsed; the cell decides the uid */
	int64_t wakeup; /* seconds, 0 never */
	bool wakeup_lazy; /* "60?" */
	unsigned maxproc; /* 0: no limit but default_process_limit's bound of the suite */
	char *command; /* "smtpd" */
	char **arguments; /* without the -o ones; NULL at the end */
	struct service_override *overrides;
	unsigned override_count;
	unsigned line;
};
struct services {
	struct service_entry *entries;
	unsigned count;
};
/* FOLDER/master.cf; false with faults in the report. */
MUST_CHECK bool services_read(const char *folder, const struct config_source *source,
	struct services *services, struct config_report *report);
MUST_CHECK bool services_parse(const char *name, struct slice text, unsigned default_limit,
	struct services *services, struct config_report *report);
void services_free(struct services *services);

#endif
