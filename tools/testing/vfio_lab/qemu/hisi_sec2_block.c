/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: block ciphers of SEC2
 *
 * QEMU's own AES, and SM4 (GB/T 32907) on the tables that QEMU has for the
 * instructions of its guests: libraries of Debian 12 do not have SM4 yet.
 */

#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "crypto/sm4.h"
#include "hisi_sec2.h"

#define SM4_ROUNDS 32

static uint32_t sm4_data_mix(uint32_t word)
{
    word = sm4_subword(word);
    return word ^ rol32(word, 2) ^ rol32(word, 10) ^ rol32(word, 18) ^
           rol32(word, 24);
}

static uint32_t sm4_key_mix(uint32_t word)
{
    word = sm4_subword(word);
    return word ^ rol32(word, 13) ^ rol32(word, 23);
}

static void sm4_init(uint32_t *rounds, bool encrypt, const uint8_t *key)
{
    static const uint32_t system_parameter[4] = {
        0xa3b1bac6, 0x56aa3350, 0x677d9197, 0xb27022dc
    };
    uint32_t k[4];

    for (unsigned i = 0; i < 4; i++) {
        k[i] = ldl_be_p(key + 4 * i) ^ system_parameter[i];
    }
    for (unsigned i = 0; i < SM4_ROUNDS; i++) {
        k[i % 4] ^= sm4_key_mix(k[(i + 1) % 4] ^ k[(i + 2) % 4] ^
                                k[(i + 3) % 4] ^ sm4_ck[i]);
        rounds[encrypt ? i : SM4_ROUNDS - 1 - i] = k[i % 4];
    }
}

static void sm4_block(const uint32_t *rounds, uint8_t *block)
{
    uint32_t x[4];

    for (unsigned i = 0; i < 4; i++) {
        x[i] = ldl_be_p(block + 4 * i);
    }
    for (unsigned i = 0; i < SM4_ROUNDS; i++) {
        x[i % 4] ^= sm4_data_mix(x[(i + 1) % 4] ^ x[(i + 2) % 4] ^
                                 x[(i + 3) % 4] ^ rounds[i]);
    }
    for (unsigned i = 0; i < 4; i++) {
        stl_be_p(block + 4 * i, x[3 - i]);
    }
}

void hisi_sec2_block_init(HisiSec2Block *c, enum HisiSec2Alg alg, bool encrypt,
                          const uint8_t *key, unsigned key_len)
{
    c->alg = alg;
    c->encrypt = encrypt;
    if (alg == HISI_SEC2_SM4) {
        sm4_init(c->sm4, encrypt, key);
    } else if (encrypt) {
        AES_set_encrypt_key(key, key_len * 8, &c->aes);
    } else {
        AES_set_decrypt_key(key, key_len * 8, &c->aes);
    }
}

void hisi_sec2_block(const HisiSec2Block *c, uint8_t *block)
{
    if (c->alg == HISI_SEC2_SM4) {
        sm4_block(c->sm4, block);
    } else if (c->encrypt) {
        AES_encrypt(block, block, &c->aes);
    } else {
        AES_decrypt(block, block, &c->aes);
    }
}

void hisi_sec2_xor(uint8_t *to, const uint8_t *from, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        to[i] ^= from[i];
    }
}
