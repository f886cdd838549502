/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: ZIP, the compression engine
 *
 * A request is 128 bytes and says what to do with which data, but not in which
 * direction: that is a property of its queue.
 */

#include "qemu/osdep.h"
#include "qemu/module.h"
#include "hisi_acc_engine.h"
#include "hisi_zip.h"
#include <zlib.h>

#define SQE_CONSUMED        0
#define SQE_PRODUCED        4
#define SQE_STATUS          12      /* 7:0 */
#define SQE_RESULT_LEN      16
#define SQE_INPUT_LEN       16
#define SQE_DW7             28      /* offset 23:0, stream 26, type 31:28 */
#define SQE_DW8             32      /* offset of the output 23:0 */
#define SQE_DW9             36      /* request 7:0, buffer 11:8, window 15:12 */
#define SQE_OUTPUT_LEN      56
#define SQE_SRC             72
#define SQE_DST             80

#define SQE_TYPE3           3
#define SQE_STREAM          BIT(26)
#define QUEUE_COMPRESS      0
#define QUEUE_DECOMPRESS    1

/* What one request may bring and take; more than any user of the drivers has */
#define MAX_DATA            (16 * MiB)

enum {
    REQ_DEFLATE = 1,
    REQ_ZLIB = 2,
    REQ_GZIP = 3,
    REQ_LZ4 = 4,
};

/* The drivers know 0 and "not smaller": the other values are the model's */
enum {
    ZIP_OK,
    ZIP_ERR_FULL = 0x01,
    ZIP_ERR_REQUEST = 0x02,
    ZIP_ERR_LENGTH = 0x03,
    ZIP_ERR_READ = 0x04,
    ZIP_ERR_WRITE = 0x05,
    ZIP_NOT_SMALLER = 0x0d,
    ZIP_ERR_DATA = 0x10,
};

/* Two bits each: compression, then decompression */
#define ALG_ZLIB_SHIFT      0
#define ALG_GZIP_SHIFT      2
#define ALG_DEFLATE_SHIFT   4
#define ALG_LZ4_SHIFT       8
#define ALG_ALL             0x13f   /* LZ4 one way only, as in the drivers */

/* What is computed within a millisecond, come in or go out */
#define BRIEF               (32 * KiB)

typedef struct ZipJob {
    HisiAccJob common;
    int status;
    unsigned request;
    bool decompress;
    int window_bits;
    enum HisiAccBuffer buffers;
    uint64_t src;
    uint64_t dst;
    uint32_t src_offset;
    uint32_t dst_offset;
    uint32_t input_len;
    uint32_t output_len;
    uint32_t out_size;              /* of the buffer for the result */
    uint32_t consumed;
    uint32_t produced;
} ZipJob;

static bool job_supported(const HisiAccFunc *f, const ZipJob *job)
{
    static const unsigned shifts[] = {
        [REQ_DEFLATE] = ALG_DEFLATE_SHIFT,
        [REQ_ZLIB] = ALG_ZLIB_SHIFT,
        [REQ_GZIP] = ALG_GZIP_SHIFT,
        [REQ_LZ4] = ALG_LZ4_SHIFT,
    };

    return job->request >= REQ_DEFLATE && job->request <= REQ_LZ4 &&
           hisi_acc_algs(f) & 1u << (shifts[job->request] + job->decompress);
}

