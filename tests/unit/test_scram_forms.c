// SPDX-License-Identifier: ISC
/* SCRAM's first answer tells of nobody whether he is there: iterations, length of the salt, and what it costs. */
#include <stdio.h>

#include "auth/survey.h"
#include "tests/unit/mech_world.h"
#include "tests/unit/text_file.h"

#define KEYS_1 "EhLOqHdIeihmmYkKWY3fFjxiXLU=,xQ66M1HqHsZc5XbU2gWfrSXGGvg="
#define KEYS_256 \
	"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=," \
	"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define SALT_9  "QSXCR+Q6sek8"
#define SALT_16 "W22ZaJ0SNY7soEsUEjb6gQ=="
#define HASH    "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"

enum { NAMES = 2000 };

/* Three kinds of logins: 20 with both keys, 15 with the one that another system made, 5 with none. */
static const struct {
	const char *name, *stored;
	unsigned count;
} KINDS[] = {
	{ "old",
		"{SCRAM-SHA-1}4096," SALT_9 "," KEYS_1 " {SCRAM-SHA-256}4096," SALT_16 "," KEYS_256,
		20 },
	{ "new", "{SCRAM-SHA-256}10000," SALT_9 "," KEYS_256, 15 },
	{ "hashed", HASH, 5 },
};
enum { KIND_COUNT = sizeof(KINDS) / sizeof(KINDS[0]) };

static struct survey *survey;

static void write_logins(void)
{
	struct buffer text = { 0 };

	for (unsigned kind = 0; kind < KIND_COUNT; kind++)
		for (unsigned i = 0; i < KINDS[kind].count; i++)
			buffer_printf(&text, "%s%u:%s\n", KINDS[kind].name, i, KINDS[kind].stored);
	buffer_printf(&text, "plain:{PLAIN}secret\ngone:%s::::::nologin\n", KINDS[0].stored);
	text_file_in(folder, "passwd", buffer_text(&text));
	buffer_free(&text);
}

static int setup_survey(void **state)
{
	if (setup(state) != 0)
		return -1;
	write_logins();
	reopen(&(struct scheme_settings){ .cost = 1, .iterations = 16384 });
	survey = backends ? survey_new(backends, NULL) : NULL;
	settings.survey = survey;
	settings.scram_iterations = 16384;
	return survey && survey_start(survey) &&
			       exchange_library_open(&settings, error, sizeof(error))
		       ? 0
		       : -1;
}

static int teardown_survey(void **state)
{
	survey_free(&survey);
	settings.survey = NULL;
	settings.scram_iterations = 4096;
	return teardown(state);
}
#define SURVEY_TEST(name) cmocka_unit_test_setup_teardown(name, setup_survey, teardown_survey)

/* The first answer to that name, without the nonce: ",s=...,i=..." */
static void answer(const char *mechanism, const char *name, char text[200])
{
	struct exchange *exchange = begin(mechanism);
	struct buffer first = { 0 };
	struct slice output;

	buffer_printf(&first, "n,,n=%s,r=x", name);
	assert_false(step(exchange, buffer_slice(&first)));
	output = exchange_output(exchange);
	assert_true(slice_to_string(
		slice_tail(output, (size_t)slice_search(output, SLICE(",s="))), text, 200));
	exchange_free(&exchange);
	buffer_free(&first);
}

/* What shows of it: iterations and characters of the salt. */
static void shown(const char *mechanism, const char *name, char text[40])
{
	char whole[200];
	const char *iterations;

	answer(mechanism, name, whole);
	iterations = strstr(whole, ",i=");
	assert_non_null(iterations);
	snprintf(text, 40, "%s/%d", iterations + 3, (int)(iterations - whole - 3));
}

static void both_shown(const char *name, char text[80])
{
	char one[40], other[40];

	shown("SCRAM-SHA-1", name, one);
	shown("SCRAM-SHA-256", name, other);
	snprintf(text, 80, "%s %s", one, other);
}

static void nobody_looks_like_somebody_as_often_as_there_are_such(void **state)
{
	/*
	 * Half of the logins show both of their keys. A quarter and more have one; what they show for the other is what they all show, as
	 * those who are nobody do. The rest have none, and show what the others have: 4096 in 20 of 35.
	 */
	static const struct {
		const char *shown;
		double share;
	} EXPECTED[] = {
		{ "4096/12 4096/24", 20.0 / 41 + 6.0 / 41 * 20 / 35 },
		{ "4096/12 10000/12", 15.0 / 41 + 6.0 / 41 * 15 / 35 },
	};
	unsigned counts[2] = { 0 };
	char name[20], text[80];

	for (unsigned i = 0; i < NAMES; i++) {
		unsigned kind = 0;

		snprintf(name, sizeof(name), "nobody%u", i);
		both_shown(name, text);
		while (kind < 2 && strcmp(text, EXPECTED[kind].shown) != 0)
			kind++;
		if (kind == 2)
			fail_msg("%s: nobody is shown %s", name, text);
		counts[kind]++;
	}
	for (unsigned kind = 0; kind < 2; kind++) {
		double share = (double)counts[kind] / NAMES;

		if (share < EXPECTED[kind].share - 0.04 || share > EXPECTED[kind].share + 0.04)
			fail_msg("%s: %f of those who are nobody, not %f", EXPECTED[kind].shown,
				share, EXPECTED[kind].share);
	}
}

