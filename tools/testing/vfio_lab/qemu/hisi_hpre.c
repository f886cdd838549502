/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: HPRE, the engine for public keys
 *
 * A request is 64 bytes and points to a key, an input and an output of numbers
 * in big-endian fields of one size, that of the modulus.
 */

#include "qemu/osdep.h"
#include "qemu/module.h"
#include "hisi_acc_engine.h"
#include "hisi_hpre.h"

#define SQE_DW0             0       /* algorithm 4:0, error 15:5, done 31:30 */
#define SQE_SIZE            4       /* of a field in 8 bytes, less one */
#define SQE_KEY             8
#define SQE_IN              16
#define SQE_OUT             24
#define SQE_RESULT_LEN      4

#define DONE                3
#define QUEUE_RSA           0       /* what the context says of the queue */
#define QUEUE_ECC           1

#define MAX_FIELD           512     /* RSA and DH with 4096 bits */
#define MAX_KEY_FIELDS      4
#define MAX_POINT_FIELDS    2

/* The drivers compare the error with 0: the other values are the model's */
enum {
    HPRE_OK,
    HPRE_ERR_REQUEST,
    HPRE_ERR_SIZE,
    HPRE_ERR_NUMBERS,
    HPRE_ERR_READ,
    HPRE_ERR_WRITE,
};

#define ALG_RSA             BIT(0)
#define ALG_DH              BIT(1)
#define ALG_ECDH            BIT(2)
#define ALG_X25519          BIT(5)
#define ALG_ALL             (ALG_RSA | ALG_DH | ALG_ECDH | ALG_X25519)

/* d and n, or x and p: the exponent, then the modulus */
static bool run_power(const uint8_t *in, const uint8_t *key, size_t size,
                      uint8_t *out)
{
    return hisi_hpre_power(in, key, key + size, size, out);
}

/* Base 2, and the input's address is none */
static bool run_power_of_two(const uint8_t *in, const uint8_t *key, size_t size,
                             uint8_t *out)
{
    uint8_t two[MAX_FIELD] = { 0 };

    two[size - 1] = 2;
    return hisi_hpre_power(two, key, key + size, size, out);
}

typedef struct HpreOp {
    uint8_t code;
    uint8_t queue;
    uint8_t alg;
    uint8_t key_halves;             /* half a field each */
    uint8_t in_fields;
    uint8_t out_fields;
    uint16_t sizes[4];              /* of a field in bytes; none: any */
    bool (*run)(const uint8_t *in, const uint8_t *key, size_t size,
                uint8_t *out);
} HpreOp;

static const HpreOp ops[] = {
    { 0x00, QUEUE_RSA, ALG_RSA, 4, 1, 1, { 0 }, run_power },
    { 0x01, QUEUE_RSA, ALG_RSA, 5, 1, 1, { 0 }, hisi_hpre_crt },
    { 0x04, QUEUE_RSA, ALG_DH, 4, 0, 1, { 0 }, run_power_of_two },
    { 0x05, QUEUE_RSA, ALG_DH, 4, 1, 1, { 0 }, run_power },
    /* up to 256, 384 and 576 bits: shorter curves fill with zeros */
    { 0x0d, QUEUE_ECC, ALG_ECDH, 8, 2, 2, { 32, 48, 72 }, hisi_hpre_ecc },
    { 0x10, QUEUE_ECC, ALG_X25519, 6, 1, 1, { 32 }, hisi_hpre_montgomery },
};

static const HpreOp *find_op(HisiAccFunc *f, unsigned alg_type,
                             const uint8_t *sqe)
{
    unsigned code = extract32(ldl_le_p(sqe + SQE_DW0), 0, 5);

    for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
        if (ops[i].code == code && ops[i].queue == alg_type &&
            hisi_acc_algs(f) & ops[i].alg) {
            return &ops[i];
        }
    }
    return NULL;
}

static bool size_fits(const HpreOp *op, size_t size)
{
    if (!op->sizes[0]) {
        return size <= MAX_FIELD;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(op->sizes); i++) {
        if (op->sizes[i] == size) {
            return true;
        }
    }
    return false;
}

/* A field of a modulus with which a result takes less than a millisecond */
#define BRIEF               128

typedef struct HpreJob {
    HisiAccJob common;
    int error;
    const HpreOp *op;
    size_t size;
    uint8_t key[MAX_KEY_FIELDS * MAX_FIELD];
    uint8_t in[MAX_POINT_FIELDS * MAX_FIELD];
    uint8_t out[MAX_POINT_FIELDS * MAX_FIELD];
} HpreJob;

