// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is read of a VF before its state can be saved or loaded: where its registers
 * are, how many queues it owns.
 */
#include <linux/bitfield.h>
#include <linux/io.h>
#include <linux/pci.h>
#include <linux/time64.h>

#include "qm.h"

/* The mailbox's answer to SQC_VFT: the queues that the VF owns */
#define QM_VFT_BASE		GENMASK_ULL(43, 28)
#define QM_VFT_COUNT		GENMASK_ULL(54, 45)

/* In the PF's BAR, for each of up to 63 VFs */
#define QM_MIG_REGS_SIZE	0x2000
#define QM_MIG_REGS(n)	(0x180000 + (n) * QM_MIG_REGS_SIZE)

/* Where the words of the event queues are in the migration registers */
#define QM_XQC_IN_VF_BAR	0x8000
#define QM_XQC_IN_PF_BAR	0x1c00
#define QM_BAR_SIZE		0x10000

static const struct hisi_acc_engine engines[] = {
	{
		.name = "SEC",
		.vf_id = PCI_DEVICE_ID_HUAWEI_SEC_VF,
		.core_status = 0x301008,
		.pf_driver = hisi_sec_get_pf_driver,
	},
	{
		.name = "HPRE",
		.vf_id = PCI_DEVICE_ID_HUAWEI_HPRE_VF,
		.core_status = 0x301800,
		.pf_driver = hisi_hpre_get_pf_driver,
	},
	{
		.name = "ZIP",
		.vf_id = PCI_DEVICE_ID_HUAWEI_ZIP_VF,
		.core_status = 0x3010ac,
		.pf_driver = hisi_zip_get_pf_driver,
	},
};

/**
 * hisi_acc_qm_engine() - what kind of accelerator a VF belongs to
 * @pdev: the VF
 *
 * Return: its description, or NULL when it is none.
 */
const struct hisi_acc_engine *hisi_acc_qm_engine(struct pci_dev *pdev)
{
	for (int i = 0; i < ARRAY_SIZE(engines); i++)
		if (engines[i].vf_id == pdev->device)
			return &engines[i];
	return NULL;
}

/**
 * hisi_acc_qm_can_migrate() - whether the hardware can save and load VFs
 * @pf_qm: of the PF
 *
 * The mailbox requires a store of 16 bytes, which only arm64 is known to do.
 *
 * Return: true if it can.
 */
bool hisi_acc_qm_can_migrate(const struct hisi_qm *pf_qm)
{
	return IS_ENABLED(CONFIG_ARM64) && pf_qm->ver >= QM_HW_V3;
}

/**
 * hisi_acc_qm_regs_in_pf() - where the registers of migration are
 * @pf_qm: of the PF
 *
 * Return: true when they lie in the BAR of the PF and the whole
 * BAR of the VF is the guest's.
 */
bool hisi_acc_qm_regs_in_pf(const struct hisi_qm *pf_qm)
{
	u32 select;

	if (pf_qm->ver <= QM_HW_V3)
		return false;
	select = hisi_acc_qm_readl(pf_qm->io_base + QM_MIG_REGION_SEL);
	return !PCI_POSSIBLE_ERROR(select) && select & QM_MIG_REGION_EN;
}

/**
 * hisi_acc_qm_has_registers() - whether the BARs are as large as they should be
 * @pdev: the VF
 * @pf_qm: of the PF
 * @number: of the VF, from 1 on
 *
 * Return: true when all registers of migration lie within what the device has.
 */
bool hisi_acc_qm_has_registers(struct pci_dev *pdev, const struct hisi_qm *pf_qm,
			       u32 number)
{
	resource_size_t end = QM_MIG_REGS(number + 1);

	return pci_resource_len(pdev, HISI_ACC_BAR) >= QM_BAR_SIZE &&
	       (pf_qm->ver <= QM_HW_V3 ||
		pci_resource_len(pf_qm->pdev, HISI_ACC_BAR) >= end);
}

/*
 * Where the registers of migration are: in the BAR of the PF, with
 * the whole BAR of the VF for the guest, or in the upper half of that.
 * The PF's driver decides when it is bound. Whether the setting survives each reset of
 * the device is not specified, so it is read at each open.
 */
static int hisi_acc_qm_find_regs(struct hisi_acc_vf *vf)
{
	const struct hisi_qm *qm = vf->pf_qm;
	resource_size_t bar = pci_resource_len(vf->core.pdev, HISI_ACC_BAR);
	struct hisi_acc_regs *regs = &vf->regs;

	if (hisi_acc_qm_regs_in_pf(qm)) {
		regs->mig_regs = qm->io_base + QM_MIG_REGS(vf->number);
		regs->xqc = QM_XQC_IN_PF_BAR;
		vf->match.bar_layout = HISI_ACC_BAR_WHOLE;
		vf->guest_bar_len = bar;
		return 0;
	}
	/* both halves in one page would give the guest all of it */
	if (bar / 2 < PAGE_SIZE)
		return -EIO;
	regs->mig_regs = regs->bar;
	regs->xqc = QM_XQC_IN_VF_BAR;
	vf->match.bar_layout = HISI_ACC_BAR_HALF;
	vf->guest_bar_len = bar / 2;
	return 0;
}

/* No guest uses the mailbox yet */
static int hisi_acc_qm_read_match(struct hisi_acc_vf *vf)
{
	const struct hisi_qm *qm = vf->pf_qm;
	u64 queues;
	int err;

	err = hisi_acc_qm_read_queues(vf, &queues);
	if (err)
		return err;
	/* as after the PF's driver has removed them */
	if (!queues) {
		pci_err(vf->core.pdev, "owns no queues\n");
		return -ENODEV;
	}
	vf->match.qp_base = FIELD_GET(QM_VFT_BASE, queues);
	vf->match.qp_num = FIELD_GET(QM_VFT_COUNT, queues) + 1;
	vf->match.que_iso_cfg = hisi_acc_qm_readl(qm->io_base + QM_QUE_ISO_CFG);
	vf->match.dev_id = vf->engine->vf_id;
	vf->match.hw_version = qm->ver;
	return 0;
}

/**
 * hisi_acc_qm_open() - map the registers of a VF and read its match data
 * @vf: the VF, reset, with no guest running on it yet; resets
 *	blocked
 *
 * Return: 0 with @vf->regs, @vf->match and @vf->guest_bar_len valid, or -errno.
 */
int hisi_acc_qm_open(struct hisi_acc_vf *vf)
{
	struct pci_dev *pdev = vf->core.pdev;
	int err = -EIO;

	if (!hisi_acc_pci_mem_enabled(vf))
		goto fail;
	vf->regs.bar = ioremap(pci_resource_start(pdev, HISI_ACC_BAR),
			       pci_resource_len(pdev, HISI_ACC_BAR));
	if (!vf->regs.bar)
		return -ENOMEM;
	err = hisi_acc_qm_find_regs(vf) ?: hisi_acc_qm_read_match(vf);
	if (!err)
		return 0;
	hisi_acc_qm_close(vf);
	if (err == -ENODEV)
		return err;
fail:
	pci_err(pdev, "registers do not respond: %d\n", err);
	return err;
}

/**
 * hisi_acc_qm_close() - undo hisi_acc_qm_open()
 * @vf: the VF
 */
void hisi_acc_qm_close(struct hisi_acc_vf *vf)
{
	iounmap(vf->regs.bar);
	vf->regs = (struct hisi_acc_regs) {};
}
