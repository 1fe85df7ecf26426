// SPDX-License-Identifier: ISC
/* Folders of an instance that main.cf puts elsewhere. See place.h. */
#include "config/place.h"

const struct config_place CONFIG_PLACES[CONFIG_PLACE_COUNT] = {
	{ CELL_QUEUE, PARAM_queue_directory },
	{ CELL_MAIL, PARAM_mail_directory },
	{ CELL_DATA, PARAM_data_directory },
};

void config_place(struct service *service, const struct config *config)
{
	struct slice instance = slice_from(config_text(config, PARAM_instance_directory));
	bool inside = strcmp(service_path(service, CELL_INSTANCE), "/") == 0;

	for (size_t i = 0; i < CONFIG_PLACE_COUNT; i++) {
		struct slice path = slice_from(config_text(config, CONFIG_PLACES[i].parameter));

		if (path.length == 0)
			continue;
		if (inside && slice_starts(path, instance) && instance.length > 1)
			path = slice_tail(path, instance.length);
		service_set_path(service, CONFIG_PLACES[i].base, path.data);
	}
}
