/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every access to a register. KUnit tests replace these by their own.
 */
#ifndef HISI_ACC_REGISTERS_H
#define HISI_ACC_REGISTERS_H

#include <kunit/static_stub.h>
#include <linux/hisi_acc_qm.h>
#include <linux/io.h>

#include "hisi_acc_vfio_pci.h"

/* In the first word of the mailbox: a command is in progress */
#define QM_MB_BUSY		BIT_ULL(QM_MB_BUSY_SHIFT)

/**
 * hisi_acc_qm_readl() - readl()
 * @reg: the register
 *
 * Return: its value.
 */
static inline u32 hisi_acc_qm_readl(const void __iomem *reg)
{
	KUNIT_STATIC_STUB_REDIRECT(hisi_acc_qm_readl, reg);
	return readl(reg);
}

/**
 * hisi_acc_qm_writel() - writel()
 * @value: what to write
 * @reg: the register
 */
static inline void hisi_acc_qm_writel(u32 value, void __iomem *reg)
{
	KUNIT_STATIC_STUB_REDIRECT(hisi_acc_qm_writel, value, reg);
	writel(value, reg);
}

/**
 * hisi_acc_qm_writeq() - writeq(), as doorbells are rung
 * @value: what to write
 * @reg: the register
 */
static inline void hisi_acc_qm_writeq(u64 value, void __iomem *reg)
{
	KUNIT_STATIC_STUB_REDIRECT(hisi_acc_qm_writeq, value, reg);
	writeq(value, reg);
}

/**
 * struct mailbox - a mailbox command or its answer, as in the registers
 * @lo: in the first eight bytes
 * @hi: in the next eight
 */
struct mailbox {
	u64 lo;
	u64 hi;
};

/**
 * hisi_acc_qm_mailbox_store() - start a mailbox command
 * @regs: of the VF
 * @mb: the command
 *
 * In one access of 16 bytes, or the device would start on half of a command. Only
 * arm64 is known to have one.
 */
static inline void hisi_acc_qm_mailbox_store(struct hisi_acc_regs *regs,
					     struct mailbox mb)
{
	KUNIT_STATIC_STUB_REDIRECT(hisi_acc_qm_mailbox_store, regs, mb);
#ifdef CONFIG_ARM64
	wmb();	/* what the command refers to is in memory before it */
	asm volatile("stp %x0, %x1, [%2]"
		     :: "rZ" (cpu_to_le64(mb.lo)), "rZ" (cpu_to_le64(mb.hi)),
			"r" (regs->mig_regs + QM_MB_CMD_SEND_BASE)
		     : "memory");
#endif
}

/**
 * hisi_acc_qm_mailbox_load() - read the mailbox
 * @regs: of the VF
 *
 * Return: a command in progress, always so where no access of 16 bytes exists, or one
 * with its answer.
 */
static inline struct mailbox
hisi_acc_qm_mailbox_load(struct hisi_acc_regs *regs)
{
	KUNIT_STATIC_STUB_REDIRECT(hisi_acc_qm_mailbox_load, regs);
#ifdef CONFIG_ARM64
	__le64 lo, hi;

	asm volatile("ldp %x0, %x1, [%2]"
		     : "=r" (lo), "=r" (hi)
		     : "r" (regs->mig_regs + QM_MB_CMD_SEND_BASE) : "memory");
	rmb();	/* what the command has put into memory is read after its end */
	return (struct mailbox) { le64_to_cpu(lo), le64_to_cpu(hi) };
#else
	return (struct mailbox) { .lo = QM_MB_BUSY };
#endif
}

#endif
