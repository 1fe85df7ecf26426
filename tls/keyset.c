// SPDX-License-Identifier: ISC
/* The keys and certificates of a configuration. See keyset.h. */
#include "tls/keyset.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base64.h"
#include "config/tls_set.h"
#include "os/os.h"
#include "table/table.h"
#include "tls/keyset_pem.h"

struct key_file {
	char *path;
	struct buffer content;
};

static struct key_file *file_at(const struct keyset *keyset, unsigned number)
{
	return vector_at(&keyset->files, number);
}

/* Keys stand in them. */
static void wipe(struct buffer *content)
{
	OPENSSL_cleanse(content->data, content->length);
	buffer_free(content);
}

unsigned keyset_file_count(const struct keyset *keyset)
{
	return (unsigned)keyset->files.count;
}

const char *keyset_file_path(const struct keyset *keyset, unsigned number)
{
	return file_at(keyset, number)->path;
}

static bool read_content(int fd, struct buffer *content)
{
	ssize_t got;

	*content = buffer_limited(KEYSET_FILE_MAX);
	for (;;) {
		char *space = buffer_reserve(content, 4096);

		if (!space) {
			errno = EFBIG;
			return false;
		}
		got = os_read(fd, space, 4096);
		if (got <= 0)
			return got == 0;
		content->length += (size_t)got;
	}
}

/* --- groups --- */

static void free_pairs(struct key_pair *pairs, unsigned *count)
{
	for (unsigned i = 0; i < *count; i++)
		key_pair_free(&pairs[i]);
	*count = 0;
}

const char *keyset_group_file(const struct keyset *keyset, const struct key_group *group)
{
	/* Of a pair, the certificate's file is the last. */
	return group->files.count ? keyset_file_path(keyset, *(unsigned *)vector_at(&group->files,
								     group->files.count - 1))
				  : group->name;
}

static bool told(const struct keyset *keyset, bool error, const char *file, const char *text)
{
	keyset->tell(keyset->context, error, file, text);
	return !error;
}

/* An expired certificate that was put there as such is a mistake; one that has grown old there is served on, with a warning. */
static bool check_time(
	const struct keyset *keyset, const struct key_group *group, const struct key_pair *pair)
{
	int64_t now = os_now() / 1000000;
	const char *file = keyset_group_file(keyset, group);
	struct stat info;

	if (pair->not_before > now)
		told(keyset, false, file, "the certificate is not valid yet");
	if (pair->not_after > now)
		return true;
	if (group->pair_count)
		return told(keyset, true, file, "the new certificate has expired");
	return told(keyset,
		keyset->strict && group->files.count && stat(file, &info) == 0 &&
			info.st_mtime > pair->not_after,
		file, "the certificate has expired");
}

static bool group_pem(
	const struct keyset *keyset, const struct key_group *group, struct buffer *pem)
{
	*pem = buffer_limited((size_t)KEYSET_FILE_MAX * 4);
	buffer_add(pem, buffer_slice(&group->inlined));
	for (size_t i = 0; i < group->files.count; i++) {
		buffer_add(
			pem, buffer_slice(&file_at(keyset, *(unsigned *)vector_at(&group->files, i))
						   ->content));
		buffer_add_byte(pem, '\n');
	}
	return !pem->failed;
}

/* Read, check and take up; what is wrong is told, and the pairs stay what they were. */
static bool group_renew(struct keyset *keyset, struct key_group *group)
{
	struct key_pair pairs[KEYSET_PAIRS_MAX] = { 0 };
	struct buffer pem;
	char error[200] = "out of memory";
	int count = group_pem(keyset, group, &pem)
			    ? keyset_pairs(buffer_slice(&pem), pairs, error, sizeof(error))
			    : -1;
	unsigned good_count = count > 0 ? (unsigned)count : 0;
	bool good = count > 0;

	wipe(&pem);
	group->changed = false;
	if (!good)
		return told(keyset, true, keyset_group_file(keyset, group), error);
	for (unsigned i = 0; i < good_count; i++)
		good = check_time(keyset, group, &pairs[i]) && good;
	if (!good) {
		free_pairs(pairs, &good_count);
		return false;
	}
	/* Handshakes under way are signed with the former keys. */
	free_pairs(group->former, &group->former_count);
	memcpy(group->former, group->pairs, sizeof(pairs));
	group->former_count = group->pair_count;
	for (unsigned i = 0; i < good_count; i++) {
		pairs[i].number = keyset->next_number++;
		pairs[i].client = group->client;
	}
	memcpy(group->pairs, pairs, sizeof(pairs));
	group->pair_count = good_count;
	group->generation++;
	return true;
}

void keyset_renew(struct keyset *keyset,
	void (*renewed)(void *context, const struct key_set *set, const struct key_group *group),
	void *context)
{
	for (size_t i = 0; i < keyset->sets.count; i++) {
		struct key_set *set = *(struct key_set **)vector_at(&keyset->sets, i);

		for (size_t k = 0; k < set->groups.count; k++) {
			struct key_group *group = *(struct key_group **)vector_at(&set->groups, k);

			if (group->changed && group_renew(keyset, group))
				renewed(context, set, group);
		}
	}
}

