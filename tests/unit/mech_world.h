// SPDX-License-Identifier: ISC
/* What the tests of SASL mechanisms have in common: a passwd-file with one login of each kind, and exchanges over it. */
#ifndef TESTS_MECH_WORLD_H
#define TESTS_MECH_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "auth/exchange.h"

#define PENCIL_1 \
	"{SCRAM-SHA-1}4096,QSXCR+Q6sek8bf92,6dlGYMOdZcOPutkcNY8U2g7vK9Y=,D+CSWLOshSulAsxiupA+qs2/" \
	"fTE="
#define PENCIL_256 \
	"{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==," \
	"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=," \
	"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

extern char folder[64], error[300];
extern struct backends *backends;
extern struct exchange_settings settings;

/* For each test. */
int setup(void **state);
int teardown(void **state);
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* The back ends once more, with other settings of schemes. */
void reopen(const struct scheme_settings *schemes);

struct exchange *begin_for(const char *service, const char *mechanism, const struct tls_facts *tls);
struct exchange *begin(const char *mechanism);
bool step(struct exchange *exchange, struct slice input);
/* The challenge is this text. */
void challenges(struct exchange *exchange, const char *input, const char *challenge);
/* The last step; the exchange is freed. */
void ends(struct exchange *exchange, const char *input, enum auth_status status);

#endif
