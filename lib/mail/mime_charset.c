// SPDX-License-Identifier: ISC
/*
 * Charsets to UTF-8. Those of one byte a character are tables (made by gen_tables.py), UTF-8 and UTF-16 are code; East Asian ones
 * go through iconv, whose descriptors are kept for the life of the process: it may not be able to open files later.
 */
#include <errno.h>
#include <iconv.h>

#include "mail/charset_tables.h"
#include "mail/mime.h"
#include "mail/utf8.h"

enum { ICONV_PIECE = 64 * 1024 };

enum iconv_charset { GB18030, BIG5, EUC_JP, SHIFT_JIS, ISO_2022_JP, EUC_KR, UTF_7, ICONV_CHARSETS };

static const char *const ICONV_NAME[ICONV_CHARSETS] = {
	[GB18030] = "GB18030",
	[BIG5] = "BIG5-HKSCS",
	[EUC_JP] = "EUC-JP",
	[SHIFT_JIS] = "CP932",
	[ISO_2022_JP] = "ISO-2022-JP",
	[EUC_KR] = "UHC",
	[UTF_7] = "UTF-7",
};

/* Each is the superset that senders mean when they write the smaller name. */
static const struct {
	const char *name;
	enum iconv_charset charset;
} ICONV_ALIASES[] = {
	{ "gb18030", GB18030 },
	{ "gbk", GB18030 },
	{ "gb2312", GB18030 },
	{ "cp936", GB18030 },
	{ "windows-936", GB18030 },
	{ "big5", BIG5 },
	{ "big5-hkscs", BIG5 },
	{ "cp950", BIG5 },
	{ "euc-jp", EUC_JP },
	{ "x-euc-jp", EUC_JP },
	{ "shift_jis", SHIFT_JIS },
	{ "shift-jis", SHIFT_JIS },
	{ "x-sjis", SHIFT_JIS },
	{ "sjis", SHIFT_JIS },
	{ "windows-31j", SHIFT_JIS },
	{ "cp932", SHIFT_JIS },
	{ "iso-2022-jp", ISO_2022_JP },
	{ "euc-kr", EUC_KR },
	{ "ks_c_5601-1987", EUC_KR },
	{ "ks_c_5601", EUC_KR },
	{ "cp949", EUC_KR },
	{ "utf-7", UTF_7 },
	{ "unicode-1-1-utf-7", UTF_7 },
};

/* For the whole process, which has one thread where this is used. */
static struct {
	iconv_t open[ICONV_CHARSETS];
	bool tried[ICONV_CHARSETS];
} descriptors;

static iconv_t descriptor(enum iconv_charset charset)
{
	if (!descriptors.tried[charset]) {
		descriptors.tried[charset] = true;
		descriptors.open[charset] = iconv_open("UTF-8", ICONV_NAME[charset]);
	}
	return descriptors.open[charset];
}

void mime_preload_charsets(void)
{
	for (enum iconv_charset c = 0; c < ICONV_CHARSETS; c++)
		descriptor(c);
}

/* Nothing can be said about bytes over 127; the rest is ASCII. */
static bool from_unknown(struct slice text, struct buffer *out)
{
	while (text.length) {
		size_t ascii = utf8_ascii_prefix(text);

		buffer_append(out, text.data, ascii);
		text = slice_tail(text, ascii);
		if (text.length == 0)
			break;
		if (!utf8_add(out, 0xfffd))
			return false;
		text = slice_tail(text, 1);
	}
	return !out->failed;
}

static bool from_iconv(enum iconv_charset charset, struct slice text, struct buffer *out)
{
	iconv_t cd = descriptor(charset);
	char *in = (char *)(uintptr_t)
			   text.data; /* iconv does not write there, whatever its prototype says */
	size_t left = text.length, room, result;
	char *to;

	if (cd == (iconv_t)-1)
		return from_unknown(text, out);
	iconv(cd, NULL, NULL, NULL, NULL);
	while (left) {
		room = left < ICONV_PIECE ? left * 2 + 16 : ICONV_PIECE;
		to = buffer_reserve(out, room);
		if (!to)
			return false;
		result = iconv(cd, &in, &left, &to, &room);
		out->length = (size_t)(to - out->data);
		if (result != (size_t)-1 || errno == E2BIG)
			continue;
		if (!utf8_add(out, 0xfffd))
			return false;
		in++;
		left--;
	}
	room = 16; /* for a character that was held back to see what follows */
	to = buffer_reserve(out, room);
	if (!to)
		return false;
	iconv(cd, NULL, NULL, &to, &room);
	out->length = (size_t)(to - out->data);
	return !out->failed;
}

