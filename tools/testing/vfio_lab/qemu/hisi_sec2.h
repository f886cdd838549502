/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: the ciphers of SEC2
 */

#ifndef HW_MISC_HISI_SEC2_H
#define HW_MISC_HISI_SEC2_H

#include "crypto/aes.h"

#define HISI_SEC2_BLOCK     16          /* of AES and SM4 */
#define HISI_SEC2_MAX_MAC   64

/* The numbers of algorithms, modes and hashes are those of a request */
enum HisiSec2Alg {
    HISI_SEC2_3DES = 1,
    HISI_SEC2_AES = 2,
    HISI_SEC2_SM4 = 3
};

enum HisiSec2Mode {
    HISI_SEC2_ECB = 0,
    HISI_SEC2_CBC = 1,
    HISI_SEC2_CTR = 4,
    HISI_SEC2_CCM = 5,
    HISI_SEC2_GCM = 6,
    HISI_SEC2_XTS = 7
};

enum HisiSec2Hash {
    HISI_SEC2_NO_HASH = 0,
    HISI_SEC2_HMAC_SHA1 = 0x10,
    HISI_SEC2_HMAC_SHA256 = 0x11,
    HISI_SEC2_HMAC_SHA512 = 0x15
};

/* hisi_sec2_block.c: AES or SM4, in one direction */
typedef struct HisiSec2Block {
    enum HisiSec2Alg alg;
    bool encrypt;
    union {
        AES_KEY aes;
        uint32_t sm4[32];
    };
} HisiSec2Block;

void hisi_sec2_block_init(HisiSec2Block *c, enum HisiSec2Alg alg, bool encrypt,
                          const uint8_t *key, unsigned key_len);
void hisi_sec2_block(const HisiSec2Block *c, uint8_t *block);
void hisi_sec2_xor(uint8_t *to, const uint8_t *from, size_t len);

/* hisi_sec2_modes.c */
bool hisi_sec2_crypt(enum HisiSec2Alg alg, enum HisiSec2Mode mode, bool encrypt,
                     const uint8_t *key, unsigned key_len, const uint8_t *iv,
                     uint8_t *data, size_t len);

/* hisi_sec2_aead.c: authenticated data, then @len bytes of text */
typedef struct HisiSec2Aead {
    enum HisiSec2Alg alg;
    enum HisiSec2Mode mode;
    enum HisiSec2Hash hash;
    bool encrypt;
    const uint8_t *key;
    unsigned key_len;
    const uint8_t *mac_key;
    unsigned mac_key_len;
    const uint8_t *iv;
    const uint8_t *mac_iv;
    uint8_t *data;
    size_t aad_len;
    size_t len;
    unsigned mac_len;
} HisiSec2Aead;

bool hisi_sec2_aead(const HisiSec2Aead *a, uint8_t *mac);

#endif
