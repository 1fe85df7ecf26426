// SPDX-License-Identifier: ISC
/* A session process: client after client, until it is used up or its front is gone. See session_run.h. */
#include "smtpd/session_run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sysexits.h>
#include <unistd.h>

#include "service/log.h"
#include "smtpd/session_io.h"

enum { SESSION_WAIT = 3600000 /* ms: a session that waits for a client asks again so often */ };

/* The handshake of the client who comes next is done. */
static void take_tls(struct message *message, struct session_client *client)
{
	char reason[256];

	message_close_fds(message);
	client->secure = tls_take_info(&message->tls_ready, &client->tls, reason, sizeof(reason));
}

/* What was said of his TLS stays. */
static bool take_client(const struct message *message, struct session_client *client)
{
	const struct message_session_client *from = &message->session_client;

	*client = (struct session_client){ .secure = client->secure,
		.tls = client->tls,
		.port = from->client_port,
		.local_port = from->local_port,
		.local = from->local,
		.uid = from->uid,
		.stress = from->stress };
	return message->type == MESSAGE_SESSION_CLIENT && message->fd_count == 1 &&
	       slice_to_string(from->client_address, client->address, sizeof(client->address)) &&
	       slice_to_string(
		       from->local_address, client->local_address, sizeof(client->local_address)) &&
	       slice_to_string(from->entry, client->entry, sizeof(client->entry));
}

/* Wait for the next client; false: the front has no more for us. */
static bool next_client(
	struct session_sockets *sockets, struct session_client *client, uint32_t *serial)
{
	struct message message;
	bool got;

	*client = (struct session_client){ 0 };
	for (;;) {
		got = channel_sync_receive(sockets->peers[TO_FRONT], &message,
			&sockets->space[TO_FRONT], loop_monotonic() + SESSION_WAIT);
		if (got && message.type == MESSAGE_TLS_READY)
			take_tls(&message, client);
		/* A word that the client before should make room may have crossed his end. */
		else if (got ? message.type != MESSAGE_SESSION_LEAVE : errno != ETIMEDOUT)
			break;
	}
	if (!got)
		return false;
	if (!take_client(&message, client)) {
		message_close_fds(&message);
		return false;
	}
	*serial = message.session_client.serial;
	session_sockets_begin(sockets, message_take_fd(&message, 0), *serial);
	return true;
}

/*
 * The configuration of the front's master.cf entry. It comes from a process that listens to the network, so it is looked at
 * here, in the session's cell, and not in the spawner. NULL: not a configuration.
 */
static struct config *map_config(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);
	int seals = fcntl(fd, F_GET_SEALS);
	void *map;

	/* Unsealed, the front could change it under a session that has checked it. */
	if (size <= 0 || seals < 0 || !(seals & F_SEAL_WRITE) || !(seals & F_SEAL_SHRINK))
		return NULL;
	map = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	return map == MAP_FAILED ? NULL : config_open(slice_of(map, (size_t)size));
}

/* The session was forked for a front, whose entry may have a log name of its own. */
static void take_log_name(const struct config *config)
{
	char name[192];

	snprintf(name, sizeof(name), "%s/smtpd", config_text(config, PARAM_syslog_name));
	log_rename(name);
}

int session_run(struct service *service, int channel_fd, void *argument)
{
	const struct session_seed *seed = argument;
	struct config *config = map_config(seed->config);
	struct session_settings settings;
	struct session_sockets sockets = { .client = -1,
		.spawner = channel_fd,
		.peers = { [TO_DIRECTORY] = seed->directory,
			[TO_CLEANUP] = seed->cleanup,
			[TO_TLS] = -1,
			[TO_AUTH] = -1,
			[TO_FRONT] = seed->front } };
	struct message done = { .type = MESSAGE_SESSION_DONE };
	struct session_client client;
	struct session session;
	uint32_t serial;
	unsigned max_use;
	bool last = false;

	if (!config) {
		log_error("the front's configuration is not one of this build");
		return EX_CONFIG;
	}
	session_sockets_catch_dismissal();
	take_log_name(config);
	max_use = (unsigned)config_int(config, PARAM_max_use);
	if (!session_settings_load(&settings, config, seed->host) ||
		!session_open(&session, &settings, &SESSION_SOCKETS, &sockets))
		return EX_OSERR;
	for (unsigned used = 1; !last && next_client(&sockets, &client, &serial); used++) {
		session_serve(&session, &client);
		session_sockets_close_client(&sockets, session.in_error);
		last = used >= max_use || session.peer_lost || session.spent;
		done.session_done.serial = serial;
		done.session_done.last = last;
		if (!channel_sync_send(seed->front, &done, loop_monotonic() + settings.ipc_timeout))
			break;
	}
	session_free(&session);
	return EX_OK;
}
