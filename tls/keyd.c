// SPDX-License-Identifier: ISC
/*
 * keyd - holds the private keys of TLS and signs handshakes for tlsd. It reads keys and certificates before its cell closes; afterwards
 * it has no file, and master sends it those that have changed.
 *
 * It parses nothing that comes from outside: what it is to sign has one of two forms, and everything else is refused.
 */
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "config/config.h"
#include "config/self_check.h"
#include "os/os.h"
#include "service/figures.h"
#include "service/log.h"
#include "service/refuse.h"
#include "service/service.h"
#include "tls/keyd_cell.h"
#include "tls/keyset.h"

enum { MAX_PEERS = 64 };

struct keyd {
	struct service *service;
	struct config *config;
	struct keyset keyset;
	struct vector peers; /* of struct key_peer * */
	const struct key_set *renewed; /* to be told to all of tlsd */
	struct deferred renew; /* at the end of a turn: a pair's files come one after the other */
};

struct key_peer {
	struct channel channel;
	struct keyd *keyd;
};

static void tell(void *context, bool error, const char *file, const char *text)
{
	if (error)
		log_error("TLS: %s: %s", file, text);
	else
		log_warning("TLS: %s: %s", file, text);
}

/* --- chains --- */

static void send_pair(struct key_peer *peer, uint32_t serial, const struct key_set *set,
	const struct key_group *group, const struct key_pair *pair, bool more)
{
	struct message message = { .type = MESSAGE_KEY_CHAIN };

	message.key_chain.serial = serial;
	message.key_chain.certificates = buffer_slice(&set->text);
	message.key_chain.name = slice_from(group ? group->name : "");
	message.key_chain.key = pair ? pair->number : 0;
	message.key_chain.generation = group ? group->generation : 0;
	message.key_chain.more = more;
	if (pair)
		message.key_chain.chain = buffer_slice(&pair->chain);
	channel_send(&peer->channel, &message);
}

/* All of a set, the end marked by an empty chain: a renewed group is told in the same way. */
static void send_set(struct key_peer *peer, uint32_t serial, const struct key_set *set)
{
	for (size_t i = 0; i < set->groups.count; i++) {
		const struct key_group *group = key_set_group(set, i);

		for (unsigned k = 0; k < group->pair_count; k++)
			send_pair(peer, serial, set, group, &group->pairs[k], true);
	}
	send_pair(peer, serial, set, NULL, NULL, false);
}

static bool take_set(struct key_peer *peer, const struct message *message)
{
	const struct key_set *set = keyset_find(&peer->keyd->keyset, message->key_set.certificates);
	struct message none = { .type = MESSAGE_KEY_CHAIN };

	if (set) {
		send_set(peer, message->key_set.serial, set);
		return true;
	}
	none.key_chain.serial = message->key_set.serial;
	none.key_chain.certificates = message->key_set.certificates;
	return channel_send(&peer->channel, &none);
}

/* --- signatures --- */

static bool sign(const struct key_pair *pair, const struct to_sign_scheme *scheme,
	struct slice data, unsigned char *signature, size_t *length)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *key = NULL;
	bool good = context && EVP_DigestSignInit_ex(context, &key, scheme->digest, NULL, NULL,
				       pair->key, NULL) == 1;

	if (good && scheme->pss)
		good = EVP_PKEY_CTX_set_rsa_padding(key, RSA_PKCS1_PSS_PADDING) > 0 &&
		       EVP_PKEY_CTX_set_rsa_pss_saltlen(key, RSA_PSS_SALTLEN_DIGEST) > 0;
	good = good && EVP_DigestSign(context, signature, length, (const unsigned char *)data.data,
			       data.length) == 1;
	EVP_MD_CTX_free(context);
	ERR_clear_error();
	return good;
}

static bool take_sign(struct key_peer *peer, const struct message *message)
{
	const struct message_key_sign *asked = &message->key_sign;
	const struct key_pair *pair = keyset_key(&peer->keyd->keyset, asked->key);
	const struct to_sign_scheme *scheme = to_sign_scheme(asked->scheme);
	struct message answer = { .type = MESSAGE_KEY_SIGNED };
	unsigned char signature[MAX_SIGNATURE];
	size_t length = sizeof(signature);

	answer.key_signed.serial = asked->serial;
	if (!scheme || (pair && pair->kind != scheme->kind) ||
		!to_sign_is_handshake(asked->data, scheme, pair && pair->client)) {
		log_error("tlsd asked for a signature that no handshake has: refused");
		return channel_send(&peer->channel, &answer);
	}
	if (pair && sign(pair, scheme, asked->data, signature, &length)) {
		answer.key_signed.status = 1;
		answer.key_signed.signature = slice_of(signature, length);
		figures_add(FIGURE_tls_signatures, 1);
	}
	return channel_send(&peer->channel, &answer);
}

/* --- files that have changed --- */

