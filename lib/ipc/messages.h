// SPDX-License-Identifier: ISC
/*
 * Every message between two processes of the suite, declared once. Encoder, decoder, the fuzz target and the log's names come
 * out of these tables; a message's number is its place in MESSAGES and holds within one build only (all processes of an
 * instance come from one build; master checks).
 *
 * FIELDS_NAME(F) lists the fields: F(kind, name, max). Kinds: TEXT (no NUL, at most max bytes), BYTES (at most max bytes), SECRET
 * (BYTES that may be a password: channels leave no copy of such a message behind), U8, U16, U32, U64, I64 (max 0). FDS gives how
 * many descriptors travel with the message, at most.
 */
#ifndef IPC_MESSAGES_H
#define IPC_MESSAGES_H

/* Tables of rows with comments: the formatter does not understand them. */
/* clang-format off */

enum {
	MAX_ADDRESS = 1024, /* an address in its external form, quotes and route included */
	MAX_REASON = 1000, /* a reply text or a reason for the log */
	MAX_HOST = 300, /* "name[address]" */
	MAX_QUEUE_ID = 24,
	MAX_CHUNK = 64 * 1024,
	MAX_LOGIN = 320, /* user@domain */
	MAX_APP = 64, /* name of an application password */
	MAX_PATH_TEXT = 1024,
	MAX_MAILBOX = 1024, /* a mailbox name, UTF-8 */
	MAX_SASL = 16 * 1024,
	MAX_INTROSPECTION = 16 * 1024,
	MAX_TICKET = 48,
	MAX_TLS_SEAL = 2048, /* facts about a TLS connection, sealed for authd */
	MAX_CHAIN = 48 * 1024, /* a certificate chain, PEM */
	MAX_CERTIFICATES = 4096, /* the files of one set of certificates, as configured */
	MAX_TO_SIGN = 4096, /* what a handshake has signed */
	MAX_SIGNATURE = 1024,
	MAX_CERTIFICATE_NAME = 512, /* subject, issuer */
	MAX_PREPEND = 16 * 1024, /* header lines that go before all others */
	MAX_LOGINS = 32 * 1024, /* names of users in one order about sessions */
	MESSAGE_FDS = 16, /* descriptors with one message, at most */
	MESSAGE_MAX = MAX_CHUNK + 8 * 1024 /* bytes of one packet, at most */
};

/* --- master <-> every process, on the control channel --- */

/* First message to a new process. Descriptors: snapshot, figures of its own, log, then one for each listener. */
#define FIELDS_MASTER_START(F) \
	F(TEXT, entry, 64) /* name of the master.cf entry, "smtp" */ \
	F(TEXT, root, MAX_PATH_TEXT) /* instance directory; "/" inside a chroot */ \
	F(TEXT, log_name, 128) /* syslog_name/entry */ \
	F(TEXT, host, 256) /* for log lines */ \
	F(U8, log_json, 0) \
	F(U8, log_syslog, 0) /* the log takes syslog's datagrams of this facility (less one); 0: it is a file */ \
	F(U8, verbose, 0) \
	F(U8, best_effort, 0) /* sandbox = best-effort */ \
	F(U8, chroot, 0) /* chroot to root before anything is opened */ \
	F(U32, uid, 0) /* to take on in cell_enter; the present one when not started as root */ \
	F(U32, gid, 0) \
	F(U32, max_sessions, 0) /* maxproc of the entry, for spawners */ \
	F(U32, build, 0) /* must equal MESSAGE_BUILD */ \
	F(BYTES, seal_key, 32) /* to tlsd and authd only: what seals facts and session tickets */ \
	F(BYTES, listeners, \
		4096) /* NUL-ended names, "inet:10025" or "unix:public/pickup", in the order of the descriptors */ \
	F(U32, order, 0) /* the last SESSIONS_ORDER that there was */ \
	F(U8, held, 0) /* the former generation still serves: nobody is accepted before MASTER_SERVE */
/* process -> master: cell entered, serving. */
#define FIELDS_MASTER_READY(F) F(U32, pid, 0)
/* process -> master: it ends before it was ready, and this is why. */
#define FIELDS_MASTER_FAILED(F) F(TEXT, reason, MAX_REASON)
/* master -> process: its generation is the present one, clients may be accepted. */
#define FIELDS_MASTER_SERVE(F) F(U32, generation, 0)
/* process -> master: please introduce me to one process of `service`. */
#define FIELDS_MASTER_CONNECT(F) F(U32, serial, 0) F(U8, service, 0) F(U8, own_class, 0)
/* process -> master: please connect me to a socket outside of the suite that my cell names (enum cell_outside). */
#define FIELDS_MASTER_OUTSIDE(F) F(U32, serial, 0) F(U8, what, 0)
/* master -> process that asked; one descriptor, or none when it cannot be (`reason`). */
#define FIELDS_MASTER_CONNECTED(F) F(U32, serial, 0) F(TEXT, reason, 200)
/* master -> process that is asked for: somebody of service `from` with uid `uid` is at the other end of the descriptor. */
#define FIELDS_MASTER_PEER(F) F(U8, from, 0) F(U32, uid, 0) F(U32, pid, 0)
/* master -> process: finish what is in hand, take nothing new, end. */
#define FIELDS_MASTER_DRAIN(F) F(U8, fast, 0)
/* process -> master: DRAIN was heard, nothing new is taken any more. */
#define FIELDS_MASTER_DRAINING(F) F(U8, fast, 0)
/* master -> process: master.cf's wakeup time has come, or "flush" was asked for. */
#define FIELDS_MASTER_WAKEUP(F) F(U8, reason, 0)

/* --- sessions of users: commands -> master -> authd and the spawners --- */

