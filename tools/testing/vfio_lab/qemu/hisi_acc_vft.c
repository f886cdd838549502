/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: which queues are whose
 */

#include "qemu/osdep.h"
#include "hisi_acc.h"
#include "hisi_acc_offsets.h"

#define VFT_FUNCTION_MASK   0x3f
#define VFT_SHAPER_SHIFT    6
#define VFT_SQC_VALID       BIT_ULL(44)

void hisi_acc_vft_run(HisiAccPf *pf)
{
    uint32_t where = *hisi_acc_store(pf, VFT_CFG_FUNCTION);
    unsigned function = where & VFT_FUNCTION_MASK;
    unsigned shaper = (where >> VFT_SHAPER_SHIFT) & (HISI_ACC_SHAPERS - 1);
    uint64_t *entry = NULL;

    switch (*hisi_acc_store(pf, VFT_CFG_TYPE)) {
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
    } else if (*hisi_acc_store(pf, VFT_CFG_OP_READ) & 1) {
        *hisi_acc_store(pf, VFT_CFG_DATA_L) = *entry;
        *hisi_acc_store(pf, VFT_CFG_DATA_H) = *entry >> 32;
    } else {
        *entry = hisi_acc_store64(pf, VFT_CFG_DATA_L);
    }
    *hisi_acc_store(pf, VFT_CFG_RDY) = 1;
}

unsigned hisi_acc_queue_count(HisiAccFunc *f)
{
    uint64_t entry = f->pf->vft_sqc[f->number];

    if (!(entry & VFT_SQC_VALID)) {
        return 0;
    }
    return MIN(((entry >> 45) & 0x3ff) + 1, f->pf->cfg.queues);
}

void hisi_acc_vft_reset(HisiAccPf *pf)
{
    memset(pf->vft_sqc, 0, sizeof(pf->vft_sqc));
    memset(pf->vft_cqc, 0, sizeof(pf->vft_cqc));
    memset(pf->vft_shaper, 0, sizeof(pf->vft_shaper));
}
