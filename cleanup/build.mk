# cleanup and pickup.
PROGRAMS += cleanup pickup
cleanup_SOURCES := cleanup/cleanup.c cleanup/transaction.c cleanup/room.c cleanup/headers.c cleanup/rewrite.c cleanup/expand.c cleanup/from.c cleanup/sync.c
pickup_SOURCES := cleanup/pickup.c cleanup/drop.c cleanup/intake.c cleanup/maildrop.c cleanup/submission.c
test_from_SOURCES := cleanup/from.c
test_cleanup_headers_SOURCES := cleanup/headers.c cleanup/rewrite.c
test_sync_SOURCES := cleanup/sync.c
test_submission_SOURCES := cleanup/maildrop.c cleanup/submission.c
fuzz_cleanup_headers_SOURCES := cleanup/headers.c cleanup/rewrite.c
fuzz_maildrop_SOURCES := cleanup/maildrop.c cleanup/submission.c
