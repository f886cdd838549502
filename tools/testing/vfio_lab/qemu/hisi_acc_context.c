/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: contexts of the queues
 *
 * A driver sets a context by mailbox. From then on the device alone has it: the
 * tables in memory are updated by a cache write-back only, and may be freed
 * after it. What has been written back is dropped; the device fetches it from
 * the table again at a doorbell.
 *
 * SQC: head@0 tail@2 base@4 dw3@12 {depth-1 11:0, log2 of SQE size 15:12}
 *      tag@16 w11@22 {wrap b6, PASID b7} CQ number@24
 *      w13@26 {disabled b6, algorithm type 11:8}
 * CQC: the same up to w11 {PASID b0}, dw6@24 {phase b0, armed b1}
 */

#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "hisi_acc.h"

#define XQC_HEAD        0
#define XQC_TAIL        2
#define XQC_BASE        4
#define XQC_DW3         12
#define XQC_TAG         16
#define XQC_W11         22
#define SQC_CQ          24
#define SQC_W13         26
#define CQC_DW6         24

#define W11_WRAP        (1 << 6)
#define SQC_W11_PASID   (1 << 7)        /* addresses are of a process: */
#define CQC_W11_PASID   (1 << 0)        /* the model has none */
#define W13_DISABLED    (1 << 6)
#define DW6_PHASE       (1 << 0)
#define DW6_ARMED       (1 << 1)

static bool bad_context(HisiAccFunc *f, unsigned q)
{
    hisi_acc_guest_error(f, HISI_ACC_ERR_CONTEXT, q);
    return false;
}

/* Takes the common part apart; false if no ring can be like that */
static bool decode(const uint8_t *raw, unsigned entry_size, uint16_t pasid,
                   HisiAccContext *ctx)
{
    uint32_t dw3 = ldl_le_p(raw + XQC_DW3);
    uint16_t w11 = lduw_le_p(raw + XQC_W11);

    *ctx = (HisiAccContext) {
        .held = true,
        .head = lduw_le_p(raw + XQC_HEAD),
        .tail = lduw_le_p(raw + XQC_TAIL),
        .base = ldq_le_p(raw + XQC_BASE),
        .depth = (dw3 & 0xfff) + 1,
        .tag = lduw_le_p(raw + XQC_TAG),
        .wrap = w11 & W11_WRAP,
    };
    memcpy(ctx->raw, raw, sizeof(ctx->raw));
    return ctx->base && !(w11 & pasid) && ctx->depth >= 2 &&
           ctx->head < ctx->depth && ctx->tail < ctx->depth &&
           1u << ((dw3 >> 12) & 0xf) == entry_size;
}

static bool sqc_decode(HisiAccFunc *f, unsigned q, const uint8_t *raw,
                       HisiAccSq *sq)
{
    *sq = (HisiAccSq) {
        .cq = lduw_le_p(raw + SQC_CQ),
        .alg_type = extract32(lduw_le_p(raw + SQC_W13), 8, 4),
    };
    if (!decode(raw, hisi_acc_engine(f)->sqe_size, SQC_W11_PASID, &sq->ctx) ||
        sq->cq >= hisi_acc_queue_count(f)) {
        return bad_context(f, q);
    }
    sq->fetch = sq->ctx.head;
    return true;
}

static bool cqc_decode(HisiAccFunc *f, unsigned q, const uint8_t *raw,
                       HisiAccCq *cq)
{
    uint32_t dw6 = ldl_le_p(raw + CQC_DW6);

    *cq = (HisiAccCq) {
        .phase = dw6 & DW6_PHASE,
        .armed = dw6 & DW6_ARMED,
    };
    return decode(raw, HISI_ACC_CQE_SIZE, CQC_W11_PASID, &cq->ctx) ||
           bad_context(f, q);
}

static void encode(const HisiAccContext *ctx, uint8_t *raw)
{
    uint16_t w11 = lduw_le_p(ctx->raw + XQC_W11) & ~W11_WRAP;

    memcpy(raw, ctx->raw, HISI_ACC_XQC_SIZE);
    stw_le_p(raw + XQC_HEAD, ctx->head);
    stw_le_p(raw + XQC_TAIL, ctx->tail);
    stw_le_p(raw + XQC_W11, w11 | (ctx->wrap ? W11_WRAP : 0));
}

static void cqc_encode(const HisiAccCq *cq, uint8_t *raw)
{
    uint32_t dw6 = ldl_le_p(cq->ctx.raw + CQC_DW6) & ~(DW6_PHASE | DW6_ARMED);

    encode(&cq->ctx, raw);
    stl_le_p(raw + CQC_DW6, dw6 | (cq->phase ? DW6_PHASE : 0) |
             (cq->armed ? DW6_ARMED : 0));
}

bool hisi_acc_sqc_load(HisiAccFunc *f, unsigned q, uint64_t addr)
{
    uint8_t raw[HISI_ACC_XQC_SIZE];
    HisiAccSq sq;

    if (!hisi_acc_dma_read(f, addr, raw, sizeof(raw)) ||
        !sqc_decode(f, q, raw, &sq)) {
        return false;
    }
    hisi_acc_queue_forget(f, q);
    f->queues[q].sq = sq;
    hisi_acc_queue_update(f, q);
    hisi_acc_queue_used(f, q);
    return true;
}