/*
 * List or end the sessions of users. Orders that master gives are numbered; what comes from a command has no number. `logins`: NUL-ended names
 * as authd knows them; empty: all, which only a list may be of. `app`: only what was opened with the application password of that name.
 */
#define FIELDS_SESSIONS_ORDER(F) \
	F(U32, order, 0) F(U8, action, 0) /* enum sessions_action */ F(BYTES, logins, MAX_LOGINS) F(TEXT, app, MAX_APP)
/* The answer, and what master passes on to the command: each session of a list... */
#define FIELDS_SESSIONS_ROW(F) \
	F(U32, order, 0) \
	F(TEXT, service, 16) /* "imap", "pop3", "smtp" */ \
	F(TEXT, login, MAX_LOGIN) \
	F(TEXT, app, MAX_APP) /* the application password that the user logged in with; empty: the login's own, or other means */ \
	F(TEXT, client_address, 64) \
	F(I64, since, 0) /* when the user logged in, microseconds since 1970 */ \
	F(U32, pid, 0) /* 0: it sleeps */
/* ...and the end: how many they are, or were. `silent`, to the command only: processes that did not answer in time. */
#define FIELDS_SESSIONS_DONE(F) F(U32, order, 0) F(U32, count, 0) F(U32, silent, 0)

/* --- TLS: servers -> tlsd -> keyd --- */

/*
 * server -> tlsd: the peer at the descriptor (a connected stream socket, taken over) begins a handshake now. Nothing that came before on it counts. `certificates` is
 * the evaluated setting of the entry that took the client in (tls_settings, lib/service/tls.h) and names a set that keyd loaded.
 */
#define FIELDS_TLS_ACCEPT(F) \
	F(U32, serial, 0) \
	F(TEXT, service, 16) /* "smtp", "imap", "pop3" */ \
	F(TEXT, alpn, 64) /* protocols that are accepted, separated by commas; empty: any */ \
	F(TEXT, certificates, MAX_CERTIFICATES) \
	F(TEXT, protocols, 200) /* as smtpd_tls_protocols */ \
	F(TEXT, ciphers, 1024) /* OpenSSL's list for TLS 1.2 */ \
	F(TEXT, options, 200) /* as tls_ssl_options */ \
	F(U8, client_certificate, 0) /* enum tls_client_certificate */ \
	F(U32, timeout_ms, 0) /* for the handshake */ \
	F(TEXT, client_address, 64) F(U16, client_port, 0) F(TEXT, local_address, 64) F(U16, local_port, 0)
/*
 * client -> tlsd: open TLS to the server at the descriptor (a connected stream socket, taken over). `certificates` names a set as above, or is empty: no
 * authority is trusted, no certificate is shown. Names and fingerprints are separated by commas.
 */
#define FIELDS_TLS_CONNECT(F) \
	F(U32, serial, 0) \
	F(TEXT, service, 16) /* "smtp" */ \
	F(TEXT, alpn, 64) \
	F(TEXT, certificates, MAX_CERTIFICATES) \
	F(TEXT, protocols, 200) F(TEXT, ciphers, 1024) F(TEXT, options, 200) /* as in TLS_ACCEPT */ \
	F(U32, timeout_ms, 0) \
	F(TEXT, server_address, 64) F(U16, server_port, 0) \
	F(TEXT, host, 256) /* for the Server Name Indication; empty: none is sent */ \
	F(TEXT, names, 1024) /* the certificate must be for one of them; ".domain": for any host below it */ \
	F(U8, check, 0) /* enum tls_check */ \
	F(TEXT, fingerprints, 4096) /* of certificates or public keys, "AB:CD:...", by the digest of the set */
/*
 * tlsd -> server: the handshake is over. One descriptor, the plaintext side (a stream socket of the suite: end of file there is the peer's end, closing it
 * closes the connection in good order), or none and a reason.
 */
#define FIELDS_TLS_READY(F) \
	F(U32, serial, 0) \
	F(U8, status, 0) /* enum tls_status */ \
	F(TEXT, reason, 200) /* why it failed, or why the peer is not trusted */ \
	F(TEXT, protocol, 16) /* "TLSv1.3" */ \
	F(TEXT, cipher, 64) /* "TLS_AES_256_GCM_SHA384" */ \
	F(U16, bits, 0) F(U16, algorithm_bits, 0) \
	F(U8, resumed, 0) \
	F(TEXT, sni, 256) F(TEXT, alpn, 64) \
	F(TEXT, subject, MAX_CERTIFICATE_NAME) F(TEXT, issuer, MAX_CERTIFICATE_NAME) /* of the peer's certificate; empty: none */ \
	F(TEXT, fingerprint, 200) F(TEXT, key_fingerprint, 200) /* "AB:CD:..." by smtpd_tls_fingerprint_digest */ \
	F(U8, trusted, 0) /* the peer's certificate checked out, for a TLS_CONNECT with names or fingerprints also against those */ \
	F(BYTES, seal, MAX_TLS_SEAL) /* the same facts and the channel bindings, for authd only */
/* server -> tlsd: it does not want that handshake any more; no answer comes. */
#define FIELDS_TLS_CANCEL(F) F(U32, serial, 0)
/* tlsd -> keyd: the chains of that set, and all that keyd loads later. */
#define FIELDS_KEY_SET(F) F(U32, serial, 0) F(TEXT, certificates, MAX_CERTIFICATES)
/*
 * keyd -> tlsd: one pair of the set: its chain, and under which number it signs. The last one has `more` 0; a set that is not there
 * has an empty chain. Sent again, unasked, when a pair was taken up anew.
 */
#define FIELDS_KEY_CHAIN(F) \
	F(U32, serial, 0) F(TEXT, certificates, MAX_CERTIFICATES) \
	F(TEXT, name, 256) /* server name of tls_server_sni_maps, or empty: for all */ \
	F(U32, key, 0) F(U32, generation, 0) F(U8, more, 0) F(BYTES, chain, MAX_CHAIN)
