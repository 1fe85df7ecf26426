// SPDX-License-Identifier: ISC
/* postern user show: the last login. */
#include "cli/user_visit.h"

#include <stdio.h>
#include <time.h>

#include "cli/json.h"
#include "auth/credentials_visits.h"

static void write_time(int64_t seconds, char *text, size_t size)
{
	time_t when = (time_t)seconds;
	struct tm tm;

	if (!gmtime_r(&when, &tm) || !strftime(text, size, "%Y-%m-%dT%H:%M:%SZ", &tm))
		text[0] = '\0';
}

void user_visit_json(struct account_command *command, const char *login, struct buffer *out)
{
	struct credentials_visit visit;
	char when[32];

	if (credentials_last_visit(command->credentials, login, &visit) != CREDENTIALS_GOOD) {
		buffer_add_text(out, ", \"last_login\": null");
		return;
	}
	write_time(visit.time, when, sizeof(when));
	buffer_add_text(out, ", \"last_login\": {");
	json_add_member(out, "", "time", when);
	json_add_member(out, ", ", "service", visit.service);
	json_add_member(out, ", ", "address", visit.address);
	buffer_add_text(out, "}");
}

void user_visit_print(struct account_command *command, const char *login)
{
	struct credentials_visit visit;
	char when[32];

	if (credentials_last_visit(command->credentials, login, &visit) != CREDENTIALS_GOOD) {
		puts("last      none");
		return;
	}
	write_time(visit.time, when, sizeof(when));
	printf("last      %s, %s from %s\n", when, visit.service, visit.address);
}
