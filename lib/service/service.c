// SPDX-License-Identifier: ISC
/* What every daemon's main shares: start-up under master, introductions, drain and end. See service.h. */
#include "service/service.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/vector.h"
#include "os/os.h"
#include "service/figures.h"
#include "service/internal.h"
#include "service/log.h"

enum {
	START_TIMEOUT = 30000, /* ms for master's START */
	LAST_WORDS = 1000 /* ms to tell master why there is no start */
};

/* The last error of a start, for master. */
static struct {
	pid_t pid; /* whose start it is: children say nothing */
	char text[MAX_REASON];
} failing;

/* At the end of a process that has not been ready. */
static void tell_failure(void)
{
	struct message message = { .type = MESSAGE_MASTER_FAILED };

	log_keep_errors(NULL, 0);
	if (failing.pid != getpid() || !failing.text[0])
		return;
	message.master_failed.reason = slice_from(failing.text);
	/* The log has it all the same. */
	(void)!channel_sync_send(CONTROL_FD, &message, loop_monotonic() + LAST_WORDS);
}

static _Noreturn void give_up(int status, const char *what, const char *detail)
{
	log_error("cannot start: %s: %s", what, detail);
	exit(status);
}

static char *keep_text(struct slice text)
{
	char *copy = slice_dup(text);

	if (!copy)
		give_up(EX_OSERR, "memory", strerror(errno));
	return copy;
}

static void map_snapshot(struct service *service, int fd)
{
	struct stat info;
	void *map;

	if (fd < 0 || fstat(fd, &info) < 0 || info.st_size <= 0)
		give_up(EX_SOFTWARE, "configuration snapshot", "missing");
	map = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		give_up(EX_OSERR, "configuration snapshot", strerror(errno));
	service->snapshot = slice_of(map, (size_t)info.st_size);
	service->snapshot_fd = fd;
}

static void take_listeners(struct service *service, struct message *start, struct slice names)
{
	struct slice name;

	for (unsigned i = 3; i < start->fd_count && slice_split(&names, '\0', &name); i++) {
		struct listener *listener = &service->listeners[service->listener_count++];

		listener->fd = message_take_fd(start, i);
		listener->name = keep_text(name);
	}
}

static void set_default_paths(struct service *service)
{
	static const char *const FOLDERS[] = { [CELL_INSTANCE] = "",
		[CELL_QUEUE] = "/queue",
		[CELL_MAIL] = "/mail",
		[CELL_DATA] = "/data",
		[CELL_RUN] = "/run",
		[CELL_ETC] = "/etc",
		[CELL_SYSTEM] = "" };
	const char *root = strcmp(service->root, "/") == 0 ? "" : service->root;
	char path[MAX_PATH_TEXT + 16];

	for (unsigned i = 0; i <= CELL_SYSTEM; i++) {
		snprintf(path, sizeof(path), "%s%s", i == CELL_SYSTEM ? "" : root, FOLDERS[i]);
		service_set_path(service, i, path[0] ? path : "/");
	}
}

static void enter_chroot(struct service *service)
{
	if (chroot(service->root) < 0 || chdir("/") < 0)
		give_up(EX_OSERR, "chroot", strerror(errno));
	free(service->root);
	service->root = keep_text(SLICE("/"));
}

