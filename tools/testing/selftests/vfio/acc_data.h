/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Migration data of HiSilicon accelerators: its fields, and its checksum.
 */
#ifndef ACC_DATA_H
#define ACC_DATA_H

#include "acc_data_rules.h"

/* CRC-32 as in Ethernet, in which the field of the checksum counts as 0 */
static inline uint32_t data_sum(const uint8_t *data)
{
	uint32_t crc = ~0u;

	for (unsigned int i = 0; i < DATA_END; i++) {
		crc ^= i >= CHECKSUM && i < PADDING ? 0 : data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

/* Set the checksum, if the version has one */
static inline void data_sign(uint8_t *data)
{
	if (data_get(data, MINOR, 2))
		data_put(data, CHECKSUM, 4, data_sum(data));
}

#endif
