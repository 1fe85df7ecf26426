# authd.
CREDENTIALS := auth/credentials.c auth/app_passwords.c auth/cache.c
AUTH := auth/exchange.c auth/tickets.c auth/workers.c $(CREDENTIALS)
test_exchange_SOURCES := $(AUTH)
test_exchange_LIBS := -lsasl2
PROGRAMS += authd
authd_SOURCES := auth/authd.c $(AUTH)
authd_LIBS := -lsasl2
fuzz_sasl_SOURCES := $(AUTH)
fuzz_sasl_LIBS := -lsasl2
