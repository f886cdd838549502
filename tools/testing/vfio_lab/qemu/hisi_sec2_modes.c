/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: modes of the ciphers of SEC2
 *
 * QEMU's cipher API takes whole blocks only and lacks CTR in some builds. The
 * engine needs neither limit: a tail is cut off the key stream in CTR, and
 * stolen from the block before it in XTS. 3DES, which has neither mode here,
 * is left to that API.
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "crypto/cipher.h"
#include "hisi_sec2.h"

#define BLOCK           HISI_SEC2_BLOCK
#define DES_BLOCK       8
#define DES3_KEY        24

static void run_ecb(const HisiSec2Block *c, uint8_t *data, size_t len)
{
    for (; len; data += BLOCK, len -= BLOCK) {
        hisi_sec2_block(c, data);
    }
}

static void run_cbc(const HisiSec2Block *c, uint8_t *iv, uint8_t *data,
                    size_t len)
{
    uint8_t next[BLOCK];

    for (; len; data += BLOCK, len -= BLOCK) {
        if (c->encrypt) {
            hisi_sec2_xor(data, iv, BLOCK);
            hisi_sec2_block(c, data);
            memcpy(iv, data, BLOCK);
        } else {
            memcpy(next, data, BLOCK);
            hisi_sec2_block(c, data);
            hisi_sec2_xor(data, iv, BLOCK);
            memcpy(iv, next, BLOCK);
        }
    }
}

/* The counter is all 128 bits, most significant byte first */
static void run_ctr(const HisiSec2Block *c, uint8_t *counter, uint8_t *data,
                    size_t len)
{
    while (len) {
        size_t part = MIN(len, BLOCK);
        uint8_t stream[BLOCK];

        memcpy(stream, counter, BLOCK);
        hisi_sec2_block(c, stream);
        hisi_sec2_xor(data, stream, part);
        for (int i = BLOCK - 1; i >= 0 && ++counter[i] == 0; i--) {
            /* carry on */
        }
        data += part;
        len -= part;
    }
}

/* Multiplies the tweak by x in GF(2^128), least significant byte first */
static void next_tweak(uint8_t *tweak)
{
    uint64_t low = ldq_le_p(tweak);
    uint64_t high = ldq_le_p(tweak + 8);

    stq_le_p(tweak + 8, high << 1 | low >> 63);
    stq_le_p(tweak, low << 1 ^ (high >> 63 ? 0x87 : 0));
}

static void xts_block(const HisiSec2Block *c, const uint8_t *tweak,
                      uint8_t *data)
{
    hisi_sec2_xor(data, tweak, BLOCK);
    hisi_sec2_block(c, data);
    hisi_sec2_xor(data, tweak, BLOCK);
}

static void run_xts(const HisiSec2Block *c, uint8_t *tweak, uint8_t *data,
                    size_t len)
{
    size_t tail = len % BLOCK;
    size_t whole = len / BLOCK - (tail ? 1 : 0);
    uint8_t first[BLOCK], second[BLOCK], stolen[BLOCK];

    for (; whole; whole--, data += BLOCK) {
        xts_block(c, tweak, data);
        next_tweak(tweak);
    }
    if (!tail) {
        return;
    }
    /* the last whole block and the tail: decryption swaps their tweaks */
    memcpy(first, tweak, BLOCK);
    next_tweak(tweak);
    memcpy(second, tweak, BLOCK);

    xts_block(c, c->encrypt ? first : second, data);
    memcpy(stolen, data, BLOCK);
    memcpy(stolen, data + BLOCK, tail);
    memcpy(data + BLOCK, data, tail);
    memcpy(data, stolen, BLOCK);
    xts_block(c, c->encrypt ? second : first, data);
}

static bool run_3des(enum HisiSec2Mode mode, bool encrypt, const uint8_t *key,
                     unsigned key_len, const uint8_t *iv, uint8_t *data,
                     size_t len)
{
    g_autoptr(QCryptoCipher) c = NULL;
    uint8_t three[DES3_KEY];

    if (!len || len % DES_BLOCK) {
        return false;
    }
    /* of two keys the first is the third, too */
    memcpy(three, key, key_len);
    memcpy(three + key_len, key, DES3_KEY - key_len);
    c = qcrypto_cipher_new(QCRYPTO_CIPHER_ALGO_3DES,
                           mode == HISI_SEC2_CBC ? QCRYPTO_CIPHER_MODE_CBC
                                                 : QCRYPTO_CIPHER_MODE_ECB,
                           three, sizeof(three), NULL);
    if (!c || (mode == HISI_SEC2_CBC &&
               qcrypto_cipher_setiv(c, iv, DES_BLOCK, NULL) < 0)) {
        return false;
    }
    return (encrypt ? qcrypto_cipher_encrypt(c, data, data, len, NULL)
                    : qcrypto_cipher_decrypt(c, data, data, len, NULL)) == 0;
}

/*
 * Works in place. @key holds a second key behind the first for XTS. False if
 * the mode cannot handle this length.
 */
bool hisi_sec2_crypt(enum HisiSec2Alg alg, enum HisiSec2Mode mode, bool encrypt,
                     const uint8_t *key, unsigned key_len, const uint8_t *iv,
                     uint8_t *data, size_t len)
{
    uint8_t chain[BLOCK];
    HisiSec2Block c, tweak;

    if (alg == HISI_SEC2_3DES) {
        return run_3des(mode, encrypt, key, key_len, iv, data, len);
    }
    memcpy(chain, iv, BLOCK);
    /* a key stream is made by encryption in both directions */
    hisi_sec2_block_init(&c, alg, encrypt || mode == HISI_SEC2_CTR, key,
                         key_len);

    switch (mode) {
    case HISI_SEC2_ECB:
    case HISI_SEC2_CBC:
        if (!len || len % BLOCK) {
            return false;
        }
        if (mode == HISI_SEC2_ECB) {
            run_ecb(&c, data, len);
        } else {
            run_cbc(&c, chain, data, len);
        }
        return true;
    case HISI_SEC2_CTR:
        run_ctr(&c, chain, data, len);
        return len > 0;
    case HISI_SEC2_XTS:
        if (len < BLOCK) {
            return false;
        }
        hisi_sec2_block_init(&tweak, alg, true, key + key_len, key_len);
        hisi_sec2_block(&tweak, chain);
        run_xts(&c, chain, data, len);
        return true;
    default:
        return false;
    }
}
