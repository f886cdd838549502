/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: properties of a PF or VF, and its faults
 */

#include "qemu/osdep.h"
#include "hw/pci/pcie_sriov.h"
#include "hisi_acc.h"

const HisiAccEngine *hisi_acc_engine(HisiAccFunc *f)
{
    return HISI_ACC_FUNC_GET_CLASS(f->pf ? HISI_ACC_FUNC(f->pf) : f)->engine;
}

uint64_t hisi_acc_algs(const HisiAccFunc *f)
{
    return f->number ? f->pf->cfg.vf_algs : f->pf->cfg.pf_algs;
}

unsigned hisi_acc_vf_count(HisiAccPf *pf)
{
    return pcie_sriov_num_vfs(PCI_DEVICE(pf));
}

/* Whether the PF has the VFs answer in their memory space */
bool hisi_acc_vf_mse(HisiAccPf *pf)
{
    PCIDevice *dev = PCI_DEVICE(pf);

    return pci_get_word(dev->config + dev->exp.sriov_cap + PCI_SRIOV_CTRL) &
           PCI_SRIOV_CTRL_MSE;
}

/*
 * DMA and messages of a PF or VF may reach the registers of the device that
 * they come from. What a queue or a context is must not change in the middle of
 * its use: such a transfer is refused, which QEMU itself does only for the BARs
 * of the same PF or VF.
 */
void hisi_acc_dma_begin(HisiAccPf *pf)
{
    pf->dma_active = true;
    pf->dma_refused = false;
}

/* Whether no part of it was refused */
bool hisi_acc_dma_end(HisiAccPf *pf)
{
    pf->dma_active = false;
    return !pf->dma_refused;
}

/* To be called before each access; true for one that has to be refused */
bool hisi_acc_dma_to_itself(HisiAccPf *pf)
{
    pf->dma_refused |= pf->dma_active;
    return pf->dma_active;
}

/* Has the engine look at the PF or VF soon */
void hisi_acc_wake(HisiAccFunc *f)
{
    f->awake = true;
    qemu_bh_schedule(f->pf->work_bh);
}

static bool concerns(HisiAccFunc *f)
{
    uint32_t function = f->pf->cfg.fault_function;

    return function == HISI_ACC_ANY || function == f->number;
}

/* True for an interrupt that gets lost */
bool hisi_acc_fault_msi(HisiAccFunc *f)
{
    if (!f->pf->cfg.fault_msi_drop || !concerns(f)) {
        return false;
    }
    f->pf->cfg.fault_msi_drop--;
    return true;
}

bool hisi_acc_fault_writeback(HisiAccFunc *f)
{
    return f->pf->cfg.fault_writeback == HISI_ACC_BROKEN && concerns(f);
}

bool hisi_acc_fault_registers(HisiAccFunc *f)
{
    return f->pf->cfg.fault_registers == HISI_ACC_BROKEN && concerns(f);
}

bool hisi_acc_fault_reraise(HisiAccFunc *f)
{
    return f->pf->cfg.fault_reraise == HISI_ACC_BROKEN && concerns(f);
}

uint32_t hisi_acc_fault_vf_state(HisiAccFunc *f, uint32_t value)
{
    if (f->pf->cfg.fault_vf_state == HISI_ACC_STATE_SOUND || !concerns(f)) {
        return value;
    }
    return f->pf->cfg.fault_vf_state == HISI_ACC_STATE_NOT_READY;
}

enum HisiAccMailboxFault hisi_acc_fault_mailbox(HisiAccFunc *f,
                                                unsigned command)
{
    const HisiAccConfig *cfg = &f->pf->cfg;

    if (cfg->fault_opcode != HISI_ACC_ANY && cfg->fault_opcode != command) {
        return HISI_ACC_MB_SOUND;
    }
    return concerns(f) ? cfg->fault_mailbox : HISI_ACC_MB_SOUND;
}
