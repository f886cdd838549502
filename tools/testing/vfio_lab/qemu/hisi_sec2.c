/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: SEC2, the cipher engine
 *
 * Requests are 128-byte buffer descriptors of type 3, the only type that
 * hardware version V3 is given.
 */

#include "qemu/osdep.h"
#include "qemu/module.h"
#include "hisi_acc_engine.h"
#include "hisi_sec2.h"

/* type 3:0, own destination 9, buffer type: source 13:11, destination 16:14 */
#define BD_PARAM            0
#define BD_CIPHER           4       /* direction 1:0, ICV 9:4, key 15:13 */
#define BD_MODE_ALG         6       /* mode 3:0, algorithm 7:4 */
#define BD_ORDER            7       /* authenticate first 6 */
#define BD_SRC              16
#define BD_MAC_KEY          24
#define BD_MAC_IV           32
#define BD_KEY              48
#define BD_AUTH             56      /* 1:0, in words: MAC 8:4, key 14:9 */
#define BD_AUTH_OFFSET      64
#define BD_CIPHER_OFFSET    66
#define BD_AUTH_LEN         68
#define BD_CIPHER_LEN       72
#define BD_DST              76
#define BD_MAC              84
#define BD_IV               92
#define BD_DONE             112     /* done b0, ICV 3:1, flag 10:7 */
#define BD_ERROR            114
#define BD_RESULT_LEN       4

#define BD_TYPE3            3
#define BD_OWN_DST          BIT(9)
#define CIPHER_ENCRYPT      1
#define CIPHER_DECRYPT      2
#define AUTH_AFTER          1       /* of the cipher text that comes out */
#define AUTH_BEFORE         2       /* of the cipher text that comes in */
#define ORDER_AUTH_FIRST    BIT(6)
#define DONE                BIT(0)
#define ICV_MISMATCH        (2 << 1)
#define FLAG_CIPHER         (2 << 7)
#define FLAG_AEAD           (3 << 7)

#define MAX_MAC_KEY         252     /* 63 words */

/* The drivers compare the error with 0: the other values are the model's */
enum {
    SEC_OK,
    SEC_ERR_REQUEST,
    SEC_ERR_LENGTH,
    SEC_ERR_READ,
    SEC_ERR_WRITE,
    SEC_BAD_ICV,                    /* not an error, see sec2_finish() */
};

typedef struct SecAlg {
    enum HisiSec2Alg alg;
    enum HisiSec2Mode mode;
    enum HisiSec2Hash hash;
    unsigned bit;                   /* in the bitmap of algorithms */
} SecAlg;

static const SecAlg algs[] = {
    { HISI_SEC2_AES, HISI_SEC2_ECB, HISI_SEC2_NO_HASH, 0 },
    { HISI_SEC2_AES, HISI_SEC2_CBC, HISI_SEC2_NO_HASH, 1 },
    { HISI_SEC2_AES, HISI_SEC2_CTR, HISI_SEC2_NO_HASH, 2 },
    { HISI_SEC2_AES, HISI_SEC2_XTS, HISI_SEC2_NO_HASH, 3 },
    { HISI_SEC2_AES, HISI_SEC2_CCM, HISI_SEC2_NO_HASH, 6 },
    { HISI_SEC2_AES, HISI_SEC2_GCM, HISI_SEC2_NO_HASH, 7 },
    { HISI_SEC2_SM4, HISI_SEC2_CBC, HISI_SEC2_NO_HASH, 12 },
    { HISI_SEC2_SM4, HISI_SEC2_CTR, HISI_SEC2_NO_HASH, 13 },
    { HISI_SEC2_SM4, HISI_SEC2_XTS, HISI_SEC2_NO_HASH, 14 },
    { HISI_SEC2_SM4, HISI_SEC2_CCM, HISI_SEC2_NO_HASH, 17 },
    { HISI_SEC2_SM4, HISI_SEC2_GCM, HISI_SEC2_NO_HASH, 18 },
    { HISI_SEC2_3DES, HISI_SEC2_ECB, HISI_SEC2_NO_HASH, 23 },
    { HISI_SEC2_3DES, HISI_SEC2_CBC, HISI_SEC2_NO_HASH, 24 },
    { HISI_SEC2_AES, HISI_SEC2_CBC, HISI_SEC2_HMAC_SHA1, 43 },
    { HISI_SEC2_AES, HISI_SEC2_CBC, HISI_SEC2_HMAC_SHA256, 44 },
    { HISI_SEC2_AES, HISI_SEC2_CBC, HISI_SEC2_HMAC_SHA512, 45 },
};

