/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: AES in the modes of SEC2
 *
 * QEMU's cipher API takes whole blocks only and lacks CTR in some builds. The
 * engine needs neither limit: a tail is cut off the key stream in CTR, and
 * stolen from the block before it in XTS.
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "crypto/aes.h"
#include "hisi_acc.h"

#define BLOCK AES_BLOCK_SIZE

typedef struct Cipher {
    AES_KEY key;
    bool encrypt;
} Cipher;

static void cipher_init(Cipher *c, bool encrypt, const uint8_t *key,
                        unsigned key_len)
{
    c->encrypt = encrypt;
    if (encrypt) {
        AES_set_encrypt_key(key, key_len * 8, &c->key);
    } else {
        AES_set_decrypt_key(key, key_len * 8, &c->key);
    }
}

static void cipher_block(const Cipher *c, uint8_t *block)
{
    if (c->encrypt) {
        AES_encrypt(block, block, &c->key);
    } else {
        AES_decrypt(block, block, &c->key);
    }
}

static void xor_into(uint8_t *to, const uint8_t *from, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        to[i] ^= from[i];
    }
}

static void run_ecb(const Cipher *c, uint8_t *data, size_t len)
{
    for (; len; data += BLOCK, len -= BLOCK) {
        cipher_block(c, data);
    }
}

static void run_cbc(const Cipher *c, uint8_t *iv, uint8_t *data, size_t len)
{
    uint8_t next[BLOCK];

    for (; len; data += BLOCK, len -= BLOCK) {
        if (c->encrypt) {
            xor_into(data, iv, BLOCK);
            cipher_block(c, data);
            memcpy(iv, data, BLOCK);
        } else {
            memcpy(next, data, BLOCK);
            cipher_block(c, data);
            xor_into(data, iv, BLOCK);
            memcpy(iv, next, BLOCK);
        }
    }
}

/* The counter is all 128 bits, most significant byte first */
static void run_ctr(const Cipher *c, uint8_t *counter, uint8_t *data,
                    size_t len)
{
    while (len) {
        size_t part = MIN(len, BLOCK);
        uint8_t stream[BLOCK];

        memcpy(stream, counter, BLOCK);
        cipher_block(c, stream);
        xor_into(data, stream, part);
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

static void xts_block(const Cipher *c, const uint8_t *tweak, uint8_t *data)
{
    xor_into(data, tweak, BLOCK);
    cipher_block(c, data);
    xor_into(data, tweak, BLOCK);
}

static void run_xts(const Cipher *c, uint8_t *tweak, uint8_t *data, size_t len)
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

/*
 * Works in place. @key holds a second key behind the first for XTS. False if
 * the mode cannot handle this length.
 */
bool hisi_sec2_aes(enum HisiSec2Mode mode, bool encrypt, const uint8_t *key,
                   unsigned key_len, const uint8_t *iv, uint8_t *data,
                   size_t len)
{
    uint8_t chain[BLOCK];
    Cipher c, tweak;

    memcpy(chain, iv, BLOCK);
    /* a key stream is made by encryption in both directions */
    cipher_init(&c, encrypt || mode == HISI_SEC2_CTR, key, key_len);

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
        cipher_init(&tweak, true, key + key_len, key_len);
        cipher_block(&tweak, chain);
        run_xts(&c, chain, data, len);
        return true;
    }
    return false;
}
