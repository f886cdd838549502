/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: the arithmetic of HPRE
 *
 * Each of these is false if the numbers allow no result.
 */

#ifndef HW_MISC_HISI_HPRE_H
#define HW_MISC_HISI_HPRE_H

bool hisi_hpre_power(const uint8_t *base, const uint8_t *exponent,
                     const uint8_t *modulus, size_t size, uint8_t *out);
bool hisi_hpre_crt(const uint8_t *in, const uint8_t *key, size_t size,
                   uint8_t *out);
bool hisi_hpre_ecc(const uint8_t *in, const uint8_t *key, size_t size,
                   uint8_t *out);
bool hisi_hpre_montgomery(const uint8_t *in, const uint8_t *key, size_t size,
                          uint8_t *out);

#endif