static void who_is_there_is_shown_his_own_or_what_nobody_could_be_shown(void **state)
{
	char text[80];

	both_shown("old3", text);
	assert_string_equal(text, "4096/12 4096/24");
	both_shown("new3", text);
	assert_string_equal(text, "4096/12 10000/12");
	for (int i = 0; i < 5; i++) {
		char name[20];

		snprintf(name, sizeof(name), "hashed%d", i);
		both_shown(name, text);
		assert_true(strcmp(text, "4096/12 4096/24") == 0 ||
			    strcmp(text, "4096/12 10000/12") == 0);
	}
}

static void an_answer_is_the_same_each_time_and_each_name_has_its_own(void **state)
{
	char first[200], again[200], other[200];

	answer("SCRAM-SHA-256", "nobody", first);
	answer("SCRAM-SHA-256", "Nobody@EXAMPLE.org", again);
	assert_string_equal(first, again);
	answer("SCRAM-SHA-256", "somebody", other);
	assert_string_not_equal(first, other);
	answer("SCRAM-SHA-256", "gone", first);
	answer("SCRAM-SHA-256", "gone", again);
	assert_string_equal(first, again);
}

static void add(struct scram_forms *forms, struct slice stored, bool plain, unsigned iterations)
{
	const struct scram_shape shape = scram_shape_of(stored);

	scram_forms_add(forms, &shape, 1, plain, iterations);
}

/* A name whose form changes because others have come must look as if its password had changed: another salt, and seldom. */
static void a_few_logins_more_change_what_few_are_shown(void **state)
{
	static struct scram_forms before, after;
	unsigned changed = 0;

	for (int i = 0; i < 1000; i++)
		add(&before, slice_from(KINDS[i % 3].stored), false, 16384);
	after = before;
	for (int i = 0; i < 10; i++)
		add(&after, slice_from(KINDS[0].stored), false, 16384);
	assert_int_equal(before.count, 3);
	for (uint32_t i = 0; i < NAMES; i++) {
		/* Knuth's multiplier: they lie evenly. */
		const struct scram_lot lot = { i * 2654435761u,
			{ i * 2246822519u, i * 3266489917u } };
		struct scram_form one = scram_forms_pick(&before, SCRAM_SHA_256, &lot, false);
		struct scram_form two = scram_forms_pick(&after, SCRAM_SHA_256, &lot, false);

		changed += memcmp(&one, &two, sizeof(one)) != 0;
	}
	assert_in_range(changed, 1, NAMES / 50);
}

static void order_and_number_of_kinds_have_their_bounds(void **state)
{
	static struct scram_forms one, other;
	const struct scram_lot end = { UINT32_MAX, { UINT32_MAX, UINT32_MAX } };
	char stored[80];

	for (int i = 0; i < 3; i++) {
		add(&one, slice_from(KINDS[i].stored), false, 1);
		add(&other, slice_from(KINDS[2 - i].stored), false, 1);
	}
	assert_memory_equal(&one, &other, sizeof(one));
	for (int i = 1; i < 200; i++) {
		snprintf(stored, sizeof(stored), "{SCRAM-SHA-1}%d," SALT_9 ",x,x", i);
		add(&one, slice_from(stored), false, 1);
	}
	assert_int_equal(one.count, SCRAM_SHAPES);
	assert_true(scram_forms_pick(&one, SCRAM_SHA_1, &end, false).iterations > 0);
	/* What is none is counted as a login without. */
	other = (struct scram_forms){ 0 };
	add(&other, SLICE("{SCRAM-SHA-1}x,y {SCRAM-SHA-256}1"), false, 1);
	assert_int_equal(scram_forms_pick(&other, SCRAM_SHA_1, &end, false).iterations, 0);
	add(&other, SLICE("{PLAIN}x"), true, 9999);
	assert_int_equal(scram_forms_pick(&other, SCRAM_SHA_1, &end, true).iterations, 9999);
}

static uint64_t cost(const char *mechanism, const char *name)
{
	uint64_t before = schemes_hashes(backends_schemes(backends));
	char text[200];

	answer(mechanism, name, text);
	return schemes_hashes(backends_schemes(backends)) - before;
}

/* Keys are made of plain text when they are asked for: all are as late then. */
static void nobody_costs_what_somebody_costs(void **state)
{
	static const char *const WHO[] = { "old1", "new1", "hashed1", "plain", "gone", "nobody",
		"not a name" };

	for (size_t i = 0; i < sizeof(WHO) / sizeof(WHO[0]); i++) {
		assert_int_equal(cost("SCRAM-SHA-1", WHO[i]), 0);
		assert_int_equal(cost("SCRAM-SHA-256", WHO[i]), 0);
	}
	survey_free(&survey);
	settings.survey = NULL;
	reopen(&(struct scheme_settings){ .cost = 1, .iterations = 5000, .plain = true });
	assert_true(exchange_library_open(&settings, error, sizeof(error)));
	for (size_t i = 0; i < sizeof(WHO) / sizeof(WHO[0]); i++) {
		assert_int_equal(cost("SCRAM-SHA-1", WHO[i]), 1);
		assert_int_equal(cost("SCRAM-SHA-256", WHO[i]), 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SURVEY_TEST(nobody_looks_like_somebody_as_often_as_there_are_such),
		SURVEY_TEST(who_is_there_is_shown_his_own_or_what_nobody_could_be_shown),
		SURVEY_TEST(an_answer_is_the_same_each_time_and_each_name_has_its_own),
		SURVEY_TEST(nobody_costs_what_somebody_costs),
		cmocka_unit_test(a_few_logins_more_change_what_few_are_shown),
		cmocka_unit_test(order_and_number_of_kinds_have_their_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
