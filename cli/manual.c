// SPDX-License-Identifier: ISC
/*
 * postconf --manual: main.cf(5) from the table of parameters. docs/man/main.cf.5 is its output; the checks compare.
 */
#include <stdio.h>

#include "cli/postconf.h"

static const char HEAD[] =
	".\\\" SPDX-License-Identifier: ISC\n"
	".\\\" Written by \"postconf --manual\" from the table of parameters; do not change it by "
	"hand.\n"
	".Dd November 21, 2026\n"
	".Dt MAIN.CF 5\n"
	".Os\n"
	".Sh NAME\n"
	".Nm main.cf\n"
	".Nd configuration parameters of Postern\n"
	".Sh DESCRIPTION\n"
	"The syntax and, where the meaning is the same, the names are Postfix's.\n"
	".Bl -bullet -compact\n"
	".It\n"
	"A setting is\n"
	".Dq name = value .\n"
	"A line that begins with white space continues the one before.\n"
	"Lines that begin with # are comments, also between continued lines.\n"
	"Of two settings of one name the last one holds.\n"
	".It\n"
	"In a value,\n"
	".Li $name ,\n"
	".Li ${name}\n"
	"and\n"
	".Li $(name)\n"
	"stand for the value of that parameter;\n"
	".Li ${name?text}\n"
	"for the text if the value is not empty,\n"
	".Li ${name:text}\n"
	"if it is empty,\n"
	".Li ${name?{a}:{b}}\n"
	"for one of both, and\n"
	".Li ${{a}=={b}?{x}:{y}}\n"
	"compares (== != < <= > >=), as numbers if both are.\n"
	"$$ is a dollar.\n"
	".It\n"
	"Any other name may be set and used with $.\n"
	"A name that is neither known nor used is a warning of\n"
	".Dq postern check .\n"
	".It\n"
	"A size is a number of bytes, and may end in K, M, G or T.\n"
	"A time may end in s, m, h, d or w; without, it has the unit of the default.\n"
	".It\n"
	"A service in\n"
	".Xr master.cf 5\n"
	"may have values of its own:\n"
	".Fl o Ar name=value .\n"
	".El\n"
	".Pp\n"
	".Dq postern check\n"
	"tells all faults with file, line and parameter, and\n"
	".Dq postern reload\n"
	"takes all of a good configuration or nothing of a bad one.\n";

static const char TRANSPORTS[] = ".Sh TRANSPORTS\n"
				 "The limits\n"
				 ".Va default_destination_concurrency_limit ,\n"
				 ".Va default_destination_recipient_limit\n"
				 "and\n"
				 ".Va default_destination_rate_delay\n"
				 "can be set for one transport:\n"
				 ".Va virtual_destination_concurrency_limit\n"
				 "and so on.\n";

static const char TAIL[] = ".Sh SEE ALSO\n"
			   ".Xr postconf 1 ,\n"
			   ".Xr postern 1 ,\n"
			   ".Xr master.cf 5\n";

static const char *const TYPES[] = { [PARAMETER_TEXT] = "text",
	[PARAMETER_BOOL] = "yes or no",
	[PARAMETER_INT] = "number",
	[PARAMETER_SIZE] = "size",
	[PARAMETER_TIME] = "time" };

/* Text that roff must not take for anything else; inside a macro's line also quotes and words that are macros. */
static void put(const char *text, bool quoted)
{
	if (!quoted && (*text == '.' || *text == '\''))
		fputs("\\&", stdout);
	for (; *text; text++) {
		if (*text == '\\')
			fputs("\\e", stdout);
		else if (*text == '"' && quoted)
			fputs("\\(dq", stdout);
		else
			putchar(*text);
	}
}

/* A sentence a line, as mdoc wants it. */
static void put_sentences(const char *text)
{
	const char *end;

	while ((end = strstr(text, ". ")) != NULL) {
		printf("%.*s.\n", (int)(end - text), text);
		text = end + 2;
	}
	put(text, false);
	putchar('\n');
}

static void put_item(const struct parameter_info *info)
{
	printf(".It Va %s", info->name);
	if (info->type != PARAMETER_OBSOLETE) {
		fputs(" Pq default: \"", stdout);
		put(info->value[0] ? info->value : "empty", true);
		printf("\" ; %s", TYPES[info->type]);
		if (info->least || info->most)
			printf(", %lld to %lld%s", (long long)info->least, (long long)info->most,
				info->type == PARAMETER_TIME ? " s" : "");
	}
	putchar('\n');
	put_sentences(info->help);
}

static void put_section(
	const char *title, const char *text, bool (*belongs)(const struct parameter_info *info))
{
	printf(".Sh %s\n%s.Bl -tag -width Ds\n", title, text);
	for (int p = 0; p < PARAM_COUNT; p++)
		if (belongs(parameter_info((enum parameter)p)))
			put_item(parameter_info((enum parameter)p));
	puts(".El");
}

static bool is_working(const struct parameter_info *info)
{
	return info->type != PARAMETER_OBSOLETE && !info->later;
}

static bool is_later(const struct parameter_info *info)
{
	return info->later;
}

static bool is_obsolete(const struct parameter_info *info)
{
	return info->type == PARAMETER_OBSOLETE;
}

int postconf_manual(void)
{
	fputs(HEAD, stdout);
	put_section("PARAMETERS", "", is_working);
	fputs(TRANSPORTS, stdout);
	put_section("PARAMETERS WITHOUT EFFECT IN THIS VERSION",
		"These are known and their values are checked, but nothing in this version uses "
		"them.\n"
		".Dq postern check\ntells those that are set.\n",
		is_later);
	put_section("OBSOLETE PARAMETERS", "These may be set and have no effect.\n", is_obsolete);
	fputs(TAIL, stdout);
	return fflush(stdout) == 0 ? 0 : 1;
}
