# SPDX-License-Identifier: ISC
# The SMTP server: the front, and the spawner with its sessions.
SMTPD_SESSION := smtpd/session.c smtpd/input.c smtpd/commands.c smtpd/envelope.c smtpd/data.c smtpd/transaction.c smtpd/ask.c smtpd/state.c smtpd/trace.c \
	smtpd/restrictions.c smtpd/restriction_names.c smtpd/restriction_simple.c smtpd/restriction_listed.c smtpd/check.c smtpd/access.c smtpd/actions.c smtpd/reply.c smtpd/tls.c smtpd/auth.c smtpd/limits.c smtpd/keywords.c smtpd/sender_login.c

PROGRAMS += smtpd smtpd-session
smtpd_SOURCES := smtpd/smtpd.c smtpd/pool.c smtpd/pool_room.c smtpd/places.c smtpd/wrapped.c
smtpd-session_SOURCES := smtpd/session_main.c smtpd/logins.c smtpd/session_run.c smtpd/session_io.c smtpd/settings.c $(SMTPD_SESSION)

test_smtpd_logins_SOURCES := smtpd/logins.c
test_smtpd_places_SOURCES := smtpd/places.c
test_smtpd_session_SOURCES := $(SMTPD_SESSION) tests/unit/smtp_world.c
test_smtpd_limits_SOURCES := $(SMTPD_SESSION) tests/unit/smtp_world.c
test_smtpd_model_SOURCES := $(SMTPD_SESSION) tests/unit/smtp_world.c
test_smtpd_content_SOURCES := $(SMTPD_SESSION) tests/unit/smtp_world.c
test_smtpd_restrictions_SOURCES := $(SMTPD_SESSION) tests/unit/smtp_world.c
test_smtpd_tls_SOURCES := $(SMTPD_SESSION) tests/unit/smtp_world.c
test_smtpd_auth_SOURCES := $(SMTPD_SESSION) tests/unit/smtp_world.c
fuzz_smtp_session_SOURCES := $(SMTPD_SESSION) tests/unit/smtp_world.c
fuzz_bdat_SOURCES := $(SMTPD_SESSION) tests/unit/smtp_world.c
