// SPDX-License-Identifier: ISC
/* Signatures by keyd: the questions and answers. The provider that OpenSSL calls is in signer_provider.c. See signer.h. */
#include "tls/signer.h"

#include <openssl/async.h>
#include <openssl/provider.h>
#include <stdlib.h>

#include "tls/signer_impl.h"

bool signer_sign(struct signer *signer, uint32_t key, uint16_t scheme, struct slice data,
	unsigned char *signature, size_t *length)
{
	struct signing *signing = signer->current;
	struct message question = { .type = MESSAGE_KEY_SIGN };
	bool good;

	if (!signing || signing->serial || !ASYNC_get_current_job())
		return false;
	if (++signer->next_serial == 0)
		signer->next_serial = 1;
	signing->serial = signer->next_serial;
	signing->done = signing->good = false;
	question.key_sign.serial = signing->serial;
	question.key_sign.key = key;
	question.key_sign.scheme = scheme;
	question.key_sign.data = data;
	if (!signer->ask(signer->context, &question)) {
		signing->serial = 0;
		return false;
	}
	signing->next = signer->waiting;
	signer->waiting = signing;
	while (!signing->done)
		if (!ASYNC_pause_job())
			signer_cancel(signing);
	signing->serial = 0;
	good = signing->good && signing->length <= *length;
	if (good) {
		memcpy(signature, signing->signature, signing->length);
		*length = signing->length;
	}
	return good;
}

void signer_enter(struct signer *signer, struct signing *signing)
{
	signer->current = signing;
}

static void end(struct signing *signing, bool good)
{
	struct signing **at = &signing->signer->waiting;

	while (*at && *at != signing)
		at = &(*at)->next;
	if (*at)
		*at = signing->next;
	signing->done = true;
	signing->good = good;
}

void signer_answer(struct signer *signer, const struct message_key_signed *answer)
{
	struct signing *signing = signer->waiting;

	while (signing && signing->serial != answer->serial)
		signing = signing->next;
	if (!signing)
		return;
	if (answer->status == 1 && answer->signature.length <= sizeof(signing->signature)) {
		signing->length = answer->signature.length;
		memcpy(signing->signature, answer->signature.data, answer->signature.length);
	}
	end(signing, answer->status == 1);
	signing->resume(signing);
}

void signer_fail_all(struct signer *signer)
{
	while (signer->waiting) {
		struct signing *signing = signer->waiting;

		end(signing, false);
		signing->resume(signing);
	}
}

void signer_cancel(struct signing *signing)
{
	if (signing->serial && !signing->done)
		end(signing, false);
}
