// SPDX-License-Identifier: ISC
/* Restrictions that need nobody else: what is known of the session and its words. See restrictions.h. */
#include <stdio.h>

#include "service/front.h"
#include "smtpd/restrictions.h"

/* --- the session --- */

RESTRICTION(permit)
{
	return CHECK_OK;
}

enum { CODE_REJECT_DEFAULT = 554 };

/* Who could have logged in is told so (RFC 4954 6), unless the administrator wants a code of his own. */
RESTRICTION(reject)
{
	if (check->login_would_do &&
		check->session->settings->codes[CODE_REJECT] == CODE_REJECT_DEFAULT) {
		snprintf(check->text, sizeof(check->text), "530 5.7.0 Authentication required");
		return CHECK_REJECT;
	}
	return check_refuse_coded(
		check, CODE_REJECT, "7.1", check_stage_subject(check), SLICE("Access denied"));
}

RESTRICTION(defer)
{
	return check_refuse_coded(
		check, CODE_DEFER, "7.1", check_stage_subject(check), SLICE("Try again later"));
}

RESTRICTION(permit_mynetworks)
{
	return check->session->trusted ? CHECK_OK : CHECK_DUNNO;
}

RESTRICTION(permit_inet_interfaces)
{
	const struct session_client *client = &check->session->client;

	return client->local || network_match("127.0.0.0/8 [::1]", client->address) ||
			       strcmp(client->address, client->local_address) == 0
		       ? CHECK_OK
		       : CHECK_DUNNO;
}

RESTRICTION(permit_sasl_authenticated)
{
	if (check->session->auth.login[0])
		return CHECK_OK;
	check->login_would_do = check->session->settings->auth.enabled;
	return CHECK_DUNNO;
}

RESTRICTION(permit_tls_all_clientcerts)
{
	return check->session->secure && check->session->tls.trusted ? CHECK_OK : CHECK_DUNNO;
}

RESTRICTION(reject_plaintext_session)
{
	if (check->session->secure)
		return CHECK_DUNNO;
	return check_refuse_coded(check, CODE_PLAINTEXT, "7.1", check_stage_subject(check),
		SLICE("Session encryption is required"));
}

/* Such a client sends on before it has read our answer; what it sends may be meant for somebody else. Once is enough. */
RESTRICTION(reject_unauth_pipelining)
{
	enum subject subject = check_stage_subject(check);

	if (!check->session->pipelined)
		return CHECK_DUNNO;
	return check_refuse(check, CHECK_REJECT, "503 5.5.0", subject,
		"%s rejected: Improper use of SMTP command pipelining",
		check_subject_name(subject));
}

RESTRICTION(reject_multi_recipient_bounce)
{
	const struct transaction *t = &check->session->transaction;
	bool many = t->recipient_count >
		    (check->stage == STAGE_DATA || check->stage == STAGE_END_OF_DATA ? 1 : 0);

	if (!t->active || t->sender[0] || !many)
		return CHECK_DUNNO;
	return check_refuse_coded(check, CODE_MULTI_RECIPIENT_BOUNCE, "5.3",
		check_stage_subject(check), SLICE("Multi-recipient bounce"));
}

RESTRICTION(wait_a_little)
{
	uint64_t seconds = 0;

	if (slice_to_u64(argument, 60, &seconds)) {
		output_flush(check->session);
		check->session->io->sleep(check->session->context, (int64_t)seconds * 1000);
	}
	return CHECK_DUNNO;
}

/* --- names of hosts and domains --- */

static bool valid_host(struct check *check, struct slice name)
{
	struct slice domain;

	if (name.length && name.data[name.length - 1] == '.')
		name.length--;
	return address_is_literal(name) ||
	       address_domain(name, false, &check->session->command_memory, &domain);
}

RESTRICTION(reject_invalid_helo)
{
	if (valid_host(check, check_subject(check, ABOUT_HELO)))
		return CHECK_DUNNO;
	return check_refuse_coded(
		check, CODE_INVALID_HELO, "5.2", ABOUT_HELO, SLICE("Invalid name"));
}

static bool is_qualified(struct slice domain)
{
	return address_is_literal(domain) || slice_find(domain, '.') > 0;
}

RESTRICTION(reject_non_fqdn_helo)
{
	struct slice helo = check_subject(check, ABOUT_HELO);

	if (valid_host(check, helo) && is_qualified(helo))
		return CHECK_DUNNO;
	return check_refuse_coded(
		check, CODE_NON_FQDN, "5.2", ABOUT_HELO, SLICE("need fully-qualified hostname"));
}

RESTRICTION(reject_non_fqdn_address)
{
	bool sender = restriction->subject == ABOUT_SENDER;
	struct slice address = check_subject(check, restriction->subject);
	bool has_domain = sender ? check->session->transaction.sender_has_domain
				 : check->recipient->has_domain;
	ptrdiff_t at = slice_find_last(address, '@');

	if (address.length == 0 ||
		(has_domain && is_qualified(slice_tail(address, (size_t)at + 1))))
		return CHECK_DUNNO;
	/* RFC 5321 4.1.1.3: postmaster needs no domain. */
	if (!sender && !has_domain && at >= 0 &&
		slice_equal_nocase(slice_head(address, (size_t)at), SLICE("postmaster")))
		return CHECK_DUNNO;
	return check_refuse_coded(check, CODE_NON_FQDN, "5.2", restriction->subject,
		SLICE("need fully-qualified address"));
}

/* --- those that change what others say --- */

RESTRICTION(warn_if_reject)
{
	check->warn_only = true;
	return CHECK_DUNNO;
}

static void note_later(struct check *check, char *where, size_t size)
{
	check_refuse(check, CHECK_DUNNO, "450 4.7.1", check_stage_subject(check),
		"%s rejected: Service unavailable", check_subject_name(check_stage_subject(check)));
	if (!where[0])
		memcpy(where, check->text, size);
}

RESTRICTION(defer_if_permit)
{
	note_later(check, check->if_permit, sizeof(check->if_permit));
	return CHECK_DUNNO;
}

RESTRICTION(defer_if_reject)
{
	note_later(check, check->if_reject, sizeof(check->if_reject));
	return CHECK_DUNNO;
}
