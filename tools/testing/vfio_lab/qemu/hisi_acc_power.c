/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: D3hot and bus mastering
 *
 * In D3hot, or without bus master enable, a PF or VF begins neither DMA nor
 * interrupts. In D3hot its work waits; what happens to it without bus master
 * enable no public source specifies: a property selects it.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "hw/pci/msi.h"
#include "hisi_acc.h"

#define CAP_PM       0x70
#define PMC_VERSION  3
#define PMCSR        (CAP_PM + PCI_PM_CTRL)
#define D0           0
#define D3HOT        3

/*
 * Not by pci_pm_init(): that unmaps the BARs in D3hot, and accesses would be
 * neither counted nor answered by an abort.
 */
bool hisi_acc_power_init(HisiAccFunc *f, Error **errp)
{
    PCIDevice *dev = PCI_DEVICE(f);

    if (pci_add_capability(dev, PCI_CAP_ID_PM, CAP_PM, PCI_PM_SIZEOF,
                           errp) < 0) {
        return false;
    }
    pci_set_word(dev->config + CAP_PM + PCI_PM_PMC, PMC_VERSION);
    pci_set_word(dev->config + PMCSR, f->pf->cfg.no_soft_reset == HISI_ACC_ON
                 ? PCI_PM_CTRL_NO_SOFT_RESET : 0);
    pci_set_word(dev->wmask + PMCSR, PCI_PM_CTRL_STATE_MASK);
    return true;
}

static unsigned power_state(HisiAccFunc *f)
{
    return pci_get_word(PCI_DEVICE(f)->config + PMCSR) & PCI_PM_CTRL_STATE_MASK;
}

static void set_power_state(HisiAccFunc *f, unsigned state)
{
    uint8_t *pmcsr = PCI_DEVICE(f)->config + PMCSR;

    pci_set_word(pmcsr,
                 (pci_get_word(pmcsr) & ~PCI_PM_CTRL_STATE_MASK) | state);
}

bool hisi_acc_asleep(HisiAccFunc *f)
{
    return power_state(f) == D3HOT;
}

static bool bus_master(HisiAccFunc *f)
{
    PCIDevice *dev = PCI_DEVICE(f);

    return dev->enabled &&
           pci_get_word(dev->config + PCI_COMMAND) & PCI_COMMAND_MASTER;
}

/* Whether the PF or VF may begin DMA and interrupts */
bool hisi_acc_may_begin(HisiAccFunc *f)
{
    return bus_master(f) && !hisi_acc_asleep(f);
}

static bool has_to_wait(HisiAccFunc *f)
{
    return hisi_acc_asleep(f) ||
           (!bus_master(f) &&
            f->pf->cfg.bus_master_off == HISI_ACC_MASTER_WAIT);
}

/* True for what has to wait; hisi_acc_go_on() comes back to it */
bool hisi_acc_waits(HisiAccFunc *f)
{
    f->waiting |= has_to_wait(f);
    return has_to_wait(f);
}

HisiAccPower hisi_acc_power(HisiAccFunc *f)
{
    return (HisiAccPower) { power_state(f), bus_master(f) };
}

/* What a write of configuration space causes, given how it was before */
enum HisiAccPowerReset hisi_acc_power_written(HisiAccFunc *f,
                                              HisiAccPower before)
{
    unsigned state = power_state(f);

    /* there is no D1 and no D2: such a write is ignored */
    if (state != D0 && state != D3HOT) {
        set_power_state(f, before.state);
    }
    if (before.state == D3HOT && state == D0 &&
        f->pf->cfg.no_soft_reset == HISI_ACC_OFF) {
        return HISI_ACC_RESET_ALL;
    }
    if (before.master && !bus_master(f) &&
        f->pf->cfg.bus_master_off == HISI_ACC_MASTER_RESET) {
        return HISI_ACC_RESET_REGISTERS;
    }
    return HISI_ACC_RESET_NONE;
}

/* A reset that leaves configuration space alone leaves D3hot alone, too */
void hisi_acc_power_reset(HisiAccFunc *f)
{
    f->waiting = false;
    f->msi_kept = 0;
}

void hisi_acc_power_wake(HisiAccFunc *f)
{
    set_power_state(f, D0);
}

void hisi_acc_msi(HisiAccFunc *f, enum HisiAccVector vector)
{
    PCIDevice *dev = PCI_DEVICE(f);

    /* a guest may enable fewer vectors than there are: msi_notify asserts */
    if (!msi_enabled(dev) || vector >= msi_nr_vectors_allocated(dev)) {
        hisi_acc_count(f, HISI_ACC_EV_MSI_LOST, 1);
        return;
    }
    if (hisi_acc_waits(f)) {
        f->msi_kept |= BIT(vector);
        return;
    }
    if (!hisi_acc_may_begin(f)) {
        hisi_acc_count(f, HISI_ACC_EV_MSI_REFUSED, 1);
        return;
    }
    if (hisi_acc_fault_msi(f)) {
        hisi_acc_count(f, HISI_ACC_EV_MSI_DROPPED, 1);
        return;
    }
    hisi_acc_count(f, HISI_ACC_EV_MSI_EQ + vector, 1);
    hisi_acc_dma_begin(f->pf);
    msi_notify(dev, vector);
    if (!hisi_acc_dma_end(f->pf)) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_DMA_FAULT,
                             msi_get_message(dev, vector).address);
    }
}

/* Sends what had to wait and no longer has to */
void hisi_acc_power_go_on(HisiAccFunc *f)
{
    uint32_t kept = f->msi_kept;

    if (!f->waiting || has_to_wait(f)) {
        return;
    }
    f->waiting = false;
    f->msi_kept = 0;
    for (unsigned vector = 0; vector < HISI_ACC_MSI_COUNT; vector++) {
        if (kept & BIT(vector)) {
            hisi_acc_msi(f, vector);
        }
    }
}
