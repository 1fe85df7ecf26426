PROGRAMS += bounce
bounce_SOURCES := bounce/bounce.c bounce/dsn.c
test_dsn_SOURCES := bounce/dsn.c
