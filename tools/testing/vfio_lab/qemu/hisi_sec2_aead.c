/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: ciphers of SEC2 that authenticate
 *
 * CCM (NIST SP 800-38C), GCM (SP 800-38D, nonces of 96 bits), and CBC with an
 * HMAC over authenticated data and cipher text.
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "crypto/hmac.h"
#include "hisi_sec2.h"

#define BLOCK           HISI_SEC2_BLOCK
#define GCM_NONCE       12

/* The key stream of CTR; nothing to do is fine */
static bool stream(const HisiSec2Aead *a, const uint8_t *counter, uint8_t *data,
                   size_t len)
{
    return !len || hisi_sec2_crypt(a->alg, HISI_SEC2_CTR, true, a->key,
                                   a->key_len, counter, data, len);
}

/* Takes data into a MAC block by block; zeros fill up the last one */
static void absorb(uint8_t *mac, const uint8_t *data, size_t len,
                   void (*mix)(const void *key, uint8_t *mac), const void *key)
{
    while (len) {
        size_t part = MIN(len, BLOCK);

        hisi_sec2_xor(mac, data, part);
        mix(key, mac);
        data += part;
        len -= part;
    }
}

static void encrypt(const void *key, uint8_t *mac)
{
    hisi_sec2_block(key, mac);
}

static void cbc_mac(const HisiSec2Block *c, uint8_t *mac, const uint8_t *data,
                    size_t len)
{
    absorb(mac, data, len, encrypt, c);
}

/* The length of the authenticated data stands before it */
static void ccm_mac_aad(const HisiSec2Block *c, uint8_t *mac,
                        const uint8_t *aad, size_t len)
{
    uint8_t first[BLOCK] = { 0 };
    size_t field = len < 0xff00 ? 2 : 6;
    size_t part = MIN(len, BLOCK - field);

    if (!len) {
        return;
    }
    if (field == 2) {
        stw_be_p(first, len);
    } else {
        stw_be_p(first, 0xfffe);
        stl_be_p(first + 2, len);
    }
    memcpy(first + field, aad, part);
    cbc_mac(c, mac, first, BLOCK);
    cbc_mac(c, mac, aad + part, len - part);
}

/*
 * @iv is the first counter block of the text, @mac_iv the first block of the
 * MAC: flags, nonce and length are the driver's to compose.
 */
static bool run_ccm(const HisiSec2Aead *a, uint8_t *mac)
{
    uint8_t *text = a->data + a->aad_len;
    unsigned counter_len = (a->iv[0] & 7) + 1;
    uint8_t counter[BLOCK];
    HisiSec2Block c;

    if (counter_len < 2) {
        return false;
    }
    if (!a->encrypt && !stream(a, a->iv, text, a->len)) {
        return false;
    }
    hisi_sec2_block_init(&c, a->alg, true, a->key, a->key_len);
    memcpy(mac, a->mac_iv, BLOCK);
    hisi_sec2_block(&c, mac);
    ccm_mac_aad(&c, mac, a->data, a->aad_len);
    cbc_mac(&c, mac, text, a->len);

    memcpy(counter, a->iv, BLOCK);
    memset(counter + BLOCK - counter_len, 0, counter_len);
    hisi_sec2_block(&c, counter);
    hisi_sec2_xor(mac, counter, BLOCK);
    return !a->encrypt || stream(a, a->iv, text, a->len);
}

/* @x = @x * @h in GF(2^128); the most significant bit comes first */
static void gf_multiply(const void *h, uint8_t *x)
{
    uint64_t v[2] = { ldq_be_p(h), ldq_be_p((const uint8_t *)h + 8) };
    uint64_t z[2] = { 0, 0 };

    for (unsigned i = 0; i < 128; i++) {
        bool carry = v[1] & 1;

        if (x[i / 8] & 0x80 >> i % 8) {
            z[0] ^= v[0];
            z[1] ^= v[1];
        }
        v[1] = v[1] >> 1 | v[0] << 63;
        v[0] = v[0] >> 1 ^ (carry ? 0xe1ull << 56 : 0);
    }
    stq_be_p(x, z[0]);
    stq_be_p(x + 8, z[1]);
}

static void ghash(const uint8_t *h, uint8_t *hash, const uint8_t *data,
                  size_t len)
{
    absorb(hash, data, len, gf_multiply, h);
}

static bool run_gcm(const HisiSec2Aead *a, uint8_t *mac)
{
    uint8_t *text = a->data + a->aad_len;
    uint8_t h[BLOCK] = { 0 }, counter[BLOCK], lengths[BLOCK];
    HisiSec2Block c;

    memcpy(counter, a->iv, GCM_NONCE);
    stl_be_p(counter + GCM_NONCE, 2);
    if (a->encrypt && !stream(a, counter, text, a->len)) {
        return false;
    }
    hisi_sec2_block_init(&c, a->alg, true, a->key, a->key_len);
    hisi_sec2_block(&c, h);
    memset(mac, 0, BLOCK);
    ghash(h, mac, a->data, a->aad_len);
    ghash(h, mac, text, a->len);
    stq_be_p(lengths, a->aad_len * 8);
    stq_be_p(lengths + 8, a->len * 8);
    ghash(h, mac, lengths, BLOCK);
    if (!a->encrypt && !stream(a, counter, text, a->len)) {
        return false;
    }
    stl_be_p(counter + GCM_NONCE, 1);
    hisi_sec2_block(&c, counter);
    hisi_sec2_xor(mac, counter, BLOCK);
    return true;
}

static bool run_hmac(const HisiSec2Aead *a, uint8_t *mac)
{
    QCryptoHashAlgo alg = a->hash == HISI_SEC2_HMAC_SHA1
                              ? QCRYPTO_HASH_ALGO_SHA1
                          : a->hash == HISI_SEC2_HMAC_SHA256
                              ? QCRYPTO_HASH_ALGO_SHA256
                              : QCRYPTO_HASH_ALGO_SHA512;
    g_autoptr(QCryptoHmac) hmac = NULL;
    g_autofree uint8_t *digest = NULL;
    size_t digest_len = 0;

    hmac = qcrypto_hmac_new(alg, a->mac_key, a->mac_key_len, NULL);
    if (!hmac ||
        qcrypto_hmac_bytes(hmac, (const char *)a->data, a->aad_len + a->len,
                           &digest, &digest_len, NULL) < 0 ||
        a->mac_len > digest_len) {
        return false;
    }
    memcpy(mac, digest, a->mac_len);
    return true;
}

static bool run_authenc(const HisiSec2Aead *a, uint8_t *mac)
{
    uint8_t *text = a->data + a->aad_len;

    if (!a->encrypt && !run_hmac(a, mac)) {
        return false;
    }
    if (a->len && !hisi_sec2_crypt(a->alg, a->mode, a->encrypt, a->key,
                                   a->key_len, a->iv, text, a->len)) {
        return false;
    }
    return !a->encrypt || run_hmac(a, mac);
}

/*
 * Works in place; @mac, which has HISI_SEC2_MAX_MAC bytes, is computed in
 * both directions and not compared. False if the lengths do not fit.
 */
bool hisi_sec2_aead(const HisiSec2Aead *a, uint8_t *mac)
{
    if (a->hash != HISI_SEC2_NO_HASH) {
        return run_authenc(a, mac);
    }
    if (a->mac_len > BLOCK) {
        return false;
    }
    return a->mode == HISI_SEC2_CCM ? run_ccm(a, mac) : run_gcm(a, mac);
}
