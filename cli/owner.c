// SPDX-License-Identifier: ISC
/* Who owns what belongs to a class of user ids, see instance.h. */
#include <pwd.h>
#include <unistd.h>

#include "cli/instance.h"

bool instance_owner(enum cell_uid class, uid_t *uid, gid_t *gid)
{
	const struct passwd *user;

	*uid = geteuid();
	*gid = getegid();
	if (class == UID_KEEP || *uid != 0)
		return true;
	user = getpwnam(cell_uid_name(class));
	if (!user)
		return false;
	*uid = user->pw_uid;
	*gid = user->pw_gid;
	return true;
}
