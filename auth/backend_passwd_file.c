// SPDX-License-Identifier: ISC
/*
 * A file of Dovecot's passwd-file form as a back end: "user:password:uid:gid:gecos:home:shell:extra". Only the first two fields
 * count, and of the extra ones nologin and allow_nets: who has them is not let in (authd does not know networks). Names may stand
 * with or without the default realm. The file is read at the start; authd starts anew when it is another. See backend.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "auth/backend_impl.h"
#include "base/map.h"
#include "os/file_stamp.h"

enum { FILE_MOST = 64 << 20, FIELDS_BEFORE_EXTRA = 7 };

struct passwd_file {
	struct backend backend;
	const struct backends_settings *settings;
	struct map logins; /* name in lower case -> entry */
	struct file_stamp stamp;
};

struct entry {
	bool closed;
	char stored[];
};

/* "nologin", "allow_nets=..." among words that may be quoted: one of the first is enough. */
static bool is_closed(struct slice extra)
{
	struct slice word;

	while (slice_word(&extra, " \t\r", &word))
		if (slice_equal(word, SLICE("nologin")) || slice_starts(word, SLICE("nologin=")) ||
			slice_starts(word, SLICE("allow_nets=")))
			return true;
	return false;
}

static bool add_entry(
	struct passwd_file *file, struct slice user, struct slice stored, struct slice extra)
{
	char name[CREDENTIALS_MAX_LOGIN + 1];
	struct entry *entry;

	if (user.length == 0 || !slice_to_string(user, name, sizeof(name)) ||
		stored.length >= SCHEME_MAX_STORED)
		return true;
	for (char *c = name; *c; c++)
		*c = ascii_lower(*c);
	if (map_get(&file->logins, slice_from(name)))
		return true;
	entry = calloc(1, sizeof(*entry) + stored.length + 1);
	if (!entry)
		return false;
	if (stored.length)
		memcpy(entry->stored, stored.data, stored.length);
	entry->closed = is_closed(extra);
	if (map_put(&file->logins, slice_from(name), entry))
		return true;
	free(entry);
	return false;
}

static bool add_line(struct passwd_file *file, struct slice line)
{
	struct slice user, stored = slice_of("", 0), skipped;

	if (line.length == 0 || line.data[0] == '#' || !slice_split(&line, ':', &user))
		return true;
	(void)!slice_split(&line, ':', &stored);
	for (int i = 2; i < FIELDS_BEFORE_EXTRA; i++)
		(void)!slice_split(&line, ':', &skipped);
	return add_entry(file, user, stored, line);
}

static bool read_lines(
	struct passwd_file *file, int fd, const char *path, char *error, size_t error_size)
{
	struct stat info;
	size_t size = os_fstat(fd, &info) ? (size_t)info.st_size : SIZE_MAX;
	char *text = size > FILE_MOST ? NULL : malloc(size + 1);
	struct slice rest, line;
	bool done = text != NULL;
	ssize_t length = done ? os_pread(fd, text, size, 0) : 0;

	done = done && length >= 0;
	rest = slice_of(text, done ? (size_t)length : 0);
	while (done && slice_split(&rest, '\n', &line))
		done = add_line(file, slice_trim(line));
	if (!done)
		snprintf(error, error_size, "%s: %s", path,
			length < 0 ? strerror(errno) : "it is too large, or memory is out");
	if (text)
		explicit_bzero(text, size);
	free(text);
	return done;
}

static bool free_entry(void *context, struct slice key, void *value)
{
	struct entry *entry = value;

	explicit_bzero(entry->stored, strlen(entry->stored));
	free(entry);
	return true;
}

static void close_file(struct backend *backend)
{
	struct passwd_file *file = (struct passwd_file *)backend;

	map_each(&file->logins, free_entry, NULL);
	map_free(&file->logins);
	file_stamp_free(&file->stamp);
	free(file);
}

static struct backend *open_file(const struct backend_opening *opening)
{
	struct passwd_file *file = calloc(1, sizeof(*file));
	bool done = false;
	int fd = -1;

	if (!file) {
		snprintf(opening->error, opening->error_size, "no memory");
		return NULL;
	}
	file->stamp = FILE_STAMP_NONE;
	file->settings = opening->settings;
	if (file_stamp_take(&file->stamp, opening->argument))
		fd = os_open(opening->argument, O_RDONLY, 0);
	if (fd >= 0)
		done = read_lines(file, fd, opening->argument, opening->error, opening->error_size);
	else
		snprintf(opening->error, opening->error_size, "%s: %s", opening->argument,
			strerror(errno));
	os_close(&fd);
	if (done)
		return &file->backend;
	close_file(&file->backend);
	return NULL;
}

static enum credentials_status read_file(
	struct backend *backend, struct slice login, char stored[SCHEME_MAX_STORED])
{
	struct passwd_file *file = (struct passwd_file *)backend;
	const struct entry *entry = map_get(&file->logins, login);
	struct slice name;

	if (!entry && backend_short_name(file->settings, login, &name))
		entry = map_get(&file->logins, name);
	if (!entry)
		return CREDENTIALS_UNKNOWN;
	return !entry->closed &&
			       slice_to_string(slice_from(entry->stored), stored, SCHEME_MAX_STORED)
		       ? CREDENTIALS_GOOD
		       : CREDENTIALS_BAD;
}

struct listing {
	void (*each)(void *context, struct slice stored);
	void *context;
};

static bool list_entry(void *context, struct slice key, void *value)
{
	const struct listing *listing = context;
	const struct entry *entry = value;

	if (!entry->closed)
		listing->each(listing->context, slice_from(entry->stored));
	return true;
}

static bool each_file(
	struct backend *backend, void (*each)(void *context, struct slice stored), void *context)
{
	struct passwd_file *file = (struct passwd_file *)backend;
	struct listing listing = { each, context };

	map_each(&file->logins, list_entry, &listing);
	return true;
}

static bool file_changed(const struct backend *backend)
{
	const struct passwd_file *file = (const struct passwd_file *)backend;

	return file_stamp_changed(&file->stamp);
}

const struct backend_type BACKEND_PASSWD_FILE = { .name = "passwd-file",
	.open = open_file,
	.close = close_file,
	.read = read_file,
	.each = each_file,
	.changed = file_changed };
