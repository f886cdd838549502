/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: requests in progress, when they are done, and
 * what stops them
 *
 * The engine takes requests from the queues of a PF or VF in turn, as many as
 * it has slots, and completes them in the order in which it took them.
 */

#include "qemu/osdep.h"
#include "qemu/bitmap.h"
#include "hisi_acc.h"

static int64_t now_us(void)
{
    return qemu_clock_get_us(QEMU_CLOCK_VIRTUAL);
}

/* Fetches the next request of a queue; a DMA fault stops the queue */
static void take(HisiAccFunc *f, unsigned q)
{
    HisiAccQueue *queue = &f->queues[q];
    HisiAccSq *sq = &queue->sq;
    HisiAccRequest *r = hisi_acc_slot(f, f->slot_used);
    unsigned size = hisi_acc_engine(f)->sqe_size;

    if (!hisi_acc_dma_read(f, sq->ctx.base + (uint64_t)sq->fetch * size, r->sqe,
                           size)) {
        sq->stopped = sq->ctx.held;
        hisi_acc_queue_update(f, q);
        return;
    }
    r->queue = q;
    r->index = sq->fetch;
    r->taken = now_us();
    r->job = NULL;
    r->processed = false;
    sq->fetch = (sq->fetch + 1) % sq->ctx.depth;
    queue->in_flight++;
    f->slot_used++;
    hisi_acc_count(f, HISI_ACC_EV_FETCHED, 1);
    hisi_acc_queue_used(f, q);
    hisi_acc_queue_update(f, q);
}

/*
 * Whether the engine is done with the request; if not, it wakes @f when it is.
 * An error in it may close the bus: then the result waits.
 */
static bool process(HisiAccFunc *f, HisiAccRequest *r)
{
    unsigned resets = f->resets;
    HisiAccJob *job = r->job;

    if (r->processed) {
        return true;
    }
    if (!job) {
        job = hisi_acc_job_begin(f, f->queues[r->queue].sq.alg_type, r->sqe);
        if (f->resets != resets) {
            hisi_acc_job_drop(job);
            return true;
        }
        r->job = job;
    }
    if (job->at_work) {
        return false;
    }
    r->job = NULL;                      /* it may reset the PF or VF */
    hisi_acc_job_finish(f, job, r);
    r->processed = true;
    return true;
}

/* Completes the oldest request: result, then CQE, then event */
static void complete(HisiAccFunc *f)
{
    HisiAccRequest r = *hisi_acc_slot(f, 0);
    HisiAccQueue *queue = &f->queues[r.queue];
    HisiAccSq *sq = &queue->sq;
    uint64_t addr = sq->ctx.base + r.first +
                    (uint64_t)r.index * hisi_acc_engine(f)->sqe_size;

    f->slot_first = (f->slot_first + 1) % HISI_ACC_MAX_SLOTS;
    f->slot_used--;
    queue->in_flight--;
    if (f->pause_left) {
        f->pause_left--;
    }
    if (!hisi_acc_dma_write(f, addr, r.sqe + r.first, r.length) ||
        !hisi_acc_cqe_post(f, r.queue, r.index)) {
        sq->stopped = sq->ctx.held;     /* not after a reset */
        hisi_acc_queue_update(f, r.queue);
        return;
    }
    sq->ctx.head = (r.index + 1) % sq->ctx.depth;
    hisi_acc_count(f, HISI_ACC_EV_COMPLETED, 1);
}

static bool next_pending(HisiAccFunc *f, unsigned *q)
{
    unsigned count = f->pf->cfg.queues;
    unsigned n = find_next_bit(f->pending, count, f->next_queue);

    if (n >= count) {
        n = find_first_bit(f->pending, count);
    }
    if (n >= count) {
        return false;
    }
    f->next_queue = (n + 1) % count;
    *q = n;
    return true;
}

/* Works until @end, a time of the host in nanoseconds, or until all is done */
void hisi_acc_work(HisiAccFunc *f, int64_t end)
{
    int64_t deadline;
    unsigned q;

    while (!hisi_acc_kept_from_memory(f)) {
        while (f->slot_used < f->pf->cfg.engine_slots && next_pending(f, &q)) {
            take(f, q);
        }
        if (!f->slot_used) {
            return;
        }
        deadline = hisi_acc_slot(f, 0)->taken + f->pf->cfg.request_latency;
        if (deadline > now_us()) {
            timer_mod(f->engine_timer, deadline);
            return;
        }
        if (get_clock() > end) {
            hisi_acc_wake(f);
            return;
        }
        if (!process(f, hisi_acc_slot(f, 0))) {
            return;
        }
        if (f->slot_used && !hisi_acc_kept_from_memory(f)) {
            complete(f);
        }
    }
}