/* tlsd -> keyd: sign that, the whole of what a handshake has signed (never a digest: keyd looks at what it signs). */
#define FIELDS_KEY_SIGN(F) \
	F(U32, serial, 0) F(U32, key, 0) F(U16, scheme, 0) /* TLS SignatureScheme, RFC 8446 4.2.3 */ F(BYTES, data, MAX_TO_SIGN)
#define FIELDS_KEY_SIGNED(F) F(U32, serial, 0) F(U8, status, 0) /* 1: signed */ F(BYTES, signature, MAX_SIGNATURE)
/* keyd -> master, before its cell closes and never after: that file is to be watched. */
#define FIELDS_KEY_WATCH(F) F(U32, number, 0) F(TEXT, path, MAX_PATH_TEXT)
/* master -> keyd: a watched file has changed; one descriptor, read-only. */
#define FIELDS_KEY_FILE(F) F(U32, number, 0)

/* --- smtpd session, pickup, bounce -> cleanup: one message. No answer until CLEANUP_RESULT. --- */
#define FIELDS_CLEANUP_BEGIN(F) \
	F(U32, serial, 0) \
	F(TEXT, sender, MAX_ADDRESS) \
	F(U32, flags, 0) /* enum cleanup_flag */ \
	F(TEXT, envid, 128) \
	F(TEXT, protocol, 16) /* "ESMTP", "local" */ \
	F(TEXT, client_name, 256) \
	F(TEXT, client_address, 64) \
	F(TEXT, helo, 512) \
	F(TEXT, login, MAX_LOGIN) \
	F(TEXT, full_name, 256) /* for a missing From:; of local submissions */ \
	F(I64, size_hint, 0) \
	F(TEXT, origin, 2000) /* "client=host[addr]", "uid=0 from=<...>": the sender's log line; may be empty */ \
	F(U32, pid, 0) /* the sender's, for that line */ \
	F(TEXT, log_name, 128) /* likewise, "postern/submission/smtpd"; empty: what it is called by default */ \
	F(U8, check_from, 0) /* enum check_from: is the address in From: one of `login`'s, by the tables... */ \
	F(TEXT, login_maps, 1024) /* ...smtpd_sender_login_maps? */ \
	F(TEXT, prepend, MAX_PREPEND) /* header lines, each with its LF, to go before Received: */ \
	F(TEXT, tls, 1024) /* comments for Received: about the client's TLS, "(using TLSv1.3 ...)", separated by LF; may be empty */
#define FIELDS_CLEANUP_RECIPIENT(F) \
	F(U32, serial, 0) F(TEXT, address, MAX_ADDRESS) F(TEXT, orcpt, 640) F(U8, notify, 0)
/* Content in order, line ends as LF, dot-stuffing and CR removed, as the client gave it: cleanup itself writes the Received:
 * header, from what CLEANUP_BEGIN says of the client (no client_address: "by HOST (Postern, from HELO)"). */
#define FIELDS_CLEANUP_CONTENT(F) F(U32, serial, 0) F(BYTES, chunk, MAX_CHUNK)
/* fail != 0: forget the message (client went away, too large); no answer follows. hold != 0: into hold/. redirect: the one
 * recipient instead of all others, not to be expanded; may be empty. */
#define FIELDS_CLEANUP_END(F) \
	F(U32, serial, 0) F(U8, fail, 0) F(U8, hold, 0) F(TEXT, redirect, MAX_ADDRESS)
#define FIELDS_CLEANUP_RESULT(F) \
	F(U32, serial, 0) \
	F(U16, code, 0) F(TEXT, dsn, 12) F(TEXT, reason, MAX_REASON) F(TEXT, queue_id, MAX_QUEUE_ID)

/* --- directoryd's questions. Every answer carries the question's serial. --- */
/* May a client send to `recipient`? From smtpd sessions. */
#define FIELDS_DIRECTORY_RECIPIENT(F) F(U32, serial, 0) F(TEXT, recipient, MAX_ADDRESS)
#define FIELDS_DIRECTORY_RECIPIENT_ANSWER(F) \
	F(U32, serial, 0) \
	F(U8, status, 0) /* enum directory_status */ \
	F(U8, domain_class, 0) /* enum domain_class */ \
	F(TEXT, reason, MAX_REASON)
/* Virtual aliases of one recipient, in full depth. From cleanup. */
#define FIELDS_DIRECTORY_EXPAND(F) F(U32, serial, 0) F(TEXT, recipient, MAX_ADDRESS)
/* One answer for each address, `more` set on all but the last; status of the last counts. */
#define FIELDS_DIRECTORY_EXPAND_ANSWER(F) \
	F(U32, serial, 0) \
	F(U8, status, 0) F(U8, more, 0) F(TEXT, address, MAX_ADDRESS) F(TEXT, reason, MAX_REASON)
/* Where does it go? From qmgr. */
#define FIELDS_DIRECTORY_RESOLVE(F) \
	F(U32, serial, 0) F(TEXT, sender, MAX_ADDRESS) F(TEXT, recipient, MAX_ADDRESS)
#define FIELDS_DIRECTORY_RESOLVE_ANSWER(F) \
	F(U32, serial, 0) \
	F(U8, status, 0) \
	F(TEXT, transport, 64) F(TEXT, nexthop, 512) \
		F(TEXT, address, MAX_ADDRESS) /* the address the agent gets */ \
		F(TEXT, mailbox, MAX_PATH_TEXT) /* below the mail directory; for virtual */ \
		F(I64, quota, 0) /* bytes, 0 none */ \
		F(TEXT, reason, MAX_REASON)
