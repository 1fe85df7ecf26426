// SPDX-License-Identifier: ISC
/* A client's sessions. See sessions.h. */
#include "tls/sessions.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "os/os.h"

struct kept_session {
	struct kept_session *older, *newer;
	SSL_SESSION *session;
	struct buffer key;
};

void sessions_use(SSL_CTX *context, int (*new_session)(SSL *ssl, SSL_SESSION *session))
{
	SSL_CTX_set_session_cache_mode(
		context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
	SSL_CTX_set_timeout(context, SESSION_LIFETIME);
	SSL_CTX_sess_set_new_cb(context, new_session);
}

static void forget(struct sessions *sessions, struct kept_session *kept)
{
	(void)map_remove(&sessions->by_key, buffer_slice(&kept->key));
	*(kept->older ? &kept->older->newer : &sessions->first) = kept->newer;
	*(kept->newer ? &kept->newer->older : &sessions->last) = kept->older;
	SSL_SESSION_free(kept->session);
	buffer_free(&kept->key);
	free(kept);
}

void sessions_keep(struct sessions *sessions, struct slice key, const SSL_SESSION *session)
{
	struct kept_session *former = map_get(&sessions->by_key, key), *kept;

	if (former)
		forget(sessions, former);
	if (sessions->by_key.count >= SESSIONS_MOST)
		forget(sessions, sessions->first);
	kept = calloc(1, sizeof(*kept));
	if (!kept)
		return;
	kept->session = SSL_SESSION_dup((SSL_SESSION *)session);
	if (!kept->session || !buffer_add(&kept->key, key) ||
		!map_put(&sessions->by_key, key, kept)) {
		SSL_SESSION_free(kept->session);
		buffer_free(&kept->key);
		free(kept);
		return;
	}
	kept->older = sessions->last;
	*(kept->older ? &kept->older->newer : &sessions->first) = kept;
	sessions->last = kept;
}

SSL_SESSION *sessions_take(struct sessions *sessions, struct slice key)
{
	struct kept_session *kept = map_get(&sessions->by_key, key);
	SSL_SESSION *session;

	if (!kept)
		return NULL;
	if (!SSL_SESSION_is_resumable(kept->session) ||
		os_now() / 1000000 - SSL_SESSION_get_time(kept->session) > SESSION_LIFETIME) {
		forget(sessions, kept);
		return NULL;
	}
	session = kept->session;
	SSL_SESSION_up_ref(session);
	if (SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION)
		forget(sessions, kept);
	return session;
}

void sessions_free(struct sessions *sessions)
{
	while (sessions->first)
		forget(sessions, sessions->first);
	map_free(&sessions->by_key);
	sessions->by_key = (struct map){ 0 };
}