bool keyset_take_file(struct keyset *keyset, unsigned number, int fd)
{
	struct buffer content;
	struct key_file *file;

	if (number >= keyset->files.count)
		return false;
	file = file_at(keyset, number);
	if (!read_content(fd, &content)) {
		wipe(&content);
		return told(keyset, true, file->path, strerror(errno));
	}
	if (slice_equal(buffer_slice(&content), buffer_slice(&file->content))) {
		wipe(&content);
		return true;
	}
	wipe(&file->content);
	file->content = content;
	for (size_t i = 0; i < keyset->sets.count; i++) {
		const struct key_set *set = *(struct key_set **)vector_at(&keyset->sets, i);

		for (size_t k = 0; k < set->groups.count; k++) {
			struct key_group *group = *(struct key_group **)vector_at(&set->groups, k);

			for (size_t n = 0; n < group->files.count; n++)
				group->changed = group->changed ||
						 *(unsigned *)vector_at(&group->files, n) == number;
		}
	}
	return true;
}

/* --- loading --- */

struct loading {
	struct keyset *keyset;
	struct key_set *set;
	struct key_group *group; /* to put files into */
	bool good;
};

/* The number of a file, which is read when it is new; -1 after telling what is wrong. */
static int add_file(struct keyset *keyset, const char *path)
{
	struct key_file *file;
	int fd;
	bool good;

	for (size_t i = 0; i < keyset->files.count; i++)
		if (strcmp(file_at(keyset, (unsigned)i)->path, path) == 0)
			return (int)i;
	file = keyset->files.count < KEYSET_FILES_MAX ? vector_add(&keyset->files) : NULL;
	if (!file || !(file->path = slice_dup(slice_from(path)))) {
		if (file)
			keyset->files.count--;
		told(keyset, true, path, "too many files of certificates");
		return -1;
	}
	fd = os_open(path, O_RDONLY, 0);
	good = fd >= 0 && read_content(fd, &file->content);
	if (!good)
		told(keyset, true, path, strerror(errno));
	os_close(&fd);
	/* It is watched all the same: it may come, or become readable. */
	return (int)keyset->files.count - 1;
}

static bool group_add_file(struct loading *loading, struct slice name)
{
	char path[1024];
	unsigned *place;
	int number, length;

	length = snprintf(path, sizeof(path), "%s%s%.*s",
		name.length && name.data[0] == '/' ? "" : loading->keyset->folder,
		name.length && name.data[0] == '/' ? "" : "/", SLICE_ARG(name));
	if (length < 0 || (size_t)length >= sizeof(path))
		return told(loading->keyset, true, "certificate", "the file's name is too long");
	number = add_file(loading->keyset, path);
	place = number >= 0 ? vector_add(&loading->group->files) : NULL;
	if (place)
		*place = (unsigned)number;
	return place != NULL;
}

static struct key_group *add_group(struct loading *loading, struct slice name)
{
	struct key_group *group, **place;

	if (loading->set->groups.count > KEYSET_NAMES_MAX || !(group = calloc(1, sizeof(*group))))
		return NULL;
	place = vector_add(&loading->set->groups);
	if (!place || !slice_to_string(name, group->name, sizeof(group->name))) {
		loading->set->groups.count -= place != NULL;
		free(group);
		return NULL;
	}
	for (char *c = group->name; *c; c++)
		*c = ascii_lower(*c);
	group->files = vector_of(sizeof(unsigned), 0);
	*place = loading->group = group;
	return group;
}

static bool add_chain_file(void *context, struct slice file)
{
	struct loading *loading = context;

	loading->good = group_add_file(loading, file) && loading->good;
	return true;
}

/* A value of a table: files, or (as of "postmap -F") their contents in base64. */
static bool add_name(void *context, struct slice name, struct slice value)
{
	struct loading *loading = context;
	struct key_group *group = add_group(loading, name);
	char *text = slice_dup(value);

	if (!group || !text) {
		free(text);
		loading->good = told(loading->keyset, true, "tls_server_sni_maps",
			"too many server names, or one that is too long");
		return false;
	}
	group->inlined = buffer_limited(KEYSET_FILE_MAX);
	if (slice_find(value, '/') == 0 || !base64_decode(value, &group->inlined))
		(void)config_each(text, add_chain_file, loading);
	free(text);
	return true;
}

static bool add_table(void *context, struct slice spec)
{
	struct loading *loading = context;
	struct keyset *keyset = loading->keyset;
	char text[1024], error[300] = "the name is too long";
	struct table *table = slice_to_string(spec, text, sizeof(text))
				      ? table_open(text, keyset->folder, 0, error, sizeof(error))
				      : NULL;

	if (!table) {
		loading->good = told(keyset, true, "tls_server_sni_maps", error);
		return true;
	}
	if (!table_each(table, add_name, loading))
		loading->good = told(keyset, true, text,
			"tables of server names are hash:, btree:, texthash: or inline:");
	table_close(&table);
	return true;
}

