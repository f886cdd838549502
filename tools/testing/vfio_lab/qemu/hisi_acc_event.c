/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: completions and events
 *
 * Every ring keeps one entry free. EQC and AEQC are seven words:
 * dw0 {head, tail << 16}, dw1/dw2 base, dw6 {depth - 1, phase << 16}.
 */

#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "hisi_acc.h"

#define EQE_SIZE        4
#define EQE_PHASE       BIT(16)
#define AEQE_TYPE_SHIFT 17

static uint16_t eq_head(const HisiAccEventQueue *eq)
{
    return eq->dw[0];
}

static uint16_t eq_tail(const HisiAccEventQueue *eq)
{
    return eq->dw[0] >> 16;
}

static uint64_t eq_base(const HisiAccEventQueue *eq)
{
    return eq->dw[1] | (uint64_t)eq->dw[2] << 32;
}

static uint32_t eq_depth(const HisiAccEventQueue *eq)
{
    return (eq->dw[6] & 0xffff) + 1;
}

/* A migration driver may have written the words: check all of them */
static bool eq_usable(HisiAccFunc *f, const HisiAccEventQueue *eq)
{
    if (!eq_base(eq)) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_EQ_UNSET, eq == &f->aeq);
        return false;
    }
    if (eq_depth(eq) < 2 || eq_head(eq) >= eq_depth(eq) ||
        eq_tail(eq) >= eq_depth(eq)) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_CONTEXT, eq->dw[0]);
        return false;
    }
    return true;
}

static void eq_interrupt(HisiAccFunc *f, HisiAccEventQueue *eq)
{
    eq->source = 1;
    if (eq->mask & 1) {
        return;
    }
    eq->raised = true;
    hisi_acc_msi(f, eq == &f->eq ? HISI_ACC_MSI_EQ : HISI_ACC_MSI_AEQ);
}

void hisi_acc_eq_rearm(HisiAccFunc *f, HisiAccEventQueue *eq)
{
    if (eq_base(eq) && eq_head(eq) != eq_tail(eq)) {
        eq_interrupt(f, eq);
    }
}

static bool event_post(HisiAccFunc *f, HisiAccEventQueue *eq, uint32_t entry)
{
    uint32_t depth = eq_depth(eq);
    uint16_t tail = eq_tail(eq);
    uint32_t value;

    if (!eq_usable(f, eq)) {
        return false;
    }
    if ((tail + 1) % depth == eq_head(eq)) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_EQ_OVERRUN, eq == &f->aeq);
        return false;
    }
    value = cpu_to_le32(entry | (eq->dw[6] & EQE_PHASE));
    /* the CQE comes first */
    smp_wmb();
    if (!hisi_acc_dma_write(f, eq_base(eq) + tail * EQE_SIZE, &value,
                            sizeof(value))) {
        return false;
    }
    tail = (tail + 1) % depth;
    eq->dw[0] = eq_head(eq) | (uint32_t)tail << 16;
    if (tail == 0) {
        eq->dw[6] ^= EQE_PHASE;
    }
    /* without a new interrupt at the doorbell, each entry needs its own */
    if (!eq->raised || hisi_acc_fault_reraise(f)) {
        eq_interrupt(f, eq);
    }
    return true;
}

static void aeqe_post(HisiAccFunc *f, enum HisiAccAeqe type, unsigned q)
{
    if (event_post(f, &f->aeq, q | type << AEQE_TYPE_SHIFT)) {
        hisi_acc_count(f, HISI_ACC_EV_AEQE, 1);
    }
}

static void eqe_post(HisiAccFunc *f, unsigned q)
{
    uint64_t overruns = f->stats.errors[HISI_ACC_ERR_EQ_OVERRUN];

    if (event_post(f, &f->eq, q)) {
        hisi_acc_count(f, HISI_ACC_EV_EQE, 1);
    } else if (f->stats.errors[HISI_ACC_ERR_EQ_OVERRUN] != overruns) {
        aeqe_post(f, HISI_ACC_AEQE_EQ_OVERFLOW, q);
        /* last: it may close the bus */
        hisi_acc_ras_full(f, HISI_ACC_FULL_EQ, q);
    }
}

