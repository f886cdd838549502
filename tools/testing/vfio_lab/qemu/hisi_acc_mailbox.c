/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: the mailbox
 *
 * 16 bytes: w0 {command 7:0, status 12:9, busy 13, get 14}, queue, 64 bits of
 * data, reserved. Only one store of all of it starts a command, which arrives
 * as two of 8 bytes.
 */

#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "hisi_acc.h"
#include "trace.h"

#define MB_SIZE         16
#define MB_COMMAND      0x00ff
#define MB_STATUS       0x1e00
#define MB_BUSY         0x2000
#define MB_GET          0x4000
/* The drivers only compare the status with 0 */
#define MB_FAILED       (1 << 9)
/* Not an address of a driver's: odd, and beyond any bus */
#define MB_GARBAGE      0xa5a5a5a5a5a5a5a5ull

enum {
    MB_SQC          = 0x0,
    MB_CQC          = 0x1,
    MB_EQC          = 0x2,
    MB_AEQC         = 0x3,
    MB_SQC_TABLE    = 0x4,
    MB_CQC_TABLE    = 0x5,
    MB_VFT          = 0x6,
    MB_STOP_QUEUE   = 0x8,
    MB_FLUSH        = 0x9,
    MB_SEND         = 0xc,
    MB_RECEIVE      = 0xd,
    MB_PAUSE        = 0xe,
};

static bool own_queue(HisiAccFunc *f, unsigned q)
{
    if (q >= hisi_acc_queue_count(f)) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_MB_QUEUE, q);
        return false;
    }
    return true;
}

static bool table(uint64_t *field, uint64_t *data, bool get)
{
    if (get) {
        *data = *field;
    } else {
        *field = *data;
    }
    return true;
}

/* @data is the 64-bit operand and takes the result */
static bool execute(HisiAccFunc *f, unsigned command, bool get, uint16_t queue,
                    uint64_t *data)
{
    switch (command) {
    case MB_SQC:
        return own_queue(f, queue) &&
               (get ? hisi_acc_sqc_dump(f, queue, *data)
                    : hisi_acc_sqc_load(f, queue, *data));
    case MB_CQC:
        return own_queue(f, queue) &&
               (get ? hisi_acc_cqc_dump(f, queue, *data)
                    : hisi_acc_cqc_load(f, queue, *data));
    case MB_EQC:
        return get ? hisi_acc_eq_dump(f, &f->eq, *data)
                   : hisi_acc_eq_load(f, &f->eq, *data);
    case MB_AEQC:
        return get ? hisi_acc_eq_dump(f, &f->aeq, *data)
                   : hisi_acc_eq_load(f, &f->aeq, *data);
    case MB_SQC_TABLE:
        return table(&f->sqc_table, data, get);
    case MB_CQC_TABLE:
        return table(&f->cqc_table, data, get);
    case MB_VFT:
        *data = f->pf->vft_sqc[f->number];
        return true;
    case MB_STOP_QUEUE:
        if (!own_queue(f, queue)) {
            return false;
        }
        hisi_acc_work_stop(f, queue);
        return true;
    case MB_FLUSH:
        hisi_acc_work_flush(f);
        return true;
    case MB_SEND:
        hisi_acc_ifc_store(f, queue, *data);
        return true;
    case MB_RECEIVE:
        return hisi_acc_ifc_fetch(f, queue, data);
    case MB_PAUSE:
        hisi_acc_work_pause(f);
        return true;
    default:
        hisi_acc_guest_error(f, HISI_ACC_ERR_MB_OPCODE, command);
        return false;
    }
}

static bool waits_for_requests(unsigned command)
{
    return command == MB_STOP_QUEUE || command == MB_FLUSH ||
           command == MB_PAUSE;
}

static enum HisiAccMailboxFault fault(HisiAccFunc *f, unsigned command)
{
    return command <= MB_AEQC && hisi_acc_waits(f)
           ? HISI_ACC_MB_BUSY : hisi_acc_fault_mailbox(f, command);
}

static void finish(HisiAccFunc *f, bool done, uint64_t data)
{
    uint16_t w0 = lduw_le_p(f->mailbox) & ~(MB_BUSY | MB_STATUS);

    f->mailbox_running = false;
    if (fault(f, w0 & MB_COMMAND) == HISI_ACC_MB_GARBAGE) {
        data = MB_GARBAGE;
    }
    trace_hisi_acc_mailbox_end(hisi_acc_engine(f)->name, f->name,
                               w0 & MB_COMMAND, done, data);
    stq_le_p(f->mailbox + 4, data);
    stw_le_p(f->mailbox, done ? w0 : w0 | MB_FAILED);
}

/* After the engine has worked */
void hisi_acc_mailbox_drained(HisiAccFunc *f)
{
    if (f->mailbox_draining && hisi_acc_work_drained(f)) {
        f->mailbox_draining = false;
        finish(f, true, ldq_le_p(f->mailbox + 4));
    }
}

