// SPDX-License-Identifier: ISC
/*
 * getaddrinfo for the client libraries of SQL servers. Names are asked for before the process is confined, where that can be done; but a
 * library that is to compare the name with a certificate must be given the name, and would ask again. The modules' libraries find
 * this function before the C library's: it knows the addresses, and asks nobody. See proxymap_names.h.
 */
#include "directory/proxymap_names.h"

#include <dlfcn.h>
#include <netdb.h>
#include <stddef.h>

typedef int (*getaddrinfo_call)(
	const char *, const char *, const struct addrinfo *, struct addrinfo **);

static struct {
	const char *(*address_of)(void *context, const char *name);
	void *context;
} known;

void names_known(const char *(*address_of)(void *context, const char *name), void *context)
{
	known.context = context;
	known.address_of = address_of;
}

int getaddrinfo(const char *, const char *, const struct addrinfo *, struct addrinfo **);
__attribute__((visibility("default"))) int getaddrinfo(const char *name, const char *service,
	const struct addrinfo *hints, struct addrinfo **found)
{
	getaddrinfo_call call = (getaddrinfo_call)dlsym(RTLD_NEXT, "getaddrinfo");
	const char *address =
		name && known.address_of ? known.address_of(known.context, name) : NULL;

	return call(address ? address : name, service, hints, found);
}
