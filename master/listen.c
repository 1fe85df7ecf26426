// SPDX-License-Identifier: ISC
/* Listening sockets: opened once, handed to each generation that wants them, closed when none does any more. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "master/master.h"
#include "service/log.h"

enum { BACKLOG = 1024 };

static bool fault(struct config_report *report, const struct entry *entry, const char *address,
	const char *what)
{
	struct config_fault *f;

	report->errors++;
	if (report->count >= sizeof(report->faults) / sizeof(report->faults[0]))
		return false;
	f = &report->faults[report->count++];
	*f = (struct config_fault){ .line = entry->config->line };
	snprintf(f->file, sizeof(f->file), "master.cf");
	snprintf(f->parameter, sizeof(f->parameter), "%s", entry->config->name);
	snprintf(f->text, sizeof(f->text), "cannot listen on %s: %s", address, what);
	return false;
}

static struct listen_socket *find(struct master *master, const char *address)
{
	for (size_t i = 0; i < master->sockets.count; i++) {
		struct listen_socket *s = *(struct listen_socket **)vector_at(&master->sockets, i);

		if (strcmp(s->address, address) == 0)
			return s;
	}
	return NULL;
}

static bool attach(
	struct master *master, struct entry *entry, const char *name, const char *address, int fd)
{
	struct listen_socket *s = find(master, address), **place;

	if (!s) {
		s = calloc(1, sizeof(*s));
		place = s ? vector_add(&master->sockets) : NULL;
		if (!place) {
			free(s);
			return false;
		}
		*place = s;
		snprintf(s->name, sizeof(s->name), "%s", name);
		snprintf(s->address, sizeof(s->address), "%s", address);
		s->fd = fd;
	}
	s->users++;
	entry->listeners[entry->listener_count++] = s;
	return true;
}

void listen_release(struct entry *entry)
{
	struct master *master = entry->master;

	for (unsigned i = 0; i < entry->listener_count; i++)
		entry->listeners[i]->users--;
	entry->listener_count = 0;
	for (size_t i = master->sockets.count; i-- > 0;) {
		struct listen_socket *s = *(struct listen_socket **)vector_at(&master->sockets, i);

		if (s->users > 0)
			continue;
		close(s->fd);
		if (strncmp(s->address, "unix:", 5) == 0)
			unlink(s->address + 5);
		free(s);
		vector_swap_out(&master->sockets, i);
	}
}

static int open_inet(const struct addrinfo *info)
{
	int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1,
	    error;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* accepted sockets inherit it */
	if (info->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* One numeric address; an IPv6 one that the machine does not have is passed over when `optional`. */
static bool listen_inet(struct master *master, struct entry *entry, const char *host, int port,
	bool optional, struct config_report *report)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICHOST },
			*info;
	char address[1400], name[64], service[16];
	int fd, error;

	snprintf(address, sizeof(address), "inet:%s:%d", host, port);
	snprintf(name, sizeof(name), "inet:%d", port);
	snprintf(service, sizeof(service), "%d", port);
	if (entry->listener_count >= LISTENERS_MAX)
		return fault(report, entry, address, "too many addresses");
	if (find(master, address))
		return attach(master, entry, name, address, -1);
	error = getaddrinfo(host, service, &hints, &info);
	if (error)
		return fault(report, entry, address, gai_strerror(error));
	fd = open_inet(info);
	error = errno;
	freeaddrinfo(info);
	if (fd < 0)
		return (optional && (error == EADDRNOTAVAIL || error == EAFNOSUPPORT)) ||
		       fault(report, entry, address, strerror(error));
	return attach(master, entry, name, address, fd);
}

/* The parent folder was made by `postern init`; whoever may pass it may talk, and SO_PEERCRED says who it is. */
static bool listen_unix(struct master *master, struct entry *entry, const char *name, int type,
	struct config_report *report)
{
	struct sockaddr_un where = { .sun_family = AF_UNIX };
	char address[1400], shown[160];
	int fd;