/* Where is the mail of this login name? From session spawners. */
#define FIELDS_DIRECTORY_MAILBOX(F) F(U32, serial, 0) F(TEXT, login, MAX_LOGIN)
#define FIELDS_DIRECTORY_MAILBOX_ANSWER(F) \
	F(U32, serial, 0) F(U8, status, 0) F(TEXT, mailbox, MAX_PATH_TEXT) F(I64, quota, 0)
/* Look `key` up in `tables`, which must stand in the configuration (access maps and the like). */
#define FIELDS_DIRECTORY_LOOKUP(F) \
	F(U32, serial, 0) \
	F(TEXT, tables, 1024) F(TEXT, key, MAX_ADDRESS) F(U8, part, \
		0) /* the key is a part of the one in question: pattern tables do not get it */
#define FIELDS_DIRECTORY_LOOKUP_ANSWER(F) \
	F(U32, serial, 0) F(U8, status, 0) F(TEXT, value, MAX_REASON)

/* May `login` send as `address`? Empty: nobody is logged in. `tables` (smtpd_sender_login_maps of the client's entry) must stand in
 * the configuration. From smtpd sessions and cleanup. */
#define FIELDS_DIRECTORY_OWNER(F) \
	F(U32, serial, 0) F(TEXT, address, MAX_ADDRESS) F(TEXT, login, MAX_LOGIN) F(TEXT, tables, 1024)
#define FIELDS_DIRECTORY_OWNER_ANSWER(F) F(U32, serial, 0) F(U8, status, 0) /* enum owner_status */

/* --- directoryd and authd -> proxymap: a key of a table of a SQL server, by the table's name as the configuration has it. Each may ask for
 * its own: authd for those of auth_backends and auth_certificate_maps, directoryd for all others. --- */
#define FIELDS_PROXYMAP_ASK(F) F(U32, serial, 0) F(TEXT, table, 1024) F(TEXT, key, 4096)
#define FIELDS_PROXYMAP_ANSWER(F) \
	F(U32, serial, 0) F(U8, status, 0) /* enum table_status */ F(SECRET, value, MAX_CHUNK)

/* --- cleanup -> qmgr: a message is in incoming/, durable. One read-only descriptor of it. --- */
#define FIELDS_QUEUE_ARRIVED(F) F(TEXT, queue_id, MAX_QUEUE_ID)

/* --- qmgr -> delivery agent: one descriptor, the queue file read-only. Then the recipients, then go. --- */
#define FIELDS_DELIVER_MESSAGE(F) \
	F(U32, serial, 0) \
	F(TEXT, queue_id, MAX_QUEUE_ID) \
	F(TEXT, sender, MAX_ADDRESS) F(I64, arrival, 0) /* microseconds since 1970 */ \
		F(I64, active, 0) /* when it came into the active queue, likewise; for delays= */ \
		F(I64, content_offset, 0) F(I64, content_size, 0) \
			F(I64, content_lines, 0) /* LF bytes in it */ \
		F(U32, flags, 0) /* enum queue_flag */ \
		F(TEXT, nexthop, 512) \
			F(U32, recipients, 0) /* that many DELIVER_RECIPIENT follow */
#define FIELDS_DELIVER_RECIPIENT(F) \
	F(U32, serial, 0) \
	F(U32, index, 0) \
	F(TEXT, address, MAX_ADDRESS) F(TEXT, original, MAX_ADDRESS) \
		F(TEXT, mailbox, MAX_PATH_TEXT) F(I64, quota, 0)
/* agent -> qmgr, one for each recipient. */
#define FIELDS_DELIVER_RESULT(F) \
	F(U32, serial, 0) \
	F(U32, index, 0) \
	F(U8, status, 0) /* enum deliver_status */ \
		F(TEXT, dsn, 12) F(TEXT, relay, 300) F(TEXT, reason, MAX_REASON) \
			F(U32, connect_us, 0) F(U32, transfer_us, 0)

/* --- qmgr -> bounce: report what failed (or is late) to the sender. One descriptor, the queue file. --- */
#define FIELDS_BOUNCE_BEGIN(F) \
	F(U32, serial, 0) \
	F(U8, kind, 0) \
	/* enum bounce_kind */ F(TEXT, queue_id, MAX_QUEUE_ID) F(TEXT, sender, MAX_ADDRESS) \
		F(TEXT, envid, 128) F(I64, arrival, 0) F(I64, content_offset, 0) \
			F(I64, content_size, 0) F(U32, flags, 0) /* enum queue_flag */ \
		F(I64, give_up, \
			0) /* when it is returned if nothing changes, microseconds since 1970; for BOUNCE_DELAY */
#define FIELDS_BOUNCE_RECIPIENT(F) \
	F(U32, serial, 0) \
	F(TEXT, address, MAX_ADDRESS) \
	F(TEXT, original, MAX_ADDRESS) F(TEXT, orcpt, 640) F(TEXT, dsn, 12) F(TEXT, relay, 300) \
		F(TEXT, reason, MAX_REASON)
#define FIELDS_BOUNCE_END(F)    F(U32, serial, 0)
#define FIELDS_BOUNCE_RESULT(F) F(U32, serial, 0) F(U8, done, 0) F(TEXT, queue_id, MAX_QUEUE_ID)

/* --- public sockets: the command-line tools. --- */
/* sendmail -> pickup; then SUBMIT_RECIPIENT*, SUBMIT_CONTENT*, SUBMIT_END; answer CLEANUP_RESULT. */
#define FIELDS_SUBMIT_BEGIN(F) \
	F(TEXT, sender, MAX_ADDRESS) \
	F(TEXT, full_name, 256) F(TEXT, envid, 128) F(U8, notify, 0) \
		F(U32, flags, 0) /* of enum cleanup_flag: 8BIT, SMTPUTF8, RET_HEADERS */
