/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: the cache of contexts
 *
 * The device holds contexts until the driver has them written back, or until
 * a small cache is full.
 */

#include "qemu/osdep.h"
#include "hisi_acc.h"

/*
 * Writing a queue back while it has work is a guest error: the device keeps the
 * context, and the copy in memory is stale at once. A context that could not be
 * written stays, too.
 */
static void writeback_queue(HisiAccFunc *f, unsigned q)
{
    HisiAccQueue *queue = &f->queues[q];
    bool busy = queue->in_flight ||
                (hisi_acc_queue_pending(f, q) && !hisi_acc_queue_paused(f, q));

    if (busy) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_WB_BUSY, q);
    }
    if (hisi_acc_context_save(f, q) && !busy) {
        memset(&queue->sq, 0, sizeof(queue->sq));
        memset(&queue->cq, 0, sizeof(queue->cq));
        hisi_acc_queue_update(f, q);
    }
}

static bool held(HisiAccFunc *f, unsigned q)
{
    return f->queues[q].sq.ctx.held || f->queues[q].cq.ctx.held;
}

/* A queue with work stays, and so does a stop: a context has no bit for it */
static bool may_go(HisiAccFunc *f, unsigned q)
{
    HisiAccQueue *queue = &f->queues[q];

    return held(f, q) && !queue->in_flight && !queue->sq.draining &&
           !queue->sq.stopped && !hisi_acc_queue_pending(f, q);
}

/*
 * A full cache writes contexts to the tables: those of the least recently used
 * queues.
 */
void hisi_acc_cache_make_room(HisiAccFunc *f)
{
    unsigned count = f->pf->cfg.queues, used = 0, oldest;

    if (!f->pf->cfg.context_cache || !f->sqc_table || !f->cqc_table ||
        hisi_acc_kept_from_memory(f)) {
        return;
    }
    for (unsigned q = 0; q < count; q++) {
        used += held(f, q);
    }
    for (; used > f->pf->cfg.context_cache; used--) {
        oldest = count;
        for (unsigned q = 0; q < count; q++) {
            if (f->queues[q].used != f->uses && may_go(f, q) &&
                (oldest == count ||
                 f->queues[q].used < f->queues[oldest].used)) {
                oldest = q;
            }
        }
        if (oldest == count) {
            return;
        }
        writeback_queue(f, oldest);
        if (held(f, oldest)) {          /* it did not reach memory */
            return;
        }
    }
}

static bool any_held(HisiAccFunc *f)
{
    for (unsigned q = 0; q < f->pf->cfg.queues; q++) {
        if (held(f, q)) {
            return true;
        }
    }
    return false;
}

/* Whether a write-back cannot be done now */
static bool stuck(HisiAccFunc *f)
{
    return hisi_acc_fault_writeback(f) ||
           (hisi_acc_kept_from_memory(f) && any_held(f));
}

void hisi_acc_writeback_run(void *opaque)
{
    HisiAccFunc *f = opaque;

    if (stuck(f)) {                     /* it came about in the meantime */
        f->writeback_stuck = true;
        return;
    }
    f->writeback_running = false;
    hisi_acc_count(f, HISI_ACC_EV_WRITEBACK, 1);
    for (unsigned q = 0; q < f->pf->cfg.queues; q++) {
        if (held(f, q)) {
            writeback_queue(f, q);
        }
    }
}

void hisi_acc_writeback_start(HisiAccFunc *f)
{
    uint32_t latency = f->pf->cfg.writeback_latency;

    if (f->writeback_running) {
        return;
    }
    f->writeback_running = true;
    if (stuck(f)) {
        f->writeback_stuck = true;
    } else if (latency) {
        timer_mod(f->writeback_timer,
                  qemu_clock_get_us(QEMU_CLOCK_VIRTUAL) + latency);
    } else {
        hisi_acc_writeback_run(f);
    }
}

void hisi_acc_writeback_retry(HisiAccFunc *f)
{
    if (f->writeback_stuck && !stuck(f)) {
        f->writeback_stuck = false;
        qemu_bh_schedule(f->writeback_bh);
    }
}

void hisi_acc_cache_reset(HisiAccFunc *f)
{
    timer_del(f->writeback_timer);
    qemu_bh_cancel(f->writeback_bh);
    f->writeback_running = false;
    f->writeback_stuck = false;
    f->sqc_table = 0;
    f->cqc_table = 0;
    memset(f->queues, 0, f->pf->cfg.queues * sizeof(*f->queues));
}
