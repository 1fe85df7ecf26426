// SPDX-License-Identifier: ISC
/*
 * smtpd_*_restrictions: lists of names that say yes, no or nothing, in order, until one has spoken. The names stand in a table
 * (restriction_names.h); the functions behind them are in restriction_simple.c, restriction_listed.c, sender_login.c and access.c.
 */
#ifndef SMTPD_RESTRICTIONS_H
#define SMTPD_RESTRICTIONS_H

#include "smtpd/restriction_names.h"
#include "smtpd/session.h"

/* A recipient under judgement, with what directoryd said of it (asked at most once). */
struct recipient {
	struct slice address; /* the domain in A-labels: what is looked up */
	struct slice given; /* the domain as the client wrote it: what is kept, shown and logged */
	bool has_domain; /* as the client wrote it */
	bool only_asked; /* by VRFY: nothing may come of it for a message */
	bool asked;
	enum directory_status status;
	enum domain_class class;
	struct slice reason;
};

/* Ask the list of one stage. False: refused, the reply is given and logged. */
bool restrictions_allow(struct session *session, enum stage stage);
/* At RCPT: the lists put off to here (smtpd_delay_reject), relay, recipient, and whether the recipient exists. */
bool restrictions_allow_recipient(struct session *session, struct recipient *recipient);

/* --- between restrictions.c (lists), check.c (what is judged, refusals), restriction_*.c, access.c and actions.c --- */

/* What a restriction said. Zero: it could not tell, the client gets the 4xx reply in the check. */
enum check_result { CHECK_TEMPORARY, CHECK_DUNNO, CHECK_OK, CHECK_REJECT };
/* Whom a restriction is about. */
enum subject {
	ABOUT_CLIENT,
	ABOUT_HELO,
	ABOUT_SENDER,
	ABOUT_RECIPIENT,
	ABOUT_DATA,
	ABOUT_END_OF_DATA,
	ABOUT_CERTIFICATE,
	ABOUT_LOGIN,
	SUBJECTS
};

enum { CHECK_DEPTH = 16 /* restriction classes and access results within each other */ };

/* One command being judged. */
struct check {
	struct session *session;
	struct recipient *recipient; /* NULL but at RCPT and VRFY */
	enum stage stage;
	unsigned depth;
	bool warn_only; /* warn_if_reject stands in front */
	bool login_would_do; /* the list lets pass who logged in, and this client could do so */
	char text[SESSION_TEXT]; /* the refusal, when the result is one */
	char if_permit
		[SESSION_TEXT]; /* defer_if_permit: the refusal should all else say yes; empty: none */
	char if_reject[SESSION_TEXT];
};

struct restriction {
	const char *name;
	enum restriction_argument argument;
	enum check_result (*run)(
		struct check *check, const struct restriction *restriction, struct slice argument);
	enum subject subject;
};

/* Head of the function of one or several of RESTRICTIONS. */
#define RESTRICTION(name) \
	enum check_result restriction_##name( \
		struct check *check, const struct restriction *restriction, struct slice argument)
#define RESTRICTION_PROTOTYPE(name, argument, run, subject) RESTRICTION(run);
RESTRICTIONS(RESTRICTION_PROTOTYPE)
#undef RESTRICTION_PROTOTYPE

/* Compose "554 5.7.1 <subject>: Sender address rejected: text". */
enum check_result check_refuse(struct check *check, enum check_result result, const char *code,
	enum subject subject, const char *format, ...) PRINTF_LIKE(5, 6);
/* Likewise "Sender address rejected: reason" with the code of a parameter; `detail` is the enhanced code behind its class, "7.1". */
enum check_result check_refuse_coded(struct check *check, enum reply_code code, const char *detail,
	enum subject subject, struct slice reason);
/* "Sender address": how replies and the log call it. */
const char *check_subject_name(enum subject subject);
/* The subject, domains in A-labels, for lookups. Empty: there is none. */
struct slice check_subject(const struct check *check, enum subject subject);
/* The subject in the words of the client, for replies and the log. */
struct slice check_given(const struct check *check, enum subject subject);
/* Run a list: a parameter's value, a class or the result of an access table. */
enum check_result check_list(struct check *check, struct slice list);
/* What is not known yet cannot be judged: a list of recipients runs after MAIL, one of data after RCPT. */
bool check_subject_known(const struct check *check, enum subject subject);
/* What the plain "reject" of the list at hand is about. */
enum subject check_stage_subject(const struct check *check);

/* --- actions.c --- */
/* What an access table said: the tables asked, and the value found there. */
struct access {
	struct check *check;
	const struct restriction *restriction;
	struct slice tables;
	char value[MAX_REASON + 1];
	enum directory_status status;
};
/* The results of access(5) that are neither yes nor no, by their first word; `text` is what stands behind it. */
enum check_result act_warn(struct access *access, struct slice text);
enum check_result act_info(struct access *access, struct slice text);
enum check_result act_discard(struct access *access, struct slice text);
enum check_result act_hold(struct access *access, struct slice text);
enum check_result act_filter(struct access *access, struct slice text);
enum check_result act_prepend(struct access *access, struct slice text);
enum check_result act_redirect(struct access *access, struct slice text);
enum check_result act_bcc(struct access *access, struct slice text);
/* A value that cannot be followed: warned of, and the client gets a 451. */
enum check_result action_impossible(struct access *access, const char *why);

#endif
