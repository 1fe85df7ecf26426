// SPDX-License-Identifier: ISC
/*
 * Changing main.cf and master.cf in place, for postconf -e and postern init.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "config/internal.h"
#include "os/os.h"

/* Comment lines and blank ones belong to no entry. */
static bool is_comment(struct slice line)
{
	struct slice text = slice_trim(line);

	return !text.length || text.data[0] == '#';
}

/* The physical line at the front, with its LF. */
static struct slice first_line(struct slice rest)
{
	ptrdiff_t end = slice_find(rest, '\n');

	return slice_head(rest, end < 0 ? rest.length : (size_t)end + 1);
}

static bool add_line(struct buffer *out, struct slice line)
{
	buffer_add(out, line);
	if (line.length && line.data[line.length - 1] != '\n')
		buffer_add_byte(out, '\n');
	return !out->failed;
}

bool config_edit(struct slice text,
	enum config_edit_action (*edit)(void *context, struct slice entry, struct buffer *out),
	void *context, struct buffer *out)
{
	enum config_edit_action action = CONFIG_KEEP;
	struct buffer logical = { 0 };
	unsigned line;

	while (text.length && !out->failed) {
		struct slice physical = first_line(text);
		bool comment = is_comment(physical);

		if (!comment && physical.data[0] != ' ' && physical.data[0] != '\t') {
			struct line_reader reader = { text, 1 };

			action = CONFIG_KEEP;
			if (line_next(&reader, &logical, &line) == LINE_TEXT)
				action = edit(context, buffer_slice(&logical), out);
		}
		if (action == CONFIG_TO_COMMENT && !comment)
			buffer_add_byte(out, '#');
		if (action != CONFIG_REPLACE || comment)
			add_line(out, physical);
		text = slice_tail(text, physical.length);
	}
	buffer_free(&logical);
	return !out->failed;
}

/* --- main.cf --- */

struct settings_edit {
	enum config_change change;
	struct config_edit_item *items;
	size_t count;
};

static struct config_edit_item *item_of(struct settings_edit *edit, struct slice entry)
{
	ptrdiff_t equals = slice_find(entry, '=');
	struct slice name = slice_trim(slice_head(entry, equals < 0 ? 0 : (size_t)equals));

	for (size_t i = 0; i < edit->count; i++)
		if (slice_equal(name, slice_from(edit->items[i].name)))
			return &edit->items[i];
	return NULL;
}

static enum config_edit_action edit_setting(void *context, struct slice entry, struct buffer *out)
{
	struct settings_edit *edit = context;
	struct config_edit_item *item = item_of(edit, entry);

	if (!item)
		return CONFIG_KEEP;
	if (edit->change == CONFIG_SET && !item->found)
		buffer_printf(out, "%s = %s\n", item->name, item->value);
	item->found++;
	return edit->change == CONFIG_COMMENT_OUT ? CONFIG_TO_COMMENT : CONFIG_REPLACE;
}

bool config_edit_settings(struct slice text, enum config_change change,
	struct config_edit_item *items, size_t count, struct buffer *out)
{
	struct settings_edit edit = { change, items, count };

	for (size_t i = 0; i < count; i++)
		items[i].found = 0;
	if (!config_edit(text, edit_setting, &edit, out))
		return false;
	for (size_t i = 0; i < count && change == CONFIG_SET; i++)
		if (!items[i].found)
			buffer_printf(out, "%s = %s\n", items[i].name, items[i].value);
	return !out->failed;
}

/* --- files --- */

/* Contents, owner and mode of the new file, synced. */
static bool fill_file(int fd, const struct stat *like, struct slice text)
{
	if (like->st_uid != geteuid() || like->st_gid != getegid())
		if (fchown(fd, like->st_uid, like->st_gid) < 0)
			return false;
	return fchmod(fd, like->st_mode & 07777) == 0 && os_write_all(fd, text.data, text.length) &&
	       os_fsync(fd);
}

static bool sync_folder(const char *path)
{
	char folder[PATH_MAX];
	char *slash;
	int fd;
	bool good;

	snprintf(folder, sizeof(folder), "%s", path);
	slash = strrchr(folder, '/');
	if (slash)
		slash[slash == folder] = 0;
	fd = os_open(slash ? folder : ".", O_RDONLY | O_DIRECTORY, 0);
	good = fd >= 0 && os_fsync(fd);
	os_close(&fd);
	return good;
}

static bool write_beside(
	const char *path, const char *temporary, const struct stat *like, struct slice text)
{
	int fd = os_open(temporary, O_WRONLY | O_CREAT | O_EXCL, 0600);
	bool good = fd >= 0 && fill_file(fd, like, text);
	int saved = errno;

	if (fd >= 0)
		os_close(&fd);
	errno = saved;
	if (good && os_renameat(AT_FDCWD, temporary, AT_FDCWD, path))
		return sync_folder(path);
	saved = errno;
	if (saved != EEXIST)
		unlink(temporary);
	errno = saved;
	return false;
}

bool config_replace_file(const char *path, struct slice text, char *error, size_t error_size)
{
	char real[PATH_MAX], temporary[PATH_MAX + 16];
	struct stat info;
	bool good = realpath(path, real) && os_fstatat(AT_FDCWD, real, &info, 0);

	if (good) {
		snprintf(temporary, sizeof(temporary), "%s.new", real);
		good = write_beside(real, temporary, &info, text);
	}
	if (!good)
		snprintf(error, error_size, "%s: %s%s", path, strerror(errno),
			errno == EEXIST ? " (is another change of it going on? If not, remove the "
					  ".new file)"
					: "");
	return good;
}