static bool from_high_half(const uint16_t *high, struct slice text, struct buffer *out)
{
	while (text.length) {
		size_t ascii = utf8_ascii_prefix(text);

		buffer_append(out, text.data, ascii);
		for (; ascii < text.length && text.data[ascii] & 0x80; ascii++)
			utf8_add(out, high[text.data[ascii] & 0x7f]);
		if (out->failed)
			return false;
		text = slice_tail(text, ascii);
	}
	return !out->failed;
}

static bool from_utf16(struct slice text, bool little, struct buffer *out)
{
	const unsigned char *p = (const unsigned char *)text.data;
	uint32_t high = 0;

	for (size_t i = 0; i + 1 < text.length; i += 2) {
		uint32_t unit = (uint32_t)(p[i + little] << 8 | p[i + !little]);

		if (high && unit >= 0xdc00 && unit < 0xe000) {
			utf8_add(out, 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00));
			high = 0;
			continue;
		}
		if (high)
			utf8_add(out, 0xfffd);
		high = unit >= 0xd800 && unit < 0xdc00 ? unit : 0;
		if (!high && !utf8_add(out, unit))
			return false;
	}
	if (high || text.length % 2)
		utf8_add(out, 0xfffd);
	return !out->failed;
}

static bool from_utf16_marked(struct slice text, struct buffer *out)
{
	if (slice_starts(text, SLICE("\xff\xfe")))
		return from_utf16(slice_tail(text, 2), true, out);
	if (slice_starts(text, SLICE("\xfe\xff")))
		text = slice_tail(text, 2);
	return from_utf16(text, false, out);
}

/* The language of RFC 2231 ("utf-8*en") is no part of the name. */
static struct slice bare_name(struct slice charset)
{
	ptrdiff_t star = slice_find(charset, '*');

	return slice_trim(star < 0 ? charset : slice_head(charset, (size_t)star));
}

/* What calls itself ASCII and is not is most often UTF-8. */
static bool is_utf8(struct slice name)
{
	return name.length == 0 || slice_equal_nocase(name, SLICE("utf-8")) ||
	       slice_equal_nocase(name, SLICE("us-ascii")) ||
	       slice_equal_nocase(name, SLICE("utf8")) || slice_equal_nocase(name, SLICE("ascii"));
}

/* ICONV_CHARSETS when it is none of them. */
static enum iconv_charset iconv_charset(struct slice name)
{
	for (size_t i = 0; i < sizeof(ICONV_ALIASES) / sizeof(ICONV_ALIASES[0]); i++) {
		if (slice_equal_nocase(name, slice_from(ICONV_ALIASES[i].name)))
			return ICONV_ALIASES[i].charset;
	}
	return ICONV_CHARSETS;
}

bool mime_charset_keeps_ascii(struct slice charset)
{
	struct slice name = bare_name(charset);

	if (is_utf8(name))
		return true;
	switch (iconv_charset(name)) {
	case EUC_JP:
	case ICONV_CHARSETS:
		return !slice_starts_nocase(name, SLICE("utf-16"));
	default:
		return false;
	}
}

bool mime_to_utf8(struct slice charset, struct slice text, struct buffer *out)
{
	struct slice name = bare_name(charset);
	enum iconv_charset other;

	if (is_utf8(name))
		return utf8_add_clean(out, text);
	for (size_t i = 0; i < sizeof(CHARSET_NAMES) / sizeof(CHARSET_NAMES[0]); i++) {
		if (slice_equal_nocase(name, slice_from(CHARSET_NAMES[i].name)))
			return from_high_half(CHARSET_HIGH[CHARSET_NAMES[i].index], text, out);
	}
	other = iconv_charset(name);
	if (other != ICONV_CHARSETS)
		return from_iconv(other, text, out);
	if (slice_equal_nocase(name, SLICE("utf-16")))
		return from_utf16_marked(text, out);
	if (slice_equal_nocase(name, SLICE("utf-16le")) ||
		slice_equal_nocase(name, SLICE("utf-16be")))
		return from_utf16(text, ascii_lower(name.data[name.length - 2]) == 'l', out);
	return from_unknown(text, out);
}
