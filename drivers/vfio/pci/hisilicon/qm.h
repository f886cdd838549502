/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What qm.c and qm_open.c share: nobody else touches a register.
 */
#ifndef HISI_ACC_QM_ROOM_H
#define HISI_ACC_QM_ROOM_H

#include <linux/hisi_acc_qm.h>
#include <linux/io.h>
#include <linux/iopoll.h>

#include "hisi_acc_vfio_pci.h"

#define QM_QUE_ISO_CFG		0x0030	/* of each function */
#define QM_FLAG			BIT(0)	/* all that is used of most registers */
#define QM_AEQC_FROM_EQC	0x0020

#define SPIN_US			20
#define SLEEP_US		10

/**
 * qm_wait() - wait for some bits of a register
 * @reg: the register
 * @mask: which bits count
 * @want: what they should be
 * @timeout_us: how long to wait, roughly
 * @val: the register as last read
 *
 * The device answers within a few microseconds or has something to do: spin
 * first, a sleep would be the better part of the blackout.
 *
 * Return: 0 or -ETIMEDOUT.
 */
static inline int qm_wait(void __iomem *reg, u32 mask, u32 want, u64 timeout_us,
			  u32 *val)
{
	if (!readl_poll_timeout_atomic(reg, *val, (*val & mask) == want, 1,
				       SPIN_US))
		return 0;
	return readl_poll_timeout(reg, *val, (*val & mask) == want, SLEEP_US,
				  timeout_us);
}

/** qm_wait_flag() - qm_wait() for the only bit of a register to be set */
static inline int qm_wait_flag(void __iomem *reg, u64 timeout_us)
{
	u32 val;

	return qm_wait(reg, QM_FLAG, QM_FLAG, timeout_us, &val);
}

#endif
