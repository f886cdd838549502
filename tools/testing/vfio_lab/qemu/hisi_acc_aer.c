/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: advanced error reporting (AER)
 *
 * Only behind a root port, which reports the errors: an endpoint of the root
 * complex needs an event collector, which QEMU does not have. The PF enables
 * the messages of its VFs, too; the bits of a VF are reserved.
 */

#include "qemu/osdep.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pcie.h"
#include "hisi_acc.h"

#define CAP_AER     0x140
#define MESSAGES    (PCI_EXP_DEVCTL_CERE | PCI_EXP_DEVCTL_NFERE | \
                     PCI_EXP_DEVCTL_FERE | PCI_EXP_DEVCTL_URRE)

static uint32_t control(HisiAccFunc *f)
{
    return PCI_DEVICE(f)->exp.exp_cap + PCI_EXP_DEVCTL;
}

bool hisi_acc_aer_init(HisiAccFunc *f, Error **errp)
{
    PCIDevice *dev = PCI_DEVICE(f);

    if (pci_bus_is_root(pci_get_bus(dev))) {
        return true;
    }
    pcie_cap_deverr_init(dev);
    if (f->number) {
        /* pcie_aer_inject_error finds a device by its id */
        DEVICE(f)->id = g_strdup_printf("%s.vf%u", DEVICE(f->pf)->id ?: "",
                                        f->number);
        pci_word_test_and_clear_mask(dev->wmask + control(f), MESSAGES);
    }
    return pcie_aer_init(dev, PCI_ERR_VER, CAP_AER, PCI_ERR_SIZEOF, errp) == 0;
}

void hisi_acc_aer_exit(HisiAccFunc *f)
{
    if (PCI_DEVICE(f)->exp.aer_cap) {
        pcie_aer_exit(PCI_DEVICE(f));
    }
}

void hisi_acc_aer_reset(HisiAccFunc *f)
{
    if (PCI_DEVICE(f)->exp.aer_cap && f->number == 0) {
        pcie_cap_deverr_reset(PCI_DEVICE(f));
        hisi_acc_aer_written(f->pf);
    }
}

/* QEMU looks at the bits of the VF, which therefore follow those of the PF */
void hisi_acc_aer_written(HisiAccPf *pf)
{
    HisiAccFunc *f = HISI_ACC_FUNC(pf);
    uint16_t enabled = pci_get_word(PCI_DEVICE(pf)->config + control(f)) &
                       MESSAGES;

    for (unsigned n = 1; n <= pf->cfg.vfs; n++) {
        uint8_t *word;

        if (!pf->funcs[n]) {
            continue;
        }
        word = PCI_DEVICE(pf->funcs[n])->config + control(pf->funcs[n]);
        pci_set_word(word, (pci_get_word(word) & ~MESSAGES) | enabled);
    }
}

uint32_t hisi_acc_aer_shown(HisiAccFunc *f, uint32_t addr, uint32_t value)
{
    uint32_t first = control(f);

    /* naturally aligned, as all accesses to configuration space are */
    return addr == first ? value & ~MESSAGES : value;
}
