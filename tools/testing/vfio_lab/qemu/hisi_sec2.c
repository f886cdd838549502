/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: SEC2, the cipher engine
 *
 * Requests are 128-byte buffer descriptors of type 3, the only type that
 * hardware version V3 is given.
 */

#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "qemu/module.h"
#include "hisi_acc.h"

#define TYPE_HISI_SEC2      "hisi-sec2"
#define TYPE_HISI_SEC2_VF   "hisi-sec2-vf"

/* type 3:0, own destination 9, buffer type: source 13:11, destination 16:14 */
#define BD_PARAM            0
#define BD_CIPHER           4       /* direction 1:0, key length 15:13 */
#define BD_MODE_ALG         6       /* mode 3:0, algorithm 7:4 */
#define BD_SRC              16
#define BD_KEY              48
#define BD_AUTH             56      /* authentication 1:0 */
#define BD_CIPHER_OFFSET    66
#define BD_CIPHER_LEN       72
#define BD_DST              76
#define BD_IV               92
#define BD_DONE             112     /* done b0, flag 10:7 */
#define BD_ERROR            114
#define BD_RESULT_LEN       4

#define BD_TYPE3            3
#define BD_OWN_DST          BIT(9)
#define CIPHER_ENCRYPT      1
#define CIPHER_DECRYPT      2
#define ALG_AES             2
#define DONE                BIT(0)
#define FLAG_CIPHER         (2 << 7)

/* The drivers only ask whether the error type is 0: the values are ours */
enum {
    SEC_OK,
    SEC_ERR_REQUEST,
    SEC_ERR_LENGTH,
    SEC_ERR_READ,
    SEC_ERR_WRITE,
};

#define ALG_ECB_AES         BIT_ULL(0)
#define ALG_CBC_AES         BIT_ULL(1)
#define ALG_CTR_AES         BIT_ULL(2)
#define ALG_XTS_AES         BIT_ULL(3)
#define ALG_ALL             (ALG_ECB_AES | ALG_CBC_AES | ALG_CTR_AES | \
                             ALG_XTS_AES)

typedef struct CipherJob {
    enum HisiSec2Mode mode;
    bool encrypt;
    unsigned key_len;               /* of one AES key */
    uint8_t key[64];
    uint8_t iv[16];
    enum HisiAccBuffer src_type;
    enum HisiAccBuffer dst_type;
    uint64_t src;
    uint64_t dst;
    unsigned offset;
    size_t len;
} CipherJob;

static bool buffer_type(unsigned value, enum HisiAccBuffer *type)
{
    *type = value ? HISI_ACC_SGL : HISI_ACC_FLAT;
    return value <= 1;
}

static bool job_mode(const HisiAccFunc *f, unsigned mode)
{
    uint64_t algs = hisi_acc_algs(f);

    switch (mode) {
    case HISI_SEC2_ECB:
        return algs & ALG_ECB_AES;
    case HISI_SEC2_CBC:
        return algs & ALG_CBC_AES;
    case HISI_SEC2_CTR:
        return algs & ALG_CTR_AES;
    case HISI_SEC2_XTS:
        return algs & ALG_XTS_AES;
    }
    return false;
}

static bool job_parse(HisiAccFunc *f, const uint8_t *bd, CipherJob *job)
{
    uint32_t param = ldl_le_p(bd + BD_PARAM);
    uint16_t cipher = lduw_le_p(bd + BD_CIPHER);
    unsigned direction = extract32(cipher, 0, 2);
    unsigned key = extract32(cipher, 13, 3);

    job->mode = extract32(bd[BD_MODE_ALG], 0, 4);
    job->encrypt = direction == CIPHER_ENCRYPT;
    job->key_len = 16 + 8 * key;
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
    return extract32(param, 0, 4) == BD_TYPE3 &&
           (job->encrypt || direction == CIPHER_DECRYPT) &&
           extract32(bd[BD_MODE_ALG], 4, 4) == ALG_AES && key <= 2 &&
           extract32(ldl_le_p(bd + BD_AUTH), 0, 2) == 0 &&
           job_mode(f, job->mode);
}

