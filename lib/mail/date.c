// SPDX-License-Identifier: ISC
/* Dates in messages and in IMAP. See date.h. */
#include "mail/date.h"

#include <time.h>

enum { SECONDS_A_DAY = 86400, YEAR_MAX = 9999, ZONE_MAX = 24 * 60 - 1 };

static const char MONTHS[] = "janfebmaraprmayjunjulaugsepoctnovdec";
static const char MONTHS_OUT[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char DAYS_OUT[] = "ThuFriSatSunMonTueWed"; /* 1970-01-01 was a Thursday */

struct moment {
	int64_t year;
	int month, day, hour, minute, second; /* month and day from 1 */
};

/* Days since 1970-01-01 in the Gregorian calendar; years are counted from March, so that the leap day comes last. */
static int64_t days_from_civil(int64_t year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t in_era = y - era * 400;
	int64_t in_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

static void civil_from_days(int64_t days, struct moment *m)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t in_era = z - era * 146097;
	int64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	int64_t in_year = in_era - (365 * year + year / 4 - year / 100);
	int64_t month = (5 * in_year + 2) / 153;

	m->day = (int)(in_year - (153 * month + 2) / 5 + 1);
	m->month = (int)(month < 10 ? month + 3 : month - 9);
	m->year = year + era * 400 + (m->month <= 2);
}

static int days_in_month(int64_t year, int month)
{
	static const signed char days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap);
}

static int64_t seconds_from(const struct moment *m, int zone)
{
	return days_from_civil(m->year, m->month, m->day) * SECONDS_A_DAY + m->hour * 3600 +
	       m->minute * 60 + m->second - zone * 60;
}

/* ---- Reading -------------------------------------------------------------------------------------------------------- */

/* White space and comments; comments nest, and an open one reaches to the end. */
static void skip_blank(struct slice *text)
{
	unsigned depth = 0;
	size_t i = 0;

	for (; i < text->length; i++) {
		char c = text->data[i];

		if (c == '(') {
			depth++;
		} else if (depth && c == ')') {
			depth--;
		} else if (depth && c == '\\') {
			i++;
		} else if (!depth && c != ' ' && c != '\t' && c != '\r' && c != '\n') {
			break;
		}
	}
	*text = slice_tail(*text, i);
}

static bool take(struct slice *text, char c)
{
	if (text->length == 0 || text->data[0] != c)
		return false;
	*text = slice_tail(*text, 1);
	return true;
}

/* One to `max` digits; how many there were, 0 when none or more. */
static unsigned take_number(struct slice *text, unsigned max, int *value)
{
	unsigned n = 0;
	int v = 0;

	while (n < text->length && ascii_digit(text->data[n])) {
		if (n == max)
			return 0;
		v = v * 10 + (text->data[n++] - '0');
	}
	*text = slice_tail(*text, n);
	*value = v;
	return n;
}

static struct slice take_letters(struct slice *text)
{
	struct slice word = { text->data, 0 };

	while (word.length < text->length && ascii_alpha(text->data[word.length]))
		word.length++;
	*text = slice_tail(*text, word.length);
	return word;
}

/* 1..12 by the first three letters; 0 when it is no month. */
static int month_of(struct slice word)
{
	if (word.length < 3)
		return 0;
	for (int i = 0; i < 12; i++) {
		if (slice_equal_nocase(slice_head(word, 3), slice_of(MONTHS + 3 * i, 3)))
			return i + 1;
	}
	return 0;
}

static bool take_month(struct slice *text, int *month)
{
	*month = month_of(take_letters(text));
	return *month > 0;
}

/* RFC 5322 4.3: two digits below 50 are 20xx, other two and three digits count from 1900. */
static bool take_year(struct slice *text, int64_t *year)
{
	int value = 0;
	unsigned digits = take_number(text, 4, &value);

	if (digits == 2)
		*year = value < 50 ? value + 2000 : value + 1900;
	else if (digits == 3)
		*year = value + 1900;
	else
		*year = value;
	return digits >= 2;
}

