/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: registers of the PF and of each VF, as words
 *
 * Reads never change anything: the drivers dump whole ranges to debugfs.
 */

#include "qemu/osdep.h"
#include "hisi_acc.h"
#include "hisi_acc_offsets.h"

#define BUS_ERRORS      0x3

/*
 * Version 1 of the capability layout; QoS, STOP_QP, FLUSH, messages and
 * prefetch, because of which a driver writes its page size. No
 * runtime power management: the drivers of 6.12 and 7.2 take it as a promise
 * that an ACPI companion exists, and fall over without one.
 */
#define FUNCTIONS       0x4f01
#define EXT_BAR         0x14

static uint32_t cap_read(HisiAccFunc *f, uint32_t off)
{
    const HisiAccEngine *engine = hisi_acc_engine(f);
    const HisiAccConfig *cfg = &f->pf->cfg;
    uint64_t algs = hisi_acc_algs(f);
    unsigned cap = (off - CAP_ENGINE_FIRST) / 4;

    switch (off) {
    case CAP_FUNCTIONS:
        return FUNCTIONS;
    case CAP_EVENT_DEPTHS:
        return cfg->eq_depth | cfg->aeq_depth << 16;
    case CAP_QUEUE_DEPTHS:
        return cfg->sq_depth | cfg->cq_depth << 16;
    case CAP_EQ_IRQ:                /* interrupt type << 16 | vector */
        return 1 << 16 | HISI_ACC_MSI_EQ;
    case CAP_AEQ_IRQ:
        return 1 << 16 | HISI_ACC_MSI_AEQ;
    case CAP_ABNORMAL_IRQ:
        return 1 << 16 | HISI_ACC_MSI_ABNORMAL;
    case CAP_IFC_IRQ:
        return 1 << 16 | HISI_ACC_MSI_IFC;
    case CAP_VECTORS:               /* of the PF << 16 | of a VF */
        return HISI_ACC_MSI_COUNT << 16 | cfg->vf_vectors;
    case CAP_EXT_BAR:
        return EXT_BAR;
    }
    if (off >= CAP_ALGS_FIRST && off <= engine->alg_cap_last) {
        return engine->alg_cap_pairs && (off - CAP_ALGS_FIRST) & 4
               ? algs >> 32 : algs;
    }
    if (cap >= HISI_ACC_CAP_COUNT) {
        return 0;
    }
    /* V5 resets one PF or VF after an error on its bus, not the whole device */
    return cap == HISI_ACC_CAP_QM_RESET && cfg->hw_version >= HISI_ACC_V5
           ? engine->caps[cap] & ~BUS_ERRORS : engine->caps[cap];
}

/* The words of EQC and AEQC that a VF shows to its migration driver */
static uint32_t *mig_regs_word(HisiAccFunc *f, uint32_t off)
{
    if (f->number == 0) {
        return NULL;
    }
    if (off >= VF_EQC && off < VF_EQC + sizeof(f->eq.dw)) {
        return &f->eq.dw[(off - VF_EQC) / 4];
    }
    if (off >= VF_AEQC && off < VF_AEQC + sizeof(f->aeq.dw)) {
        return &f->aeq.dw[(off - VF_AEQC) / 4];
    }
    return NULL;
}

/* Registers that came with later versions; NULL if this one has none here */
static uint32_t *later_word(HisiAccFunc *f, uint32_t off, bool write)
{
    enum HisiAccVersion version = f->pf->cfg.hw_version;

    if (version >= HISI_ACC_V4 && f->number) {
        HisiAccPf *pf = f->pf;

        if ((off & ~4) == MESSAGE_TO_PF) {
            return hisi_acc_half(&pf->message_from[f->number], off & 4);
        }
        if ((off & ~4) == MESSAGE_FROM_PF && !write) {
            return hisi_acc_half(&pf->message_to[f->number], off & 4);
        }
    }
    if (version >= HISI_ACC_V5 && off == FUN_DB_DROP) {
        return &f->db_drop;
    }
    return NULL;
}

