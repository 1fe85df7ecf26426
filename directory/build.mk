# directoryd. accounts.db is written by the commands, too.
ACCOUNTS := directory/accounts.c directory/accounts_list.c directory/accounts_batch.c directory/accounts_follow.c directory/extension.c
ANSWER := $(wildcard directory/answer*.c) directory/classify.c directory/expand.c directory/recipient.c directory/owner.c directory/resolve.c directory/names.c directory/away.c $(ACCOUNTS)
PROGRAMS += directoryd proxymap
proxymap_SOURCES := directory/proxymap.c directory/proxymap_reach.c directory/proxymap_names.c directory/proxymap_fcntl.c
proxymap_LIBS := -Wl,--export-dynamic-symbol=fcntl -Wl,--export-dynamic-symbol=fcntl64 -Wl,--export-dynamic-symbol=getaddrinfo
test_waiting_SOURCES := directory/waiting.c $(ANSWER)
directoryd_SOURCES := directory/directoryd.c directory/lookup_tables.c directory/waiting.c $(ANSWER)
postern_SOURCES += $(ACCOUNTS) $(CREDENTIALS)
postern_LIBS += $(CREDENTIALS_LIBS)
test_accounts_SOURCES := $(ACCOUNTS)
test_credentials_SOURCES := $(CREDENTIALS)
test_credentials_LIBS := $(CREDENTIALS_LIBS)
test_joint_SOURCES := cli/joint.c $(ACCOUNTS) $(CREDENTIALS)
test_joint_LIBS := $(CREDENTIALS_LIBS)
test_answer_SOURCES := $(ANSWER)
test_records_SOURCES := cli/records.c
test_records_LIBS := -ljansson
fuzz_import_SOURCES := cli/import_postfix.c cli/import_passwd.c cli/records.c
fuzz_import_LIBS := -ljansson