static void take_start(struct service *service, struct message *message)
{
	struct message_master_start *start = &message->master_start;
	int log_fd;
	char name[160], host[256];

	if (message->type != MESSAGE_MASTER_START || message->fd_count < 3)
		give_up(EX_SOFTWARE, "START", "master sent something else");
	if (start->build != message_build())
		give_up(EX_SOFTWARE, "START", "master comes from another build");
	service->entry = keep_text(start->entry);
	service->root = keep_text(start->root);
	service->uid = start->uid;
	service->gid = start->gid;
	service->best_effort = start->best_effort;
	service->held = start->held;
	service->max_sessions = start->max_sessions;
	service->first_order = start->order;
	service->has_seal_key = start->seal_key.length == sizeof(service->seal_key);
	if (service->has_seal_key)
		memcpy(service->seal_key, start->seal_key.data, sizeof(service->seal_key));
	log_fd = fcntl(message->fds[2], F_DUPFD_CLOEXEC, 3);
	if (!slice_to_string(start->log_name, name, sizeof(name)) ||
		!slice_to_string(start->host, host, sizeof(host)))
		give_up(EX_SOFTWARE, "START", "bad names");
	log_open(log_fd, name, host, start->log_json, start->verbose);
	if (start->log_syslog)
		log_syslog(start->log_syslog - 1, NULL, NULL);
	map_snapshot(service, message_take_fd(message, 0));
	if (!figures_open(message->fds[1]))
		log_warning("figures cannot be mapped: %s", strerror(errno));
	take_listeners(service, message, start->listeners);
	if (start->chroot)
		enter_chroot(service);
	set_default_paths(service);
}

struct service *service_start(const char *name, int argc, char **argv)
{
	struct service *service = calloc(1, sizeof(*service));
	struct message message;
	struct buffer space = { 0 };
	int type;
	socklen_t length = sizeof(type);

	if (argc > 1 && strcmp(argv[1], "--help") == 0) {
		printf("%s is a daemon of Postern; master(8) starts it. See %s(8).\n", name, name);
		exit(EX_OK);
	}
	if (!service || getsockopt(CONTROL_FD, SOL_SOCKET, SO_TYPE, &type, &length) < 0 ||
		type != SOCK_SEQPACKET) {
		fprintf(stderr, "%s: this daemon is started by master: use \"postern start\"\n",
			name);
		exit(EX_USAGE);
	}
	signal(SIGPIPE, SIG_IGN);
	fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC);
	service->name = name;
	failing.pid = getpid();
	log_keep_errors(failing.text, sizeof(failing.text));
	atexit(tell_failure);
	os_fault_from_environment();
	if (!channel_sync_receive(CONTROL_FD, &message, &space, loop_monotonic() + START_TIMEOUT))
		give_up(EX_UNAVAILABLE, "START", strerror(errno));
	take_start(service, &message);
	message_close_fds(&message);
	buffer_free(&space);
	service->loop = loop_new(NULL);
	service->requests = vector_of(sizeof(struct connect_request), CONNECT_REQUESTS);
	if (!service->loop)
		give_up(EX_OSERR, "event loop", strerror(errno));
	return service;
}

static void warn_text(const char *text)
{
	log_warning("%s", text);
}

void service_enter(struct service *service, const struct cell *cell)
{
	char error[300];

	service->cell = cell;
	/* What children will be confined by is made now: it takes calls that the cell does not allow. */
	if (cell->calls & CELL_CALLS_LOCK_IN) {
		service->session_cell = cell_session_new(cell, error, sizeof(error));
		if (!service->session_cell)
			give_up(EX_OSERR, "session cell", error);
	}
	if (!cell_enter(cell, &service->bases, service->uid, service->gid, service->best_effort,
		    warn_text, error, sizeof(error)))
		give_up(EX_NOPERM, "cell", error);
	escape_arm(service);
}

static void answer_connect(struct service *service, struct message *message)
{
	struct message_master_connected *answer = &message->master_connected;

	for (size_t i = 0; i < service->requests.count; i++) {
		struct connect_request request =
			*(struct connect_request *)vector_at(&service->requests, i);
		char reason[256];

		if (request.serial != answer->serial)
			continue;
		vector_swap_out(&service->requests, i);
		if (!slice_to_string(answer->reason, reason, sizeof(reason)))
			reason[0] = '\0';
		request.connected(service, request.context, message_take_fd(message, 0), reason);
		return;
	}
}

