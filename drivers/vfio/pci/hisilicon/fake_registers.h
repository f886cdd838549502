/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KUnit: what qm.c is compiled against in place of registers, of the mailbox and
 * of the scheduler. Included before it, by qm_test.c alone.
 */
#ifndef HISI_ACC_FAKE_REGISTERS_H
#define HISI_ACC_FAKE_REGISTERS_H

#include <linux/io.h>
#include <linux/iopoll.h>

#include "fake_device.h"

/* Instead of mailbox.h */
#define HISI_ACC_MAILBOX_H

struct mailbox {
	u64 lo;
	u64 hi;
};

static inline void mailbox_store(struct hisi_acc_regs *regs, struct mailbox mb)
{
	fake_command(mb.lo, mb.hi);
}

static inline struct mailbox mailbox_load(struct hisi_acc_regs *regs)
{
	return (struct mailbox) { fake_answer()[0], fake_answer()[1] };
}

#undef readl
#define readl fake_readl
#undef writel
#define writel fake_writel
#undef writeq
#define writeq fake_writeq
#define single_task_running fake_alone

#endif