static bool add_line(void *context, struct slice name, struct slice value)
{
	struct loading *loading = context;
	struct slice certificate;
	char *text;

	loading->group = *(struct key_group **)vector_at(&loading->set->groups, 0);
	if (slice_equal(name, SLICE("role"))) {
		loading->group->client = slice_equal(value, SLICE("client"));
	} else if (slice_equal(name, SLICE("chain"))) {
		loading->good = group_add_file(loading, value) && loading->good;
	} else if (slice_equal(name, SLICE("pair"))) {
		slice_split(&value, '\t', &certificate);
		loading->good = (slice_equal(value, certificate) || !value.length ||
					group_add_file(loading, value)) &&
				group_add_file(loading, certificate) && loading->good;
	} else if (slice_equal(name, SLICE("sni")) && (text = slice_dup(value))) {
		(void)config_each(text, add_table, loading);
		free(text);
	}
	return true;
}

bool keyset_load_set(struct keyset *keyset, struct slice text)
{
	struct key_set *set = calloc(1, sizeof(*set)), **place;
	struct loading loading = { .keyset = keyset, .set = set, .good = true };

	if (!keyset->files.size) {
		keyset->files = vector_of(sizeof(struct key_file), 0);
		keyset->sets = vector_of(sizeof(struct key_set *), 0);
	}
	place = set ? vector_add(&keyset->sets) : NULL;
	if (!place) {
		free(set);
		return told(keyset, true, "certificates", "out of memory");
	}
	*place = set;
	set->groups = vector_of(sizeof(struct key_group *), 0);
	if (!buffer_add(&set->text, text) || !add_group(&loading, SLICE("")))
		return told(keyset, true, "certificates", "out of memory");
	tls_set_each(text, add_line, &loading);
	for (size_t i = 0; i < set->groups.count; i++)
		loading.good =
			group_renew(keyset, *(struct key_group **)vector_at(&set->groups, i)) &&
			loading.good;
	return loading.good;
}

static bool has_no_key(void *context, struct slice name, struct slice value)
{
	return !slice_equal(name, SLICE("chain")) && !slice_equal(name, SLICE("pair"));
}

static bool load_each(void *context, struct slice text)
{
	struct loading *loading = context;

	/* A client's authorities alone are tlsd's. */
	if (tls_set_each(text, has_no_key, NULL))
		return true;
	loading->good = keyset_load_set(loading->keyset, text) && loading->good;
	return true;
}

bool keyset_load(struct keyset *keyset, const struct config *config)
{
	struct loading loading = { .keyset = keyset, .good = true };

	keyset->folder = config_text(config, PARAM_config_directory);
	return tls_sets_each(config, load_each, &loading) && loading.good;
}

void keyset_free(struct keyset *keyset)
{
	for (size_t i = 0; i < keyset->sets.count; i++) {
		struct key_set *set = *(struct key_set **)vector_at(&keyset->sets, i);

		for (size_t k = 0; k < set->groups.count; k++) {
			struct key_group *group = *(struct key_group **)vector_at(&set->groups, k);

			free_pairs(group->pairs, &group->pair_count);
			free_pairs(group->former, &group->former_count);
			wipe(&group->inlined);
			vector_free(&group->files);
			free(group);
		}
		vector_free(&set->groups);
		buffer_free(&set->text);
		free(set);
	}
	for (size_t i = 0; i < keyset->files.count; i++) {
		free(file_at(keyset, (unsigned)i)->path);
		wipe(&file_at(keyset, (unsigned)i)->content);
	}
	vector_free(&keyset->sets);
	vector_free(&keyset->files);
}

/* --- questions --- */

const struct key_set *keyset_find(const struct keyset *keyset, struct slice text)
{
	for (size_t i = 0; i < keyset->sets.count; i++) {
		const struct key_set *set = *(struct key_set **)vector_at(&keyset->sets, i);

		if (slice_equal(buffer_slice(&set->text), text))
			return set;
	}
	return NULL;
}

const struct key_pair *keyset_key(const struct keyset *keyset, uint32_t number)
{
	for (size_t i = 0; i < keyset->sets.count; i++) {
		const struct key_set *set = *(struct key_set **)vector_at(&keyset->sets, i);

		for (size_t k = 0; k < set->groups.count; k++) {
			const struct key_group *group = key_set_group(set, k);

			for (unsigned n = 0; n < group->pair_count; n++)
				if (group->pairs[n].number == number)
					return &group->pairs[n];
			for (unsigned n = 0; n < group->former_count; n++)
				if (group->former[n].number == number)
					return &group->former[n];
		}
	}
	return NULL;
}
