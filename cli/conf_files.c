// SPDX-License-Identifier: ISC
/*
 * conf/main.cf and conf/master.cf inside the program, for postern init.
 */
#include "cli/instance.h"

/* A file's bytes between two symbols. The path is seen from the folder where make runs. */
#define EMBED(name, path) \
	__asm__(".pushsection .rodata\n" \
		".globl " #name "_begin\n" #name "_begin:\n" \
		".incbin \"" path "\"\n" \
		".globl " #name "_end\n" #name "_end:\n" \
		".byte 0\n" \
		".popsection\n"); \
	extern const char name##_begin[], name##_end[]

EMBED(conf_main_cf, "conf/main.cf");
EMBED(conf_master_cf, "conf/master.cf");

struct slice conf_main_cf(void)
{
	return slice_of(conf_main_cf_begin, (size_t)(conf_main_cf_end - conf_main_cf_begin));
}

struct slice conf_master_cf(void)
{
	return slice_of(conf_master_cf_begin, (size_t)(conf_master_cf_end - conf_master_cf_begin));
}
