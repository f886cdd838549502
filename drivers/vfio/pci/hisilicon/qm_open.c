// SPDX-License-Identifier: GPL-2.0-only
/*
 * What has to be known of a function before its state can be saved or loaded:
 * where its registers are, how many queues it owns.
 */
#include <linux/bitfield.h>
#include <linux/io.h>
#include <linux/pci.h>
#include <linux/time64.h>

#include "qm.h"

/* Registers of the physical function */
#define QM_VFT_CFG_OP_ENABLE	0x100054
#define QM_VFT_CFG_OP_WR	0x100058	/* 1 reads the table */
#define QM_VFT_CFG_TYPE		0x10005c
#define QM_VFT_CFG		0x100060
#define QM_VFT_CFG_DATA_L	0x100064
#define QM_VFT_CFG_DATA_H	0x100068
#define QM_VFT_CFG_RDY		0x10006c
#define QM_VFT_TYPE_SQC		0
#define QM_VFT_BASE		GENMASK_ULL(43, 28)
#define QM_VFT_VALID		BIT_ULL(44)
#define QM_VFT_COUNT		GENMASK_ULL(54, 45)
#define QM_MIG_WINDOW(n)	(0x180000 + (n) * 0x2000)

/* Where the words of the event queues are in the window */
#define QM_XQC_IN_VF_BAR	0x8000
#define QM_XQC_IN_PF_BAR	0x1c00

#define VFT_US			USEC_PER_MSEC
#define VFT_TRIES		8
#define OPEN_CLAIM_MS		1000

static const struct hisi_acc_engine engines[] = {
	{ "SEC", PCI_DEVICE_ID_HUAWEI_SEC_VF, 0x301008, hisi_sec_get_pf_driver },
	{ "HPRE", PCI_DEVICE_ID_HUAWEI_HPRE_VF, 0x301800, hisi_hpre_get_pf_driver },
	{ "ZIP", PCI_DEVICE_ID_HUAWEI_ZIP_VF, 0x3010ac, hisi_zip_get_pf_driver },
};

/**
 * hisi_acc_qm_engine() - what kind of accelerator a function belongs to
 * @pdev: the function
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
 * hisi_acc_qm_can_migrate() - whether the hardware can save and load functions
 * @pf_qm: of the physical function
 *
 * The mailbox wants a store of 16 bytes, which only arm64 is known to do.
 *
 * Return: true when they can.
 */
bool hisi_acc_qm_can_migrate(const struct hisi_qm *pf_qm)
{
	return IS_ENABLED(CONFIG_ARM64) && pf_qm->ver >= QM_HW_V3;
}

/**
 * hisi_acc_qm_window_in_pf() - where the registers of migration are
 * @pf_qm: of the physical function
 *
 * Return: true when they lie in the BAR of the physical function and the whole
 * BAR of the virtual one is the guest's. Cannot change while virtual functions
 * exist.
 */
bool hisi_acc_qm_window_in_pf(const struct hisi_qm *pf_qm)
{
	return pf_qm->ver > QM_HW_V3 &&
	       readl(pf_qm->io_base + QM_MIG_REGION_SEL) & QM_MIG_REGION_EN;
}

static int vft_read_once(struct hisi_qm *qm, u32 number, u64 *entry)
{
	void __iomem *io = qm->io_base;
	int err;

	err = qm_wait_flag(io + QM_VFT_CFG_RDY, VFT_US);
	if (err)
		return err;
	writel(1, io + QM_VFT_CFG_OP_WR);
	writel(QM_VFT_TYPE_SQC, io + QM_VFT_CFG_TYPE);
	writel(number, io + QM_VFT_CFG);
	writel(0, io + QM_VFT_CFG_RDY);
	writel(1, io + QM_VFT_CFG_OP_ENABLE);
	err = qm_wait_flag(io + QM_VFT_CFG_RDY, VFT_US);
	if (err)
		return err;
	*entry = (u64)readl(io + QM_VFT_CFG_DATA_H) << 32 |
		 readl(io + QM_VFT_CFG_DATA_L);
	return 0;
}

/*
 * Two readings that agree: should someone else use these registers all the
 * same, then not twice with the same wrong answer.
 */
static int vft_read(struct hisi_qm *qm, u32 number, u64 *entry)
{
	u64 before = 0;
	int err;

	for (int i = 0; i < VFT_TRIES; i++) {
		err = vft_read_once(qm, number, entry);
		if (err)
			return err;
		if (*entry & QM_VFT_VALID && *entry == before)
			return 0;
		before = *entry;
	}
	return -EIO;
}

static int learn_facts(struct hisi_acc_vf *vf)
{
	u64 entry;
	int err;

	err = hisi_acc_pf_claim(vf->pf, OPEN_CLAIM_MS);
	if (err)
		return err;
	hisi_acc_pf_vft_lock(vf->pf);
	err = vft_read(hisi_acc_pf_qm(vf->pf), vf->number, &entry);
	hisi_acc_pf_vft_unlock(vf->pf);
	vf->facts.que_iso_cfg = readl(hisi_acc_pf_qm(vf->pf)->io_base + QM_QUE_ISO_CFG);
	hisi_acc_pf_release(vf->pf);
	if (err) {
		pci_err(vf->core.pdev, "number of queues unknown: %d\n", err);
		return err;
	}
	vf->facts.dev_id = vf->engine->vf_id;
	vf->facts.hw_version = hisi_acc_pf_qm(vf->pf)->ver;
	vf->facts.qp_base = FIELD_GET(QM_VFT_BASE, entry);
	vf->facts.qp_num = FIELD_GET(QM_VFT_COUNT, entry) + 1;
	return 0;
}

/**
 * hisi_acc_qm_open() - make the function's registers usable
 * @vf: the function, reset, with no guest running on it yet
 *
 * Return: 0 with @vf->regs and @vf->facts valid, or -errno.
 */
int hisi_acc_qm_open(struct hisi_acc_vf *vf)
{
	struct hisi_acc_regs *regs = &vf->regs;
	struct pci_dev *pdev = vf->core.pdev;
	int err;

	err = learn_facts(vf);
	if (err)
		return err;
	*regs = (struct hisi_acc_regs) {
		.bar = ioremap(pci_resource_start(pdev, HISI_ACC_BAR),
			       pci_resource_len(pdev, HISI_ACC_BAR)),
	};
	if (!regs->bar)
		return -ENOMEM;
	if (hisi_acc_qm_window_in_pf(hisi_acc_pf_qm(vf->pf))) {
		regs->window = hisi_acc_pf_qm(vf->pf)->io_base + QM_MIG_WINDOW(vf->number);
		regs->xqc = QM_XQC_IN_PF_BAR;
		vf->facts.window = HISI_ACC_WINDOW_WHOLE;
	} else {
		regs->window = regs->bar;
		regs->xqc = QM_XQC_IN_VF_BAR;
		vf->facts.window = HISI_ACC_WINDOW_HALF;
	}
	return 0;
}

/** hisi_acc_qm_close() - undo hisi_acc_qm_open() */
void hisi_acc_qm_close(struct hisi_acc_vf *vf)
{
	iounmap(vf->regs.bar);
	vf->regs = (struct hisi_acc_regs) {};
}

