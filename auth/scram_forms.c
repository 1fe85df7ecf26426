// SPDX-License-Identifier: ISC
/* What SCRAM keys look like from outside. See scram_forms.h. */
#include "auth/scram_forms.h"

/* "4096,salt,StoredKey,ServerKey": not looked into further than that, for there may be many. */
static bool form_of(struct slice value, struct scram_form *form)
{
	struct slice iterations, salt;
	uint64_t count;
	size_t length;

	if (!slice_split(&value, ',', &iterations) || !slice_split(&value, ',', &salt) ||
		!slice_to_u64(iterations, UINT32_MAX, &count) || salt.length < 4)
		return false;
	length = salt.length / 4 * 3;
	length -= (salt.data[salt.length - 1] == '=') + (salt.data[salt.length - 2] == '=');
	*form = (struct scram_form){ (unsigned)count, (unsigned)length };
	return length <= SCHEME_MAX_SALT;
}

static int compare(const struct scram_shape *a, const struct scram_shape *b)
{
	return memcmp(a->form, b->form, sizeof(a->form));
}

static void count(struct scram_forms *forms, const struct scram_shape *shape, uint32_t logins)
{
	unsigned at = 0;

	while (at < forms->count && compare(&forms->shape[at], shape) < 0)
		at++;
	if (at == forms->count || compare(&forms->shape[at], shape) != 0) {
		if (forms->count == SCRAM_SHAPES)
			return;
		memmove(&forms->shape[at + 1], &forms->shape[at],
			(forms->count - at) * sizeof(*shape));
		forms->shape[at] = *shape;
		forms->shape[at].count = 0;
		forms->count++;
	}
	forms->shape[at].count = logins < UINT32_MAX - forms->shape[at].count
					 ? forms->shape[at].count + logins
					 : UINT32_MAX;
}

/* Stored plain text goes to the end, spaces and all. */
static bool is_plain(struct slice verifier)
{
	return slice_starts_nocase(verifier, SLICE("{PLAIN}")) ||
	       slice_starts_nocase(verifier, SLICE("{CLEARTEXT}"));
}

struct scram_shape scram_shape_of(struct slice stored)
{
	static const struct slice PREFIXES[] = {
		[SCRAM_SHA_1] = { "{SCRAM-SHA-1}", 13 }, [SCRAM_SHA_256] = { "{SCRAM-SHA-256}", 15 }
	};
	struct scram_shape shape = { .count = 1 };
	bool has[SCRAM_DIGESTS] = { false }, has_plain = false;
	struct slice verifier;

	/* Not by schemes_value, which knows of twenty schemes: there may be a million logins. */
	while (!has_plain && slice_split(&stored, ' ', &verifier)) {
		has_plain = is_plain(verifier);
		for (int i = 0; i < SCRAM_DIGESTS; i++) {
			if (has[i] || !slice_starts_nocase(verifier, PREFIXES[i]))
				continue;
			has[i] = true;
			if (!form_of(slice_tail(verifier, PREFIXES[i].length), &shape.form[i]))
				shape.form[i] = (struct scram_form){ 0 };
		}
	}
	for (int i = 0; i < SCRAM_DIGESTS; i++)
		if (!has[i] && has_plain)
			shape.form[i] = (struct scram_form){ 0, SCRAM_SALT };
	return shape;
}

void scram_forms_add(struct scram_forms *forms, const struct scram_shape *shape, uint32_t logins,
	bool plain, unsigned iterations)
{
	struct scram_shape whole = *shape;

	for (int i = 0; i < SCRAM_DIGESTS; i++) {
		struct scram_form *form = &whole.form[i];

		if (!form->iterations)
			*form = form->salt_length && plain
					? (struct scram_form){ iterations, SCRAM_SALT }
					: (struct scram_form){ 0 };
	}
	count(forms, &whole, logins);
}

/* Those with keys of `digest`; SCRAM_DIGESTS: all. */
static bool is_among(const struct scram_shape *shape, unsigned digest)
{
	return digest == SCRAM_DIGESTS || shape->form[digest].iterations;
}

/*
 * The shares lie one behind the other between 0 and 2^32, and the lot falls on one: where a few logins more change the shares a little,
 * a few names change theirs.
 */
static const struct scram_shape *draw(
	const struct scram_forms *forms, unsigned digest, uint32_t lot)
{
	const struct scram_shape *shape = forms->shape;
	uint64_t all = 0, place;

	for (unsigned i = 0; i < forms->count; i++)
		all += is_among(&shape[i], digest) ? shape[i].count : 0;
	if (!all)
		return NULL;
	place = (uint64_t)((__extension__(unsigned __int128) lot * all) >> 32);
	for (;; shape++) {
		uint64_t share = is_among(shape, digest) ? shape->count : 0;

		if (place < share)
			return shape;
		place -= share;
	}
}

struct scram_form scram_forms_pick(const struct scram_forms *forms, enum scram_digest digest,
	const struct scram_lot *lot, bool known)
{
	const struct scram_shape *shape = known ? NULL : draw(forms, SCRAM_DIGESTS, lot->shape);

	/* Nobody who came out as a login without such keys is shown what that would be shown. */
	if (!shape || !shape->form[digest].iterations)
		shape = draw(forms, digest, lot->form[digest]);
	return shape ? shape->form[digest] : (struct scram_form){ 0 };
}