static void send_renewed(struct keyd *keyd)
{
	for (size_t i = 0; keyd->renewed && i < keyd->peers.count; i++)
		send_set(*(struct key_peer **)vector_at(&keyd->peers, i), 0, keyd->renewed);
	keyd->renewed = NULL;
}

static void renewed(void *context, const struct key_set *set, const struct key_group *group)
{
	struct keyd *keyd = context;

	log_info("TLS: new certificate %s%s%s", group->pairs[0].subject,
		group->name[0] ? " for server name " : "", group->name);
	/* Once for all groups of a set. */
	if (keyd->renewed && keyd->renewed != set)
		send_renewed(keyd);
	keyd->renewed = set;
}

static void renew(struct deferred *deferred)
{
	struct keyd *keyd = deferred->context;

	keyset_renew(&keyd->keyset, renewed, keyd);
	send_renewed(keyd);
}

static void take_file(struct service *service, void *context, unsigned number, int fd)
{
	struct keyd *keyd = context;

	if (keyset_take_file(&keyd->keyset, number, fd))
		loop_defer(service_loop(service), &keyd->renew);
	close(fd);
}

/* --- peers --- */

static void end_when_drained(struct keyd *keyd)
{
	if (service_draining(keyd->service) && keyd->peers.count == 0)
		service_end(keyd->service, EX_OK);
}

static void forget_peer(struct key_peer *peer)
{
	struct keyd *keyd = peer->keyd;

	for (size_t i = 0; i < keyd->peers.count; i++)
		if (*(struct key_peer **)vector_at(&keyd->peers, i) == peer) {
			vector_swap_out(&keyd->peers, i);
			break;
		}
	free(peer);
	end_when_drained(keyd);
}

static void peer_closed(struct channel *channel, const char *why)
{
	forget_peer(channel->context);
}

static void receive(struct channel *channel, struct message *message)
{
	struct key_peer *peer = channel->context;

	if (message->type == MESSAGE_KEY_SET && take_set(peer, message))
		return;
	if (message->type != MESSAGE_KEY_SIGN || !take_sign(peer, message))
		service_refuse(channel, "tlsd", message);
}

static void take_peer(struct service *service, void *context, int fd, const struct peer *who)
{
	struct keyd *keyd = context;
	struct key_peer *peer = calloc(1, sizeof(*peer)), **place;

	place = peer ? vector_add(&keyd->peers) : NULL;
	if (!place) {
		log_warning("no room for another connection from %s", service_id_name(who->from));
		free(peer);
		close(fd);
		return;
	}
	*place = peer;
	peer->keyd = keyd;
	if (!channel_open(&peer->channel, service_loop(service), fd, receive, peer_closed, peer))
		forget_peer(peer);
}

/* Handshakes of the old configuration are signed until tlsd has gone. */
static void drain(struct service *service, void *context, bool fast)
{
	if (fast)
		service_end(service, EX_OK);
	else
		end_when_drained(context);
}

/* --- "keyd --check": for master, before a configuration is taken up --- */

static void print_fault(void *context, bool error, const char *file, const char *text)
{
	self_check_fault(error, file, text);
}

/* "start": no expired certificate keeps the mail from running. */
static int check(const char *when)
{
	struct keyset keyset = { .tell = print_fault };
	struct config *config = self_check_open();
	bool good;

	if (!config)
		return EX_SOFTWARE;
	keyset.strict = strcmp(when, "start") != 0;
	good = keyset_load(&keyset, config);
	keyset_free(&keyset);
	return self_check_close(&config) == EX_OK && good ? EX_OK : EX_CONFIG;
}

int main(int argc, char **argv)
{
	static const struct service_hooks hooks = {
		.peer = take_peer, .drain = drain, .file = take_file
	};
	static struct keyd keyd;

	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_ADD_ALL_DIGESTS, NULL);
	if (argc == 3 && strcmp(argv[1], "--check") == 0)
		return check(argv[2]);
	keyd.service = service_start("keyd", argc, argv);
	keyd.config = config_open(service_snapshot(keyd.service));
	if (!keyd.config) {
		log_error("the configuration snapshot cannot be read");
		return EX_SOFTWARE;
	}
	keyd.peers = vector_of(sizeof(struct key_peer *), MAX_PEERS);
	keyd.renew = (struct deferred){ .run = renew, .context = &keyd };
	keyd.keyset.tell = tell;
	/* No number of a former keyd means another key now. */
	os_random(&keyd.keyset.next_number, sizeof(keyd.keyset.next_number));
	/* What is wrong was told; the other sets are served, and the files are watched. */
	(void)keyset_load(&keyd.keyset, keyd.config);
	service_enter(keyd.service, &CELL_KEYD);
	for (unsigned i = 0; i < keyset_file_count(&keyd.keyset); i++)
		service_watch_file(keyd.service, i, keyset_file_path(&keyd.keyset, i));
	return service_run(keyd.service, &hooks, &keyd);
}
