/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: the PF's registers for the whole device
 *
 * Most of them configure buses and error reports that the model does not
 * have: they keep what is written. The rest is here by name.
 */

#include "qemu/osdep.h"
#include "hisi_acc.h"
#include "hisi_acc_offsets.h"

#define VFT_FUNCTION_MASK   0x3f
#define VFT_SHAPER_SHIFT    6
#define VFT_SQC_VALID       BIT_ULL(44)

static const HisiAccRange qm_ranges[] = {
    { 0x100000, 0x100164, false },
    { 0x100050, 0x100074, true },
    { 0x100088, 0x1000f8, true },
    { 0x1000fc, 0x100100, false },      /* no error is pending on the bus */
    { 0x100118, 0x100118, true },
    { 0x100134, 0x100134, true },
    { 0x100148, 0x100148, true },
    { 0x100164, 0x100164, true },
    { MIG_REGION_SEL, MIG_REGION_SEL, false },  /* from V4 on */
    { 0x104000, 0x1041fc, false },
    { 0x104010, 0x104040, true },       /* whose counters the dumps show */
    { OOO_SHUTDOWN_SEL, OOO_SHUTDOWN_SEL, true },
    { 0x300000, 0x3001fc, false },
    { 0x300014, 0x30001c, true },
    { 0x300100, 0x300104, true },
    { 0 }
};

static bool in_ranges(const HisiAccRange *r, uint32_t off, bool write)
{
    for (; r->last; r++) {
        if (off >= r->first && off <= r->last && (r->writable || !write)) {
            return true;
        }
    }
    return false;
}

static bool defined(HisiAccPf *pf, uint32_t off, bool write)
{
    return in_ranges(qm_ranges, off, write) ||
           in_ranges(hisi_acc_engine(HISI_ACC_FUNC(pf))->ranges, off, write);
}

static uint32_t *storage(HisiAccPf *pf, uint32_t off)
{
    if (off >= GLOBAL_FIRST && off < GLOBAL_FIRST + sizeof(pf->qm_regs)) {
        return &pf->qm_regs[(off - GLOBAL_FIRST) / 4];
    }
    if (off >= AM_FIRST && off < AM_FIRST + sizeof(pf->am_regs)) {
        return &pf->am_regs[(off - AM_FIRST) / 4];
    }
    return NULL;
}

static uint64_t storage64(HisiAccPf *pf, uint32_t off)
{
    return *storage(pf, off) | (uint64_t)*storage(pf, off + 4) << 32;
}

/* Registers that later versions brought; NULL if this one has none here */
static uint32_t *later_word(HisiAccPf *pf, uint32_t off, bool write)
{
    enum HisiAccVersion version = pf->cfg.hw_version;
    uint32_t n = (off - MESSAGE_FROM_VFS) / 4;

    if (version >= HISI_ACC_V4) {
        if (off == MIG_REGION_SEL || (off & ~4) == MESSAGE_TO_VF) {
            return storage(pf, off);
        }
        if (off >= MESSAGE_FROM_VFS && n < HISI_ACC_MAX_FUNCS && !write) {
            return hisi_acc_half(&pf->message_from[n], false);
        }
    }
    if (version >= HISI_ACC_V5 &&
        ((off & ~4) == DEV_DB_DROP || (off & ~4) == FUNC_AXI_ERROR)) {
        return storage(pf, off);
    }
    return NULL;
}

static void later_write(HisiAccPf *pf, uint32_t off, uint32_t *word,
                        uint32_t value)
{
    if ((off & ~4) == FUNC_AXI_ERROR) {
        *word &= ~value;
        return;
    }
    *word = value;
    pf->message_written |= (off & ~4) == MESSAGE_TO_VF;
}

/* Whether migration's registers are in the PF's BAR2 */
bool hisi_acc_window_in_pf(HisiAccPf *pf)
{
    return pf->cfg.hw_version >= HISI_ACC_V4 &&
           *storage(pf, MIG_REGION_SEL) & 1;
}

bool hisi_acc_doorbell_dropped(HisiAccFunc *f)
{
    return f->db_drop & 1 ||
           storage64(f->pf, DEV_DB_DROP) & BIT_ULL(f->number);
}

