// SPDX-License-Identifier: ISC
/* The parts of `postern init`. */
#ifndef CLI_INIT_H
#define CLI_INIT_H

#include <limits.h>

#include "cli/instance.h"

/* All of these tell what went wrong on standard error. */

/* As root: the system users the daemons run as, where they are missing. */
MUST_CHECK bool init_system_users(void);
/* A folder with those above it; what is there stays as it is. `real` becomes its path without links. */
MUST_CHECK bool init_path(const char *path, char real[PATH_MAX]);
/* All folders that the instance of `config` needs. Those that are there get owner and mode back; their contents are not touched. */
MUST_CHECK bool init_folders(const struct config *config);
/* The certificate that main.cf of a new instance names, signed by the host itself; nothing when there is one, or another is named. */
MUST_CHECK bool init_certificate(const struct config *config, const char *etc);

#endif