/* Completes @sq_index of queue @q; false if the CQE cannot be written */
bool hisi_acc_cqe_post(HisiAccFunc *f, unsigned q, uint16_t sq_index)
{
    unsigned n = f->queues[q].sq.cq;
    unsigned resets = f->resets;
    HisiAccCq *cq = &f->queues[n].cq;
    uint8_t cqe[HISI_ACC_CQE_SIZE] = { 0 };
    uint64_t addr;

    if (!cq->ctx.held && f->pf->cfg.context_cache) {
        hisi_acc_context_fetch(f, q, HISI_ACC_ANY_TAG);
    }
    if (!cq->ctx.held) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_CONTEXT, n);
        return false;
    }
    if ((cq->ctx.tail + 1) % cq->ctx.depth == cq->ctx.head) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_CQ_OVERRUN, n);
        aeqe_post(f, HISI_ACC_AEQE_CQ_OVERFLOW, n);
        hisi_acc_ras_full(f, HISI_ACC_FULL_CQ, n);
        return false;
    }
    stw_le_p(cqe + 8, sq_index);
    stw_le_p(cqe + 10, q);
    stw_le_p(cqe + 14, cq->phase);

    addr = cq->ctx.base + cq->ctx.tail * HISI_ACC_CQE_SIZE;
    /* the result comes first */
    smp_wmb();
    if (!hisi_acc_dma_write(f, addr, cqe, 8)) {
        return false;
    }
    /* the half with the phase last, and in one piece */
    smp_wmb();
    if (!hisi_acc_dma_write(f, addr + 8, cqe + 8, 8)) {
        return false;
    }
    cq->ctx.tail = (cq->ctx.tail + 1) % cq->ctx.depth;
    if (cq->ctx.tail == 0) {
        cq->phase = !cq->phase;
        cq->ctx.wrap = !cq->ctx.wrap;
    }
    hisi_acc_count(f, HISI_ACC_EV_CQE, 1);
    if (cq->armed) {
        cq->armed = false;
        eqe_post(f, n);
    }
    return f->resets == resets;
}

/* Posts an event if a queue that is armed has completions already */
void hisi_acc_cq_event(HisiAccFunc *f, unsigned q)
{
    HisiAccCq *cq = &f->queues[q].cq;

    if (!cq->armed || cq->ctx.head == cq->ctx.tail) {
        return;
    }
    if (hisi_acc_kept_from_memory(f)) {
        f->cq_waits = true;
        return;
    }
    cq->armed = false;
    eqe_post(f, q);
}

void hisi_acc_cq_rearm(HisiAccFunc *f)
{
    bool waited = f->cq_waits;

    f->cq_waits = false;
    for (unsigned q = 0; waited && q < f->pf->cfg.queues; q++) {
        hisi_acc_cq_event(f, q);
    }
}

/* The driver has read all entries up to @index */
void hisi_acc_eq_consumed(HisiAccFunc *f, HisiAccEventQueue *eq, uint16_t index,
                          uint64_t doorbell)
{
    if (!eq_usable(f, eq)) {
        return;
    }
    if (index >= eq_depth(eq)) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_DB_RANGE, doorbell);
        return;
    }
    if (hisi_acc_distance(eq_head(eq), index, eq_depth(eq)) >
        hisi_acc_distance(eq_head(eq), eq_tail(eq), eq_depth(eq))) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_DB_STALE, doorbell);
        return;
    }
    eq->dw[0] = index | (eq->dw[0] & 0xffff0000);
    eq->raised = false;
    eq->source = 0;
    if (!hisi_acc_fault_reraise(f)) {
        hisi_acc_eq_rearm(f, eq);
    }
}

bool hisi_acc_eq_load(HisiAccFunc *f, HisiAccEventQueue *eq, uint64_t addr)
{
    uint32_t dw[HISI_ACC_EQC_WORDS];

    if (!hisi_acc_dma_read(f, addr, dw, sizeof(dw))) {
        return false;
    }
    for (unsigned i = 0; i < HISI_ACC_EQC_WORDS; i++) {
        eq->dw[i] = le32_to_cpu(dw[i]);
    }
    eq->raised = false;
    eq->source = 0;
    return eq_usable(f, eq);
}

bool hisi_acc_eq_dump(HisiAccFunc *f, HisiAccEventQueue *eq, uint64_t addr)
{
    uint32_t dw[HISI_ACC_EQC_WORDS];

    for (unsigned i = 0; i < HISI_ACC_EQC_WORDS; i++) {
        dw[i] = cpu_to_le32(eq->dw[i]);
    }
    return hisi_acc_dma_write(f, addr, dw, sizeof(dw));
}

void hisi_acc_event_reset(HisiAccFunc *f)
{
    f->cq_waits = false;
    f->eq = (HisiAccEventQueue) { .mask = 1 };
    f->aeq = (HisiAccEventQueue) { .mask = 1 };
}
