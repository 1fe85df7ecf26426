// SPDX-License-Identifier: ISC
/* Folders of an instance that main.cf puts elsewhere: queue_directory, mail_directory, data_directory. */
#ifndef CONFIG_PLACE_H
#define CONFIG_PLACE_H

#include "config/config.h"
#include "service/service.h"

/* Which parameter says where a base is. */
struct config_place {
	enum cell_base base;
	enum parameter parameter;
};
enum { CONFIG_PLACE_COUNT = 3 };
extern const struct config_place CONFIG_PLACES[CONFIG_PLACE_COUNT];

/* Tell the service's bases what the configuration says; inside a chroot, paths below the instance are cut to it. Call it
 * before anything is opened and before service_enter. */
void config_place(struct service *service, const struct config *config);

#endif