void hisi_acc_mailbox_run(void *opaque)
{
    HisiAccFunc *f = opaque;
    uint16_t w0 = lduw_le_p(f->mailbox);
    uint64_t data = ldq_le_p(f->mailbox + 4);
    unsigned command = w0 & MB_COMMAND;
    bool get = w0 & MB_GET;
    unsigned resets = f->resets;
    bool done;
    enum HisiAccMailboxFault wrong = fault(f, command);

    if (wrong == HISI_ACC_MB_BUSY) {    /* it came about in the meantime */
        f->mailbox_stuck = true;
        return;
    }
    if (command < HISI_ACC_MB_OPS) {
        (get ? f->stats.mailbox_get : f->stats.mailbox_set)[command]++;
    }
    done = wrong != HISI_ACC_MB_FAIL &&
           (command > MB_AEQC || !hisi_acc_bus_closed(f->pf)) &&
           execute(f, command, get, lduw_le_p(f->mailbox + 2), &data);
    if (f->resets != resets) {
        return;
    }
    if (done && !get && command <= MB_CQC) {
        hisi_acc_cache_make_room(f);
    }
    if (done && waits_for_requests(command) && !hisi_acc_work_drained(f)) {
        f->mailbox_draining = true;
        return;
    }
    finish(f, done, data);
}

void hisi_acc_mailbox_write(HisiAccFunc *f, unsigned first, uint64_t value,
                            unsigned size)
{
    uint32_t latency = f->pf->cfg.mailbox_latency;

    if (f->mailbox_running) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_MB_BUSY, first);
        return;
    }
    if (size == 8 && first == 0) {
        f->mailbox_low = value;
        f->mailbox_half = true;
        return;
    }
    if (size != 8 || first != 8 || !f->mailbox_half) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_MB_WIDTH, first);
        f->mailbox_half = false;
        return;
    }
    f->mailbox_half = false;
    f->pf->mailbox_last = f;
    stq_le_p(f->mailbox, f->mailbox_low);
    stq_le_p(f->mailbox + 8, value);
    stw_le_p(f->mailbox, lduw_le_p(f->mailbox) | MB_BUSY);
    trace_hisi_acc_mailbox(hisi_acc_engine(f)->name, f->name, f->mailbox[0],
                           f->mailbox[1] & MB_GET >> 8,
                           lduw_le_p(f->mailbox + 2), ldq_le_p(f->mailbox + 4));
    f->mailbox_running = true;
    if (fault(f, f->mailbox[0]) == HISI_ACC_MB_BUSY) {
        f->mailbox_stuck = true;
    } else if (latency) {
        timer_mod(f->mailbox_timer,
                  qemu_clock_get_us(QEMU_CLOCK_VIRTUAL) + latency);
    } else {
        hisi_acc_mailbox_run(f);
    }
}

/*
 * The timer's thread may be much later than the latency, the more so while a
 * driver polls. A read therefore runs a command that is due.
 */
static bool time_has_come(HisiAccFunc *f)
{
    return !timer_pending(f->mailbox_timer) ||
           timer_expired(f->mailbox_timer,
                         qemu_clock_get_us(QEMU_CLOCK_VIRTUAL));
}

uint64_t hisi_acc_mailbox_read(HisiAccFunc *f, unsigned first, unsigned size)
{
    uint64_t value = 0;

    if (size < 8 && f->pf->mailbox_last &&
        f->pf->cfg.mailbox_narrow_read == HISI_ACC_READ_FOREIGN) {
        f = f->pf->mailbox_last;
    }
    if (f->mailbox_running && !f->mailbox_stuck && !f->mailbox_draining &&
        time_has_come(f)) {
        timer_del(f->mailbox_timer);
        qemu_bh_cancel(f->mailbox_bh);
        hisi_acc_mailbox_run(f);
    }
    for (unsigned i = 0; i < size && first + i < MB_SIZE; i++) {
        value |= (uint64_t)f->mailbox[first + i] << (i * 8);
    }
    return value;
}

void hisi_acc_mailbox_retry(HisiAccFunc *f)
{
    if (f->mailbox_stuck && fault(f, f->mailbox[0]) != HISI_ACC_MB_BUSY) {
        f->mailbox_stuck = false;
        qemu_bh_schedule(f->mailbox_bh);
    }
}

void hisi_acc_mailbox_reset(HisiAccFunc *f)
{
    timer_del(f->mailbox_timer);
    qemu_bh_cancel(f->mailbox_bh);
    f->mailbox_half = false;
    f->mailbox_running = false;
    f->mailbox_draining = false;
    f->mailbox_stuck = false;
    memset(f->mailbox, 0, sizeof(f->mailbox));
}