bool hisi_acc_cqc_load(HisiAccFunc *f, unsigned q, uint64_t addr)
{
    uint8_t raw[HISI_ACC_XQC_SIZE];
    HisiAccCq cq;

    if (!hisi_acc_dma_read(f, addr, raw, sizeof(raw)) ||
        !cqc_decode(f, q, raw, &cq)) {
        return false;
    }
    f->queues[q].cq = cq;
    hisi_acc_queue_used(f, q);
    return true;
}

/* A dump does not fetch: it copies from the device, or from the table */
static bool dump(HisiAccFunc *f, uint64_t addr, uint64_t table, unsigned q,
                 bool held, uint8_t *raw)
{
    if (!held) {
        memset(raw, 0, HISI_ACC_XQC_SIZE);
        if (table && !hisi_acc_dma_read(f, table + q * HISI_ACC_XQC_SIZE, raw,
                                        HISI_ACC_XQC_SIZE)) {
            return false;
        }
    }
    return hisi_acc_dma_write(f, addr, raw, HISI_ACC_XQC_SIZE);
}

bool hisi_acc_sqc_dump(HisiAccFunc *f, unsigned q, uint64_t addr)
{
    const HisiAccContext *ctx = &f->queues[q].sq.ctx;
    uint8_t raw[HISI_ACC_XQC_SIZE];

    encode(ctx, raw);
    return dump(f, addr, f->sqc_table, q, ctx->held, raw);
}

bool hisi_acc_cqc_dump(HisiAccFunc *f, unsigned q, uint64_t addr)
{
    const HisiAccCq *cq = &f->queues[q].cq;
    uint8_t raw[HISI_ACC_XQC_SIZE];

    cqc_encode(cq, raw);
    return dump(f, addr, f->cqc_table, q, cq->ctx.held, raw);
}

/*
 * Fetches SQC and CQC of a queue from the tables. False if there is none: no
 * table, never used (base 0), disabled by the driver, or with another tag, by
 * which doorbells from before a reset are refused.
 */
bool hisi_acc_context_fetch(HisiAccFunc *f, unsigned q, int tag)
{
    HisiAccQueue *queue = &f->queues[q];
    uint8_t raw[HISI_ACC_XQC_SIZE];
    HisiAccSq sq = queue->sq;
    HisiAccCq cq;

    if (!f->sqc_table || !f->cqc_table) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_KICK_NO_TABLE, q);
        return false;
    }
    if (!sq.ctx.held) {
        if (!hisi_acc_dma_read(f, f->sqc_table + q * HISI_ACC_XQC_SIZE, raw,
                               sizeof(raw))) {
            return false;
        }
        if (!ldq_le_p(raw + XQC_BASE)) {
            hisi_acc_count(f, HISI_ACC_EV_KICK_UNUSED, 1);
            return false;
        }
        if (lduw_le_p(raw + SQC_W13) & W13_DISABLED ||
            (tag != HISI_ACC_ANY_TAG && lduw_le_p(raw + XQC_TAG) != tag)) {
            hisi_acc_guest_error(f, HISI_ACC_ERR_DB_STALE, q);
            return false;
        }
        if (!sqc_decode(f, q, raw, &sq)) {
            return false;
        }
    }
    if (!f->queues[sq.cq].cq.ctx.held) {
        if (!hisi_acc_dma_read(f, f->cqc_table + sq.cq * HISI_ACC_XQC_SIZE,
                               raw, sizeof(raw)) ||
            !cqc_decode(f, sq.cq, raw, &cq)) {
            return false;
        }
        f->queues[sq.cq].cq = cq;
        hisi_acc_count(f, HISI_ACC_EV_CONTEXT_FETCHED, 1);
    }
    if (!queue->sq.ctx.held) {
        queue->sq = sq;
        hisi_acc_count(f, HISI_ACC_EV_CONTEXT_FETCHED, 1);
    }
    hisi_acc_queue_used(f, q);
    hisi_acc_queue_used(f, queue->sq.cq);
    hisi_acc_queue_update(f, q);
    return true;
}

static bool save(HisiAccFunc *f, uint64_t table, unsigned q, uint8_t *raw)
{
    if (!table) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_WB_NO_TABLE, q);
        return false;
    }
    if (!hisi_acc_dma_write(f, table + q * HISI_ACC_XQC_SIZE, raw,
                            HISI_ACC_XQC_SIZE)) {
        return false;
    }
    hisi_acc_count(f, HISI_ACC_EV_CONTEXT_SAVED, 1);
    return true;
}

/* Writes SQC and CQC of a queue to the tables; false for what did not arrive */
bool hisi_acc_context_save(HisiAccFunc *f, unsigned q)
{
    HisiAccQueue *queue = &f->queues[q];
    uint8_t raw[HISI_ACC_XQC_SIZE];
    bool saved = true;

    if (queue->sq.ctx.held) {
        encode(&queue->sq.ctx, raw);
        saved &= save(f, f->sqc_table, q, raw);
    }
    if (queue->cq.ctx.held) {
        cqc_encode(&queue->cq, raw);
        saved &= save(f, f->cqc_table, q, raw);
    }
    return saved;
}
