// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit: a VF whose registers are memory. It does what the driver waits for, and
 * fails where a test makes it fail.
 */
#include <kunit/test-bug.h>
#include <linux/bitfield.h>
#include <linux/file.h>

#include "fake_device.h"

#define CACHE_WB_START		0x0204
#define CACHE_WB_DONE		0x0208
#define IFC_INT_SOURCE		0x0020
#define MB_CMD			GENMASK_ULL(7, 0)
#define MB_CMD_PAUSE		0xe
#define MB_STATUS_BAD		BIT_ULL(9)
#define MB_GET			BIT_ULL(QM_MB_OP_SHIFT)
#define MB_BUSY			BIT_ULL(QM_MB_BUSY_SHIFT)
#define MB_BASE_L		GENMASK_ULL(63, 32)
#define DB_PRIORITY		BIT_ULL(QM_DB_PRIORITY_SHIFT_V2)

/* Addresses without memory: an access that bypasses the fake faults */
#define BAR_AT			((void __iomem *)0x10000)
#define PF_AT			((void __iomem *)0x1000000)

static struct fake_device *the_fake(void)
{
	return kunit_get_current_test()->priv;
}

static void take_down(struct fake_device *fake, char kind, u32 where, u64 value)
{
	if (fake->count < FAKE_ACCESSES)
		fake->accesses[fake->count] =
			(struct fake_access) { kind, where, value };
	fake->count++;
}

/* The register at an address: its memory, and its offset in the BAR */
static u32 *find(struct fake_device *fake, const void __iomem *reg, u32 *offset,
		 bool *in_pf)
{
	unsigned long at = (unsigned long)reg;
	unsigned long pf = (unsigned long)PF_AT;

	*in_pf = at >= pf;
	if (!*in_pf) {
		*offset = at - (unsigned long)BAR_AT;
		return *offset < FAKE_BAR_SIZE ? &fake->bar[*offset / 4] : NULL;
	}
	*offset = at - pf;
	if (*offset < FAKE_PF_FIRST || *offset >= FAKE_PF_FIRST + FAKE_PF_SIZE)
		return NULL;
	return &fake->pf_bar[(*offset - FAKE_PF_FIRST) / 4];
}

/* An error of the PF, which keeps the device from memory */
static bool device_error(struct fake_device *fake)
{
	return fake->busy_register >= FAKE_PF_FIRST && fake->busy_reads > 0;
}

/**
 * fake_readl() - hisi_acc_qm_readl() of the fake
 * @reg: the register
 *
 * Return: its value.
 */
u32 fake_readl(const void __iomem *reg)
{
	struct fake_device *fake = the_fake();
	u32 offset, value, *place;
	bool in_pf;

	place = find(fake, reg, &offset, &in_pf);
	value = place ? *place : ~0;
	if (fake->busy_register == offset && fake->busy_reads > 0) {
		fake->busy_reads--;
		value |= 1;
	}
	take_down(fake, in_pf ? 'R' : 'r', offset, value);
	return value;
}

/**
 * fake_writel() - hisi_acc_qm_writel() of the fake
 * @value: what to write
 * @reg: the register
 */
void fake_writel(u32 value, void __iomem *reg)
{
	struct fake_device *fake = the_fake();
	u32 offset, *place;
	bool in_pf;

	place = find(fake, reg, &offset, &in_pf);
	take_down(fake, in_pf ? 'W' : 'w', offset, value);
	if (!place)
		return;
	if (!in_pf && offset == IFC_INT_SOURCE)
		*place &= ~value;
	else
		*place = value;
	if (!in_pf && offset == CACHE_WB_START && value)
		fake->bar[CACHE_WB_DONE / 4] = !fake->write_back_hangs &&
					       !device_error(fake);
}

/**
 * fake_writeq() - hisi_acc_qm_writeq() of the fake: only doorbells are so wide
 * @value: what to write
 * @reg: the register
 */
void fake_writeq(u64 value, void __iomem *reg)
{
	struct fake_device *fake = the_fake();
	u32 offset;
	bool in_pf;

	find(fake, reg, &offset, &in_pf);
	take_down(fake, 'd', offset, value);
	if (offset == QM_DOORBELL_SQ_CQ_BASE_V2 && value & DB_PRIORITY)
		fake->paused = false;
}

/**
 * fake_mailbox_store() - hisi_acc_qm_mailbox_store() of the fake
 * @regs: of the VF
 * @mb: the command
 */
