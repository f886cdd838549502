/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: LZ4 blocks of ZIP
 */

#ifndef HW_MISC_HISI_ZIP_H
#define HW_MISC_HISI_ZIP_H

/* Bytes of the block; 0 if it does not fit into @size */
size_t hisi_zip_lz4(const uint8_t *in, size_t len, uint8_t *out, size_t size);

#endif
