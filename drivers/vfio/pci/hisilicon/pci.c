// SPDX-License-Identifier: GPL-2.0-only
/*
 * Configuration space of a VF: power state, memory enable, bus mastering, reset.
 */
#include <linux/pci.h>

#include "hisi_acc_vfio_pci.h"

/**
 * hisi_acc_pci_in_d3() - whether a VF is in a power state without registers
 * @vf: the VF
 *
 * Userspace may have put it there. Such a VF accesses no memory either.
 *
 * Context: under memory_lock of the VFIO core.
 * Return: true when it is.
 */
bool hisi_acc_pci_in_d3(struct hisi_acc_vf *vf)
{
	pci_power_t state = vf->core.pdev->current_state;

	return state == PCI_D3hot || state == PCI_D3cold;
}

/**
 * hisi_acc_pci_mem_enabled() - whether the registers of a VF can be read
 * @vf: the VF
 *
 * The PF's driver turns off the memory space of the PF and of all VFs to reset the
 * device, and leaves it off when that fails.
 *
 * Context: resets blocked by the caller.
 * Return: true when they can.
 */
bool hisi_acc_pci_mem_enabled(struct hisi_acc_vf *vf)
{
	struct pci_dev *pf = pci_physfn(vf->core.pdev);
	u16 command = 0, sriov = 0;

	pci_read_config_word(pf, PCI_COMMAND, &command);
	pci_read_config_word(pf, vf->sriov_cap + PCI_SRIOV_CTRL, &sriov);
	return !PCI_POSSIBLE_ERROR(command) && command & PCI_COMMAND_MEMORY &&
	       sriov & PCI_SRIOV_CTRL_MSE;
}

/**
 * hisi_acc_pci_disable_dma() - turn off bus mastering of a VF
 * @vf: the VF
 *
 * Not for one with active queues: what the hardware does with an access in progress
 * is not specified.
 *
 * Return: true when it could access memory before, so that
 * hisi_acc_pci_enable_dma() has something to undo.
 */
bool hisi_acc_pci_disable_dma(struct hisi_acc_vf *vf)
{
	struct pci_dev *pdev = vf->core.pdev;
	u16 command;

	if (pci_read_config_word(pdev, PCI_COMMAND, &command) ||
	    PCI_POSSIBLE_ERROR(command) || !(command & PCI_COMMAND_MASTER))
		return false;
	pci_write_config_word(pdev, PCI_COMMAND, command & ~PCI_COMMAND_MASTER);
	return true;
}

/**
 * hisi_acc_pci_enable_dma() - undo hisi_acc_pci_disable_dma()
 * @vf: the VF
 */
void hisi_acc_pci_enable_dma(struct hisi_acc_vf *vf)
{
	struct pci_dev *pdev = vf->core.pdev;
	u16 command;

	if (!pci_read_config_word(pdev, PCI_COMMAND, &command))
		pci_write_config_word(pdev, PCI_COMMAND,
				      command | PCI_COMMAND_MASTER);
}

/**
 * hisi_acc_pci_reset() - reset a VF from within an arc
 * @vf: the VF
 *
 * Configuration space stays as it is. reset_prepare() and reset_done() are not called:
 * the caller holds what they would take.
 *
 * Context: under state_mutex, with resets blocked. Sleeps for 100 ms
 * and more.
 * Return: 0, -EAGAIN if it is being reset or removed already, or what the PCI core
 * returns.
 */
int hisi_acc_pci_reset(struct hisi_acc_vf *vf)
{
	struct pci_dev *pdev = vf->core.pdev;
	int err;

	if (!pci_dev_trylock(pdev))
		return -EAGAIN;
	pci_save_state(pdev);
	err = __pci_reset_function_locked(pdev);
	pci_restore_state(pdev);
	pci_dev_unlock(pdev);
	return err;
}