/* Drains a ring, then stops the queue: see hisi_acc_work_drained() */
void hisi_acc_work_stop(HisiAccFunc *f, unsigned q)
{
    HisiAccSq *sq = &f->queues[q].sq;

    if (!hisi_acc_queue_paused(f, q)) {
        sq->draining = sq->ctx.held;
        return;
    }
    if (hisi_acc_queue_pending(f, q)) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_MB_PAUSED, q);
    }
    sq->stopped = sq->ctx.held;
    hisi_acc_queue_update(f, q);
}

void hisi_acc_work_flush(HisiAccFunc *f)
{
    for (unsigned q = 0; q < f->pf->cfg.queues; q++) {
        if (f->queues[q].sq.ctx.held) {
            hisi_acc_work_stop(f, q);
        }
    }
}

/*
 * From here on the engine takes nothing until it is restarted. What it has
 * taken is finished first, or stays in its ring untouched.
 */
void hisi_acc_work_pause(HisiAccFunc *f)
{
    unsigned count = f->pf->cfg.queues;

    bitmap_fill(f->paused, count);
    bitmap_zero(f->pending, count);
    f->pausing = true;
    f->pause_left = f->pf->cfg.pause_inflight == HISI_ACC_FINISH ? f->slot_used
                                                                 : 0;
}

static bool queue_drained(HisiAccFunc *f, unsigned q)
{
    HisiAccQueue *queue = &f->queues[q];

    if (!queue->sq.draining) {
        return true;
    }
    if (hisi_acc_bus_closed(f->pf)) {
        hisi_acc_queue_forget(f, q);
    } else if (queue->in_flight || hisi_acc_queue_pending(f, q)) {
        return false;
    }
    queue->sq.draining = false;
    queue->sq.stopped = queue->sq.ctx.held;
    hisi_acc_queue_update(f, q);
    return true;
}

static bool pause_over(HisiAccFunc *f)
{
    if (f->pausing && f->pause_left && !hisi_acc_bus_closed(f->pf)) {
        return false;
    }
    for (unsigned i = f->pausing ? 0 : f->slot_used; i < f->slot_used;) {
        unsigned q = hisi_acc_slot(f, i)->queue;

        if (hisi_acc_queue_paused(f, q)) {
            hisi_acc_count(f, HISI_ACC_EV_HELD, f->queues[q].in_flight);
            f->queues[q].sq.fetch = f->queues[q].sq.ctx.head;
            hisi_acc_queue_forget(f, q);
        } else {
            i++;
        }
    }
    f->pausing = false;
    f->pause_left = 0;
    return true;
}

/*
 * Whether nothing is left that STOP_QP, FLUSH or PAUSE have to wait for; what
 * they are for is then done. A closed bus ends the wait: the device does no
 * tasks any more and flushes out those that it has.
 */
bool hisi_acc_work_drained(HisiAccFunc *f)
{
    bool drained = pause_over(f);

    for (unsigned q = 0; q < f->pf->cfg.queues; q++) {
        drained &= queue_drained(f, q);
    }
    return drained;
}

void hisi_acc_work_unpause(HisiAccFunc *f, unsigned q)
{
    if (!hisi_acc_queue_paused(f, q)) {
        return;
    }
    if (f->pf->cfg.kick_scope == HISI_ACC_SCOPE_QUEUE) {
        clear_bit(q, f->paused);
        hisi_acc_queue_update(f, q);
        return;
    }
    bitmap_zero(f->paused, f->pf->cfg.queues);
    for (q = 0; q < f->pf->cfg.queues; q++) {
        hisi_acc_queue_update(f, q);
    }
}

/* Requests that the engine could work on at once, and those that it does */
uint32_t hisi_acc_work_usage(HisiAccPf *pf)
{
    uint32_t used = 0, n;

    for (n = 0; n <= hisi_acc_vf_count(pf); n++) {
        used += pf->funcs[n]->slot_used;
    }
    return n * pf->cfg.engine_slots << 16 | used;
}

void hisi_acc_work_reset(HisiAccFunc *f)
{
    f->awake = false;
    timer_del(f->engine_timer);
    for (unsigned i = 0; i < f->slot_used; i++) {
        hisi_acc_job_drop(hisi_acc_slot(f, i)->job);
    }
    f->slot_used = 0;
    f->next_queue = 0;
    f->pausing = false;
    f->pause_left = 0;
    bitmap_zero(f->pending, HISI_ACC_MAX_QUEUES);
    bitmap_zero(f->paused, HISI_ACC_MAX_QUEUES);
}
