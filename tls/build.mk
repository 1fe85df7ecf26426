# tlsd and keyd.
KEYSET := tls/keyset.c tls/keyset_pem.c tls/to_sign.c
PROGRAMS += keyd
keyd_SOURCES := tls/keyd.c $(KEYSET)
PROGRAMS += tlsd
TLSD := $(filter-out tls/tlsd.c tls/keyd.c tls/keyset%,$(wildcard tls/*.c))
tlsd_SOURCES := tls/tlsd.c $(TLSD)
tlsd_LIBS := -lssl
test_tls_daemons_LIBS := -lssl
test_to_sign_SOURCES := tls/to_sign.c
test_tls_context_SOURCES := $(TLSD)
test_tls_context_LIBS := -lssl
fuzz_tls_connection_SOURCES := $(TLSD)
fuzz_tls_connection_LIBS := -lssl
