// SPDX-License-Identifier: ISC
/*
 * A worker's way to a service outside of the suite: authd may not connect anywhere, so the loop asks master for a connected
 * descriptor while the worker waits.
 */
#ifndef AUTH_OUTSIDE_H
#define AUTH_OUTSIDE_H

#include "service/service.h"

struct outside;
/* Before there are workers. NULL with errno. */
struct outside *outside_open(struct service *service, enum cell_outside what);
/* For a worker: the descriptor is the caller's; -1 when there is none within some seconds. `outside` is a struct outside. */
int outside_connect(void *outside);

#endif
