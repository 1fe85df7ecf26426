// SPDX-License-Identifier: ISC
/* A sample of the logins in tables. See scram_sample.h. */
#include "auth/scram_sample.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buffer.h"
#include "os/os.h"

enum { LINE_MOST = 100, FILE_MOST = (SCRAM_SAMPLE_MOST + 1) * LINE_MOST, NUMBERS = 7 };

struct seen {
	uint64_t mark;
	int64_t at; /* s since 1970 */
	bool counts; /* false: it is counted elsewhere */
	struct scram_shape shape;
};

struct scram_sample {
	pthread_mutex_t lock;
	unsigned char secret[32];
	uint64_t limit; /* marks that are kept are below it */
	bool changed;
	unsigned count;
	struct seen seen[SCRAM_SAMPLE_MOST]; /* by their marks */
};

struct scram_sample *scram_sample_new(const unsigned char secret[32])
{
	struct scram_sample *sample = calloc(1, sizeof(*sample));

	if (!sample)
		return NULL;
	memcpy(sample->secret, secret, sizeof(sample->secret));
	sample->limit = UINT64_MAX;
	pthread_mutex_init(&sample->lock, NULL);
	return sample;
}

void scram_sample_free(struct scram_sample **sample)
{
	if (!*sample)
		return;
	pthread_mutex_destroy(&(*sample)->lock);
	OPENSSL_cleanse(*sample, sizeof(**sample));
	free(*sample);
	*sample = NULL;
}

static uint64_t mark_of(const struct scram_sample *sample, struct slice login)
{
	unsigned char digest[EVP_MAX_MD_SIZE] = { 0 };
	uint64_t mark;

	HMAC(EVP_sha256(), sample->secret, sizeof(sample->secret),
		(const unsigned char *)login.data, login.length, digest, NULL);
	memcpy(&mark, digest, sizeof(mark));
	return mark;
}

/* --- the lock is held --- */

/* Where that mark is, or belongs. */
static unsigned place_of(const struct scram_sample *sample, uint64_t mark)
{
	unsigned low = 0, high = sample->count;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (sample->seen[middle].mark < mark)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct seen *find(struct scram_sample *sample, uint64_t mark)
{
	struct seen *seen = &sample->seen[place_of(sample, mark)];

	return seen < sample->seen + sample->count && seen->mark == mark ? seen : NULL;
}

/* In place of what is known of that login. Where all places are taken the highest mark makes room, and is the limit. */
static void put(struct scram_sample *sample, const struct seen *one)
{
	unsigned at = place_of(sample, one->mark);

	if (one->mark >= sample->limit)
		return;
	sample->changed = true;
	if (at < sample->count && sample->seen[at].mark == one->mark) {
		sample->seen[at] = *one;
		return;
	}
	if (sample->count == SCRAM_SAMPLE_MOST && at == sample->count) {
		sample->limit = one->mark;
		return;
	}
	if (sample->count == SCRAM_SAMPLE_MOST)
		sample->limit = sample->seen[--sample->count].mark;
	memmove(&sample->seen[at + 1], &sample->seen[at],
		(sample->count - at) * sizeof(sample->seen[0]));
	sample->seen[at] = *one;
	sample->count++;
}

/* Those who have not come for long are not there any more, for all that is known. */
static void forget_old(struct scram_sample *sample, int64_t now)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < sample->count; i++)
		if (sample->seen[i].at > now - SCRAM_SAMPLE_LIFETIME)
			sample->seen[kept++] = sample->seen[i];
	sample->changed = sample->changed || kept < sample->count;
	sample->count = kept;
	if (!kept)
		sample->limit = UINT64_MAX;
}

/* --- */

bool scram_sample_wants(struct scram_sample *sample, struct slice login, int64_t now)
{
	uint64_t mark = mark_of(sample, login);
	const struct seen *seen;
	bool wants;

	pthread_mutex_lock(&sample->lock);
	seen = find(sample, mark);
	wants = seen ? now < seen->at || now >= seen->at + SCRAM_SAMPLE_AGAIN
		     : mark < sample->limit;
	pthread_mutex_unlock(&sample->lock);
	return wants;
}

void scram_sample_take(
	struct scram_sample *sample, struct slice login, struct slice stored, int64_t now)
{
	const struct seen one = { .mark = mark_of(sample, login),
		.at = now,
		.counts = stored.length > 0,
		.shape = scram_shape_of(stored) };

	pthread_mutex_lock(&sample->lock);
	put(sample, &one);
	pthread_mutex_unlock(&sample->lock);
}