static bool take_time(struct slice *text, struct moment *m)
{
	if (!take_number(text, 2, &m->hour) || !take(text, ':') ||
		!take_number(text, 2, &m->minute))
		return false;
	m->second = 0;
	if (take(text, ':') && !take_number(text, 2, &m->second))
		return false;
	return m->hour < 24 && m->minute < 60 && m->second <= 60;
}

static bool take_offset(struct slice *text, int *zone)
{
	bool west = text->length && text->data[0] == '-';
	int value = 0;

	if (!take(text, west ? '-' : '+') || take_number(text, 4, &value) != 4)
		return false;
	value = value / 100 * 60 + value % 100;
	if (value > ZONE_MAX)
		return false;
	*zone = west ? -value : value;
	return true;
}

/* The names of RFC 5322 4.3; a zone nobody knows counts as UTC, as that section asks for. */
static int named_zone(struct slice word)
{
	static const struct {
		const char name[4];
		int hours;
	} zones[] = { { "EST", -5 }, { "EDT", -4 }, { "CST", -6 }, { "CDT", -5 }, { "MST", -7 },
		{ "MDT", -6 }, { "PST", -8 }, { "PDT", -7 } };

	for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++) {
		if (slice_equal_nocase(word, slice_of(zones[i].name, 3)))
			return zones[i].hours * 60;
	}
	return 0;
}

static void take_zone(struct slice *text, int *zone)
{
	struct slice word;

	*zone = 0;
	skip_blank(text);
	if (text->length && (text->data[0] == '+' || text->data[0] == '-')) {
		if (!take_offset(text, zone))
			*zone = 0;
		return;
	}
	word = take_letters(text);
	if (word.length)
		*zone = named_zone(word);
}

/* "21 Nov 1997 09:55:06", also with hyphens. */
static bool take_day_first(struct slice *text, struct moment *m)
{
	if (!take_number(text, 2, &m->day))
		return false;
	skip_blank(text);
	take(text, '-');
	if (!take_month(text, &m->month))
		return false;
	take(text, '.');
	skip_blank(text);
	take(text, '-');
	if (!take_year(text, &m->year))
		return false;
	take(text, ',');
	skip_blank(text);
	return take_time(text, m);
}

/* "Nov 21 09:55:06 1997", as asctime(3) has it; the month has been read. */
static bool take_month_first(struct slice *text, struct moment *m)
{
	skip_blank(text);
	if (!take_number(text, 2, &m->day))
		return false;
	take(text, ',');
	skip_blank(text);
	if (!take_time(text, m))
		return false;
	skip_blank(text);
	return take_year(text, &m->year);
}

bool date_parse(struct slice text, int64_t *seconds, int *zone)
{
	struct moment m = { 0 };
	struct slice word;

	skip_blank(&text);
	word = take_letters(&text);
	take(&text, '.');
	skip_blank(&text);
	take(&text, ',');
	skip_blank(&text);
	m.month = month_of(word);
	if (word.length && !m.month && text.length && ascii_alpha(text.data[0]))
		m.month = month_of(take_letters(&text));
	if (m.month ? !take_month_first(&text, &m) : !take_day_first(&text, &m))
		return false;
	if (m.day < 1 || m.day > 31)
		return false;
	take_zone(&text, zone);
	*seconds = seconds_from(&m, *zone);
	return true;
}

static bool take_imap_day(struct slice *text, struct moment *m)
{
	int year;

	take(text, ' ');
	if (!take_number(text, 2, &m->day) || !take(text, '-') || text->length < 3)
		return false;
	m->month = month_of(slice_head(*text, 3));
	*text = slice_tail(*text, 3);
	if (!m->month || !take(text, '-') || take_number(text, 4, &year) != 4)
		return false;
	m->year = year;
	return m->day >= 1 && m->day <= days_in_month(year, m->month);
}

bool date_parse_imap(struct slice text, int64_t *seconds, int *zone)
{
	struct moment m;

	if (!take_imap_day(&text, &m) || !take(&text, ' ') || text.length < 9 ||
		text.data[2] != ':' || text.data[5] != ':' || !take_time(&text, &m))
		return false;
	if (!take(&text, ' ') || !take_offset(&text, zone) || text.length)
		return false;
	*seconds = seconds_from(&m, *zone);
	return true;
}