#define FIELDS_SUBMIT_RECIPIENT(F) F(TEXT, address, MAX_ADDRESS)
#define FIELDS_SUBMIT_CONTENT(F)   F(BYTES, chunk, MAX_CHUNK)
#define FIELDS_SUBMIT_END(F)       F(U8, fail, 0)
/* postqueue, postsuper, postern flush -> qmgr. `id` empty: all. `folders`: bits 1 << enum queue_name; 0: those usual for the action. */
#define FIELDS_QUEUE_CONTROL(F) \
	F(U8, action, 0) \
	/* enum queue_action */ F(TEXT, id, MAX_QUEUE_ID) F(TEXT, site, 256) F(U8, folders, 0)
#define FIELDS_QUEUE_CONTROL_ANSWER(F) \
	F(U8, status, 0) /* 0 done, else sysexits */ F(U32, count, 0) F(TEXT, reason, 300)
/* mailq -> showq; one QUEUE_MESSAGE and its QUEUE_RECIPIENTs for each message, then QUEUE_END. */
#define FIELDS_QUEUE_LIST(F) F(TEXT, id, MAX_QUEUE_ID)
#define FIELDS_QUEUE_MESSAGE(F) \
	F(TEXT, queue_name, 16) \
	F(TEXT, queue_id, MAX_QUEUE_ID) \
	F(I64, arrival, 0) F(I64, size, 0) F(U8, forced_expire, 0) F(TEXT, sender, MAX_ADDRESS) \
		F(I64, next_try, 0) F(U32, attempts, 0)
#define FIELDS_QUEUE_RECIPIENT(F) \
	F(TEXT, address, MAX_ADDRESS) F(TEXT, original, MAX_ADDRESS) F(TEXT, reason, MAX_REASON)
#define FIELDS_QUEUE_END(F) F(U32, count, 0) F(TEXT, reason, 300)
/* postcat -q -> showq: answer QUEUE_FILE with the queue file as descriptor (owner of the suite or root only), or a reason. */
#define FIELDS_QUEUE_OPEN(F) F(TEXT, id, MAX_QUEUE_ID)
#define FIELDS_QUEUE_FILE(F) F(TEXT, queue_name, 16) F(TEXT, reason, 300)

/* --- protocol front -> authd --- */
#define FIELDS_AUTH_BEGIN(F) \
	F(U32, serial, 0) \
	F(TEXT, service, 16) \
	/* "imap", "pop3", "smtp" */ F(TEXT, mechanism, 32) F(U8, has_initial, 0) \
		F(SECRET, initial, MAX_SASL) F(TEXT, client_address, 64) F(TEXT, local_address, 64) \
			F(U8, secured, 0) F(BYTES, tls, MAX_TLS_SEAL) /* what tlsd sealed about the connection */
#define FIELDS_AUTH_CONTINUE(F)  F(U32, serial, 0) F(SECRET, response, MAX_SASL)
#define FIELDS_AUTH_CANCEL(F)    F(U32, serial, 0)
#define FIELDS_AUTH_CHALLENGE(F) F(U32, serial, 0) F(BYTES, challenge, MAX_SASL)
#define FIELDS_AUTH_RESULT(F) \
	F(U32, serial, 0) \
	F(U8, status, 0) \
	/* enum auth_status */ F(TEXT, login, MAX_LOGIN) /* after a failure: who it claimed to be */ F(BYTES, ticket, MAX_TICKET) \
		F(BYTES, final, MAX_SASL) F(TEXT, reason, 200) F(U32, delay, 0) /* ms before the client may hear of it */
/* SMTP's session spawner -> authd, first on a connection that one of its sessions gets: that session has this number (never 0). */
#define FIELDS_AUTH_SESSION(F) F(U32, number, 0)
/* SMTP's session spawner -> authd, on a connection that it keeps: tell here who logs in on those of its sessions. Without it nobody does. */
#define FIELDS_AUTH_WATCH(F) F(U8, unused, 0)
/* authd -> that spawner: who logged in there, before the session hears of it. */
#define FIELDS_AUTH_LOGIN(F) \
	F(U32, number, 0) \
	F(TEXT, login, MAX_LOGIN) \
	F(TEXT, app, MAX_APP) /* the application password that was good; empty: the login's own, or other means */ \
	F(TEXT, client_address, 64) \
	F(U32, order, 0) /* the last SESSIONS_ORDER that authd knew when it said so */
/* SMTP session -> authd: what mechanisms are there for `service`? The answer is a list, separated by spaces. */
#define FIELDS_AUTH_OFFER(F)   F(U32, serial, 0) F(TEXT, service, 16)
#define FIELDS_AUTH_OFFERED(F) F(U32, serial, 0) F(TEXT, mechanisms, 180)
/* SMTP session -> authd: may `login` send one message more, to that many recipients? Then it is counted. Limits: 0 none. */
#define FIELDS_AUTH_USAGE(F) \
	F(U32, serial, 0) F(TEXT, login, MAX_LOGIN) F(U32, recipients, 0) \
	F(U32, message_hour, 0) F(U32, recipient_hour, 0) F(U32, message_day, 0) F(U32, recipient_day, 0)
#define FIELDS_AUTH_USAGE_ANSWER(F) \
	F(U32, serial, 0) F(U8, status, 0) /* enum usage_status; if it says no: */ \
	F(U8, which, 0) /* limit, in their order above... */ F(U32, limit, 0) F(U32, wait, 0) /* ...and s until there is room again */
/* session spawner -> authd: whose ticket is this, which came from the front with that pid? It is spent by the question. */
#define FIELDS_AUTH_REDEEM(F) \
	F(U32, serial, 0) F(TEXT, service, 16) F(U32, front, 0) F(BYTES, ticket, MAX_TICKET)
#define FIELDS_AUTH_REDEEMED(F) \
	F(U32, serial, 0) F(U8, status, 0) F(TEXT, login, MAX_LOGIN) F(U32, order, 0) F(TEXT, app, MAX_APP) /* as AUTH_LOGIN's */

