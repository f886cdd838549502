/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * QEMU's edu device: registers in its BAR0, after docs/specs/edu.rst of QEMU, and the
 * migration data of its VFIO driver.
 */
#ifndef EDU_H
#define EDU_H

#include <linux/bits.h>
#include <linux/stddef.h>
#include <linux/types.h>

#define EDU_VENDOR		0x1234
#define EDU_DEVICE		0x11e8

#define EDU_ID			0x00
#define EDU_LIVENESS		0x04	/* reads as the complement of what was written */
#define EDU_FACTORIAL		0x08	/* an operand is written, the result is read */
#define EDU_LAST_OPERAND	34	/* 34! and all after it are 0 in 32 bits */
#define EDU_STATUS		0x20
#define  EDU_STATUS_COMPUTING	BIT(0)
#define  EDU_STATUS_IRQ		BIT(7)	/* raise EDU_IRQ_FACTORIAL when it is computed */
#define EDU_IRQ_STATUS		0x24
#define  EDU_IRQ_FACTORIAL	BIT(0)
#define  EDU_IRQ_DMA		BIT(8)
#define EDU_IRQ_RAISE		0x60
#define EDU_IRQ_ACK		0x64
/* Registers of 64 bits: source, destination, count; then the command */
#define EDU_DMA(n)		(0x80 + 8 * (n))
#define EDU_DMA_ADDRESSES	3
#define EDU_DMA_CMD		0x98
#define  EDU_DMA_RUN		BIT(0)
#define  EDU_DMA_TO_MEMORY	BIT(1)
#define  EDU_DMA_IRQ		BIT(2)

/* The buffer as the DMA engine sees it; no register reaches it */
#define EDU_BUFFER		0x40000
#define EDU_BUFFER_SIZE		4096

#define EDU_MAGIC		0x31756465	/* "edu1" */

/**
 * struct edu_data - migration data
 * @magic: EDU_MAGIC
 * @id: EDU_ID of the source; up to here it can be read in PRE_COPY
 * @liveness: EDU_LIVENESS
 * @operand: whose factorial EDU_FACTORIAL is
 * @status: EDU_STATUS_IRQ or 0
 * @irq_status: EDU_IRQ_STATUS
 * @dma: EDU_DMA()
 * @buffer: EDU_BUFFER
 */
struct edu_data {
	__le32 magic;
	__le32 id;
	__le32 liveness;
	__le32 operand;
	__le32 status;
	__le32 irq_status;
	__le64 dma[EDU_DMA_ADDRESSES];
	__u8 buffer[EDU_BUFFER_SIZE];
};

#define EDU_MATCH_SIZE		offsetof(struct edu_data, liveness)

#endif
