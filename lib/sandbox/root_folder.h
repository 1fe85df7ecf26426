// SPDX-License-Identifier: ISC
/*
 * A root folder for each session (CELL_CALLS_ROOT_FOLDER): Landlock refuses to open what is not the session's, but does not look at
 * stat(2), access(2) or O_PATH. What is outside a process's root folder has no name at all.
 */
#ifndef SANDBOX_ROOT_FOLDER_H
#define SANDBOX_ROOT_FOLDER_H

#include <stdbool.h>

/*
 * In a spawner, before it gives up root: CAP_SYS_CHROOT will be kept. Without root a user namespace of its own has the capability,
 * where the kernel gives such; where not, sessions keep the root folder that they have. Changes nothing else that the process may do.
 */
void root_folder_prepare(void);
/* Give up every capability, in a spawner all but CAP_SYS_CHROOT. False with errno. */
bool root_folder_drop_capabilities(bool spawner);
/* In a session: `folder` becomes "/", and the capability goes. True in *done when it did; false with errno when it should have. */
bool root_folder_enter(const char *folder, bool *done);

#endif
