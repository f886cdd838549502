/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KUnit: a VF whose registers are memory, and that can be made to fail.
 *
 * qm_test.c has qm.c use it; the other tests use what is built there.
 */
#ifndef HISI_ACC_FAKE_DEVICE_H
#define HISI_ACC_FAKE_DEVICE_H

#include <kunit/test.h>
#include <linux/hisi_acc_qm.h>
#include <linux/pci.h>

#include "../hisi_acc_vfio_pci.h"
#include "../registers.h"

#define FAKE_QUEUES		5
#define FAKE_ACCESSES		160
#define FAKE_ALWAYS		INT_MAX
#define FAKE_ENGINE_STATUS	0x100020
#define FAKE_BAR_SIZE		0x10000
#define FAKE_PF_FIRST		0x100000
#define FAKE_PF_SIZE		0x100

/**
 * struct fake_access - one access of the code under test
 * @kind: 'r' and 'w' for a register of the VF, 'R' and 'W' for one of the
 *	PF, 'm' for a command of the mailbox, 'd' for a doorbell
 * @where: offset, or number of the command
 * @value: what was read, written, rung
 */
struct fake_access {
	char kind;
	u32 where;
	u64 value;
};

/**
 * struct fake_device - a VF and what it needs of its PF
 * @vf: the driver's structure
 * @pdev: its PCI device, as far as messages need it
 * @qm: of the PF
 * @engine: what kind of accelerator it is
 * @bar: registers of the VF
 * @pf_bar: registers of the PF
 * @sqc_table: as set and read by mailbox
 * @cqc_table: as set and read by mailbox
 * @mailbox: what the mailbox reads as
 * @mailbox_timeout_us: how long the code under test last was ready to wait for it
 * @paused: by PAUSE, and not rung since
 * @fail_command: this command of the mailbox fails, 0 is none
 * @hang_command: this command never completes, 0 is none
 * @write_back_hangs: contexts are never written back
 * @busy_register: this register is not 0 ...
 * @busy_reads: ... for so many reads
 * @asleep: in a power state without registers
 * @off: its memory space is off
 * @dma_disabled: it cannot access memory
 * @dma_off_resets: ... and was reset by that
 * @resets: how often the code under test has reset it
 * @reset_error: what a reset returns
 * @reset_blocks: how many block resets
 * @reset_waits: the PF's driver waits for a reset, so that no more may block it
 * @others: another task is ready to run
 * @alone_calls: how often the code under test has checked that
 * @accesses: what the code under test has done
 * @count: how many @accesses there are
 */
struct fake_device {
	struct hisi_acc_vf vf;
	struct pci_dev pdev;
	struct hisi_qm qm;
	struct hisi_acc_engine engine;
	u32 bar[FAKE_BAR_SIZE / 4];
	u32 pf_bar[FAKE_PF_SIZE / 4];
	u64 sqc_table;
	u64 cqc_table;
	struct mailbox mailbox;
	u64 mailbox_timeout_us;
	bool paused;
	u32 fail_command;
	u32 hang_command;
	bool write_back_hangs;
	u32 busy_register;
	int busy_reads;
	bool asleep;
	bool off;
	bool dma_disabled;
	bool dma_off_resets;
	int resets;
	int reset_error;
	unsigned int reset_blocks;
	bool reset_waits;
	bool others;
	int alone_calls;
	struct fake_access accesses[FAKE_ACCESSES];
	unsigned int count;
};

struct fake_device *fake_device(struct kunit *test);
void fake_registers(struct kunit *test);
void fake_guest_up(struct fake_device *fake);
void fake_forget(struct fake_device *fake);
unsigned int fake_count(const struct fake_device *fake, char kind, u32 where);
int fake_when(const struct fake_device *fake, char kind, u32 where);

#define FAKE_ANYWHERE		U32_MAX

/* fake_registers() replaces the accessors of qm.h and registers.h by these */
u32 fake_readl(const void __iomem *reg);
void fake_writel(u32 value, void __iomem *reg);
void fake_writeq(u64 value, void __iomem *reg);
void fake_mailbox_store(struct hisi_acc_regs *regs, struct mailbox mb);
struct mailbox fake_mailbox_load(struct hisi_acc_regs *regs);
u64 fake_mailbox_timeout(u64 timeout_us);
bool fake_alone(void);

#endif
