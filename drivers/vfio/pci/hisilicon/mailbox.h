/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one access that C has no words for: 16 bytes of the mailbox at once. Where
 * a processor is not known to do that, the mailbox never answers.
 */
#ifndef HISI_ACC_MAILBOX_H
#define HISI_ACC_MAILBOX_H

#include <linux/hisi_acc_qm.h>
#include <linux/io.h>

#include "hisi_acc_vfio_pci.h"

/**
 * struct mailbox - a command or an answer, as the registers hold it
 * @lo: in the first eight bytes
 * @hi: in the next eight
 */
struct mailbox {
	u64 lo;
	u64 hi;
};

#ifdef CONFIG_ARM64
static inline void mailbox_store(struct hisi_acc_regs *regs, struct mailbox mb)
{
	void __iomem *reg = regs->window + QM_MB_CMD_SEND_BASE;

	/* one access, or the device would start on half of a command */
	wmb();
	asm volatile("stp %x0, %x1, [%2]"
		     :: "rZ" (cpu_to_le64(mb.lo)), "rZ" (cpu_to_le64(mb.hi)),
			"r" (reg)
		     : "memory");
}

static inline struct mailbox mailbox_load(struct hisi_acc_regs *regs)
{
	void __iomem *reg = regs->window + QM_MB_CMD_SEND_BASE;
	__le64 lo, hi;

	asm volatile("ldp %x0, %x1, [%2]"
		     : "=r" (lo), "=r" (hi) : "r" (reg) : "memory");
	/* what the command has put into memory is read after its end */
	rmb();
	return (struct mailbox) { le64_to_cpu(lo), le64_to_cpu(hi) };
}
#else
static inline void mailbox_store(struct hisi_acc_regs *regs, struct mailbox mb)
{
}

static inline struct mailbox mailbox_load(struct hisi_acc_regs *regs)
{
	return (struct mailbox) { .lo = BIT_ULL(QM_MB_BUSY_SHIFT) };
}
#endif

#endif
