// SPDX-License-Identifier: ISC
/* Is an address in a list of networks, as mynetworks, and what network is it of? See front.h. */
#include <arpa/inet.h>
#include <stdio.h>

#include "service/front.h"

struct network_address {
	unsigned char bytes[16];
	unsigned bits; /* 32 or 128 */
};

static bool parse_address(struct slice text, struct network_address *address)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	char buffer[INET6_ADDRSTRLEN + 1];

	if (text.length >= 2 && text.data[0] == '[' && text.data[text.length - 1] == ']')
		text = slice_of(text.data + 1, text.length - 2);
	if (!slice_to_string(text, buffer, sizeof(buffer)))
		return false;
	if (inet_pton(AF_INET, buffer, address->bytes) == 1) {
		address->bits = 32;
		return true;
	}
	if (inet_pton(AF_INET6, buffer, address->bytes) != 1)
		return false;
	address->bits = 128;
	if (memcmp(address->bytes, mapped, sizeof(mapped)) == 0) {
		memmove(address->bytes, address->bytes + 12, 4);
		address->bits = 32;
	}
	return true;
}

static bool same_prefix(const unsigned char *a, const unsigned char *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;
	unsigned char mask = (unsigned char)(0xff << (8 - rest));

	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || (a[whole] & mask) == (b[whole] & mask);
}

/* What is not a network (a table, a host name, a wrong mask) matches nobody: the safe side for a list of the trusted. */
static bool item_matches(struct slice item, const struct network_address *address)
{
	ptrdiff_t slash = slice_find_last(item, '/');
	struct network_address network;
	uint64_t bits;

	if (!parse_address(slash < 0 ? item : slice_head(item, (size_t)slash), &network))
		return false;
	if (network.bits != address->bits)
		return false;
	bits = network.bits;
	if (slash >= 0 && !slice_to_u64(slice_tail(item, (size_t)slash + 1), network.bits, &bits))
		return false;
	return same_prefix(network.bytes, address->bytes, (unsigned)bits);
}

bool network_match(const char *list, const char *address)
{
	struct slice rest = slice_from(list), item;
	struct network_address wanted;

	if (!address || !parse_address(slice_from(address), &wanted))
		return false;
	while (slice_word(&rest, ", \t\r\n", &item)) {
		bool excluded = item.data[0] == '!';

		if (item_matches(slice_tail(item, excluded), &wanted))
			return !excluded;
	}
	return false;
}

void network_of(
	const char *address, unsigned ipv4_bits, unsigned ipv6_bits, char network[NETWORK_TEXT])
{
	struct slice text = slice_head(slice_from(address), NETWORK_TEXT - 1);
	struct network_address parsed;
	char shown[INET6_ADDRSTRLEN];
	unsigned bits;

	if (!parse_address(slice_from(address), &parsed)) {
		if (!slice_to_string(text, network, NETWORK_TEXT))
			network[0] = '\0';
		return;
	}
	bits = parsed.bits == 32 ? ipv4_bits : ipv6_bits;
	for (unsigned i = 0; i < parsed.bits / 8; i++) {
		unsigned kept = bits > 8 * i ? bits - 8 * i : 0;

		if (kept < 8)
			parsed.bytes[i] &= (unsigned char)(0xff00 >> kept);
	}
	inet_ntop(parsed.bits == 32 ? AF_INET : AF_INET6, parsed.bytes, shown, sizeof(shown));
	if (bits < parsed.bits)
		snprintf(network, NETWORK_TEXT, "%s/%u", shown, bits);
	else
		snprintf(network, NETWORK_TEXT, "%s", shown);
}
