/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: words of the registers that the PF has for
 * the device
 *
 * Most of them configure buses and error reports that the model does not have:
 * they keep what is written.
 */

#include "qemu/osdep.h"
#include "hisi_acc.h"
#include "hisi_acc_offsets.h"

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

bool hisi_acc_store_defined(HisiAccPf *pf, uint32_t off, bool write)
{
    return in_ranges(qm_ranges, off, write) ||
           in_ranges(hisi_acc_engine(HISI_ACC_FUNC(pf))->ranges, off, write);
}

uint32_t *hisi_acc_store(HisiAccPf *pf, uint32_t off)
{
    if (off >= GLOBAL_FIRST && off < GLOBAL_FIRST + sizeof(pf->qm_regs)) {
        return &pf->qm_regs[(off - GLOBAL_FIRST) / 4];
    }
    if (off >= AM_FIRST && off < AM_FIRST + sizeof(pf->am_regs)) {
        return &pf->am_regs[(off - AM_FIRST) / 4];
    }
    return NULL;
}

uint64_t hisi_acc_store64(HisiAccPf *pf, uint32_t off)
{
    return *hisi_acc_store(pf, off) |
           (uint64_t)*hisi_acc_store(pf, off + 4) << 32;
}

/* Whether migration's registers are in the PF's BAR2 */
bool hisi_acc_mig_regs_in_pf(HisiAccPf *pf)
{
    return pf->cfg.hw_version >= HISI_ACC_V4 &&
           *hisi_acc_store(pf, MIG_REGION_SEL) & 1;
}

bool hisi_acc_doorbell_dropped(HisiAccFunc *f)
{
    return f->db_drop & 1 ||
           hisi_acc_store64(f->pf, DEV_DB_DROP) & BIT_ULL(f->number);
}