void fake_mailbox_store(struct hisi_acc_regs *regs, struct mailbox mb)
{
	u64 base = mb.hi << 32 | FIELD_GET(MB_BASE_L, mb.lo);
	struct fake_device *fake = the_fake();
	u32 command = FIELD_GET(MB_CMD, mb.lo);

	take_down(fake, 'm', command, base);
	fake->mailbox = mb;
	if (command == MB_CMD_PAUSE && command != fake->fail_command)
		fake->paused = true;
	if (command == fake->hang_command)
		return;
	fake->mailbox.lo &= ~MB_BUSY;
	if (command == fake->fail_command) {
		fake->mailbox.lo |= MB_STATUS_BAD;
		return;
	}
	if (command != QM_MB_CMD_SQC_BT && command != QM_MB_CMD_CQC_BT)
		return;
	if (mb.lo & MB_GET)
		base = command == QM_MB_CMD_SQC_BT ? fake->sqc_table :
						     fake->cqc_table;
	else if (command == QM_MB_CMD_SQC_BT)
		fake->sqc_table = base;
	else
		fake->cqc_table = base;
	fake->mailbox.lo &= ~MB_BASE_L;
	fake->mailbox.lo |= FIELD_PREP(MB_BASE_L, lower_32_bits(base));
	fake->mailbox.hi = upper_32_bits(base);
}

/**
 * fake_mailbox_load() - hisi_acc_qm_mailbox_load() of the fake
 * @regs: of the VF
 *
 * Return: what the mailbox reads as.
 */
struct mailbox fake_mailbox_load(struct hisi_acc_regs *regs)
{
	return the_fake()->mailbox;
}

/**
 * fake_mailbox_timeout() - hisi_acc_qm_mailbox_timeout() of the fake, which hangs or is done
 * @timeout_us: for how long to wait
 *
 * Return: for how long to wait for the fake.
 */
u64 fake_mailbox_timeout(u64 timeout_us)
{
	the_fake()->mailbox_timeout_us = timeout_us;
	return USEC_PER_MSEC;
}

static struct fake_device *fake_of(struct hisi_acc_vf *vf)
{
	return container_of(vf, struct fake_device, vf);
}

/* In place of pci.c: the fake has no configuration space */
bool hisi_acc_pci_in_d3(struct hisi_acc_vf *vf)
{
	return fake_of(vf)->asleep;
}

bool hisi_acc_pci_mem_enabled(struct hisi_acc_vf *vf)
{
	return !fake_of(vf)->off;
}

static void reset_registers(struct fake_device *fake)
{
	memset(fake->bar, 0, sizeof(fake->bar));
	fake->bar[QM_VF_STATE / 4] = QM_NOT_READY;
	fake->sqc_table = 0;
	fake->cqc_table = 0;
}

bool hisi_acc_pci_disable_dma(struct hisi_acc_vf *vf)
{
	struct fake_device *fake = fake_of(vf);

	if (fake->dma_off_resets && !fake->dma_disabled)
		reset_registers(fake);
	return !xchg(&fake->dma_disabled, true);
}

void hisi_acc_pci_enable_dma(struct hisi_acc_vf *vf)
{
	fake_of(vf)->dma_disabled = false;
}

int hisi_acc_pci_reset(struct hisi_acc_vf *vf)
{
	struct fake_device *fake = fake_of(vf);

	if (fake->reset_error)
		return fake->reset_error;
	fake->resets++;
	fake->paused = false;
	reset_registers(fake);
	return 0;
}

static struct fake_device *fake_with(struct hisi_qm *qm)
{
	return container_of(qm, struct fake_device, qm);
}

/* In place of hisi_qm, for one device; @reset_waits stands for a waiting PF driver */
bool hisi_qm_try_block_reset(struct hisi_qm *qm)
{
	struct fake_device *fake = fake_with(qm);

	if (fake->reset_waits || (!fake->reset_blocks &&
				  test_and_set_bit(QM_RESETTING, &qm->misc_ctl)))
		return false;
	fake->reset_blocks++;
	return true;
}

bool hisi_qm_extend_reset_block(struct hisi_qm *qm)
{
	struct fake_device *fake = fake_with(qm);

	if (!fake->reset_blocks)
		return false;
	fake->reset_blocks++;
	return true;
}

void hisi_qm_unblock_reset(struct hisi_qm *qm)
{
	if (!--fake_with(qm)->reset_blocks)
		clear_bit_unlock(QM_RESETTING, &qm->misc_ctl);
}

/**
 * fake_alone() - hisi_acc_qm_alone() of the fake
 *
 * Return: whether no other task is ready to run.
 */