/* Later versions have a register for the message; the mailbox does as well */
static void message_to_vf(HisiAccPf *pf)
{
    uint32_t dest = *storage(pf, IFC_INT_CFG) & 0x7f;

    if (pf->message_written) {
        hisi_acc_ifc_store(HISI_ACC_FUNC(pf), dest == 0x7f ? 0xffff : dest,
                           storage64(pf, MESSAGE_TO_VF));
        pf->message_written = false;
    }
    hisi_acc_ifc_to_vf(pf, dest);
}

static uint64_t vft_data(HisiAccPf *pf)
{
    return storage64(pf, VFT_CFG_DATA_L);
}

static void vft_run(HisiAccPf *pf)
{
    uint32_t where = *storage(pf, VFT_CFG_FUNCTION);
    unsigned function = where & VFT_FUNCTION_MASK;
    unsigned shaper = (where >> VFT_SHAPER_SHIFT) & (HISI_ACC_SHAPERS - 1);
    uint64_t *entry = NULL;

    switch (*storage(pf, VFT_CFG_TYPE)) {
    case 0:
        entry = &pf->vft_sqc[function];
        break;
    case 1:
        entry = &pf->vft_cqc[function];
        break;
    case 2:
        entry = &pf->vft_shaper[function][shaper];
        break;
    }
    if (!entry || function > pf->cfg.vfs) {
        hisi_acc_guest_error(HISI_ACC_FUNC(pf), HISI_ACC_ERR_VFT, where);
    } else if (*storage(pf, VFT_CFG_OP_READ) & 1) {
        *storage(pf, VFT_CFG_DATA_L) = *entry;
        *storage(pf, VFT_CFG_DATA_H) = *entry >> 32;
    } else {
        *entry = vft_data(pf);
    }
    *storage(pf, VFT_CFG_RDY) = 1;
}

unsigned hisi_acc_queue_count(HisiAccFunc *f)
{
    uint64_t entry = f->pf->vft_sqc[f->number];

    if (!(entry & VFT_SQC_VALID)) {
        return 0;
    }
    return MIN(((entry >> 45) & 0x3ff) + 1, f->pf->cfg.queues);
}

static uint32_t abnormal_status(HisiAccPf *pf)
{
    return *storage(pf, ABN_INT_SOURCE) & ~*storage(pf, ABN_INT_MASK);
}

static uint32_t engine_status(HisiAccPf *pf)
{
    const HisiAccEngine *engine = hisi_acc_engine(HISI_ACC_FUNC(pf));
    uint32_t mask = *storage(pf, engine->int_mask);

    return *storage(pf, engine->int_source) &
           (engine->int_mask_enables ? mask : ~mask);
}

/* Functions that the errors of bits 0 and 1 are of; V5 says so */
uint64_t hisi_acc_global_function_errors(HisiAccPf *pf)
{
    return storage64(pf, FUNC_AXI_ERROR);
}

void hisi_acc_global_set_function_errors(HisiAccPf *pf, uint64_t functions)
{
    *storage(pf, FUNC_AXI_ERROR) = functions;
    *storage(pf, FUNC_AXI_ERROR + 4) = functions >> 32;
}

/* Errors of the queue manager or of the engine that the PF reports */
uint32_t hisi_acc_global_errors(HisiAccPf *pf, bool engine)
{
    return *storage(pf, engine ? hisi_acc_engine(HISI_ACC_FUNC(pf))->int_source
                               : ABN_INT_SOURCE);
}

/*
 * An error that the driver selected for it keeps the device from memory until
 * it is cleared, or all is reset: requests stay where they are. So does a
 * driver that is about to reset all.
 */
bool hisi_acc_bus_closed(HisiAccPf *pf)
{
    uint32_t select = hisi_acc_engine(HISI_ACC_FUNC(pf))->int_shutdown;

    return *storage(pf, MASTER_GLOBAL_CTRL) & 1 ||
           hisi_acc_global_errors(pf, false) & *storage(pf, OOO_SHUTDOWN_SEL) ||
           hisi_acc_global_errors(pf, true) & *storage(pf, select);
}

static void bus_changed(HisiAccPf *pf)
{
    hisi_acc_work_kick_all(pf);
    for (unsigned n = 0; n <= hisi_acc_vf_count(pf); n++) {
        hisi_acc_fault_let_go(pf->funcs[n]);
    }
}

