// SPDX-License-Identifier: ISC
/*
 * What a client may send to tlsd: bytes of a handshake (and after it), cut into pieces by the first byte, through the connection's own
 * state; the signature is answered with rubbish, or not at all.
 */
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tls/connection.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tls_world world;
static struct certificate_set *set;
static struct message_key_signed answer;
static bool asked, over, answers;
static unsigned char seal_key[TLS_SEAL_KEY];

static bool ask(void *context, const struct message *question)
{
	asked = true;
	answer.serial = question->key_sign.serial;
	return true;
}

static void ended(struct tls_connection *connection)
{
	over = true;
}

static void ready(struct tls_connection *connection, const struct message *message)
{
}

/* A chain as keyd would send it, of a key that is thrown away. */
static void add_chain(void)
{
	struct server_name *name = calloc(1, sizeof(*name));
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *leaf = X509_new();

	if (!name || !key || !leaf || !X509_gmtime_adj(X509_getm_notBefore(leaf), 0) ||
		!X509_gmtime_adj(X509_getm_notAfter(leaf), 100000) || !X509_set_pubkey(leaf, key) ||
		X509_sign(leaf, key, EVP_sha256()) <= 0)
		abort();
	name->chains[0].leaf = leaf;
	name->chains[0].rest = sk_X509_new_null();
	name->chains[0].key = signer_key(world.signer, X509_get0_pubkey(leaf), 1);
	name->count = 1;
	if (!name->chains[0].key || !map_put(&set->names, SLICE(""), name))
		abort();
	EVP_PKEY_free(key);
}

static void set_up(void)
{
	struct certificate_set **place;

	signal(SIGPIPE, SIG_IGN);
	OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	world.signer = world.certificates.signer = signer_new(ask, NULL);
	world.seal_key = seal_key;
	world.ended = ended;
	world.answer = ready;
	world.contexts.choose = connection_choose;
	world.contexts.new_session = connection_new_session;
	world.contexts.ticket_lifetime = world.contexts.tickets.period = 3600;
	contexts_open(&world.contexts);
	world.certificates.sets = vector_of(sizeof(set), 0);
	place = vector_add(&world.certificates.sets);
	set = calloc(1, sizeof(*set));
	if (!world.signer || !place || !set || !buffer_add_text(&set->text, "set"))
		abort();
	*place = set;
	set->known = true;
	set->digest = EVP_sha256();
	add_chain();
}

static void turn(void)
{
	loop_turn(world.loop, 0);
	if (!asked || !answers)
		return;
	asked = false;
	answer.status = 1;
	answer.signature = SLICE("this is no signature, and the client will say so");
	signer_answer(world.signer, &answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct message_tls_accept accept = { .service = SLICE("imap"),
		.certificates = SLICE("set"),
		.timeout_ms = 60000,
		.client_certificate = TLS_CERTIFICATE_ASK,
		.client_address = SLICE("192.0.2.1") };
	struct tls_wanted wanted;
	struct tls_connection *list = NULL;
	char reason[200];
	size_t piece;
	int ends[2];

	if (!world.signer)
		set_up();
	if (size < 2 || size > 100000)
		return 0;
	piece = data[0] ? data[0] : size;
	answers = data[1] & 1;
	accept.alpn = data[1] & 2 ? SLICE("imap") : SLICE("");
	wanted = data[1] & 4 ? (struct tls_wanted){ .opens = true,
		.service = SLICE("smtp"),
		.timeout_ms = 60000,
		.host = SLICE("mail.example.org"),
		.names = SLICE("mail.example.org"),
		.certificates = data[1] & 8 ? SLICE("set") : SLICE("") }
			     : wanted_by_server(&accept);
	data += 2;
	size -= 2;
	asked = over = false;
	world.loop = loop_new(NULL);
	if (!world.loop || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) < 0 ||
		!connection_new(&world, &list, &wanted, ends[1], reason, sizeof(reason)))
		abort();
	for (size_t at = 0; at < size && !over; at += piece) {
		if (write(ends[0], data + at, at + piece < size ? piece : size - at) < 0)
			break;
		turn();
	}
	close(ends[0]);
	for (int i = 0; i < 4 && !over; i++)
		turn();
	if (!over)
		connection_drop(list);
	loop_free(&world.loop);
	return 0;
}
