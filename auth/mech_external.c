// SPDX-License-Identifier: ISC
/*
 * EXTERNAL (RFC 4422 appendix A): the client's certificate, as tlsd sealed it, says who he is. auth_certificate_maps knows the login
 * by the certificate's fingerprint; without it, a certificate of an authority that is trusted speaks for its common name.
 */
#include "auth/mech_external.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "table/table.h"

/*
 * tlsd says the common name, as it is, or the attributes in one line where there is none. A name with a byte in it that stands
 * between attributes, or for one that was not to be shown, is nobody's: whoever signs requests looks at names, not at how they
 * are written down.
 */
static struct slice common_name(struct slice subject)
{
	for (size_t i = 0; i < subject.length; i++)
		if (strchr(" =/?", subject.data[i]))
			return slice_of("", 0);
	return subject;
}

/* One lookup at a time: the tables are shared by the threads. */
static enum table_status look_up(
	struct table_list *maps, struct slice fingerprint, struct buffer *value)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	enum table_status found;

	pthread_mutex_lock(&lock);
	found = table_list_lookup(maps, fingerprint, value);
	pthread_mutex_unlock(&lock);
	return found;
}

/* Whose certificate is it? AUTH_OK with exchange->login set. */
static enum auth_status who_is(struct exchange *exchange)
{
	struct table_list *maps = mech_settings.certificates;
	struct buffer value = { 0 };
	enum table_status found =
		maps ? look_up(maps, exchange->tls.fingerprint, &value) : TABLE_NOT_FOUND;
	struct slice name = slice_trim(buffer_slice(&value));
	enum auth_status status = AUTH_FAILED;

	if (found == TABLE_NOT_FOUND && exchange->tls.trusted)
		name = common_name(exchange->tls.subject);
	if (found == TABLE_ERROR)
		status = AUTH_TEMPORARY;
	else if (name.length && mech_find_login(exchange, name, exchange->login))
		status = AUTH_OK;
	else
		exchange->note = "the certificate says no login name, or is not trusted";
	buffer_free(&value);
	return status;
}

bool mech_external_step(struct exchange *exchange)
{
	enum auth_status status;

	if (exchange->steps == 1 && !exchange->has_input)
		return false;
	status = who_is(exchange);
	if (status != AUTH_OK)
		return mech_done(exchange, status);
	if (slice_find(buffer_slice(&exchange->input), '\0') >= 0)
		return mech_done(exchange, AUTH_BAD);
	if (!mech_may_act_for(exchange, buffer_slice(&exchange->input)))
		return mech_done(exchange, AUTH_FAILED);
	return mech_known_login(exchange);
}
