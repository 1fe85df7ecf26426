# SPDX-License-Identifier: ISC
PROGRAMS += pop3d pop3d-session
pop3d_SOURCES := pop3d/pop3d.c pop3d/front.c
pop3d-session_SOURCES := pop3d/session_main.c pop3d/session.c pop3d/commands.c pop3d/session_io.c
fuzz_pop3_session_SOURCES := pop3d/session.c pop3d/commands.c pop3d/session_io.c
test_pop3_front_tls_SOURCES := pop3d/front.c
