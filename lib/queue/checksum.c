// SPDX-License-Identifier: ISC
/* CRC-32C (Castagnoli), eight bytes a step from tables, so that it costs the same on every machine. See format.h. */
#include "queue/format.h"

enum { CRC_POLYNOMIAL = (int)0x82f63b78 }; /* reflected */

/* Filled before main runs, constant from then on: no lock is needed. */
static uint32_t tables[8][256];

__attribute__((constructor)) static void fill_tables(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int bit = 0; bit < 8; bit++)
			c = c >> 1 ^ (c & 1 ? (uint32_t)CRC_POLYNOMIAL : 0);
		tables[0][i] = c;
	}
	for (int t = 1; t < 8; t++) {
		for (uint32_t i = 0; i < 256; i++) {
			uint32_t c = tables[t - 1][i];

			tables[t][i] = c >> 8 ^ tables[0][c & 0xff];
		}
	}
}

uint32_t queue_crc(uint32_t crc, const void *data, size_t length)
{
	const unsigned char *p = data;
	uint32_t c = ~crc;

	for (; length >= 8; length -= 8, p += 8) {
		uint32_t a = c ^ load_u32(p), b = load_u32(p + 4);

		c = tables[7][a & 0xff] ^ tables[6][a >> 8 & 0xff] ^ tables[5][a >> 16 & 0xff] ^
		    tables[4][a >> 24] ^ tables[3][b & 0xff] ^ tables[2][b >> 8 & 0xff] ^
		    tables[1][b >> 16 & 0xff] ^ tables[0][b >> 24];
	}
	for (; length; length--, p++)
		c = c >> 8 ^ tables[0][(c ^ *p) & 0xff];
	return ~c;
}
