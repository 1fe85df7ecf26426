// SPDX-License-Identifier: ISC
/* Dates of messages and of IMAP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>
#include <cmocka.h>

#include "mail/date.h"

static void assert_date(const char *text, int64_t seconds, int zone)
{
	int64_t s = -1;
	int z = -1;

	assert_true(date_parse(slice_from(text), &s, &z));
	assert_int_equal(s, seconds);
	assert_int_equal(z, zone);
}

static void dates_of_the_standard_are_read(void **state)
{
	assert_date("Fri, 21 Nov 1997 09:55:06 -0600", 880127706, -360);
}

static void usual_dates_are_read(void **state)
{
	assert_date("Fri, 21 Nov 1997 09:55:06 -0600 (CST)", 880127706, -360);
	assert_date("21 Nov 1997 15:55 +0000", 880127700, 0);
	assert_date("1 Jan 1970 00:00:00 +0000", 0, 0);
	assert_date(" Tue,  1 Jul 2003 10:52:37 +0530", 1057036957, 330);
}

static void obsolete_dates_are_read(void **state)
{
	assert_date("21 Nov 97 09:55:06 GMT", 880106106, 0);
	assert_date("Fri, 21 Nov 97 09:55:06 CST", 880127706, -360);
	assert_date("21-Nov-1997 09:55:06 PDT", 880131306, -420);
	assert_date("Fri Nov 21 09:55:06 1997", 880106106, 0);
	assert_date("Friday, 21 November 97 09:55:06 Z", 880106106, 0);
	assert_date("21 Nov 1997 09:55:06", 880106106, 0);
	assert_date("1 Jan 49 00:00:00 UT", 2493072000, 0);
	assert_date("1 Jan 101 00:00:00 UT", 978307200, 0);
}

static void hopeless_dates_are_refused(void **state)
{
	static const char *const bad[] = { "", "(", "now", "Fri,", "Fri, 21",
		"32 Nov 1997 09:55:06", "0 Nov 1997 09:55:06", "21 Foo 1997 09:55:06",
		"21 Nov 1997", "21 Nov 1997 25:00:00", "21 Nov 1997 09:61:00",
		"21 Nov 1997 09:00:61", "211 Nov 1997 09:55:06", "21 Nov 19970 09:55:06",
		"21 Nov 7 09:55:06", "Nov", "Nov Nov" };
	int64_t s;
	int z;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(date_parse(slice_from(bad[i]), &s, &z));
}

static void bad_zone_counts_as_none(void **state)
{
	assert_date("21 Nov 1997 09:55:06 +9999", 880106106, 0);
	assert_date("21 Nov 1997 09:55:06 -06", 880106106, 0);
	assert_date("21 Nov 1997 09:55:06 Mars", 880106106, 0);
}

static void assert_written(int64_t seconds, int zone, const char *rfc5322, const char *imap)
{
	struct buffer out = { 0 };

	assert_true(date_write(seconds, zone, &out));
	assert_string_equal(buffer_text(&out), rfc5322);
	buffer_clear(&out);
	assert_true(date_write_imap(seconds, zone, &out));
	assert_string_equal(buffer_text(&out), imap);
	buffer_free(&out);
}

static void dates_are_written(void **state)
{
	assert_written(
		880127706, -360, "Fri, 21 Nov 1997 09:55:06 -0600", "21-Nov-1997 09:55:06 -0600");
	assert_written(0, 0, "Thu, 1 Jan 1970 00:00:00 +0000", " 1-Jan-1970 00:00:00 +0000");
	assert_written(-1, 90, "Thu, 1 Jan 1970 01:29:59 +0130", " 1-Jan-1970 01:29:59 +0130");
	assert_written(
		951782400, 0, "Tue, 29 Feb 2000 00:00:00 +0000", "29-Feb-2000 00:00:00 +0000");
}

static void years_beyond_four_digits_are_clamped(void **state)
{
	assert_written(
		INT64_MAX, 1439, "Fri, 31 Dec 9999 23:59:59 +2359", "31-Dec-9999 23:59:59 +2359");
	assert_written(
		INT64_MIN, -1439, "Sat, 1 Jan 0000 00:00:00 -2359", " 1-Jan-0000 00:00:00 -2359");
}

static void every_day_agrees_with_the_c_library(void **state)
{
	for (int64_t t = -3000000000; t < 8000000000; t += 7654321) {
		char expected[64];
		struct buffer out = { 0 };
		struct tm tm;
		time_t c = (time_t)t;
		int64_t back;
		int zone;

		gmtime_r(&c, &tm);
		strftime(expected, sizeof(expected), "%a, %-d %b %Y %H:%M:%S +0000", &tm);
		date_write(t, 0, &out);
		assert_string_equal(buffer_text(&out), expected);
		assert_true(date_parse(buffer_slice(&out), &back, &zone));
		assert_int_equal(back, t);
		buffer_free(&out);
	}
}

static void imap_dates_are_strict(void **state)
{
	static const char *const bad[] = { "", "17-Jul-1996", "17-Jul-1996 02:44:25",
		"17-Jul-1996 02:44:25 0700", "17-Jul-1996 02:44:25 -0700 ",
		"17-Jul-1996 2:44:25 -0700", "17-Jul-96 02:44:25 -0700",
		"31-Feb-1996 02:44:25 -0700", "00-Jul-1996 02:44:25 -0700",
		"17-Juli-1996 02:44:25 -0700", "17-Jul-1996 24:00:00 +0000",
		"17-Jul-1996 02:44:25 +2400", "17-Jul-1996 02:44 -0700" };
	int64_t s;
	int z;

	assert_true(date_parse_imap(SLICE("17-Jul-1996 02:44:25 -0700"), &s, &z));
	assert_int_equal(s, 837596665);
	assert_int_equal(z, -420);
	assert_true(date_parse_imap(SLICE(" 1-jan-1970 00:00:00 +0000"), &s, &z));
	assert_int_equal(s, 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(date_parse_imap(slice_from(bad[i]), &s, &z));
}

static void imap_days_are_counted_from_1970(void **state)
{
	int64_t day;

	assert_true(date_parse_imap_day(SLICE("1-Feb-1994"), &day));
	assert_int_equal(day, 8797);
	assert_true(date_parse_imap_day(SLICE("29-Feb-2000"), &day));
	assert_false(date_parse_imap_day(SLICE("29-Feb-1900"), &day));
	assert_false(date_parse_imap_day(SLICE("1-Feb-1994 "), &day));
	assert_false(date_parse_imap_day(SLICE("1-Feb"), &day));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dates_of_the_standard_are_read),
		cmocka_unit_test(usual_dates_are_read),
		cmocka_unit_test(obsolete_dates_are_read),
		cmocka_unit_test(hopeless_dates_are_refused),
		cmocka_unit_test(bad_zone_counts_as_none),
		cmocka_unit_test(dates_are_written),
		cmocka_unit_test(years_beyond_four_digits_are_clamped),
		cmocka_unit_test(every_day_agrees_with_the_c_library),
		cmocka_unit_test(imap_dates_are_strict),
		cmocka_unit_test(imap_days_are_counted_from_1970),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
