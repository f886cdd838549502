/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: pending requests of a queue, and those that
 * the engine has fetched
 */

#include "qemu/osdep.h"
#include "hisi_acc.h"

HisiAccRequest *hisi_acc_slot(HisiAccFunc *f, unsigned n)
{
    return &f->slots[(f->slot_first + n) % HISI_ACC_MAX_SLOTS];
}

bool hisi_acc_queue_paused(HisiAccFunc *f, unsigned q)
{
    return test_bit(q, f->paused);
}

bool hisi_acc_queue_pending(HisiAccFunc *f, unsigned q)
{
    const HisiAccSq *sq = &f->queues[q].sq;

    return sq->ctx.held && !sq->stopped && sq->fetch != sq->ctx.tail;
}

/* After anything that decides whether the engine may fetch from this queue */
void hisi_acc_queue_update(HisiAccFunc *f, unsigned q)
{
    if (hisi_acc_queue_pending(f, q) && !hisi_acc_queue_paused(f, q)) {
        set_bit(q, f->pending);
        hisi_acc_wake(f);
    } else {
        clear_bit(q, f->pending);
    }
}

/* Drops the requests of @q that the engine has fetched */
void hisi_acc_queue_forget(HisiAccFunc *f, unsigned q)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < f->slot_used; i++) {
        if (hisi_acc_slot(f, i)->queue == q) {
            hisi_acc_job_drop(hisi_acc_slot(f, i)->job);
            continue;
        }
        if (kept != i) {
            *hisi_acc_slot(f, kept) = *hisi_acc_slot(f, i);
        }
        kept++;
    }
    f->slot_used = kept;
    f->queues[q].in_flight = 0;
    clear_bit(q, f->pending);
}

void hisi_acc_queue_used(HisiAccFunc *f, unsigned q)
{
    f->queues[q].used = ++f->uses;
}
