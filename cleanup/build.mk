# cleanup and pickup.
PROGRAMS += cleanup
cleanup_SOURCES := cleanup/cleanup.c cleanup/transaction.c cleanup/headers.c cleanup/expand.c cleanup/sync.c
test_cleanup_headers_SOURCES := cleanup/headers.c
fuzz_cleanup_headers_SOURCES := cleanup/headers.c