bool service_accept(struct service *service, unsigned i, struct acceptor *acceptor,
	void (*accepted)(struct acceptor *acceptor, int fd, const struct sockaddr_storage *from),
	void *context)
{
	struct listener *listener = &service->listeners[i];

	if (!service->held)
		return acceptor_start(
			acceptor, service->loop, listener->fd, listener->name, accepted, context);
	acceptor->accepted = accepted;
	acceptor->context = context;
	listener->waiting = acceptor;
	return true;
}

static void begin_serving(struct service *service)
{
	service->held = false;
	for (unsigned i = 0; i < service->listener_count; i++) {
		struct listener *listener = &service->listeners[i];
		struct acceptor *acceptor = listener->waiting;

		listener->waiting = NULL;
		if (acceptor && !service->draining &&
			!acceptor_start(acceptor, service->loop, listener->fd, listener->name,
				acceptor->accepted, acceptor->context)) {
			log_error("cannot watch a listener: %s", strerror(errno));
			service_end(service, EX_OSERR);
		}
	}
}

static void begin_drain(struct service *service, bool fast)
{
	const struct message heard = { .type = MESSAGE_MASTER_DRAINING,
		.master_draining.fast = fast };

	if (service->draining && !fast)
		return;
	service->draining = true;
	for (unsigned i = 0; i < service->listener_count; i++)
		acceptor_stop(&service->listeners[i].acceptor);
	if (service->hooks && service->hooks->drain)
		service->hooks->drain(service, service->context, fast);
	else
		service_end(service, EX_OK);
	/* Master tells whoever asked for the reload that the old configuration takes nobody in any more. */
	channel_send(&service->control, &heard);
}

static void take_peer(struct service *service, struct message *message)
{
	struct peer peer = { .from = message->master_peer.from,
		.uid = message->master_peer.uid,
		.pid = (pid_t)message->master_peer.pid };
	int fd = message_take_fd(message, 0);

	if (fd < 0)
		return;
	if (service->hooks && service->hooks->peer && peer.from < SERVICE_COUNT)
		service->hooks->peer(service, service->context, fd, &peer);
	else
		close(fd);
}

static void take_file(struct service *service, struct message *message)
{
	int fd = message_take_fd(message, 0);

	if (fd >= 0 && service->hooks && service->hooks->file)
		service->hooks->file(service, service->context, message->key_file.number, fd);
	else
		os_close(&fd);
}

static void take_order(struct service *service, const struct message_sessions_order *order)
{
	if (service->hooks && service->hooks->sessions)
		service->hooks->sessions(service, service->context, order);
	else
		service_sessions_done(service, order->order, 0);
}

static void control_receive(struct channel *channel, struct message *message)
{
	struct service *service = channel->context;

	switch (message->type) {
	case MESSAGE_MASTER_CONNECTED:
		answer_connect(service, message);
		break;
	case MESSAGE_MASTER_PEER:
		take_peer(service, message);
		break;
	case MESSAGE_KEY_FILE:
		take_file(service, message);
		break;
	case MESSAGE_SESSIONS_ORDER:
		take_order(service, &message->sessions_order);
		break;
	case MESSAGE_MASTER_DRAIN:
		begin_drain(service, message->master_drain.fast);
		break;
	case MESSAGE_MASTER_SERVE:
		begin_serving(service);
		break;
	case MESSAGE_MASTER_WAKEUP:
		if (service->hooks && service->hooks->wakeup)
			service->hooks->wakeup(
				service, service->context, message->master_wakeup.reason);
		break;
	default:
		log_warning("master sent %s", message_name(message->type));
	}
}

/* Without master there is nobody to restart or replace this process: it ends, and the next master starts another. */
static void control_closed(struct channel *channel, const char *why)
{
	struct service *service = channel->context;

	log_warning("master has gone: %s", why);
	service_end(service, EX_TEMPFAIL);
}