bool date_parse_imap_day(struct slice text, int64_t *day)
{
	struct moment m;

	if (!take_imap_day(&text, &m) || text.length)
		return false;
	*day = days_from_civil(m.year, m.month, m.day);
	return true;
}

/* ---- Writing -------------------------------------------------------------------------------------------------------- */

static char *put_two(char *to, int value, char pad)
{
	*to++ = value < 10 ? pad : (char)('0' + value / 10);
	*to++ = (char)('0' + value % 10);
	return to;
}

static char *put_three(char *to, const char *names, int64_t index)
{
	memcpy(to, names + 3 * index, 3);
	return to + 3;
}

static char *put_time_and_zone(char *to, const struct moment *m, int zone)
{
	int off = zone < 0 ? -zone : zone;

	to = put_two(to, m->hour, '0');
	*to++ = ':';
	to = put_two(to, m->minute, '0');
	*to++ = ':';
	to = put_two(to, m->second, '0');
	*to++ = ' ';
	*to++ = zone < 0 ? '-' : '+';
	to = put_two(to, off / 60, '0');
	return put_two(to, off % 60, '0');
}

/* The calendar form, kept to the years that four digits can tell. Returns the day since 1970. */
static int64_t moment_from(int64_t seconds, int *zone, struct moment *m)
{
	const int64_t first = -62167219200, last = 253402300799; /* 0000-01-01 and 9999-12-31 */
	int64_t days, rest;

	if (*zone > ZONE_MAX || *zone < -ZONE_MAX)
		*zone = 0;
	if (seconds < first - 2 * SECONDS_A_DAY)
		seconds = first;
	if (seconds > last)
		seconds = last;
	seconds += *zone * 60;
	seconds = seconds < first ? first : seconds > last ? last : seconds;
	days = seconds / SECONDS_A_DAY;
	rest = seconds % SECONDS_A_DAY;
	if (rest < 0) {
		rest += SECONDS_A_DAY;
		days--;
	}
	civil_from_days(days, m);
	m->hour = (int)(rest / 3600);
	m->minute = (int)(rest / 60 % 60);
	m->second = (int)(rest % 60);
	return days;
}

bool date_write(int64_t seconds, int zone, struct buffer *out)
{
	char text[40], *to = text;
	struct moment m;
	int64_t days = moment_from(seconds, &zone, &m);

	to = put_three(to, DAYS_OUT, (days % 7 + 7) % 7);
	*to++ = ',';
	*to++ = ' ';
	if (m.day >= 10)
		*to++ = (char)('0' + m.day / 10);
	*to++ = (char)('0' + m.day % 10);
	*to++ = ' ';
	to = put_three(to, MONTHS_OUT, m.month - 1);
	*to++ = ' ';
	to = put_two(to, (int)(m.year / 100), '0');
	to = put_two(to, (int)(m.year % 100), '0');
	*to++ = ' ';
	to = put_time_and_zone(to, &m, zone);
	return buffer_append(out, text, (size_t)(to - text));
}

bool date_write_imap(int64_t seconds, int zone, struct buffer *out)
{
	char text[40], *to = text;
	struct moment m;

	moment_from(seconds, &zone, &m);
	to = put_two(to, m.day, ' ');
	*to++ = '-';
	to = put_three(to, MONTHS_OUT, m.month - 1);
	*to++ = '-';
	to = put_two(to, (int)(m.year / 100), '0');
	to = put_two(to, (int)(m.year % 100), '0');
	*to++ = ' ';
	to = put_time_and_zone(to, &m, zone);
	return buffer_append(out, text, (size_t)(to - text));
}

int date_local_zone(int64_t seconds)
{
	time_t t = (time_t)seconds;
	struct tm tm;

	return localtime_r(&t, &tm) ? (int)(tm.tm_gmtoff / 60) : 0;
}
