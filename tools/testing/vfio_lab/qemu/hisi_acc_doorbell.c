/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: doorbells
 */

#include "qemu/osdep.h"
#include "hisi_acc.h"

enum {
    DB_SQ,
    DB_CQ,
    DB_EQ,
    DB_AEQ,
};

typedef struct Doorbell {
    unsigned queue;
    unsigned command;
    uint16_t random;
    uint16_t index;
    uint16_t priority;
    uint64_t raw;
} Doorbell;

/* By the tag, doorbells from before a reset are refused */
static bool tag_fits(HisiAccFunc *f, const Doorbell *db,
                     const HisiAccContext *ctx)
{
    if (db->random == ctx->tag) {
        return true;
    }
    hisi_acc_guest_error(f, HISI_ACC_ERR_DB_STALE, db->raw);
    hisi_acc_ras(f, HISI_ACC_RAS_TAG);
    return false;
}

static bool fits(HisiAccFunc *f, const Doorbell *db, const HisiAccContext *ctx)
{
    if (db->index >= ctx->depth) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_DB_RANGE, db->raw);
        return false;
    }
    return tag_fits(f, db, ctx);
}

static void resume_queue(HisiAccFunc *f, unsigned q, int tag)
{
    HisiAccQueue *queue = &f->queues[q];

    hisi_acc_work_unpause(f, q);
    if (!queue->sq.ctx.held || !f->queues[queue->sq.cq].cq.ctx.held) {
        hisi_acc_context_fetch(f, q, tag);
    }
}

/* Where it is for all queues, its tag is only for the one that it names */
static void resume_doorbell(HisiAccFunc *f, const Doorbell *db)
{
    const HisiAccContext *ctx = &f->queues[db->queue].sq.ctx;

    hisi_acc_count(f, HISI_ACC_EV_KICK, 1);
    if (db->index) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_KICK_INDEX, db->raw);
        return;
    }
    if (ctx->held && !tag_fits(f, db, ctx)) {
        return;
    }
    if (f->pf->cfg.kick_scope == HISI_ACC_SCOPE_QUEUE) {
        resume_queue(f, db->queue, db->random);
        return;
    }
    for (unsigned q = 0; q < hisi_acc_queue_count(f); q++) {
        resume_queue(f, q, q == db->queue ? db->random : HISI_ACC_ANY_TAG);
    }
}

/*
 * Whether the device accepts an ordinary doorbell: the queue is not paused, or
 * this doorbell ends the pause, and the device has its context, or fetches it.
 */
static bool queue_awake(HisiAccFunc *f, const Doorbell *db, const bool *held)
{
    if (hisi_acc_queue_paused(f, db->queue)) {
        if (f->pf->cfg.unpause == HISI_ACC_UNPAUSE_KICK) {
            hisi_acc_guest_error(f, HISI_ACC_ERR_DB_PAUSED, db->raw);
            return false;
        }
        hisi_acc_work_unpause(f, db->queue);
    }
    if (!*held && (f->pf->cfg.context_fetch == HISI_ACC_BY_DOORBELL ||
                   f->pf->cfg.context_cache)) {
        hisi_acc_context_fetch(f, db->queue, db->random);
    }
    hisi_acc_queue_used(f, db->queue);
    if (!*held) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_DB_CONTEXT, db->raw);
        return false;
    }
    return true;
}

static void sq_doorbell(HisiAccFunc *f, const Doorbell *db)
{
    HisiAccSq *sq = &f->queues[db->queue].sq;

    if (!queue_awake(f, db, &sq->ctx.held)) {
        return;
    }
    if (sq->stopped || sq->draining) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_DB_STOPPED, db->raw);
        return;
    }
    if (!fits(f, db, &sq->ctx)) {
        return;
    }
    /* the tail never goes back over requests of earlier doorbells */
    if (hisi_acc_distance(sq->ctx.head, db->index, sq->ctx.depth) <
        hisi_acc_distance(sq->ctx.head, sq->ctx.tail, sq->ctx.depth)) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_DB_STALE, db->raw);
        return;
    }
    if (db->index < sq->ctx.tail) {
        sq->ctx.wrap = !sq->ctx.wrap;
    }
    sq->ctx.tail = db->index;
    hisi_acc_queue_update(f, db->queue);
}

static void cq_doorbell(HisiAccFunc *f, const Doorbell *db)
{
    HisiAccCq *cq = &f->queues[db->queue].cq;

    if (!queue_awake(f, db, &cq->ctx.held)) {
        return;
    }
    if (!fits(f, db, &cq->ctx)) {
        return;
    }
    if (hisi_acc_distance(cq->ctx.head, db->index, cq->ctx.depth) >
        hisi_acc_distance(cq->ctx.head, cq->ctx.tail, cq->ctx.depth)) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_DB_STALE, db->raw);
        return;
    }
    cq->ctx.head = db->index;
    cq->armed = db->priority & 1;
    hisi_acc_cq_event(f, db->queue);
}

/* {queue 11:0, command 15:12, random 31:16, index 47:32, priority 63:48} */
void hisi_acc_doorbell(HisiAccFunc *f, uint64_t value, bool event_queue)
{
    Doorbell db = {
        .queue = extract64(value, 0, 12),
        .command = extract64(value, 12, 4),
        .random = extract64(value, 16, 16),
        .index = extract64(value, 32, 16),
        .priority = extract64(value, 48, 16),
        .raw = value,
    };

    if (event_queue != (db.command == DB_EQ || db.command == DB_AEQ) ||
        db.command > DB_AEQ) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_DB_COMMAND, value);
        return;
    }
    if (hisi_acc_doorbell_dropped(f)) {
        hisi_acc_count(f, HISI_ACC_EV_DB_DROPPED, 1);
        return;
    }
    hisi_acc_count(f, HISI_ACC_EV_SQ_DOORBELL + db.command, 1);
    if (!hisi_acc_may_begin(f)) {
        hisi_acc_count(f, HISI_ACC_EV_DB_NO_MASTER, 1);
    }
    if (event_queue) {
        hisi_acc_eq_consumed(f, db.command == DB_EQ ? &f->eq : &f->aeq,
                             db.index, db.raw);
    } else if (db.queue >= hisi_acc_queue_count(f)) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_DB_RANGE, value);
    } else {
        if (db.command == DB_CQ) {
            cq_doorbell(f, &db);
        } else if (db.priority) {
            resume_doorbell(f, &db);
        } else {
            sq_doorbell(f, &db);
        }
        hisi_acc_cache_make_room(f);
    }
}
