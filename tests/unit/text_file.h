// SPDX-License-Identifier: ISC
/* A file that a test makes, with what it wants to have in it. */
#ifndef TESTS_TEXT_FILE_H
#define TESTS_TEXT_FILE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* What was in it is replaced. */
static inline void text_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static inline void text_file_in(const char *where, const char *name, const char *text)
{
	char path[256];

	assert_true((size_t)snprintf(path, sizeof(path), "%s/%s", where, name) < sizeof(path));
	text_file(path, text);
}

#endif
