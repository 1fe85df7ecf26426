// SPDX-License-Identifier: ISC
/* Changes of both databases of accounts. See joint.h. */
#include "cli/joint.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "os/os.h"

enum { LOCK_WAIT = 60, LOCK_PAUSE = 50 * 1000 /* s, and us between tries */ };

/* Beside accounts.db; as root it gets the owner of its folder, who is the service's user. */
static bool take_lock(struct joint *joint, const char *data, char *error, size_t error_size)
{
	int64_t until = os_now() + (int64_t)LOCK_WAIT * 1000000;
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/directory/accounts.lock", data) >= (int)sizeof(path)) {
		snprintf(error, error_size, "data_directory is too long");
		return false;
	}
	joint->lock = os_open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	while (joint->lock >= 0 && flock(joint->lock, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK || os_now() > until) {
			snprintf(error, error_size, "%s: another command is changing accounts: %s",
				path, strerror(errno));
			return false;
		}
		usleep(LOCK_PAUSE);
	}
	if (joint->lock < 0)
		snprintf(error, error_size, "%s: %s", path, strerror(errno));
	return joint->lock >= 0;
}

/* What was decided is done, what was not is taken back. */
static bool recover(struct joint *joint, char *error, size_t error_size)
{
	char batch[CREDENTIALS_BATCH_NAME + 1];
	bool decided;

	for (;;) {
		if (!credentials_batch_next(joint->credentials, batch, error, error_size))
			return false;
		if (!batch[0])
			return true;
		if (!accounts_decided(joint->accounts, batch, &decided, error, error_size) ||
			!credentials_batch_finish(
				joint->credentials, batch, decided, error, error_size) ||
			!accounts_forget_decision(joint->accounts, batch, error, error_size))
			return false;
	}
}

bool joint_open(struct joint *joint, const char *data, struct accounts *accounts,
	struct credentials *credentials, char *error, size_t error_size)
{
	*joint = (struct joint){ .accounts = accounts, .credentials = credentials, .lock = -1 };
	return take_lock(joint, data, error, error_size) && recover(joint, error, error_size);
}

void joint_close(struct joint *joint)
{
	joint_rollback(joint);
	if (joint->lock >= 0)
		os_close(&joint->lock);
}

static void step(struct joint *joint, int number)
{
	if (joint->step)
		joint->step(number);
}

bool joint_begin(struct joint *joint, char *error, size_t error_size)
{
	unsigned char random[CREDENTIALS_BATCH_NAME / 2];

	os_random(random, sizeof(random));
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(joint->batch + 2 * i, 3, "%02x", random[i]);
	joint->staged = 0;
	if (!accounts_begin(joint->accounts, error, error_size))
		return false;
	if (!credentials_batch_begin(joint->credentials, error, error_size)) {
		accounts_rollback(joint->accounts);
		return false;
	}
	joint->open = true;
	return true;
}

bool joint_stage(struct joint *joint, enum credentials_action action, const char *login,
	const char *value, char *error, size_t error_size)
{
	joint->staged++;
	return credentials_batch_add(
		joint->credentials, joint->batch, action, login, value, error, error_size);
}

void joint_rollback(struct joint *joint)
{
	if (!joint->open)
		return;
	joint->open = false;
	accounts_rollback(joint->accounts);
	credentials_batch_abandon(joint->credentials);
}

bool joint_commit(struct joint *joint, char *error, size_t error_size)
{
	char text[200];

	joint->open = false;
	if (!joint->staged)
		credentials_batch_abandon(joint->credentials);
	else if (!credentials_batch_save(joint->credentials, error, error_size)) {
		accounts_rollback(joint->accounts);
		return false;
	}
	step(joint, 1);
	if (!accounts_commit(
		    joint->accounts, joint->staged ? joint->batch : NULL, error, error_size)) {
		/* Should this fail, too, the next command takes the notes back. */
		if (joint->staged)
			(void)!credentials_batch_finish(
				joint->credentials, joint->batch, false, text, sizeof(text));
		return false;
	}
	step(joint, 2);
	if (!joint->staged)
		return true;
	if (!credentials_batch_finish(joint->credentials, joint->batch, true, text, sizeof(text))) {
		snprintf(error, error_size,
			"the accounts are changed, and the passwords follow with the next command: "
			"%s",
			text);
		return false;
	}
	step(joint, 3);
	/* A decision left over does no harm. */
	(void)!accounts_forget_decision(joint->accounts, joint->batch, text, sizeof(text));
	return true;
}