static bool job_parse(HisiAccFunc *f, unsigned alg_type, const uint8_t *sqe,
                      ZipJob *job)
{
    /* 4, 8, 16, 24 and 32 KiB */
    static const int windows[] = { 12, 13, 14, 15, 15 };
    uint32_t dw7 = ldl_le_p(sqe + SQE_DW7);
    uint32_t dw9 = ldl_le_p(sqe + SQE_DW9);
    unsigned buffers = extract32(dw9, 8, 4);
    unsigned window = extract32(dw9, 12, 4);

    *job = (ZipJob) {
        .common = job->common,
        .request = extract32(dw9, 0, 8),
        .decompress = alg_type == QUEUE_DECOMPRESS,
        .buffers = buffers ? HISI_ACC_SGL : HISI_ACC_FLAT,
        .src = ldq_le_p(sqe + SQE_SRC),
        .dst = ldq_le_p(sqe + SQE_DST),
        .src_offset = extract32(dw7, 0, 24),
        .dst_offset = extract32(ldl_le_p(sqe + SQE_DW8), 0, 24),
        .input_len = ldl_le_p(sqe + SQE_INPUT_LEN),
        .output_len = ldl_le_p(sqe + SQE_OUTPUT_LEN),
    };
    if (extract32(dw7, 28, 4) != SQE_TYPE3 || dw7 & SQE_STREAM ||
        alg_type > QUEUE_DECOMPRESS || buffers > 1 ||
        window >= ARRAY_SIZE(windows) || !job_supported(f, job)) {
        return false;
    }
    /* what comes in may have been made with the largest window */
    job->window_bits = job->decompress ? MAX_WBITS : windows[window];
    return true;
}

/* As zlib has it: negative for no wrapper, 16 more for gzip */
static int zlib_window(const ZipJob *job)
{
    switch (job->request) {
    case REQ_ZLIB:
        return job->window_bits;
    case REQ_GZIP:
        return job->window_bits + 16;
    }
    return -job->window_bits;
}

static int run_deflate(ZipJob *job, z_stream *z)
{
    int ret;

    if (deflateInit2(z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, zlib_window(job), 8,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        return ZIP_ERR_LENGTH;
    }
    ret = deflate(z, Z_FINISH);
    deflateEnd(z);
    return ret == Z_STREAM_END ? ZIP_OK : ZIP_ERR_FULL;
}

static int run_inflate(ZipJob *job, z_stream *z)
{
    int ret;

    if (inflateInit2(z, zlib_window(job)) != Z_OK) {
        return ZIP_ERR_LENGTH;
    }
    ret = inflate(z, Z_FINISH);
    inflateEnd(z);
    if (ret == Z_STREAM_END) {
        return ZIP_OK;
    }
    return ret == Z_BUF_ERROR && !z->avail_out ? ZIP_ERR_FULL : ZIP_ERR_DATA;
}

static int run_zlib(ZipJob *job)
{
    z_stream z = {
        .next_in = job->common.in,
        .avail_in = job->input_len,
        .next_out = job->common.out,
        .avail_out = job->out_size,
    };
    int status = job->decompress ? run_inflate(job, &z) : run_deflate(job, &z);

    job->consumed = job->input_len - z.avail_in;
    job->produced = job->out_size - z.avail_out;
    return status;
}

static int run_lz4(ZipJob *job)
{
    size_t len = hisi_zip_lz4(job->common.in, job->input_len, job->common.out,
                              job->out_size);

    if (!len) {
        return ZIP_ERR_FULL;
    }
    job->consumed = job->input_len;
    job->produced = len;
    return ZIP_OK;
}

static int job_read(HisiAccFunc *f, unsigned alg_type, const uint8_t *sqe,
                    ZipJob *job)
{
    if (!job_parse(f, alg_type, sqe, job)) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_BD, ldl_le_p(sqe + SQE_DW9));
        return ZIP_ERR_REQUEST;
    }
    if (!job->input_len || !job->output_len || job->input_len > MAX_DATA) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_BD, job->input_len);
        return ZIP_ERR_LENGTH;
    }
    job->out_size = MIN(job->output_len, MAX_DATA);
    job->common.in = g_try_malloc(job->input_len);
    job->common.out = g_try_malloc(job->out_size);
    if (!job->common.in || !job->common.out) {
        return ZIP_ERR_LENGTH;
    }
    if (!hisi_acc_gather(f, job->buffers, job->src, job->src_offset,
                         job->common.in, job->input_len)) {
        return ZIP_ERR_READ;
    }
    return ZIP_OK;
}

static bool zip_begin(HisiAccFunc *f, unsigned alg_type, const uint8_t *sqe,
                      HisiAccJob *common)
{
    ZipJob *job = container_of(common, ZipJob, common);

    job->status = job_read(f, alg_type, sqe, job);
    common->lengthy = MAX(job->input_len, job->out_size) > BRIEF;
    return job->status == ZIP_OK;
}

