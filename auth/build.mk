# authd.
# What is stored of passwords; the commands need it, too.
SCHEMES := $(wildcard auth/scheme*.c)
CREDENTIALS := auth/credentials.c auth/credentials_batch.c auth/app_passwords.c auth/credentials_visits.c auth/cache.c $(SCHEMES)
CREDENTIALS_LIBS := -lcrypto -largon2 -lidn
test_scheme_SOURCES := $(SCHEMES)
test_scheme_LIBS := $(CREDENTIALS_LIBS)
test_saslprep_SOURCES := $(SCHEMES)
test_saslprep_LIBS := $(CREDENTIALS_LIBS)
EXCHANGE_LIBS := -lsasl2 -ljansson $(CREDENTIALS_LIBS)
EXCHANGE := auth/exchange.c auth/credentials_file.c $(wildcard auth/mech_*.c auth/backend*.c) $(CREDENTIALS)
AUTH := auth/tickets.c auth/penalty.c auth/turns.c auth/visits.c auth/usage.c $(EXCHANGE)
test_mechanisms_SOURCES := $(EXCHANGE) tests/unit/mech_world.c
test_tokens_SOURCES := $(EXCHANGE) tests/unit/mech_world.c
test_tokens_LIBS := $(EXCHANGE_LIBS)
test_mechanisms_LIBS := $(EXCHANGE_LIBS)
test_mech_digest_SOURCES := auth/mech_digest.c
test_backends_SOURCES := $(EXCHANGE)
test_backends_LIBS := $(EXCHANGE_LIBS)
test_exchange_SOURCES := $(AUTH)
test_exchange_LIBS := $(EXCHANGE_LIBS)
PROGRAMS += authd introspect
introspect_SOURCES := auth/introspect.c auth/command.c
test_command_SOURCES := auth/command.c
authd_SOURCES := auth/authd.c auth/attempt.c auth/parts.c auth/outside.c auth/introspection.c $(AUTH)
authd_LIBS := $(EXCHANGE_LIBS)
fuzz_sasl_SOURCES := $(AUTH)
fuzz_sasl_LIBS := $(EXCHANGE_LIBS)
test_lying_front_SOURCES := auth/tickets.c $(CREDENTIALS)
test_lying_front_LIBS := $(CREDENTIALS_LIBS)
$(BUILD)/tests/test_lying_front: | $(BUILD)/bin/authd
fuzz_tickets_SOURCES := auth/tickets.c
test_penalty_SOURCES := auth/penalty.c auth/turns.c
test_visits_SOURCES := auth/visits.c $(CREDENTIALS)
test_visits_LIBS := $(CREDENTIALS_LIBS)
test_credentials_file_SOURCES := auth/credentials_file.c $(CREDENTIALS)
test_credentials_file_LIBS := $(CREDENTIALS_LIBS)
test_usage_SOURCES := auth/usage.c