/* The bits of this table; a constant, as the engine's table is one */
#define ALG_ALL             0x3800018670cfull

/* Bytes that are computed within a millisecond; 32 KiB of GCM take 1.7 ms */
#define BRIEF               (16 * KiB)

typedef struct SecJob {
    HisiAccJob common;
    int error;
    bool valid;                     /* data and lengths that the mode takes */
    const SecAlg *alg;
    bool aead;
    bool encrypt;
    unsigned key_len;               /* of one key */
    unsigned mac_key_len;
    unsigned mac_len;
    uint8_t key[64];
    uint8_t mac_key[MAX_MAC_KEY];
    uint8_t iv[HISI_SEC2_BLOCK];
    uint8_t mac_iv[HISI_SEC2_BLOCK];
    uint8_t mac[HISI_SEC2_MAX_MAC];
    enum HisiAccBuffer src_type;
    enum HisiAccBuffer dst_type;
    uint64_t src;
    uint64_t dst;
    unsigned offset;                /* of authenticated data, then text */
    size_t aad_len;
    size_t len;
} SecJob;

static bool buffer_type(unsigned value, enum HisiAccBuffer *type)
{
    *type = value ? HISI_ACC_SGL : HISI_ACC_FLAT;
    return value <= 1;
}

static const SecAlg *find_alg(HisiAccFunc *f, unsigned mode_alg, unsigned hash)
{
    for (unsigned i = 0; i < ARRAY_SIZE(algs); i++) {
        if (algs[i].mode == extract32(mode_alg, 0, 4) &&
            algs[i].alg == extract32(mode_alg, 4, 4) && algs[i].hash == hash &&
            hisi_acc_algs(f) & BIT_ULL(algs[i].bit)) {
            return &algs[i];
        }
    }
    return NULL;
}

/* The key length by its number in the request; 0 if there is none */
static unsigned key_length(enum HisiSec2Alg alg, unsigned number)
{
    switch (alg) {
    case HISI_SEC2_AES:
        return number <= 2 ? 16 + 8 * number : 0;
    case HISI_SEC2_SM4:
        return number == 0 ? 16 : 0;
    case HISI_SEC2_3DES:
        return number == 1 ? 24 : number == 3 ? 16 : 0;
    }
    return 0;
}

/* Authenticated data stands right before the text, and the order is fixed */
static bool job_parse_aead(const uint8_t *bd, SecJob *job)
{
    uint32_t auth = ldl_le_p(bd + BD_AUTH);
    size_t auth_len = extract32(ldl_le_p(bd + BD_AUTH_LEN), 0, 24);
    bool first = bd[BD_ORDER] & ORDER_AUTH_FIRST;

    job->offset = lduw_le_p(bd + BD_AUTH_OFFSET);
    if (job->alg->hash != HISI_SEC2_NO_HASH) {
        job->mac_len = extract32(auth, 4, 5) * 4;
        job->mac_key_len = extract32(auth, 9, 6) * 4;
        if (auth_len < job->len ||
            extract32(auth, 0, 2) != (job->encrypt ? AUTH_AFTER
                                                   : AUTH_BEFORE)) {
            return false;
        }
        auth_len -= job->len;
    } else {
        job->mac_len = extract32(lduw_le_p(bd + BD_CIPHER), 4, 6);
    }
    job->aad_len = auth_len;
    return job->mac_len && job->mac_len <= HISI_SEC2_MAX_MAC &&
           first != job->encrypt &&
           lduw_le_p(bd + BD_CIPHER_OFFSET) == job->offset + job->aad_len;
}