/* --- authd -> introspect: is that token good? The answer is the command's, as it is (RFC 7662 section 2.2). --- */
#define FIELDS_INTROSPECT_ASK(F) F(U32, serial, 0) F(SECRET, token, MAX_SASL)
#define FIELDS_INTROSPECT_ANSWER(F) \
	F(U32, serial, 0) F(U8, status, 0) /* enum introspect_status */ F(BYTES, answer, MAX_INTROSPECTION)

/* --- smtpd: spawner <-> front, session <-> front --- */
/* front -> spawner: so many sessions in all since the connection began; what is under way when this is said is counted in. */
#define FIELDS_POOL_WANT(F) \
	F(U32, count, 0) \
	F(U32, waiting, 0) /* clients that wait for one */ \
	F(U32, crowd, 0) /* unknown clients of that one's network which comes from the emptiest */
/* spawner -> front: there are no more for now, make room among your own clients. */
#define FIELDS_POOL_FULL(F) F(U8, unused, 0)
/* spawner -> front: clients of another front wait: give up one session, if one is idle or its client is worth less than somebody of such
 * a crowd. Its end is the answer, or POOL_KEEP. */
#define FIELDS_POOL_GIVE(F) F(U32, crowd, 0)
/* front -> spawner: there is none that could be given. */
#define FIELDS_POOL_KEEP(F) F(U8, unused, 0)
/* front -> spawner, first: the configuration its sessions work by (the entry's own -o options in it). One descriptor, sealed. */
#define FIELDS_POOL_CONFIG(F) F(U8, unused, 0)
/* session -> its spawner: the connection to that service broke, please another. The answer brings it, one descriptor. */
#define FIELDS_POOL_PEER(F)        F(U8, service, 0)
#define FIELDS_POOL_PEER_ANSWER(F) F(U8, service, 0)
/* spawner -> front: a session waits at the other end of the descriptor. */
#define FIELDS_POOL_SESSION(F) F(U32, pid, 0)
/* front -> session: a client, one descriptor. Where the handshake comes first it is done: the descriptor is tlsd's side, and TLS_READY, without one,
 * has gone before. */
#define FIELDS_SESSION_CLIENT(F) \
	F(U32, serial, 0) \
	F(TEXT, client_address, 64) \
	F(U16, client_port, 0) F(TEXT, local_address, 64) F(U16, local_port, 0) \
		F(TEXT, entry, 64) /* the master.cf entry it came in by */ \
		F(U8, local, 0) /* came over the UNIX socket: `uid` holds */ F(U32, uid, 0) \
			F(U8, stress, 0) /* the front is near its limits: shorter timeouts */
/* session -> front: that client is done; the session waits for the next one, or ends when `last`. */
#define FIELDS_SESSION_DONE(F) F(U32, serial, 0) F(U8, last, 0)
/* session -> front: count one message/recipient/... of this client; answered when a rate limit is set. */
#define FIELDS_SESSION_RATE(F)        F(U32, serial, 0) F(U8, what, 0) /* enum rate_kind */
#define FIELDS_SESSION_RATE_ANSWER(F) F(U32, serial, 0) F(U8, refuse, 0)
/* session -> front: what its client has become; it only rises. */
#define FIELDS_SESSION_STANDING(F) F(U8, standing, 0) /* enum client_standing */
/* front -> session: the place is needed for somebody else, waste no time on that client. Its connection is cut already. */
#define FIELDS_SESSION_LEAVE(F) F(U32, serial, 0)

/* --- imapd, pop3d: front <-> spawner <-> session --- */
/* front -> spawner: an authenticated client, one descriptor; `input` is what it sent already. */
#define FIELDS_HANDOVER(F) \
	F(U32, serial, 0) \
	F(BYTES, ticket, MAX_TICKET) \
	F(TEXT, tag, 256) F(BYTES, input, 32 * 1024) F(TEXT, client_address, 64) \
		F(U16, client_port, 0) F(TEXT, local_address, 64)
/* spawner -> front: the session runs (pid), or could not be (reason; the client gets it and its descriptor stays with the front). */
#define FIELDS_HANDOVER_ANSWER(F) \
	F(U32, serial, 0) F(U8, status, 0) F(U32, pid, 0) F(TEXT, reason, 200)
/* spawner -> front: that session has ended. */
#define FIELDS_SESSION_ENDED(F) F(U32, serial, 0)
/* session -> spawner, passed on to front: sleep. The client's descriptor, its state, and (from the spawner) a sealed resume ticket. */
#define FIELDS_HIBERNATE(F) \
	F(U32, serial, 0) \
	F(BYTES, state, 4096) \
	F(BYTES, ticket, MAX_TICKET) F(TEXT, tag, 256) F(TEXT, client_address, 64)
/* front -> spawner: input came or the spawner said WAKE; the descriptor, the state and the ticket again. */
#define FIELDS_RESUME(F) \
	F(U32, serial, 0) \
	F(BYTES, ticket, MAX_TICKET) \
	F(BYTES, state, 4096) F(TEXT, tag, 256) F(TEXT, client_address, 64)
/* spawner -> front: something changed in that sleeper's mailbox. */
#define FIELDS_WAKE(F) F(U32, serial, 0)
/* spawner -> front: that sleeper's user has to go; its ticket is not good any more. */
#define FIELDS_SLEEPER_END(F) F(U32, serial, 0)
/* Something changed in a mailbox (empty: the index of all was made anew): virtual, sessions -> imap spawner -> sessions. `account` is
 * the mailbox path of RESOLVE. */
