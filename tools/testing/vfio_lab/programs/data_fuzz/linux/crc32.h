/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel's CRC-32 by zlib's, for the driver's decoder on this machine. */
#ifndef VFIO_LAB_CRC32_H
#define VFIO_LAB_CRC32_H

#include <zlib.h>

/* zlib inverts before and after, the kernel leaves both to its caller */
static inline u32 crc32_le(u32 crc, const u8 *bytes, size_t len)
{
	return ~(u32)crc32(~crc, bytes, (uInt)len);
}

#endif