static bool job_parse(HisiAccFunc *f, const uint8_t *bd, SecJob *job)
{
    uint32_t param = ldl_le_p(bd + BD_PARAM);
    uint16_t cipher = lduw_le_p(bd + BD_CIPHER);
    uint32_t auth = ldl_le_p(bd + BD_AUTH);
    unsigned direction = extract32(cipher, 0, 2);
    unsigned hash = extract32(auth, 0, 2) ? extract32(auth, 15, 6) : 0;

    job->alg = find_alg(f, bd[BD_MODE_ALG], hash);
    if (!job->alg || extract32(param, 0, 4) != BD_TYPE3) {
        return false;
    }
    job->aead = hash || job->alg->mode == HISI_SEC2_CCM ||
                job->alg->mode == HISI_SEC2_GCM;
    job->encrypt = direction == CIPHER_ENCRYPT;
    job->key_len = key_length(job->alg->alg, extract32(cipher, 13, 3));
    job->src = ldq_le_p(bd + BD_SRC);
    job->offset = lduw_le_p(bd + BD_CIPHER_OFFSET);
    job->len = extract32(ldl_le_p(bd + BD_CIPHER_LEN), 0, 24);

    if (!buffer_type(extract32(param, 11, 3), &job->src_type) ||
        !buffer_type(extract32(param, 14, 3), &job->dst_type)) {
        return false;
    }
    if (param & BD_OWN_DST) {
        job->dst = ldq_le_p(bd + BD_DST);
    } else {
        job->dst = job->src;
        job->dst_type = job->src_type;
    }
    return (job->encrypt || direction == CIPHER_DECRYPT) && job->key_len &&
           (!job->aead || job_parse_aead(bd, job));
}

/* Keys and all that begins a chain; what a mode does not use is not read */
static bool job_read_keys(HisiAccFunc *f, const uint8_t *bd, SecJob *job)
{
    enum HisiSec2Mode mode = job->alg->mode;
    unsigned keys = mode == HISI_SEC2_XTS ? 2 : 1;
    unsigned iv_len = mode == HISI_SEC2_GCM ? 12
                      : job->alg->alg == HISI_SEC2_3DES ? 8 : HISI_SEC2_BLOCK;

    return hisi_acc_dma_read(f, ldq_le_p(bd + BD_KEY), job->key,
                             keys * job->key_len) &&
           (mode == HISI_SEC2_ECB ||
            hisi_acc_dma_read(f, ldq_le_p(bd + BD_IV), job->iv, iv_len)) &&
           (mode != HISI_SEC2_CCM ||
            hisi_acc_dma_read(f, ldq_le_p(bd + BD_MAC_IV), job->mac_iv,
                              HISI_SEC2_BLOCK)) &&
           (!job->mac_key_len ||
            hisi_acc_dma_read(f, ldq_le_p(bd + BD_MAC_KEY), job->mac_key,
                              job->mac_key_len));
}

static void sec2_compute(HisiAccJob *common)
{
    SecJob *job = container_of(common, SecJob, common);
    HisiSec2Aead aead = {
        .alg = job->alg->alg,
        .mode = job->alg->mode,
        .hash = job->alg->hash,
        .encrypt = job->encrypt,
        .key = job->key,
        .key_len = job->key_len,
        .mac_key = job->mac_key,
        .mac_key_len = job->mac_key_len,
        .iv = job->iv,
        .mac_iv = job->mac_iv,
        .data = common->in,
        .aad_len = job->aad_len,
        .len = job->len,
        .mac_len = job->mac_len,
    };

    job->valid = job->aead
                 ? hisi_sec2_aead(&aead, job->mac)
                 : hisi_sec2_crypt(job->alg->alg, job->alg->mode, job->encrypt,
                                   job->key, job->key_len, job->iv, common->in,
                                   job->len);
}

/* Text whose MAC does not match stays in the device */
static int job_write(HisiAccFunc *f, const uint8_t *bd, const SecJob *job)
{
    uint64_t mac_addr = ldq_le_p(bd + BD_MAC);
    uint8_t given[HISI_SEC2_MAX_MAC];

    if (!job->valid) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_BD, job->len);
        return SEC_ERR_LENGTH;
    }
    if (job->aead && !job->encrypt) {
        if (!hisi_acc_dma_read(f, mac_addr, given, job->mac_len)) {
            return SEC_ERR_READ;
        }
        if (memcmp(given, job->mac, job->mac_len)) {
            return SEC_BAD_ICV;
        }
    }
    if (!hisi_acc_scatter(f, job->dst_type, job->dst,
                          job->offset + job->aad_len,
                          job->common.in + job->aad_len, job->len) ||
        (job->aead && job->encrypt &&
         !hisi_acc_dma_write(f, mac_addr, job->mac, job->mac_len))) {
        return SEC_ERR_WRITE;
    }
    return SEC_OK;
}