/*
 * The only way but for resets to change one of the five registers that close
 * the bus, so that the requests which had to wait go on however it opens, and
 * commands that wait for requests end however it closes.
 */
static void set_bus_register(HisiAccPf *pf, uint32_t off, uint32_t value)
{
    bool closed = hisi_acc_bus_closed(pf);

    *storage(pf, off) = value;
    if (closed != hisi_acc_bus_closed(pf)) {
        bus_changed(pf);
    }
}

void hisi_acc_global_set_errors(HisiAccPf *pf, bool engine, uint32_t bits)
{
    uint32_t source = engine ? hisi_acc_engine(HISI_ACC_FUNC(pf))->int_source
                             : ABN_INT_SOURCE;

    set_bus_register(pf, source, bits);
    if (engine ? engine_status(pf) : abnormal_status(pf)) {
        hisi_acc_msi(HISI_ACC_FUNC(pf), HISI_ACC_MSI_ABNORMAL);
    }
}

static void raise_errors(HisiAccPf *pf, bool engine, uint32_t bits)
{
    hisi_acc_global_set_errors(pf, engine,
                               hisi_acc_global_errors(pf, engine) | bits);
}

/* What a function does wrong with memory concerns the whole device */
void hisi_acc_ras(HisiAccFunc *f, uint32_t bits)
{
    if (f->pf->cfg.ras) {
        raise_errors(f->pf, false, bits);
    }
}

void hisi_acc_ras_dma(HisiAccFunc *f, bool write)
{
    const HisiAccEngine *engine = hisi_acc_engine(f);
    HisiAccPf *pf = f->pf;

    if (!pf->cfg.ras) {
        return;
    }
    if (pf->cfg.hw_version >= HISI_ACC_V5) {
        hisi_acc_global_set_function_errors(pf, BIT_ULL(f->number) |
                                   hisi_acc_global_function_errors(pf));
    }
    if (f->processing) {
        raise_errors(pf, true, write ? engine->write_error
                                     : engine->read_error);
    } else {
        raise_errors(pf, false, write ? HISI_ACC_RAS_WRITE
                                      : HISI_ACC_RAS_READ);
    }
}

/* An error that was there already is reported once its mask lets it */
static void set_mask(HisiAccPf *pf, uint32_t off, uint32_t value)
{
    uint32_t abnormal = abnormal_status(pf);
    uint32_t engine = engine_status(pf);

    *storage(pf, off) = value;
    if (abnormal_status(pf) & ~abnormal || engine_status(pf) & ~engine) {
        hisi_acc_msi(HISI_ACC_FUNC(pf), HISI_ACC_MSI_ABNORMAL);
    }
}

static void mem_init(HisiAccPf *pf)
{
    memset(pf->vft_sqc, 0, sizeof(pf->vft_sqc));
    memset(pf->vft_cqc, 0, sizeof(pf->vft_cqc));
    memset(pf->vft_shaper, 0, sizeof(pf->vft_shaper));
    *storage(pf, MEM_INIT_DONE) = 1;
}

/* The user may have errors end by themselves: with the last of so many reads */
static uint32_t status_read(HisiAccPf *pf, uint32_t status, uint32_t source)
{
    if (status && pf->cfg.error_reads && !--pf->cfg.error_reads) {
        set_bus_register(pf, source, 0);
    }
    return status;
}

uint32_t hisi_acc_global_read(HisiAccPf *pf, uint32_t off)
{
    const HisiAccEngine *engine = hisi_acc_engine(HISI_ACC_FUNC(pf));
    uint32_t *later = later_word(pf, off, false);

    if (later) {
        return *later;
    }
    if (!defined(pf, off, false)) {
        hisi_acc_guest_error(HISI_ACC_FUNC(pf), HISI_ACC_ERR_UNDEFINED, off);
        return 0;
    }
    if (off == engine->int_status) {
        return status_read(pf, engine_status(pf), engine->int_source);
    }
    switch (off) {
    case ABN_INT_STATUS:
        return status_read(pf, abnormal_status(pf), ABN_INT_SOURCE);
    case IFC_READY_STATUS:
        return pf->ifc_ready;
    case IFC_READY_STATUS + 4:
        return pf->ifc_ready >> 32;
    case IFC_INT_SOURCE_P:
        return pf->ifc_source;
    case IFC_INT_SOURCE_P + 4:
        return pf->ifc_source >> 32;
    case QUEUE_NUMBERS:                 /* in all, and for one function */
        return pf->cfg.queues | pf->cfg.queues << 11;
    case QM_IDLE:
        return 1;
    case MASTER_TRANS_RETURN:           /* nothing is left on the bus */
        return *storage(pf, MASTER_GLOBAL_CTRL) & 1 ? 3 : 0;
    }
    return *storage(pf, off);
}

