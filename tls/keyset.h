// SPDX-License-Identifier: ISC
/*
 * The keys and certificates of a configuration: read, checked, taken up anew when their files change. keyd serves them; `keyd --check`,
 * `postern check` and `postern tls` only look at them.
 *
 * A set (config/tls_set.h) has groups of files: one for all server names, and one for each name of tls_server_sni_maps. What stands
 * in the files of a group, one behind the other, is pairs of a key and a chain; a group changes as a whole or not at all.
 */
#ifndef TLS_KEYSET_H
#define TLS_KEYSET_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/buffer.h"
#include "base/vector.h"
#include "config/config.h"
#include "tls/to_sign.h"

enum {
	KEYSET_FILE_MAX = 256 * 1024, /* bytes of a file */
	KEYSET_FILES_MAX = 2000,
	KEYSET_PAIRS_MAX = 4, /* of a group */
	KEYSET_NAMES_MAX = 1000, /* server names of one set */
	KEYSET_CHAIN_MAX = 48 * 1024 /* bytes, MAX_CHAIN of the messages */
};

struct key_pair {
	uint32_t number; /* signs under it; never used again for another key */
	EVP_PKEY *key;
	enum key_kind kind;
	bool client; /* it signs as a client, not as a server */
	struct buffer chain; /* PEM, the server's certificate first */
	char subject[256], issuer[256], names[512]; /* of the certificate, for people */
	int64_t not_before, not_after; /* seconds since 1970 */
};

struct key_group {
	char name[256]; /* server name, ".domain", or empty: for all */
	struct vector files; /* of unsigned: numbers of files */
	bool client; /* of a set with "role client" */
	struct buffer inlined; /* PEM that stood in the table itself */
	struct key_pair pairs[KEYSET_PAIRS_MAX], former[KEYSET_PAIRS_MAX];
	unsigned pair_count, former_count;
	uint32_t generation;
	bool changed; /* a file of it is new */
};

struct key_set {
	struct buffer text;
	struct vector groups; /* of struct key_group * */
};

/* Something is wrong with a file. An error: its group is not (not newly) taken up. */
typedef void (*keyset_tell)(void *context, bool error, const char *file, const char *text);
struct keyset {
	struct vector files; /* of struct key_file */
	struct vector sets; /* of struct key_set * */
	uint32_t next_number;
	const char *folder; /* tables and files with relative names are there */
	bool strict; /* no file may have been written after its certificate had expired */
	keyset_tell tell;
	void *context;
};

/* Read all sets of a configuration (tls_sets_each). Faults are told; false when there were errors. Tables and files are opened by path. */
bool keyset_load(struct keyset *keyset, const struct config *config);
/* One set alone. */
bool keyset_load_set(struct keyset *keyset, struct slice text);
void keyset_free(struct keyset *keyset);

unsigned keyset_file_count(const struct keyset *keyset);
const char *keyset_file_path(const struct keyset *keyset, unsigned number);
/* The file a group's certificate is in, or its server name when it stood in the table. */
const char *keyset_group_file(const struct keyset *keyset, const struct key_group *group);
/* New content of a file; takes effect at keyset_renew. False when there is no such file or it cannot be read (told). */
bool keyset_take_file(struct keyset *keyset, unsigned number, int fd);
/* Groups with new content are checked and taken up, `renewed` runs for each; what is wrong is told, and the former pairs stay. */
void keyset_renew(struct keyset *keyset,
	void (*renewed)(void *context, const struct key_set *set, const struct key_group *group),
	void *context);

const struct key_set *keyset_find(const struct keyset *keyset, struct slice text);
/* What a certificate says of itself: kind of key, subject, issuer, names, and from when to when it is good. */
void key_pair_describe(struct key_pair *pair, X509 *certificate);
/* The key that signs under `number`, also when its successor was taken up just now; NULL: none. */
const struct key_pair *keyset_key(const struct keyset *keyset, uint32_t number);
static inline const struct key_group *key_set_group(const struct key_set *set, size_t i)
{
	return *(struct key_group **)vector_at(&set->groups, i);
}

#endif