static int job_run(HisiAccFunc *f, const uint8_t *bd)
{
    g_autofree uint8_t *data = NULL;
    CipherJob job = { 0 };
    unsigned keys;

    if (!job_parse(f, bd, &job)) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_BD, ldq_le_p(bd + BD_PARAM));
        return SEC_ERR_REQUEST;
    }
    keys = job.mode == HISI_SEC2_XTS ? 2 : 1;
    data = g_try_malloc(job.len);
    if (!data) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_BD, job.len);
        return SEC_ERR_LENGTH;
    }
    if (!hisi_acc_dma_read(f, ldq_le_p(bd + BD_KEY), job.key,
                           keys * job.key_len) ||
        (job.mode != HISI_SEC2_ECB &&
         !hisi_acc_dma_read(f, ldq_le_p(bd + BD_IV), job.iv,
                            sizeof(job.iv))) ||
        !hisi_acc_gather(f, job.src_type, job.src, job.offset, data,
                         job.len)) {
        return SEC_ERR_READ;
    }
    if (!hisi_sec2_aes(job.mode, job.encrypt, job.key, job.key_len, job.iv,
                       data, job.len)) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_BD, job.len);
        return SEC_ERR_LENGTH;
    }
    if (!hisi_acc_scatter(f, job.dst_type, job.dst, job.offset, data,
                          job.len)) {
        return SEC_ERR_WRITE;
    }
    return SEC_OK;
}

/* The next IV is the driver's to compute; the tag stays as it is */
static void sec2_process(HisiAccFunc *f, unsigned alg_type, uint8_t *bd,
                         unsigned *first, unsigned *length)
{
    int error = job_run(f, bd);

    if (error != SEC_OK) {
        hisi_acc_count(f, HISI_ACC_EV_FAILED, 1);
    }
    stw_le_p(bd + BD_DONE, DONE | FLAG_CIPHER);
    bd[BD_ERROR] = error;
    bd[BD_ERROR + 1] = 0;
    *first = BD_DONE;
    *length = BD_RESULT_LEN;
}

/* Error masks and cores, as the drivers' own tables have them for V3 */
static const HisiAccCap sec2_caps[] = {
    { 0x3124, 0x7c77 },
    { 0x3128, 0x6c77 },
    { 0x312c, 0x8 },
    { 0x3130, 0x60177 },
    { 0x3134, 0x177 },
    { 0x3138, 0xc088 },
    { 0x313c, 0x110404 },
    { 0x3140, 0xf },
    { 0 }
};

static const HisiAccRange sec2_ranges[] = {
    { 0x301000, 0x301270, false },
    { 0x301000, 0x301000, true },       /* error mask */
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
    .name = TYPE_HISI_SEC2,
    .vf_type = TYPE_HISI_SEC2_VF,
    .vf_device_id = 0xa256,
    .sqe_size = 128,
    .known_algs = ALG_ALL,
    .default_algs = ALG_ALL,
    .caps = sec2_caps,
    .alg_cap_first = 0x3144,            /* driver, device and four cores */
    .alg_cap_last = 0x3170,
    .alg_cap_pairs = true,
    .ranges = sec2_ranges,
    .inits = sec2_inits,
    .int_source = 0x301010,
    .int_status = 0x301008,
    .process = sec2_process,
};

static void sec2_class_init(ObjectClass *class, void *data)
{
    HISI_ACC_FUNC_CLASS(class)->engine = &sec2_engine;
    PCI_DEVICE_CLASS(class)->device_id = 0xa255;
    DEVICE_CLASS(class)->desc = "HiSilicon SEC2 accelerator (PF)";
}

static void sec2_vf_class_init(ObjectClass *class, void *data)
{
    HISI_ACC_FUNC_CLASS(class)->engine = &sec2_engine;
    PCI_DEVICE_CLASS(class)->device_id = 0xa256;
    DEVICE_CLASS(class)->desc = "HiSilicon SEC2 accelerator (VF)";
}

static const TypeInfo sec2_types[] = {
    {
        .name = TYPE_HISI_SEC2,
        .parent = TYPE_HISI_ACC_PF,
        .class_init = sec2_class_init,
    },
    {
        .name = TYPE_HISI_SEC2_VF,
        .parent = TYPE_HISI_ACC_VF,
        .class_init = sec2_vf_class_init,
    },
};

DEFINE_TYPES(sec2_types)
