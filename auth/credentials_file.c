// SPDX-License-Identifier: ISC
/* credentials.db that comes and goes. See credentials_file.h. */
#include "auth/credentials_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "auth/credentials_connection.h"
#include "base/vector.h"
#include "os/os.h"
#include "service/log.h"

struct credentials_file {
	char *path;
	struct vector connections; /* of struct credentials * */
	struct stat opened;
	bool open, told;
};

static struct credentials *connection(const struct credentials_file *file, size_t i)
{
	return *(struct credentials **)vector_at(&file->connections, i);
}

struct credentials_file *credentials_file_new(const char *path)
{
	struct credentials_file *file = calloc(1, sizeof(*file));

	if (!file)
		return NULL;
	file->connections = vector_of(sizeof(struct credentials *), 0);
	file->path = strdup(path);
	if (!file->path)
		credentials_file_free(&file);
	return file;
}

void credentials_file_free(struct credentials_file **file)
{
	if (!*file)
		return;
	vector_free(&(*file)->connections);
	free((*file)->path);
	free(*file);
	*file = NULL;
}

struct credentials *credentials_file_connect(struct credentials_file *file)
{
	struct credentials *credentials = credentials_new(), **place;

	if (!credentials)
		return NULL;
	place = vector_add(&file->connections);
	if (!place) {
		credentials_close(&credentials);
		return NULL;
	}
	*place = credentials;
	return credentials;
}

/* Why the file that is open cannot go on being used; NULL: it can. */
static const char *reason_to_close(const struct credentials_file *file)
{
	const char *fault = NULL;
	struct stat now;

	if (!os_fstatat(AT_FDCWD, file->path, &now, 0))
		return strerror(errno);
	if (now.st_ino != file->opened.st_ino || now.st_dev != file->opened.st_dev)
		return "it is another file now";
	for (size_t i = 0; i < file->connections.count && !fault; i++)
		fault = atomic_load(&connection(file, i)->fault);
	return fault;
}

/* False when one is being asked just now. */
static bool close_all(struct credentials_file *file)
{
	bool all = true;

	for (size_t i = 0; i < file->connections.count; i++) {
		struct credentials *credentials = connection(file, i);

		if (pthread_mutex_trylock(&credentials->lock) != 0) {
			all = false;
			continue;
		}
		credentials_disconnect(credentials);
		pthread_mutex_unlock(&credentials->lock);
	}
	return all;
}

static bool open_all(struct credentials_file *file, char *error, size_t error_size)
{
	if (!os_fstatat(AT_FDCWD, file->path, &file->opened, 0)) {
		snprintf(error, error_size, "%s: %s", file->path, strerror(errno));
		return false;
	}
	if (file->opened.st_size == 0) {
		snprintf(error, error_size, "%s: it is empty",
			file->path); /* SQLite would fill it */
		return false;
	}
	for (size_t i = 0; i < file->connections.count; i++) {
		struct credentials *credentials = connection(file, i);
		bool good;

		pthread_mutex_lock(&credentials->lock);
		good = credentials_connect(credentials, file->path, false, error, error_size);
		/* Once it was away it is read through before it is believed. */
		if (good && i == 0 && file->told)
			good = database_check(credentials->db, error, error_size);
		pthread_mutex_unlock(&credentials->lock);
		if (!good) {
			(void)!close_all(file);
			return false;
		}
	}
	return true;
}

static void tell_away(struct credentials_file *file, const char *error)
{
	if (!file->told)
		log_error("%s -- nobody can log in until it can be read", error);
	file->told = true;
}

void credentials_file_look(struct credentials_file *file)
{
	const char *reason = file->open ? reason_to_close(file) : NULL;
	char error[1400];

	if (file->connections.count == 0 || (file->open && !reason))
		return;
	if (file->open) {
		snprintf(error, sizeof(error), "%s: %s", file->path, reason);
		tell_away(file, error);
		file->open = false;
	}
	/* The log of the old file must not be taken for the new one's. */
	if (!close_all(file))
		return;
	file->open = open_all(file, error, sizeof(error));
	if (!file->open) {
		tell_away(file, error);
	} else if (file->told) {
		log_info("%s can be read again", file->path);
		file->told = false;
	}
}

void credentials_file_close(struct credentials_file *file)
{
	file->open = false;
	(void)!close_all(file);
}