static int job_read(HisiAccFunc *f, unsigned alg_type, const uint8_t *sqe,
                    HpreJob *job)
{
    const HpreOp *op = find_op(f, alg_type, sqe);
    size_t size = (sqe[SQE_SIZE] + 1) * 8;

    job->op = op;
    job->size = size;
    if (!op) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_BD, ldl_le_p(sqe + SQE_DW0));
        return HPRE_ERR_REQUEST;
    }
    if (!size_fits(op, size)) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_BD, size);
        return HPRE_ERR_SIZE;
    }
    if (!hisi_acc_dma_read(f, ldq_le_p(sqe + SQE_KEY), job->key,
                           op->key_halves * size / 2) ||
        (op->in_fields &&
         !hisi_acc_dma_read(f, ldq_le_p(sqe + SQE_IN), job->in,
                            op->in_fields * size))) {
        return HPRE_ERR_READ;
    }
    return HPRE_OK;
}

static bool hpre_begin(HisiAccFunc *f, unsigned alg_type, const uint8_t *sqe,
                       HisiAccJob *common)
{
    HpreJob *job = container_of(common, HpreJob, common);

    job->error = job_read(f, alg_type, sqe, job);
    common->lengthy = alg_type == QUEUE_ECC || job->size > BRIEF;
    return job->error == HPRE_OK;
}

static void hpre_compute(HisiAccJob *common)
{
    HpreJob *job = container_of(common, HpreJob, common);

    if (!job->op->run(job->in, job->key, job->size, job->out)) {
        job->error = HPRE_ERR_NUMBERS;
    }
}

static void hpre_finish(HisiAccFunc *f, HisiAccJob *common, uint8_t *sqe,
                        unsigned *first, unsigned *length)
{
    HpreJob *job = container_of(common, HpreJob, common);
    uint32_t dw0 = ldl_le_p(sqe + SQE_DW0);
    int error = job->error;

    if (error == HPRE_OK &&
        !hisi_acc_dma_write(f, ldq_le_p(sqe + SQE_OUT), job->out,
                            job->op->out_fields * job->size)) {
        error = HPRE_ERR_WRITE;
    }
    if (error != HPRE_OK) {
        hisi_acc_count(f, HISI_ACC_EV_FAILED, 1);
    }
    dw0 = deposit32(dw0, 5, 11, error);
    stl_le_p(sqe + SQE_DW0, deposit32(dw0, 30, 2, DONE));
    *first = SQE_DW0;
    *length = SQE_RESULT_LEN;
}

#define CORES 0x3ff

static const HisiAccRange hpre_ranges[] = {
    { 0x301000, 0x30115c, false },
    { 0x301000, 0x301044, true },       /* caches, users of the bus, types */
    { 0x301130, 0x301130, true },
    { 0x301400, 0x301500, false },
    { 0x301410, 0x301418, true },
    { 0x301600, 0x301600, false },
    { 0x301800, 0x301800, false },
    { 0x301a00, 0x301a3c, false },
    { 0x301a10, 0x301a10, true },       /* clock gates, timeout, shutdown */
    { 0x301a2c, 0x301a3c, true },
    { 0x302000, 0x302108, false },      /* the cluster */
    { 0x302004, 0x302010, true },
    { 0x302088, 0x302088, true },
    { 0x302100, 0x302100, true },
    { 0 }
};

static const HisiAccInit hpre_inits[] = {
    { 0x301014, 0x301a00, 1 },
    { 0x302020, 0x302080, CORES },
    { 0 }
};

static const HisiAccEngine hpre_engine = {
    .name = "hisi-hpre",
    .vf_type = "hisi-hpre-vf",
    .title = "HPRE",
    .device_id = 0xa258,
    .class_id = 0x1000,                /* encryption device */
    .sqe_size = 64,
    .known_algs = ALG_ALL,
    .default_algs = ALG_ALL,
    /* as the drivers' own tables have them for V3 */
    .caps = {
        [HISI_ACC_CAP_QM_ERRORS] = 0x7c37,
        [HISI_ACC_CAP_QM_RESET] = 0x6c37,
        [HISI_ACC_CAP_QM_CORRECTED] = 0x8,
        [HISI_ACC_CAP_ERRORS] = 0x1fffc3e,
        [HISI_ACC_CAP_RESET] = 0xbffc3e,
        [HISI_ACC_CAP_CORRECTED] = 0x1,
        /* one cluster of ten cores */
        [HISI_ACC_CAP_CORES] = 0x120a0a,
        [HISI_ACC_CAP_CORES_ENABLED] = CORES,
    },
    .alg_cap_last = 0x3170,            /* driver, device and ten cores */
    .ranges = hpre_ranges,
    .inits = hpre_inits,
    .int_source = 0x301600,
    .int_status = 0x301800,
    .int_mask = 0x301400,
    .int_set = 0x301500,
    .int_shutdown = 0x301a3c,
    .shutdown_control = 0x301044,
    .shutdown_enable = BIT(0),
    .read_error = BIT(10),
    .write_error = BIT(16),
    .job_size = sizeof(HpreJob),
    .begin = hpre_begin,
    .compute = hpre_compute,
    .finish = hpre_finish,
};

static void hpre_register(void)
{
    hisi_acc_engine_register(&hpre_engine);
}

type_init(hpre_register)