bool fake_alone(void)
{
	struct fake_device *fake = the_fake();

	fake->alone_calls++;
	return !fake->others;
}

/**
 * fake_count() - how often the code under test did something
 * @fake: the VF
 * @kind: as in struct fake_access
 * @where: as there, or FAKE_ANYWHERE
 *
 * Return: how often.
 */
unsigned int fake_count(const struct fake_device *fake, char kind, u32 where)
{
	unsigned int found = 0;

	for (int i = 0; i < min(fake->count, FAKE_ACCESSES); i++)
		found += fake->accesses[i].kind == kind &&
			 (where == FAKE_ANYWHERE ||
			  fake->accesses[i].where == where);
	return found;
}

/**
 * fake_when() - when the code under test did something first
 * @fake: the VF
 * @kind: as in struct fake_access
 * @where: as there
 *
 * Return: index of the access, or -1.
 */
int fake_when(const struct fake_device *fake, char kind, u32 where)
{
	for (int i = 0; i < min(fake->count, FAKE_ACCESSES); i++)
		if (fake->accesses[i].kind == kind &&
		    fake->accesses[i].where == where)
			return i;
	return -1;
}

/**
 * fake_forget() - count accesses from now on
 * @fake: the VF
 */
void fake_forget(struct fake_device *fake)
{
	memset(fake->accesses, 0, sizeof(fake->accesses));
	fake->count = 0;
}

/**
 * fake_guest_up() - what a guest's driver leaves in the registers
 * @fake: the VF
 */
void fake_guest_up(struct fake_device *fake)
{
	static const u32 queues[] = {
		0x90007, 0x34564000, 0x12, 0x2000, 0, 0, 0x103ff, 0,
		0x10001, 0x34566000, 0x12, 0x2000, 0, 0, 0x103ff,
	};

	fake->bar[QM_VF_STATE / 4] = QM_READY;
	memcpy(&fake->bar[0x8000 / 4], queues, sizeof(queues));
	fake->bar[0x0c / 4] = 1;
	fake->bar[0x24 / 4] = 1;
	fake->bar[0x34 / 4] = 2;
	fake->sqc_table = 0x1234568000;
	fake->cqc_table = 0x123456a000;
}

static void release(struct device *dev)
{
}

static void put(void *vf)
{
	struct fake_device *fake = vf;

	/* fput() releases a file later, and the release needs the device */
	flush_delayed_fput();
	scoped_guard(mutex, &fake->vf.state_mutex)
		hisi_acc_migf_close(fake->vf.data);
	put_device(&fake->vf.core.vdev.device);
}

/**
 * fake_device() - a VF just opened, without a guest
 * @test: it lives as long as this
 *
 * Return: the VF, never NULL.
 */
struct fake_device *fake_device(struct kunit *test)
{
	struct fake_device *fake;
	struct hisi_acc_vf *vf;

	fake = kunit_kzalloc(test, sizeof(*fake), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, fake);
	test->priv = fake;
	fake_registers(test);
	fake->pdev.dev.init_name = "fake";
	fake->qm.io_base = PF_AT;
	fake->engine.name = "fake";
	fake->engine.core_status = FAKE_ENGINE_STATUS;
	fake->bar[QM_VF_STATE / 4] = QM_NOT_READY;

	vf = &fake->vf;
	mutex_init(&vf->state_mutex);
	init_rwsem(&vf->core.memory_lock);
	vf->core.pdev = &fake->pdev;
	vf->core.vdev.dev = &fake->pdev.dev;
	vf->core.vdev.device.release = release;
	device_initialize(&vf->core.vdev.device);
	vf->core.vdev.migration_flags = VFIO_MIGRATION_STOP_COPY |
					VFIO_MIGRATION_P2P |
					VFIO_MIGRATION_PRE_COPY;
	vf->core.vdev.mig_ops = &hisi_acc_migration_ops;
	vf->pf_qm = &fake->qm;
	vf->engine = &fake->engine;
	vf->match = (struct hisi_acc_match) {
		.dev_id = 0xa256,
		.qp_num = FAKE_QUEUES,
		.que_iso_cfg = 1,
		.hw_version = 0x30,
		.bar_layout = HISI_ACC_BAR_HALF,
	};
	vf->regs.bar = BAR_AT;
	vf->regs.mig_regs = BAR_AT;
	vf->regs.xqc = 0x8000;
	hisi_acc_migrate_open(vf);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, put, fake));
	return fake;
}
