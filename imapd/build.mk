# The IMAP front, and the session spawner whose children are the sessions.
IMAP_SESSION := imapd/commands.c imapd/session.c imapd/session_store.c imapd/input.c imapd/output.c imapd/reply.c imapd/updates.c \
	imapd/indexes.c imapd/commands_any.c imapd/commands_mailbox.c imapd/commands_selected.c imapd/list.c imapd/append.c imapd/idle.c imapd/fetch.c \
	imapd/fetch_parse.c imapd/fetch_section.c imapd/search_parse.c imapd/search_run.c \
	imapd/parse.c imapd/parse_set.c
PROGRAMS += imapd imapd-session
imapd_SOURCES := imapd/imapd.c imapd/conn.c imapd/conn_commands.c imapd/conn_login.c imapd/conn_tls.c imapd/sleepers.c imapd/parse.c \
	imapd/parse_set.c
imapd-session_SOURCES := imapd/session_main.c imapd/hub.c imapd/foreign.c imapd/session_child.c $(IMAP_SESSION)
test_imap_parse_SOURCES := imapd/parse.c imapd/parse_set.c imapd/fetch_parse.c
test_imap_search_SOURCES := $(IMAP_SESSION)
test_imap_fetch_SOURCES := $(IMAP_SESSION)
test_imap_session_SOURCES := $(IMAP_SESSION)
test_imap_front_tls_SOURCES := imapd/conn.c imapd/conn_commands.c imapd/conn_tls.c imapd/parse.c imapd/parse_set.c
test_sleepers_SOURCES := imapd/sleepers.c
fuzz_imap_session_SOURCES := $(IMAP_SESSION)
fuzz_imap_front_SOURCES := imapd/conn.c imapd/conn_commands.c imapd/conn_tls.c imapd/parse.c imapd/parse_set.c