#define FIELDS_NOTICE(F) F(TEXT, account, MAX_PATH_TEXT) F(TEXT, mailbox, MAX_MAILBOX)
/* session -> spawner: tell me of changes in this mailbox from now on (empty: of none); `idle`: also of those that other programs make. */
#define FIELDS_NOTICE_WATCH(F) F(TEXT, mailbox, MAX_MAILBOX) F(U8, idle, 0)
/* old imap spawner -> new one: pass all notices on to me. */
#define FIELDS_NOTICE_ALL(F) F(U8, unused, 0)

/* M(NAME, member, FDS) */
#define MESSAGES(M) \
	M(MASTER_START, master_start, MESSAGE_FDS) \
	M(MASTER_READY, master_ready, 0) \
	M(MASTER_FAILED, master_failed, 0) \
	M(MASTER_SERVE, master_serve, 0) \
	M(MASTER_CONNECT, master_connect, 0) \
	M(MASTER_OUTSIDE, master_outside, 0) \
	M(MASTER_CONNECTED, master_connected, 1) \
	M(MASTER_PEER, master_peer, 1) \
	M(MASTER_DRAIN, master_drain, 0) \
	M(MASTER_DRAINING, master_draining, 0) \
	M(MASTER_WAKEUP, master_wakeup, 0) \
	M(SESSIONS_ORDER, sessions_order, 0) \
	M(SESSIONS_ROW, sessions_row, 0) \
	M(SESSIONS_DONE, sessions_done, 0) \
	M(TLS_ACCEPT, tls_accept, 1) \
	M(TLS_CONNECT, tls_connect, 1) \
	M(TLS_READY, tls_ready, 1) \
	M(TLS_CANCEL, tls_cancel, 0) \
	M(KEY_SET, key_set, 0) \
	M(KEY_CHAIN, key_chain, 0) \
	M(KEY_SIGN, key_sign, 0) \
	M(KEY_SIGNED, key_signed, 0) \
	M(KEY_WATCH, key_watch, 0) \
	M(KEY_FILE, key_file, 1) \
	M(CLEANUP_BEGIN, cleanup_begin, 0) \
	M(CLEANUP_RECIPIENT, cleanup_recipient, 0) \
	M(CLEANUP_CONTENT, cleanup_content, 0) \
	M(CLEANUP_END, cleanup_end, 0) \
	M(CLEANUP_RESULT, cleanup_result, 0) \
	M(DIRECTORY_RECIPIENT, directory_recipient, 0) \
	M(DIRECTORY_RECIPIENT_ANSWER, directory_recipient_answer, 0) \
	M(DIRECTORY_EXPAND, directory_expand, 0) \
	M(DIRECTORY_EXPAND_ANSWER, directory_expand_answer, 0) \
	M(DIRECTORY_RESOLVE, directory_resolve, 0) \
	M(DIRECTORY_RESOLVE_ANSWER, directory_resolve_answer, 0) \
	M(DIRECTORY_MAILBOX, directory_mailbox, 0) \
	M(DIRECTORY_MAILBOX_ANSWER, directory_mailbox_answer, 0) \
	M(DIRECTORY_LOOKUP, directory_lookup, 0) \
	M(DIRECTORY_LOOKUP_ANSWER, directory_lookup_answer, 0) \
	M(DIRECTORY_OWNER, directory_owner, 0) \
	M(DIRECTORY_OWNER_ANSWER, directory_owner_answer, 0) \
	M(PROXYMAP_ASK, proxymap_ask, 0) \
	M(PROXYMAP_ANSWER, proxymap_answer, 0) \
	M(QUEUE_ARRIVED, queue_arrived, 0) \
	M(DELIVER_MESSAGE, deliver_message, 1) \
	M(DELIVER_RECIPIENT, deliver_recipient, 0) \
	M(DELIVER_RESULT, deliver_result, 0) \
	M(BOUNCE_BEGIN, bounce_begin, 1) \
	M(BOUNCE_RECIPIENT, bounce_recipient, 0) \
	M(BOUNCE_END, bounce_end, 0) \
	M(BOUNCE_RESULT, bounce_result, 0) \
	M(SUBMIT_BEGIN, submit_begin, 0) \
	M(SUBMIT_RECIPIENT, submit_recipient, 0) \
	M(SUBMIT_CONTENT, submit_content, 0) \
	M(SUBMIT_END, submit_end, 0) \
	M(QUEUE_CONTROL, queue_control, 0) \
	M(QUEUE_CONTROL_ANSWER, queue_control_answer, 0) \
	M(QUEUE_LIST, queue_list, 0) \
	M(QUEUE_MESSAGE, queue_message, 0) \
	M(QUEUE_RECIPIENT, queue_recipient, 0) \
	M(QUEUE_END, queue_end, 0) \
	M(QUEUE_OPEN, queue_open, 0) \
	M(QUEUE_FILE, queue_file, 1) \
	M(AUTH_BEGIN, auth_begin, 0) \
	M(AUTH_CONTINUE, auth_continue, 0) \
	M(AUTH_CANCEL, auth_cancel, 0) \
	M(AUTH_CHALLENGE, auth_challenge, 0) \
	M(AUTH_RESULT, auth_result, 0) \
	M(AUTH_SESSION, auth_session, 0) \
	M(AUTH_WATCH, auth_watch, 0) \
	M(AUTH_LOGIN, auth_login, 0) \
	M(AUTH_OFFER, auth_offer, 0) \
	M(AUTH_OFFERED, auth_offered, 0) \
	M(AUTH_USAGE, auth_usage, 0) \
	M(AUTH_USAGE_ANSWER, auth_usage_answer, 0) \
	M(AUTH_REDEEM, auth_redeem, 0) \
	M(AUTH_REDEEMED, auth_redeemed, 0) \
	M(INTROSPECT_ASK, introspect_ask, 0) \
	M(INTROSPECT_ANSWER, introspect_answer, 0) \
	M(POOL_WANT, pool_want, 0) \
	M(POOL_FULL, pool_full, 0) \
	M(POOL_GIVE, pool_give, 0) \
	M(POOL_KEEP, pool_keep, 0) \
	M(POOL_CONFIG, pool_config, 1) \
	M(POOL_PEER, pool_peer, 0) \
	M(POOL_PEER_ANSWER, pool_peer_answer, 1) \
	M(POOL_SESSION, pool_session, 1) \
	M(SESSION_CLIENT, session_client, 1) \
	M(SESSION_DONE, session_done, 0) \
	M(SESSION_RATE, session_rate, 0) \
	M(SESSION_RATE_ANSWER, session_rate_answer, 0) \
	M(SESSION_STANDING, session_standing, 0) \
	M(SESSION_LEAVE, session_leave, 0) \
	M(HANDOVER, handover, 1) \
	M(HANDOVER_ANSWER, handover_answer, 1) \
	M(SESSION_ENDED, session_ended, 0) \
	M(HIBERNATE, hibernate, 1) \
	M(RESUME, resume, 1) \
	M(WAKE, wake, 0) \
	M(SLEEPER_END, sleeper_end, 0) \
	M(NOTICE, notice, 0) \
	M(NOTICE_WATCH, notice_watch, 0) \
	M(NOTICE_ALL, notice_all, 0)