static void take_public(struct acceptor *acceptor, int fd, const struct sockaddr_storage *from)
{
	struct service *service = acceptor->context;
	struct ucred who;
	socklen_t length = sizeof(who);
	struct peer peer = { .from = SERVICE_COUNT };

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length) < 0) {
		close(fd);
		return;
	}
	peer.uid = who.uid;
	peer.pid = who.pid;
	service->hooks->client(service, service->context, fd, &peer);
}

static void watch_public(struct service *service)
{
	for (unsigned i = 0; i < service->listener_count && service->hooks->client; i++) {
		struct listener *listener = &service->listeners[i];

		if (strncmp(listener->name, "unix:", 5) == 0 &&
			!service_accept(service, i, &listener->acceptor, take_public, service))
			give_up(EX_OSERR, "listener", strerror(errno));
	}
}

int service_run(struct service *service, const struct service_hooks *hooks, void *context)
{
	struct message ready = { .type = MESSAGE_MASTER_READY,
		.master_ready.pid = (uint32_t)getpid() };

	service->hooks = hooks;
	service->context = context;
	/* Connections asked for before this point wait in the socket until the loop reads them. */
	if (!service->control_open)
		service_open_control(service);
	watch_public(service);
	channel_send(&service->control, &ready);
	failing.pid = 0;
	log_keep_errors(NULL, 0);
	while (!service->ended)
		loop_turn(service->loop, -1);
	return service->status;
}

void service_open_control(struct service *service)
{
	service->control_open = true;
	if (!channel_open(&service->control, service->loop, CONTROL_FD, control_receive,
		    control_closed, service))
		give_up(EX_OSERR, "control channel", strerror(errno));
}

void service_watch_file(struct service *service, unsigned number, const char *path)
{
	struct message watch = { .type = MESSAGE_KEY_WATCH };

	if (!service->control_open)
		service_open_control(service);
	watch.key_watch.number = number;
	watch.key_watch.path = slice_from(path);
	if (!channel_send(&service->control, &watch))
		log_warning("%s is not watched for changes", path);
}

void service_end(struct service *service, int status)
{
	if (service->ended)
		return;
	service->ended = true;
	service->status = status;
	loop_stop(service->loop);
}

void service_tell_session(struct service *service, const struct message_sessions_row *row)
{
	struct message message = { .type = MESSAGE_SESSIONS_ROW, .sessions_row = *row };

	channel_send(&service->control, &message);
}

void service_sessions_done(struct service *service, uint32_t order, unsigned count)
{
	struct message message = { .type = MESSAGE_SESSIONS_DONE };

	message.sessions_done.order = order;
	message.sessions_done.count = count;
	channel_send(&service->control, &message);
}

uint32_t service_first_order(const struct service *service)
{
	return service->first_order;
}

struct loop *service_loop(struct service *service)
{
	return service->loop;
}

struct slice service_snapshot(const struct service *service)
{
	return service->snapshot;
}

int service_snapshot_fd(const struct service *service)
{
	return service->snapshot_fd;
}

const char *service_session_folder(const struct service *service)
{
	return service->session_folder;
}

const char *service_path(const struct service *service, enum cell_base base)
{
	return service->bases.path[base];
}

void service_set_path(struct service *service, enum cell_base base, const char *path)
{
	char *copy = keep_text(slice_from(path));

	free((char *)service->bases.path[base]);
	service->bases.path[base] = copy;
}

const char *service_entry(const struct service *service)
{
	return service->entry;
}

unsigned service_max_sessions(const struct service *service)
{
	return service->max_sessions;
}

const unsigned char *service_seal_key(const struct service *service)
{
	return service->has_seal_key ? service->seal_key : NULL;
}

bool service_draining(const struct service *service)
{
	return service->draining;
}

unsigned service_listener_count(const struct service *service)
{
	return service->listener_count;
}

int service_listener(const struct service *service, unsigned i, const char **name)
{
	if (i >= service->listener_count)
		return -1;
	if (name)
		*name = service->listeners[i].name;
	return service->listeners[i].fd;
}