void hisi_acc_global_write(HisiAccPf *pf, uint32_t off, uint32_t value)
{
    const HisiAccEngine *engine = hisi_acc_engine(HISI_ACC_FUNC(pf));
    uint32_t *later = later_word(pf, off, true);

    if (later) {
        later_write(pf, off, later, value);
        return;
    }
    for (const HisiAccInit *init = engine->inits; init && init->start; init++) {
        if (off == init->start) {
            *storage(pf, init->done) = value & 1 ? init->value : 0;
            return;
        }
    }
    if (off == engine->int_source) {
        set_bus_register(pf, off, *storage(pf, off) & ~value);
        return;
    }
    if (off == engine->int_shutdown) {
        set_bus_register(pf, off, value);
        return;
    }
    if (off == engine->int_mask) {
        set_mask(pf, off, value);
        return;
    }
    if (off == engine->int_set) {
        raise_errors(pf, true, value);
        return;
    }
    switch (off) {
    case ABN_INT_SOURCE:
        set_bus_register(pf, off, *storage(pf, off) & ~value);
        return;
    case OOO_SHUTDOWN_SEL:
    case MASTER_GLOBAL_CTRL:
        set_bus_register(pf, off, value);
        return;
    case ABN_INT_MASK:
        set_mask(pf, off, value);
        return;
    case ABN_INT_SET:
        raise_errors(pf, false, value);
        return;
    case MEM_START_INIT:
        if (value & 1) {
            mem_init(pf);
        }
        return;
    case VFT_CFG_OP_ENABLE:
        if (value & 1) {
            vft_run(pf);
        }
        return;
    case IFC_INT_SET_P:
        if (value & 1) {
            message_to_vf(pf);
        }
        return;
    case IFC_INT_SOURCE_P:
        hisi_acc_ifc_ack_vfs(pf, value);
        return;
    case IFC_INT_SOURCE_P + 4:
        hisi_acc_ifc_ack_vfs(pf, (uint64_t)value << 32);
        return;
    }
    if (!defined(pf, off, true)) {
        hisi_acc_guest_error(HISI_ACC_FUNC(pf), HISI_ACC_ERR_UNDEFINED, off);
        return;
    }
    *storage(pf, off) = value;
}

/* The drivers say where the windows are at probe only */
void hisi_acc_global_reset(HisiAccPf *pf)
{
    const HisiAccEngine *engine = hisi_acc_engine(HISI_ACC_FUNC(pf));
    uint32_t windows = pf->cfg.window_reset == HISI_ACC_WINDOW_KEEP
                       ? *storage(pf, MIG_REGION_SEL) : 0;

    memset(pf->qm_regs, 0, sizeof(pf->qm_regs));
    *storage(pf, MIG_REGION_SEL) = windows;
    memset(pf->am_regs, 0, sizeof(pf->am_regs));
    *storage(pf, VFT_CFG_RDY) = 1;
    *storage(pf, ABN_INT_MASK) = UINT32_MAX;
    *storage(pf, engine->int_mask) = engine->int_mask_enables ? 0 : UINT32_MAX;
    mem_init(pf);
    *storage(pf, MEM_INIT_DONE) = 0;
    memset(pf->message_to, 0, sizeof(pf->message_to));
    memset(pf->message_from, 0, sizeof(pf->message_from));
    pf->message_written = false;
    pf->ifc_ready = 0;
    pf->ifc_source = 0;
    hisi_acc_ifc_reset_all(pf);
    /* the bus is open, and VFs may not have been reset with the PF */
    bus_changed(pf);
}