/* Values in the fields above. A zero is never a good answer. */
enum directory_status {
	DIRECTORY_TEMPORARY = 0, /* unknown: try later */
	DIRECTORY_FOUND = 1,
	DIRECTORY_NOT_FOUND = 2, /* certainly not there */
	DIRECTORY_NOT_OURS = 3, /* a domain we do not serve */
	DIRECTORY_BAD = 4 /* not an address */
};
enum owner_status {
	OWNER_TEMPORARY = 0, /* unknown: try later */
	OWNER_YES = 1,
	OWNER_MAPPED = 2, /* it stands in the tables, for others */
	OWNER_OTHER = 3, /* an address of ours, but not that login's */
	OWNER_NOBODY = 4 /* nothing is known of it */
};
enum check_from { CHECK_FROM_NO = 0, CHECK_FROM_WARN = 1, CHECK_FROM_REJECT = 2 };
enum domain_class {
	DOMAIN_UNKNOWN = 0,
	DOMAIN_LOCAL = 1,
	DOMAIN_VIRTUAL_ALIAS = 2,
	DOMAIN_VIRTUAL_MAILBOX = 3,
	DOMAIN_RELAY = 4,
	DOMAIN_OTHER = 5
};
enum sessions_action { SESSIONS_LIST = 1, SESSIONS_END = 2 };
enum tls_status { TLS_FAILED = 0, TLS_OK = 1 };
/* What a client wants checked; when it does not hold the handshake has failed. */
enum tls_check {
	TLS_CHECK_NONE = 0, /* nothing: TLS_READY tells */
	TLS_CHECK_NAME = 1, /* a trusted chain, and one of the names */
	TLS_CHECK_FINGERPRINT = 2 /* one of the fingerprints */
};
enum tls_client_certificate { TLS_CERTIFICATE_NONE = 0, TLS_CERTIFICATE_ASK = 1, TLS_CERTIFICATE_REQUIRE = 2 };
enum deliver_status { DELIVER_DEFERRED = 0, DELIVER_SENT = 1, DELIVER_BOUNCED = 2 };
enum bounce_kind { BOUNCE_FAILURE = 1, BOUNCE_DELAY = 2, BOUNCE_SUCCESS = 3 };
enum auth_status {
	AUTH_TEMPORARY = 0,
	AUTH_OK = 1,
	AUTH_FAILED = 2,
	AUTH_NO_MECHANISM = 3,
	AUTH_BAD = 4,
	AUTH_REFUSED = 5 /* for a while, after too many failures */
};
enum introspect_status { INTROSPECT_TEMPORARY = 0, INTROSPECT_ANSWERED = 1 };
enum usage_status {
	USAGE_TEMPORARY = 0,
	USAGE_ALLOWED = 1,
	USAGE_OVER = 2, /* not before the window ends */
	USAGE_NEVER = 3 /* so many at once are more than the limit allows */
};
enum cleanup_flag {
	CLEANUP_LOCAL = 1,
	CLEANUP_BOUNCE = 2,
	CLEANUP_8BIT = 4,
	CLEANUP_SMTPUTF8 = 8,
	CLEANUP_SUBMISSION = 16,
	CLEANUP_RET_HEADERS = 32, /* RFC 3461 4.3: RET=HDRS */
	CLEANUP_SHOW_LOGIN = 64, /* who logged in is told in Received: */
	CLEANUP_HIDE_CLIENT = 128 /* where the client is, is not */
};
enum queue_action {
	QUEUE_DO_FLUSH = 1,
	QUEUE_DO_FLUSH_ID = 2,
	QUEUE_DO_FLUSH_SITE = 3,
	QUEUE_DO_DELETE = 4,
	QUEUE_DO_HOLD = 5,
	QUEUE_DO_RELEASE = 6,
	QUEUE_DO_REQUEUE = 7,
	QUEUE_DO_EXPIRE = 8
};
/* What an SMTP client is, for who has to make room. */
enum client_standing {
	CLIENT_STRANGER = 0,
	CLIENT_SENDS = 1, /* a recipient was accepted */
	CLIENT_KNOWN = 2 /* it logged in, or is of this machine */
};
enum rate_kind { RATE_MESSAGE = 1, RATE_RECIPIENT = 2, RATE_AUTH = 3 };
/* notify field, RFC 3461 4.1 */
enum notify_flag { NOTIFY_NEVER = 1, NOTIFY_SUCCESS = 2, NOTIFY_FAILURE = 4, NOTIFY_DELAY = 8 };

#endif
