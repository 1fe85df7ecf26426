// SPDX-License-Identifier: ISC
/* Sealed facts as a front could make them up: never believed. The seal is put right, too, so that what lies under it is read. */
#include <stdint.h>
#include <stdlib.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "service/tls_seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned char key[TLS_SEAL_KEY];
	unsigned char own[32];
	struct tls_facts facts;
	struct buffer sealed = { 0 };
	unsigned length;

	if (tls_unseal(
		    slice_of(data, size), key, SLICE("imap"), SLICE("192.0.2.1"), 0, 1000, &facts))
		abort();
	if (size > TLS_SEALED_MAX || !buffer_append(&sealed, data, size) || size < 33)
		goto out;
	tls_derive(key, "tls facts", 1, own);
	sealed.data[0] = 1;
	HMAC(EVP_sha256(), own, sizeof(own), data + 33, size - 33, (unsigned char *)sealed.data + 1,
		&length);
	if (tls_unseal(buffer_slice(&sealed), key, SLICE("imap"), SLICE("192.0.2.1"), 0, 1000,
		    &facts) &&
		facts.subject.length + facts.issuer.length + facts.exporter.length > size)
		abort();
out:
	buffer_free(&sealed);
	return 0;
}
