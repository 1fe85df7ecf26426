// SPDX-License-Identifier: ISC
/* Encoded-words in headers (RFC 2047). */
#include "mail/header.h"
#include "mail/mime.h"
#include "mail/utf8.h"

enum { CHARSET_MAX = 64 };

struct encoded_word {
	struct slice charset, text;
	char encoding; /* 'q' or 'b' */
	size_t length; /* of the whole, "=?" to "?=" */
};

/* The bytes of encoded-words that stand side by side in one charset are put together: some senders cut characters in two. */
struct decoder {
	struct buffer *out;
	struct buffer bytes;
	struct slice charset;
};

/* `s` begins with "=". Looks no further than the "?" that would end an encoded-word, so that trying everywhere stays linear. */
static bool read_word(struct slice s, struct encoded_word *word)
{
	struct slice rest = slice_tail(s, 2);
	ptrdiff_t at = slice_find(slice_head(rest, CHARSET_MAX), '?');

	if (s.length < 2 || s.data[1] != '?' || at <= 0 || rest.length < (size_t)at + 4 ||
		rest.data[at + 2] != '?')
		return false;
	word->charset = slice_head(rest, (size_t)at);
	word->encoding = ascii_lower(rest.data[at + 1]);
	rest = slice_tail(rest, (size_t)at + 3);
	at = slice_find(rest, '?');
	if (at < 0 || (size_t)at + 1 >= rest.length || rest.data[at + 1] != '=' ||
		(word->encoding != 'q' && word->encoding != 'b'))
		return false;
	word->text = slice_head(rest, (size_t)at);
	word->length = (size_t)(rest.data - s.data) + (size_t)at + 2;
	return true;
}

static void flush(struct decoder *decoder)
{
	if (decoder->bytes.length)
		mime_to_utf8(decoder->charset, buffer_slice(&decoder->bytes), decoder->out);
	buffer_clear(&decoder->bytes);
}

static int hex_value(char c)
{
	if (ascii_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The "Q" encoding (RFC 2047 4.2): "=" with two digits, and "_" for space. */
static void decode_q(struct slice text, struct buffer *out)
{
	for (size_t i = 0; i < text.length; i++) {
		char c = text.data[i];
		int high, low;

		if (c == '=' && text.length - i > 2) {
			high = hex_value(text.data[i + 1]);
			low = hex_value(text.data[i + 2]);
			if (high >= 0 && low >= 0) {
				c = (char)(high << 4 | low);
				i += 2;
			}
		} else if (c == '_') {
			c = ' ';
		}
		buffer_add_byte(out, c);
	}
}

static void add_word(struct decoder *decoder, const struct encoded_word *word)
{
	if (decoder->bytes.length && !slice_equal_nocase(decoder->charset, word->charset))
		flush(decoder);
	decoder->charset = word->charset;
	if (word->encoding == 'b')
		mime_decode(SLICE("base64"), word->text, &decoder->bytes);
	else
		decode_q(word->text, &decoder->bytes);
}

/* Text that is no encoded-word: unfolded, and UTF-8. */
static void add_plain(struct decoder *decoder, struct slice text)
{
	flush(decoder);
	while (text.length) {
		ptrdiff_t lf = slice_find(text, '\n');
		size_t length = lf < 0 ? text.length : (size_t)lf;

		if (lf > 0 && text.data[lf - 1] == '\r')
			length--;
		utf8_add_clean(decoder->out, slice_head(text, length));
		text = slice_tail(text, lf < 0 ? text.length : (size_t)lf + 1);
	}
}

bool header_decode(struct slice value, struct buffer *out)
{
	struct decoder decoder = { .out = out };
	struct slice plain = slice_trim(value); /* not yet given out */
	struct encoded_word word;
	bool behind_word = false, ok;
	size_t at = 0;

	for (;;) {
		ptrdiff_t next = slice_find(slice_tail(plain, at), '=');

		if (next < 0)
			break;
		at += (size_t)next;
		if (!read_word(slice_tail(plain, at), &word)) {
			at++;
			continue;
		}
		/* White space between two encoded-words is there to fold, not to be read (RFC 2047 6.2). */
		if (!behind_word || slice_trim(slice_head(plain, at)).length)
			add_plain(&decoder, slice_head(plain, at));
		add_word(&decoder, &word);
		plain = slice_tail(plain, at + word.length);
		behind_word = true;
		at = 0;
	}
	add_plain(&decoder, plain);
	ok = !out->failed && !decoder.bytes.failed;
	buffer_free(&decoder.bytes);
	return ok;
}
