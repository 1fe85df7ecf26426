// SPDX-License-Identifier: ISC
/* How a change of a mailbox begins: with an index that knows what the folder holds. See internal.h. */
#include "store/internal.h"

enum store_status box_begin(struct box *box, bool durable)
{
	enum store_status status;
	bool more = true;

	while (more) {
		status = store_begin(box->store, durable);
		if (status != STORE_OK)
			return status;
		status = box_load(box);
		if (status == STORE_OK)
			status = box_keywords_load(box);
		more = false;
		if (status == STORE_OK && box_stale(box))
			status = box_sync(box, false, &more);
		if (status == STORE_OK && more)
			status = box_commit(box);
		if (status != STORE_OK) {
			store_rollback(box->store);
			return status;
		}
	}
	return STORE_OK;
}

enum store_status box_join(struct box *box)
{
	enum store_status status = box_load(box);
	bool more = true;

	if (status == STORE_OK)
		status = box_keywords_load(box);
	while (status == STORE_OK && more && box_stale(box))
		status = box_sync(box, false, &more);
	return status;
}