uint32_t hisi_acc_reg_read(HisiAccFunc *f, uint32_t off)
{
    static const uint8_t sub_version[] = { 0, 0x50, 0x51 };
    uint32_t *word = mig_regs_word(f, off);

    if (!word) {
        word = later_word(f, off, false);
    }
    if (word) {
        return *word;
    }
    if (f->pf->cfg.hw_version >= HISI_ACC_V5 && off >= CHANNEL_FIRST &&
        off <= CHANNEL_LAST) {
        return hisi_acc_work_usage(f->pf);
    }
    if (off >= CAPS_FIRST && off <= CAPS_LAST) {
        return cap_read(f, off);
    }
    switch (off) {
    case AEQ_INT_SOURCE:
        return f->aeq.source;
    case AEQ_INT_MASK:
        return f->aeq.mask;
    case EQ_INT_SOURCE:
        return f->eq.source;
    case EQ_INT_MASK:
        return f->eq.mask;
    case IFC_INT_SOURCE:
        return f->ifc_source;
    case IFC_INT_MASK:
        return f->ifc_mask;
    case IFC_INT_STATUS:
        return hisi_acc_ifc_status(f);
    case IFC_INT_SET:
        return f->ifc_set;
    case PAGE_SIZE_CFG:
        return f->page_size;
    case VF_STATE:
        return hisi_acc_fault_vf_state(f, f->vf_state);
    case CACHE_WB_START:
        return f->writeback_running;
    case CACHE_WB_DONE:
        return !f->writeback_running;
    case QUE_ISO_CFG:
        return f->pf->cfg.isolation;
    case SUB_VERSION:               /* V3 has the PCI revision alone */
        return sub_version[f->pf->cfg.hw_version];
    case SQ_CQ_DOORBELL:
    case EQ_AEQ_DOORBELL:
        return 0;
    }
    if (off > LOCAL_LAST) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_UNDEFINED, off);
    }
    return 0;
}

static void write_mask(HisiAccFunc *f, HisiAccEventQueue *eq, uint32_t value)
{
    bool unmasked = (eq->mask & 1) && !(value & 1);

    eq->mask = value & 1;
    if (unmasked) {
        hisi_acc_eq_rearm(f, eq);
    }
}

void hisi_acc_reg_write(HisiAccFunc *f, uint32_t off, uint32_t value)
{
    uint32_t *word = mig_regs_word(f, off);

    if (!word) {
        word = later_word(f, off, true);
    }
    if (word) {
        *word = value;
        return;
    }
    switch (off) {
    case AEQ_INT_SOURCE:
        f->aeq.source &= ~value;
        break;
    case AEQ_INT_MASK:
        write_mask(f, &f->aeq, value);
        break;
    case EQ_INT_SOURCE:
        f->eq.source &= ~value;
        break;
    case EQ_INT_MASK:
        write_mask(f, &f->eq, value);
        break;
    case IFC_INT_SOURCE:
        hisi_acc_ifc_ack(f, value);
        break;
    case IFC_INT_MASK:
        hisi_acc_ifc_set_mask(f, value);
        break;
    case IFC_INT_SET:
        if (value & 1) {
            hisi_acc_ifc_to_pf(f);
        }
        break;
    case QUE_ISO_CFG:
        if ((value & 1) != f->pf->cfg.isolation) {
            hisi_acc_guest_error(f, HISI_ACC_ERR_UNDEFINED, off);
        }
        break;
    case PAGE_SIZE_CFG:
        f->page_size = value & 3;
        break;
    case VF_STATE:
        f->vf_state = value & 1;
        break;
    case CACHE_WB_START:
        if (value & 1) {
            hisi_acc_writeback_start(f);
        }
        break;
    default:
        hisi_acc_guest_error(f, HISI_ACC_ERR_UNDEFINED, off);
    }
}

void hisi_acc_regs_reset(HisiAccFunc *f)
{
    f->page_size = 0;
    f->db_drop = 0;
    f->vf_state = 1;                /* no driver is ready behind it */
}
