// SPDX-License-Identifier: GPL-2.0-only
/*
 * Debugfs dump of the queue manager of one VF: only what can be read while a guest
 * runs, which uses the mailbox itself.
 */
#include <linux/lockdep.h>
#include <linux/seq_file.h>

#include "qm.h"

static const struct {
	const char *name;
	u32 offset;
} shown[] = {
	{ "VF_STATE", QM_VF_STATE },
	{ "AEQ_INT_MASK", QM_AEQ_INT_MASK },
	{ "EQ_INT_MASK", QM_EQ_INT_MASK },
	{ "IFC_INT_SOURCE", QM_IFC_INT_SOURCE },
	{ "IFC_INT_MASK", QM_IFC_INT_MASK },
	{ "IFC_INT_SET", QM_IFC_INT_SET },
	{ "QUE_ISO_CFG", QM_QUE_ISO_CFG },
	{ "PAGE_SIZE", QM_PAGE_SIZE },
};

static void hisi_acc_qm_show_xqc(struct hisi_acc_regs *regs,
				 struct seq_file *seq, const char *name,
				 u32 offset)
{
	seq_printf(seq, "%s:", name);
	for (int i = 0; i < HISI_ACC_XQC_WORDS; i++)
		seq_printf(seq, " %08x",
			   hisi_acc_qm_readl(regs->mig_regs + regs->xqc +
					     offset + 4 * i));
	seq_putc(seq, '\n');
}

/**
 * hisi_acc_qm_show() - dump the registers of a VF's state
 * @vf: the VF, with resets blocked
 * @seq: where to write them
 *
 * Context: under @vf->state_mutex.
 */
void hisi_acc_qm_show(struct hisi_acc_vf *vf, struct seq_file *seq)
{
	lockdep_assert_held(&vf->state_mutex);

	seq_printf(seq, "queues: %u from %u on\n", vf->match.qp_num,
		   vf->match.qp_base);
	seq_printf(seq, "hardware version: 0x%x\n", vf->match.hw_version);
	for (int i = 0; i < ARRAY_SIZE(shown); i++)
		seq_printf(seq, "%s: 0x%x\n", shown[i].name,
			   hisi_acc_qm_readl(vf->regs.mig_regs +
					     shown[i].offset));
	hisi_acc_qm_show_xqc(&vf->regs, seq, "EQC", 0);
	hisi_acc_qm_show_xqc(&vf->regs, seq, "AEQC", QM_AEQC_FROM_EQC);
}

/**
 * hisi_acc_qm_show_mailbox() - show whether the mailbox accepts a command
 * @vf: the VF, with resets blocked
 * @seq: where to write it
 *
 * A read changes nothing. It is one of 16 bytes: a narrower one may have the command of
 * another VF, says commit 3296992ffc43 of the PF's driver.
 *
 * Context: under @vf->state_mutex.
 */
void hisi_acc_qm_show_mailbox(struct hisi_acc_vf *vf, struct seq_file *seq)
{
	struct mailbox mb = hisi_acc_qm_mailbox_load(&vf->regs);

	lockdep_assert_held(&vf->state_mutex);

	if (PCI_POSSIBLE_ERROR(mb.lo))
		seq_puts(seq, "mailbox does not answer\n");
	else if (mb.lo & QM_MB_BUSY)
		seq_puts(seq, "mailbox is at work\n");
	else
		seq_puts(seq, "mailbox is ready\n");
}
