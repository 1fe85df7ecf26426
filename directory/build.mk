# accounts.db is written by the commands, too.
postern_SOURCES += directory/accounts.c directory/accounts_list.c auth/credentials.c
test_accounts_SOURCES := directory/accounts.c directory/accounts_list.c
test_credentials_SOURCES := auth/credentials.c