static int job_read(HisiAccFunc *f, const uint8_t *bd, SecJob *job)
{
    if (!job_parse(f, bd, job)) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_BD, ldq_le_p(bd + BD_PARAM));
        return SEC_ERR_REQUEST;
    }
    job->common.in = g_try_malloc(job->aad_len + job->len + 1);
    if (!job->common.in) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_BD, job->len);
        return SEC_ERR_LENGTH;
    }
    if (!job_read_keys(f, bd, job) ||
        !hisi_acc_gather(f, job->src_type, job->src, job->offset,
                         job->common.in, job->aad_len + job->len)) {
        return SEC_ERR_READ;
    }
    return SEC_OK;
}

static bool sec2_begin(HisiAccFunc *f, unsigned alg_type, const uint8_t *bd,
                       HisiAccJob *common)
{
    SecJob *job = container_of(common, SecJob, common);

    job->error = job_read(f, bd, job);
    common->lengthy = job->aad_len + job->len > BRIEF;
    return job->error == SEC_OK;
}

/* The next IV is the driver's to compute; the tag stays as it is */
static void sec2_finish(HisiAccFunc *f, HisiAccJob *common, uint8_t *bd,
                        unsigned *first, unsigned *length)
{
    SecJob *job = container_of(common, SecJob, common);
    int error = job->error == SEC_OK ? job_write(f, bd, job) : job->error;
    uint16_t done = DONE | (job->aead ? FLAG_AEAD : FLAG_CIPHER);

    if (error == SEC_BAD_ICV) {
        done |= ICV_MISMATCH;
        error = SEC_OK;
    }
    if (error != SEC_OK) {
        hisi_acc_count(f, HISI_ACC_EV_FAILED, 1);
    }
    stw_le_p(bd + BD_DONE, done);
    bd[BD_ERROR] = error;
    bd[BD_ERROR + 1] = 0;
    *first = BD_DONE;
    *length = BD_RESULT_LEN;
}

static const HisiAccRange sec2_ranges[] = {
    { 0x301000, 0x301270, false },
    { 0x301014, 0x301014, true },
    { 0x301050, 0x301058, true },
    { 0x301120, 0x301120, true },
    { 0x30112c, 0x301130, true },
    { 0x301200, 0x301224, true },       /* control, clock gates, SMMU */
    { 0x301270, 0x301270, true },
    { 0x301380, 0x30138c, true },
    { 0x301600, 0x301710, false },
    { 0x301c00, 0x301ee4, false },
    { 0x302100, 0x302da8, false },
    { 0x302110, 0x30212c, true },
    { 0x302220, 0x302224, true },
    { 0 }
};

static const HisiAccInit sec2_inits[] = {
    { 0x301100, 0x301104, 1 },
    { 0 }
};

static const HisiAccEngine sec2_engine = {
    .name = "hisi-sec2",
    .vf_type = "hisi-sec2-vf",
    .title = "SEC2",
    .device_id = 0xa255,
    .class_id = 0x1000,                /* encryption device */
    .sqe_size = 128,
    .known_algs = ALG_ALL,
    .default_algs = ALG_ALL,
    /* as the drivers' own tables have them for V3 */
    .caps = {
        [HISI_ACC_CAP_QM_ERRORS] = 0x7c77,
        [HISI_ACC_CAP_QM_RESET] = 0x6c77,
        [HISI_ACC_CAP_QM_CORRECTED] = 0x8,
        [HISI_ACC_CAP_ERRORS] = 0x60177,
        [HISI_ACC_CAP_RESET] = 0x177,
        [HISI_ACC_CAP_CORRECTED] = 0xc088,
        [HISI_ACC_CAP_CORES] = 0x110404,
        [HISI_ACC_CAP_CORES_ENABLED] = 0xf,
    },
    .alg_cap_last = 0x3170,            /* driver, device and four cores */
    .alg_cap_pairs = true,
    .ranges = sec2_ranges,
    .inits = sec2_inits,
    .int_source = 0x301010,
    .int_status = 0x301008,
    .int_mask = 0x301000,
    .int_mask_enables = true,
    .int_shutdown = 0x301014,
    .shutdown_control = 0x301200,
    .shutdown_enable = BIT(12),
    .read_error = BIT(0),
    .write_error = BIT(1),
    .job_size = sizeof(SecJob),
    .begin = sec2_begin,
    .compute = sec2_compute,
    .finish = sec2_finish,
};

static void sec2_register(void)
{
    hisi_acc_engine_register(&sec2_engine);
}

type_init(sec2_register)
