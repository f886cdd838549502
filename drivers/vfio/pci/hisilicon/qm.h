/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What qm.c, qm_open.c and qm_show.c share: no other file accesses a register.
 *
 * Which register is where, here and in these files, is from
 * drivers/crypto/hisilicon, Copyright (c) 2019 HiSilicon Limited.
 */
#ifndef HISI_ACC_VF_QM_H
#define HISI_ACC_VF_QM_H

#include <linux/hisi_acc_qm.h>
#include <linux/io.h>
#include <linux/iopoll.h>
#include <linux/ktime.h>
#include <linux/sched/stat.h>

#include "hisi_acc_vfio_pci.h"
#include "registers.h"

/* Registers of a VF */
#define QM_AEQ_INT_MASK		0x0004
#define QM_EQ_INT_MASK		0x000c
#define QM_IFC_INT_SOURCE	0x0020	/* write 1 to clear */
#define QM_IFC_INT_MASK		0x0024
#define QM_IFC_INT_STATUS	0x0028
#define QM_IFC_INT_SET		0x002c
#define QM_QUE_ISO_CFG		0x0030
#define QM_PAGE_SIZE		0x0034
#define QM_FLAG			BIT(0)	/* all that is used of most registers */
#define QM_AEQC_FROM_EQC	0x0020

#define SPIN_NS			(30 * NSEC_PER_USEC)
#define SLEEP_US		10

/* Whether no other task is ready to run on this processor */
static inline bool hisi_acc_qm_alone(void)
{
	KUNIT_STATIC_STUB_REDIRECT(hisi_acc_qm_alone);
	return single_task_running();
}

/**
 * hisi_acc_qm_spin() - whether to poll again without sleeping
 * @end: 0 after the first read; then the time at which spinning ends
 *
 * The device answers within a few microseconds, or is busy: spin first, as a sleep
 * would be most of the downtime. Limited by time, not by a number of reads, which
 * differ in cost; if the first read succeeds, the clock is not read. Do not spin while
 * other tasks are ready to run: when many VFs are saved at once, the next can go on
 * meanwhile.
 *
 * Return: true, until the time is over or another task is ready to run.
 */
static inline bool hisi_acc_qm_spin(u64 *end)
{
	u64 now = ktime_get_ns();

	cpu_relax();
	if (!*end)
		*end = now + SPIN_NS;
	return now < *end && hisi_acc_qm_alone();
}

/**
 * hisi_acc_qm_wait() - wait for some bits of a register
 * @reg: the register
 * @mask: which bits count
 * @want: what they should be
 * @timeout_us: how long to wait, roughly
 * @val: the register as last read
 *
 * Return: 0 or -ETIMEDOUT.
 */
static inline int hisi_acc_qm_wait(void __iomem *reg, u32 mask, u32 want,
				   u64 timeout_us, u32 *val)
{
	u64 end = 0;

	do {
		*val = hisi_acc_qm_readl(reg);
		if ((*val & mask) == want)
			return 0;
	} while (hisi_acc_qm_spin(&end));
	return read_poll_timeout(hisi_acc_qm_readl, *val, (*val & mask) == want,
				 SLEEP_US, timeout_us, false, reg);
}

/**
 * hisi_acc_qm_wait_flag() - wait for the only bit of a register to be set
 * @reg: the register
 * @timeout_us: how long to wait, roughly
 *
 * Return: 0 or -ETIMEDOUT.
 */
static inline int hisi_acc_qm_wait_flag(void __iomem *reg, u64 timeout_us)
{
	u32 val;

	return hisi_acc_qm_wait(reg, QM_FLAG, QM_FLAG, timeout_us, &val);
}

#endif