void scram_sample_count(struct scram_sample *sample, struct scram_forms *forms, bool plain,
	unsigned iterations, int64_t now)
{
	struct scram_forms found = { 0 };
	double share;

	pthread_mutex_lock(&sample->lock);
	forget_old(sample, now);
	share = sample->limit == UINT64_MAX ? 1 : (double)sample->limit / (double)UINT64_MAX;
	for (unsigned i = 0; i < sample->count; i++)
		if (sample->seen[i].counts)
			scram_forms_add(&found, &sample->seen[i].shape, 1, plain, iterations);
	pthread_mutex_unlock(&sample->lock);
	for (unsigned i = 0; i < found.count; i++) {
		double all = found.shape[i].count / share + 0.5;

		scram_forms_add(forms, &found.shape[i],
			all < (double)UINT32_MAX ? (uint32_t)all : UINT32_MAX, plain, iterations);
	}
}

/* --- its file: the limit, then a line for each login --- */

static void print(const struct scram_sample *sample, struct buffer *text)
{
	buffer_printf(text, "%" PRIu64 "\n", sample->limit);
	for (unsigned i = 0; i < sample->count; i++) {
		const struct seen *seen = &sample->seen[i];

		buffer_printf(
			text, "%" PRIu64 " %" PRId64 " %d", seen->mark, seen->at, seen->counts);
		for (int k = 0; k < SCRAM_DIGESTS; k++)
			buffer_printf(text, " %u %u", seen->shape.form[k].iterations,
				seen->shape.form[k].salt_length);
		buffer_add_byte(text, '\n');
	}
}

/* Numbers with a space between them; false when they are not `count`. */
static bool numbers_of(struct slice line, uint64_t *numbers, unsigned count)
{
	struct slice word;
	unsigned found = 0;

	while (slice_split(&line, ' ', &word))
		if (found == count || !slice_to_u64(word, UINT64_MAX, &numbers[found++]))
			return false;
	return found == count;
}

static bool take_line(struct scram_sample *sample, struct slice line)
{
	uint64_t n[NUMBERS];
	struct seen seen;

	if (!numbers_of(line, n, NUMBERS) || n[1] > INT64_MAX / 2 || n[2] > 1)
		return false;
	seen = (struct seen){ .mark = n[0], .at = (int64_t)n[1], .counts = n[2] };
	for (int k = 0; k < SCRAM_DIGESTS; k++) {
		if (n[3 + 2 * k] > UINT32_MAX || n[4 + 2 * k] > SCHEME_MAX_SALT)
			return false;
		seen.shape.form[k] =
			(struct scram_form){ (unsigned)n[3 + 2 * k], (unsigned)n[4 + 2 * k] };
	}
	put(sample, &seen);
	return true;
}

bool scram_sample_load(struct scram_sample *sample, const char *path)
{
	char *data = malloc(FILE_MOST);
	ssize_t length = data ? os_read_file(AT_FDCWD, path, data, FILE_MOST) : -1;
	struct slice rest = slice_of(data ? data : "", length > 0 ? (size_t)length : 0), line;
	uint64_t limit;
	int error = errno;

	pthread_mutex_lock(&sample->lock);
	if (slice_split(&rest, '\n', &line) && numbers_of(line, &limit, 1) && limit) {
		sample->limit = limit;
		while (slice_split(&rest, '\n', &line))
			(void)!take_line(sample, line);
	}
	sample->changed = false;
	pthread_mutex_unlock(&sample->lock);
	free(data);
	errno = error;
	return length >= 0;
}

static bool write_file(const char *path, struct slice text)
{
	char temporary[1100];
	int fd = -1;
	bool good =
		(size_t)snprintf(temporary, sizeof(temporary), "%s.new", path) < sizeof(temporary);

	if (good)
		fd = os_open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	good = fd >= 0 && os_write_all(fd, text.data, text.length);
	os_close(&fd);
	return good && os_renameat(AT_FDCWD, temporary, AT_FDCWD, path);
}

bool scram_sample_save(struct scram_sample *sample, const char *path)
{
	struct buffer text = { 0 };
	bool good = true, changed;

	pthread_mutex_lock(&sample->lock);
	changed = sample->changed;
	if (changed)
		print(sample, &text);
	sample->changed = false;
	pthread_mutex_unlock(&sample->lock);
	if (changed) {
		good = !text.failed && write_file(path, buffer_slice(&text));
		pthread_mutex_lock(&sample->lock);
		sample->changed = sample->changed || !good;
		pthread_mutex_unlock(&sample->lock);
	}
	buffer_free(&text);
	return good;
}