static void zip_compute(HisiAccJob *common)
{
    ZipJob *job = container_of(common, ZipJob, common);

    job->status = job->request == REQ_LZ4 ? run_lz4(job) : run_zlib(job);
}

static int job_write(HisiAccFunc *f, const ZipJob *job)
{
    if (!hisi_acc_scatter(f, job->buffers, job->dst, job->dst_offset,
                          job->common.out, job->produced)) {
        return ZIP_ERR_WRITE;
    }
    return !job->decompress && job->produced > job->consumed ? ZIP_NOT_SMALLER
                                                             : ZIP_OK;
}

static void zip_finish(HisiAccFunc *f, HisiAccJob *common, uint8_t *sqe,
                       unsigned *first, unsigned *length)
{
    ZipJob *job = container_of(common, ZipJob, common);
    int status = job->status == ZIP_OK ? job_write(f, job) : job->status;
    bool good = status == ZIP_OK || status == ZIP_NOT_SMALLER;

    if (!good) {
        hisi_acc_count(f, HISI_ACC_EV_FAILED, 1);
    }
    stl_le_p(sqe + SQE_CONSUMED, good ? job->consumed : 0);
    stl_le_p(sqe + SQE_PRODUCED, good ? job->produced : 0);
    sqe[SQE_STATUS] = status;
    *first = 0;
    *length = SQE_RESULT_LEN;
}

static const HisiAccRange zip_ranges[] = {
    { 0x301000, 0x3012bc, false },
    { 0x301000, 0x30100c, true },       /* counters, clocks, control */
    { 0x301040, 0x301044, true },
    { 0x301060, 0x301064, true },
    { 0x301110, 0x301140, true },       /* users of the bus */
    { 0x301160, 0x301168, true },
    { 0x3011a8, 0x3011b0, true },
    { 0x301204, 0x30120c, true },       /* literals, speed, shutdown */
    { 0x302000, 0x30209c, false },      /* counters of the cores */
    { 0x303000, 0x30309c, false },
    { 0x304000, 0x30409c, false },
    { 0x305000, 0x30509c, false },
    { 0x306000, 0x30609c, false },
    { 0x307000, 0x30709c, false },
    { 0x308000, 0x30809c, false },
    { 0x309000, 0x30909c, false },
    { 0 }
};

static const HisiAccEngine zip_engine = {
    .name = "hisi-zip",
    .vf_type = "hisi-zip-vf",
    .title = "ZIP",
    .device_id = 0xa250,
    .class_id = 0x1200,                /* processing accelerator */
    .sqe_size = 128,
    .known_algs = ALG_ALL,
    .default_algs = ALG_ALL,
    /* as the drivers' own tables have them for V3 */
    .caps = {
        [HISI_ACC_CAP_QM_ERRORS] = 0x7c77,
        [HISI_ACC_CAP_QM_RESET] = 0x6c77,
        [HISI_ACC_CAP_QM_CORRECTED] = 0x8,
        [HISI_ACC_CAP_ERRORS] = 0x1ffe,
        [HISI_ACC_CAP_RESET] = 0x7fe,
        [HISI_ACC_CAP_CORRECTED] = 0x1,
        /* 2 cores compress, 3 do the other */
        [HISI_ACC_CAP_CORES] = 0x12050203,
        [HISI_ACC_CAP_CORES_ENABLED] = 0x1c0003,
    },
    .alg_cap_last = 0x315c,            /* driver, device and five cores */
    .ranges = zip_ranges,
    .int_source = 0x3010a0,
    .int_status = 0x3010ac,
    .int_mask = 0x3010a4,
    .int_set = 0x3010a8,
    .int_shutdown = 0x30120c,
    .shutdown_control = 0x30100c,
    .shutdown_enable = BIT(14),
    .read_error = BIT(2),
    .write_error = BIT(3),
    .job_size = sizeof(ZipJob),
    .begin = zip_begin,
    .compute = zip_compute,
    .finish = zip_finish,
};

static void zip_register(void)
{
    hisi_acc_engine_register(&zip_engine);
}

type_init(zip_register)
