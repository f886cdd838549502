/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Registers of the guest part of BAR 2, and commands of the mailbox.
 */
#ifndef SELFTESTS_VFIO_HISI_ACC_REGISTERS_H
#define SELFTESTS_VFIO_HISI_ACC_REGISTERS_H

#define QM_AEQ_INT_MASK		0x4
#define QM_EQ_INT_SOURCE	0x8
#define QM_EQ_INT_MASK		0xc
#define QM_IFC_INT_SOURCE	0x20
#define QM_IFC_INT_MASK		0x24
#define QM_IFC_INT_STATUS	0x28
#define QM_IFC_INT_SET		0x2c
#define QM_PAGE_SIZE		0x34
#define QM_VF_STATE		0x60	/* 0 while a driver is there */
#define QM_CACHE_WB_START	0x204
#define QM_CACHE_WB_DONE	0x208
#define QM_HW_VERSION		0x210	/* 0 before V4 */
#define QM_MAILBOX		0x300	/* see mailbox.h */
#define QM_DOORBELL_SQ_CQ	0x1000
#define QM_DOORBELL_EQ_AEQ	0x2000

#define MB_SQC			0x0
#define MB_CQC			0x1
#define MB_EQC			0x2
#define MB_AEQC			0x3
#define MB_SQC_BT		0x4
#define MB_CQC_BT		0x5
#define MB_VFT			0x6
#define MB_STOP_QP		0x8
#define MB_FLUSH		0x9
#define MB_PAUSE		0xe
#define MB_STATUS		(0xf << 9)
#define MB_BUSY			(1u << 13)
#define MB_GET			(1u << 14)

#endif
