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

/* Registers that later versions brought; NULL if this one has none here */
static uint32_t *later_word(HisiAccPf *pf, uint32_t off, bool write)
{
    enum HisiAccVersion version = pf->cfg.hw_version;
    uint32_t n = (off - MESSAGE_FROM_VFS) / 4;

    if (version >= HISI_ACC_V4) {
        if (off == MIG_REGION_SEL || (off & ~4) == MESSAGE_TO_VF) {
            return hisi_acc_store(pf, off);
        }
        if (off >= MESSAGE_FROM_VFS && n < HISI_ACC_MAX_FUNCS && !write) {
            return hisi_acc_half(&pf->message_from[n], false);
        }
    }
    if (version >= HISI_ACC_V5 &&
        ((off & ~4) == DEV_DB_DROP || (off & ~4) == FUNC_AXI_ERROR)) {
        return hisi_acc_store(pf, off);
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

/* Later versions have a register for the message; the mailbox does as well */
static void message_to_vf(HisiAccPf *pf)
{
    uint32_t dest = *hisi_acc_store(pf, IFC_INT_CFG) & 0x7f;

    if (pf->message_written) {
        hisi_acc_ifc_store(HISI_ACC_FUNC(pf), dest == 0x7f ? 0xffff : dest,
                           hisi_acc_store64(pf, MESSAGE_TO_VF));
        pf->message_written = false;
    }
    hisi_acc_ifc_to_vf(pf, dest);
}

/*
 * The only way but for resets to change one of the six registers that close and
 * open the bus, so that pending requests continue however it opens, and
 * commands that wait for requests end however it closes.
 */
static void set_bus_register(HisiAccPf *pf, uint32_t off, uint32_t value)
{
    bool closed = hisi_acc_bus_closed(pf);

    *hisi_acc_store(pf, off) = value;
    hisi_acc_bus_latch(pf);
    if (closed != hisi_acc_bus_closed(pf)) {
        hisi_acc_go_on_all(pf);
    }
}

void hisi_acc_global_set_errors(HisiAccPf *pf, enum HisiAccUnit unit,
                                uint32_t bits)
{
    set_bus_register(pf, hisi_acc_ras_source(pf, unit), bits);
    hisi_acc_ras_report(pf, unit);
}

/* The user may have errors end by themselves: with the last of so many reads */
static uint32_t status_read(HisiAccPf *pf, enum HisiAccUnit unit)
{
    uint32_t status = hisi_acc_ras_status(pf, unit);

    if (status && pf->cfg.error_reads && !--pf->cfg.error_reads) {
        set_bus_register(pf, hisi_acc_ras_source(pf, unit), 0);
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
    if (!hisi_acc_store_defined(pf, off, false)) {
        hisi_acc_guest_error(HISI_ACC_FUNC(pf), HISI_ACC_ERR_UNDEFINED, off);
        return 0;
    }
    if (off == engine->int_status) {
        return status_read(pf, HISI_ACC_ENGINE);
    }
    switch (off) {
    case ABN_INT_STATUS:
        return status_read(pf, HISI_ACC_QM);
    case IFC_READY_STATUS:
        return pf->ifc_ready;
    case IFC_READY_STATUS + 4:
        return pf->ifc_ready >> 32;
    case IFC_INT_SOURCE_P:
        return pf->ifc_source;
    case IFC_INT_SOURCE_P + 4:
        return pf->ifc_source >> 32;
    case QUEUE_NUMBERS:                 /* in all, and for one PF or VF */
        return pf->cfg.queues | pf->cfg.queues << 11;
    case QM_IDLE:
        return 1;
    case MASTER_TRANS_RETURN:           /* nothing is left on the bus */
        return *hisi_acc_store(pf, MASTER_GLOBAL_CTRL) & 1 ? 3 : 0;
    }
    return *hisi_acc_store(pf, off);
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
            *hisi_acc_store(pf, init->done) = value & 1 ? init->value : 0;
            return;
        }
    }
    if (off == engine->int_source) {
        set_bus_register(pf, off, *hisi_acc_store(pf, off) & ~value);
        return;
    }
    if (off == engine->int_shutdown || off == engine->shutdown_control) {
        set_bus_register(pf, off, value);
        return;
    }
    if (off == engine->int_mask) {
        hisi_acc_ras_set_mask(pf, off, value);
        return;
    }
    if (off == engine->int_set) {
        hisi_acc_ras_raise(pf, HISI_ACC_ENGINE, value);
        return;
    }
    switch (off) {
    case ABN_INT_SOURCE:
        set_bus_register(pf, off, *hisi_acc_store(pf, off) & ~value);
        return;
    case OOO_SHUTDOWN_SEL:
    case MASTER_GLOBAL_CTRL:
        set_bus_register(pf, off, value);
        return;
    case ABN_INT_MASK:
        hisi_acc_ras_set_mask(pf, off, value);
        return;
    case ABN_INT_SET:
        hisi_acc_ras_raise(pf, HISI_ACC_QM, value);
        return;
    case MEM_START_INIT:
        if (value & 1) {
            hisi_acc_vft_reset(pf);
            *hisi_acc_store(pf, MEM_INIT_DONE) = 1;
        }
        return;
    case VFT_CFG_OP_ENABLE:
        if (value & 1) {
            hisi_acc_vft_run(pf);
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
    if (!hisi_acc_store_defined(pf, off, true)) {
        hisi_acc_guest_error(HISI_ACC_FUNC(pf), HISI_ACC_ERR_UNDEFINED, off);
        return;
    }
    *hisi_acc_store(pf, off) = value;
}

/* The drivers say where the migration registers are at probe only */
void hisi_acc_global_reset(HisiAccPf *pf)
{
    const HisiAccEngine *engine = hisi_acc_engine(HISI_ACC_FUNC(pf));
    uint32_t region = pf->cfg.mig_regs_reset == HISI_ACC_MIG_REGS_KEEP
                       ? *hisi_acc_store(pf, MIG_REGION_SEL) : 0;

    pf->bus_latched = false;
    memset(pf->qm_regs, 0, sizeof(pf->qm_regs));
    *hisi_acc_store(pf, MIG_REGION_SEL) = region;
    memset(pf->am_regs, 0, sizeof(pf->am_regs));
    *hisi_acc_store(pf, VFT_CFG_RDY) = 1;
    *hisi_acc_store(pf, ABN_INT_MASK) = UINT32_MAX;
    *hisi_acc_store(pf, engine->int_mask) = engine->int_mask_enables
                                            ? 0 : UINT32_MAX;
    hisi_acc_vft_reset(pf);
    memset(pf->message_to, 0, sizeof(pf->message_to));
    memset(pf->message_from, 0, sizeof(pf->message_from));
    pf->message_written = false;
    pf->ifc_ready = 0;
    pf->ifc_source = 0;
    hisi_acc_ifc_reset_all(pf);
    /* the bus is open, and VFs may not have been reset with the PF */
    hisi_acc_go_on_all(pf);
}
