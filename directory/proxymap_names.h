// SPDX-License-Identifier: ISC
/* Addresses of SQL servers for the libraries that ask for them by name, in a process that can ask nobody. */
#ifndef DIRECTORY_PROXYMAP_NAMES_H
#define DIRECTORY_PROXYMAP_NAMES_H

/* From now on getaddrinfo takes what `address_of` says (digits; NULL: it does not know) in the place of the name. Any thread may ask. */
void names_known(const char *(*address_of)(void *context, const char *name), void *context);

#endif
