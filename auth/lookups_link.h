// SPDX-License-Identifier: ISC
/* The link to proxymap, by which lookups of workers go out. */
#ifndef AUTH_LOOKUPS_LINK_H
#define AUTH_LOOKUPS_LINK_H

#include "auth/lookups.h"
#include "service/service.h"

/* From now on mysql: and pgsql: tables that are opened are asked so, at proxymap. NULL with errno. */
struct lookups *lookups_open(struct service *service, int64_t patience);

#endif