	snprintf(address, sizeof(address), "unix:%s/run/%s", master->settings.instance, name);
	snprintf(shown, sizeof(shown), "unix:%s", name);
	if (entry->listener_count >= LISTENERS_MAX)
		return fault(report, entry, address, "too many addresses");
	if (find(master, address))
		return attach(master, entry, shown, address, -1);
	if ((size_t)snprintf(where.sun_path, sizeof(where.sun_path), "%s", address + 5) >=
		sizeof(where.sun_path))
		return fault(report, entry, address, "path too long for a socket (107 bytes)");
	unlink(where.sun_path);
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&where, sizeof(where)) < 0 ||
		chmod(where.sun_path, 0666) < 0 || listen(fd, BACKLOG) < 0) {
		fault(report, entry, address, strerror(errno));
		if (fd >= 0)
			close(fd);
		return false;
	}
	return attach(master, entry, shown, address, fd);
}

struct interfaces {
	struct master *master;
	struct entry *entry;
	struct config_report *report;
	const char *protocols;
	int port;
	bool ok;
};

static bool uses(const char *protocols, const char *one)
{
	return strstr(protocols, "all") || strstr(protocols, one);
}

static bool listen_pair(struct interfaces *i, const char *four, const char *six)
{
	return (!uses(i->protocols, "ipv4") ||
		       listen_inet(i->master, i->entry, four, i->port, false, i->report)) &&
	       (!uses(i->protocols, "ipv6") ||
		       listen_inet(i->master, i->entry, six, i->port, true, i->report));
}

static bool listen_interface(void *context, struct slice item)
{
	struct interfaces *i = context;
	char host[256];

	if (slice_equal(item, SLICE("loopback-only")) || slice_equal(item, SLICE("localhost"))) {
		i->ok = listen_pair(i, "127.0.0.1", "::1") && i->ok;
	} else if (slice_equal(item, SLICE("all"))) {
		i->ok = listen_pair(i, "0.0.0.0", "::") && i->ok;
	} else {
		if (item.length > 2 && item.data[0] == '[' && item.data[item.length - 1] == ']')
			item = slice_of(item.data + 1, item.length - 2);
		if (!slice_to_string(item, host, sizeof(host)))
			i->ok = fault(i->report, i->entry, "inet_interfaces", "bad address");
		else
			i->ok = listen_inet(i->master, i->entry, host, i->port, false, i->report) &&
				i->ok;
	}
	return true;
}

/* "smtp", "2525", "127.0.0.1:2525", "[::1]:smtp": an address of its own beats inet_interfaces. */
static bool listen_entry(struct master *master, struct entry *entry, const struct config *config,
	struct config_report *report)
{
	struct interfaces i = { master, entry, report, config_text(config, PARAM_inet_protocols), 0,
		true };
	const char *name = entry->config->name, *colon = strrchr(name, ':');
	char host[256];

	i.port = services_port(colon ? colon + 1 : name, (int)config_int(config, PARAM_port_base));
	if (i.port <= 0)
		return fault(report, entry, name, "unknown port");
	if (!colon)
		config_each(config_text(config, PARAM_inet_interfaces), listen_interface, &i);
	else if (slice_to_string(slice_of(name, (size_t)(colon - name)), host, sizeof(host)))
		listen_interface(&i, slice_from(host));
	return i.ok;
}

bool listen_open(struct master *master, struct entry *entry, const struct config *config,
	struct config_report *report)
{
	char name[160];
	bool ok = true;

	if (entry->config->type == SERVICE_INET) {
		ok = listen_entry(master, entry, config, report);
	} else if (!entry->config->is_private) {
		snprintf(name, sizeof(name), "public/%s", entry->config->name);
		ok = listen_unix(master, entry, name, SOCK_SEQPACKET, report);
	}
	/* "--also unix:public/smtp": a byte stream beside the entry's own listeners. */
	for (char **a = entry->config->arguments; a && a[0] && ok; a++) {
		if (strcmp(a[0], "--also") == 0 && a[1] && strncmp(a[1], "unix:public/", 12) == 0 &&
			!strchr(a[1] + 12, '/'))
			ok = listen_unix(master, entry, a[1] + 5, SOCK_STREAM, report);
	}
	return ok;
}
