// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit: register accesses to stop, save, load and restart a VF, their order, and the
 * errors of a device that does not answer.
 */
#include <kunit/static_stub.h>

#include "fake_device.h"
#include "../qm.c"

/**
 * fake_registers() - have qm.c use the fake
 * @test: until it ends
 */
void fake_registers(struct kunit *test)
{
	kunit_activate_static_stub(test, hisi_acc_qm_readl, fake_readl);
	kunit_activate_static_stub(test, hisi_acc_qm_writel, fake_writel);
	kunit_activate_static_stub(test, hisi_acc_qm_writeq, fake_writeq);
	kunit_activate_static_stub(test, hisi_acc_qm_mailbox_store,
				   fake_mailbox_store);
	kunit_activate_static_stub(test, hisi_acc_qm_mailbox_load,
				   fake_mailbox_load);
	kunit_activate_static_stub(test, hisi_acc_qm_mailbox_timeout,
				   fake_mailbox_timeout);
	kunit_activate_static_stub(test, hisi_acc_qm_alone, fake_alone);
}

static int stop(struct fake_device *fake)
{
	guard(mutex)(&fake->vf.state_mutex);
	return hisi_acc_qm_stop(&fake->vf);
}

static int undo_stop(struct fake_device *fake)
{
	guard(mutex)(&fake->vf.state_mutex);
	return hisi_acc_qm_undo_stop(&fake->vf);
}

static int restart(struct fake_device *fake)
{
	guard(mutex)(&fake->vf.state_mutex);
	return hisi_acc_qm_restart(&fake->vf);
}

static int save(struct fake_device *fake, struct hisi_acc_saved *saved)
{
	guard(mutex)(&fake->vf.state_mutex);
	return hisi_acc_qm_save(&fake->vf, saved, false);
}

/* Where guest memory may still change */
static int save_from_p2p(struct fake_device *fake, struct hisi_acc_saved *saved)
{
	guard(mutex)(&fake->vf.state_mutex);
	return hisi_acc_qm_save(&fake->vf, saved, true);
}

static int load(struct fake_device *fake, const struct hisi_acc_saved *saved)
{
	guard(mutex)(&fake->vf.state_mutex);
	return hisi_acc_qm_load(&fake->vf, saved);
}

/* A VF with active queues */
static struct fake_device *working(struct kunit *test)
{
	struct fake_device *fake = fake_device(test);

	fake_guest_up(fake);
	return fake;
}

/* The same, stopped */
static struct fake_device *stopped(struct kunit *test)
{
	struct fake_device *fake = working(test);

	KUNIT_ASSERT_EQ(test, stop(fake), 0);
	fake_forget(fake);
	return fake;
}

/* The write-back comes after the pause, and after the check for errors */
static void stop_in_order(struct kunit *test)
{
	struct fake_device *fake = working(test);
	int pause, write_back;

	KUNIT_EXPECT_EQ(test, stop(fake), 0);
	KUNIT_EXPECT_TRUE(test, fake->paused);
	KUNIT_EXPECT_TRUE(test, fake->vf.paused);
	pause = fake_when(fake, 'm', QM_MB_CMD_PAUSE);
	write_back = fake_when(fake, 'w', QM_CACHE_WB_START);
	KUNIT_EXPECT_GE(test, pause, 0);
	KUNIT_EXPECT_GT(test, write_back, pause);
	KUNIT_EXPECT_GT(test, fake_when(fake, 'r', QM_CACHE_WB_DONE),
			write_back);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'm', FAKE_ANYWHERE), 1);
	KUNIT_EXPECT_GT(test, fake_when(fake, 'R', QM_ABNORMAL_INT_STATUS), pause);
	KUNIT_EXPECT_LT(test, fake_when(fake, 'R', FAKE_ENGINE_STATUS),
			write_back);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'R', FAKE_ANYWHERE), 2);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'W', FAKE_ANYWHERE), 0);
	KUNIT_EXPECT_FALSE(test, fake->dma_disabled);
}

/* A VF without a guest's driver is not paused */
static void stop_without_guest(struct kunit *test)
{
	struct fake_device *fake = fake_device(test);
	struct hisi_acc_saved saved;

	KUNIT_EXPECT_EQ(test, stop(fake), 0);
	KUNIT_EXPECT_FALSE(test, fake->paused);
	KUNIT_EXPECT_TRUE(test, fake->dma_disabled);
	KUNIT_EXPECT_EQ(test, fake->count, 3);
	KUNIT_EXPECT_EQ(test, save(fake, &saved), 0);
	KUNIT_EXPECT_EQ(test, saved.guest, HISI_ACC_GUEST_NONE);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'm', FAKE_ANYWHERE), 0);
	KUNIT_EXPECT_EQ(test, restart(fake), 0);
	KUNIT_EXPECT_FALSE(test, fake->dma_disabled);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'd', FAKE_ANYWHERE), 0);
}

/* Linux before 5.18: VF_STATE alone does not show whether the VF is used */
static void guest_without_vf_state(struct kunit *test)
{
	struct fake_device *fake = working(test);
	struct hisi_acc_saved saved;

	fake->bar[QM_VF_STATE / 4] = QM_NOT_READY;
	KUNIT_EXPECT_EQ(test, stop(fake), 0);
	KUNIT_EXPECT_TRUE(test, fake->paused);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'w', QM_CACHE_WB_START), 1);
	KUNIT_EXPECT_EQ(test, save(fake, &saved), 0);
	KUNIT_EXPECT_EQ(test, saved.guest, HISI_ACC_GUEST_UP);
	KUNIT_EXPECT_EQ(test, restart(fake), 0);
	KUNIT_EXPECT_FALSE(test, fake->paused);

	/* what it holds goes with a reset, as a state of others does */
	KUNIT_EXPECT_EQ(test, stop(fake), 0);
	fake->bar[0x8004 / 4] = 0;
	fake->bar[0x8008 / 4] = 0;
	KUNIT_EXPECT_EQ(test, save(fake, &saved), -ESTALE);
}

/* A guest's driver that is being started, or is gone, counts as idle */
static void idle(struct kunit *test)
{
	struct fake_device *fake = working(test);
	struct hisi_acc_saved saved;

	fake->bar[QM_VF_STATE / 4] = QM_NOT_READY;
	fake->bar[QM_EQ_INT_MASK / 4] = 1;
	fake->bar[QM_AEQ_INT_MASK / 4] = 1;
	fake->mailbox.lo = QM_MB_GET | QM_MB_CMD_CQC_BT;
	KUNIT_EXPECT_EQ(test, stop(fake), 0);
	KUNIT_EXPECT_FALSE(test, fake->paused);
	KUNIT_EXPECT_TRUE(test, fake->dma_disabled);
	KUNIT_EXPECT_EQ(test, save(fake, &saved), 0);
	KUNIT_EXPECT_EQ(test, saved.guest, HISI_ACC_GUEST_IDLE);
	KUNIT_EXPECT_EQ(test, saved.sqc_table, fake->sqc_table);
	KUNIT_EXPECT_EQ(test, saved.pending_read, HISI_ACC_MB_READ_CQC_TABLE);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'd', FAKE_ANYWHERE), 0);
	/* its answer is there again when it goes on */
	fake_forget(fake);
	KUNIT_EXPECT_EQ(test, restart(fake), 0);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'm', QM_MB_CMD_CQC_BT), 1);
	KUNIT_EXPECT_FALSE(test, fake->dma_disabled);

	/* unmasked, and one table that is not set yet */
	fake->bar[QM_EQ_INT_MASK / 4] = 0;
	fake->cqc_table = 0;
	KUNIT_EXPECT_EQ(test, stop(fake), 0);
	KUNIT_EXPECT_FALSE(test, fake->paused);
	KUNIT_EXPECT_TRUE(test, fake->dma_disabled);

	/* what it holds goes to the destination, without a doorbell */
	hisi_acc_pci_reset(&fake->vf);
	scoped_guard(mutex, &fake->vf.state_mutex)
		hisi_acc_qm_forget(&fake->vf);
	fake_forget(fake);
	KUNIT_EXPECT_EQ(test, load(fake, &saved), 0);
	KUNIT_EXPECT_EQ(test, fake->bar[QM_VF_STATE / 4], QM_NOT_READY);
	KUNIT_EXPECT_EQ(test, fake->sqc_table, saved.sqc_table);
	KUNIT_EXPECT_EQ(test, fake->bar[QM_EQ_INT_MASK / 4], 1);
	fake_forget(fake);
	KUNIT_EXPECT_EQ(test, restart(fake), 0);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'm', QM_MB_CMD_CQC_BT), 1);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'd', FAKE_ANYWHERE), 0);
}

/* Hardware may reset a VF whose bus mastering is turned off */
static void disabled_dma_resets(struct kunit *test)
{
	struct fake_device *fake = working(test);
	const u64 sqc_table = fake->sqc_table, cqc_table = fake->cqc_table;
	const u32 eq_base = fake->bar[0x8004 / 4];
	struct hisi_acc_saved saved;

	fake->bar[QM_VF_STATE / 4] = QM_NOT_READY;
	fake->bar[QM_EQ_INT_MASK / 4] = 1;
	fake->bar[QM_AEQ_INT_MASK / 4] = 1;
	fake->mailbox.lo = QM_MB_GET | QM_MB_CMD_CQC_BT;
	fake->dma_off_resets = true;
	KUNIT_EXPECT_EQ(test, stop(fake), 0);
	KUNIT_EXPECT_EQ(test, fake->bar[0x8004 / 4], 0);
	KUNIT_EXPECT_EQ(test, save(fake, &saved), 0);
	KUNIT_EXPECT_EQ(test, saved.guest, HISI_ACC_GUEST_IDLE);
	KUNIT_EXPECT_EQ(test, saved.sqc_table, sqc_table);
	KUNIT_EXPECT_EQ(test, saved.eqc[1], eq_base);
	KUNIT_EXPECT_EQ(test, saved.aeq_int_mask, 1);
	KUNIT_EXPECT_EQ(test, saved.pending_read, HISI_ACC_MB_READ_CQC_TABLE);
	/* the PF sends a message meanwhile */
	fake->bar[QM_IFC_INT_SOURCE / 4] = 1;
	KUNIT_EXPECT_EQ(test, restart(fake), 0);
	KUNIT_EXPECT_EQ(test, fake->bar[QM_IFC_INT_SOURCE / 4], 1);
	KUNIT_EXPECT_EQ(test, fake->sqc_table, sqc_table);
	KUNIT_EXPECT_EQ(test, fake->cqc_table, cqc_table);
	KUNIT_EXPECT_EQ(test, fake->bar[0x8004 / 4], eq_base);
	KUNIT_EXPECT_EQ(test, fake->bar[QM_EQ_INT_MASK / 4], 1);
	KUNIT_EXPECT_EQ(test, fake->bar[QM_VF_STATE / 4], QM_NOT_READY);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'd', FAKE_ANYWHERE), 0);

	/* what others reset stays as they left it */
	KUNIT_EXPECT_EQ(test, stop(fake), 0);
	scoped_guard(mutex, &fake->vf.state_mutex)
		hisi_acc_qm_forget(&fake->vf);
	KUNIT_EXPECT_EQ(test, restart(fake), 0);
	KUNIT_EXPECT_EQ(test, fake->bar[0x8004 / 4], 0);
	KUNIT_EXPECT_EQ(test, fake->sqc_table, 0);
}

/* A VF is not paused if it may have no tables to read contexts from */
static void no_pause_without_tables(struct kunit *test)
{
	struct fake_device *fake = working(test);

	fake->bar[QM_VF_STATE / 4] = QM_NOT_READY;
	fake->sqc_table = 0;
	KUNIT_EXPECT_EQ(test, stop(fake), 0);
	KUNIT_EXPECT_FALSE(test, fake->paused);
	KUNIT_EXPECT_EQ(test, restart(fake), 0);

	fake->sqc_table = 0x1234568000;
	fake->bar[0x8024 / 4] = 0;
	fake->bar[0x8028 / 4] = 0;
	KUNIT_EXPECT_EQ(test, stop(fake), 0);
	KUNIT_EXPECT_FALSE(test, fake->paused);
	KUNIT_EXPECT_EQ(test, restart(fake), 0);

	fake->bar[0x8024 / 4] = 0x34566000;
	KUNIT_EXPECT_EQ(test, stop(fake), 0);
	KUNIT_EXPECT_TRUE(test, fake->paused);
}

/* State that a driver has set in part is loaded, and each part only once */
static void partly_loaded_state_is_kept(struct kunit *test)
{
	const struct hisi_acc_saved sent = {
		.guest = HISI_ACC_GUEST_IDLE,
		.eq_int_mask = 1,
		.aeq_int_mask = 1,
		.sqc_table = 0x1234568000,
	};
	struct fake_device *fake = fake_device(test);
	struct hisi_acc_saved saved;

	/* a message of this host's PF is not for this guest */
	fake->bar[QM_IFC_INT_SOURCE / 4] = 1;
	KUNIT_EXPECT_EQ(test, load(fake, &sent), 0);
	KUNIT_EXPECT_EQ(test, fake->bar[QM_IFC_INT_SOURCE / 4], 0);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'm', QM_MB_CMD_CQC_BT), 0);
	KUNIT_EXPECT_EQ(test, restart(fake), 0);
	KUNIT_EXPECT_EQ(test, stop(fake), 0);
	KUNIT_EXPECT_EQ(test, save(fake, &saved), 0);
	KUNIT_EXPECT_MEMEQ(test, &saved, &sent, sizeof(saved));
}

/* Bus mastering is enabled again after a reset */
static void a_reset_enables_dma(struct kunit *test)
{
	struct fake_device *fake = fake_device(test);

	KUNIT_EXPECT_EQ(test, stop(fake), 0);
	KUNIT_EXPECT_TRUE(test, fake->dma_disabled);
	scoped_guard(mutex, &fake->vf.state_mutex)
		hisi_acc_qm_forget(&fake->vf);
	KUNIT_EXPECT_FALSE(test, fake->dma_disabled);
}

struct condition {
	const char *name;
	u32 where;
};

static const struct condition conditions[] = {
	{ "device error", QM_ABNORMAL_INT_STATUS },
	{ "message to guest", QM_IFC_INT_STATUS },
	{ "message from guest", QM_IFC_INT_SET },
	{ "engine error", FAKE_ENGINE_STATUS },
};

static void condition_name(const struct condition *condition, char *name)
{
	strscpy(name, condition->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(condition, conditions, condition_name);

static int can_save(struct fake_device *fake)
{
	guard(mutex)(&fake->vf.state_mutex);
	return hisi_acc_qm_can_save(&fake->vf, 200);
}

/* D11: a transient condition does not fail a migration */
static void migratable_waits(struct kunit *test)
{
	const struct condition *condition = test->param_value;
	struct fake_device *fake = working(test);

	fake->busy_register = condition->where;
	fake->busy_reads = 25;
	KUNIT_EXPECT_EQ(test, can_save(fake), 0);
	KUNIT_EXPECT_EQ(test, fake->busy_reads, 0);
}

/* A wait sleeps while other tasks are ready to run */
static void migratable_sleeps(struct kunit *test)
{
	struct fake_device *fake = working(test);

	fake->busy_register = QM_ABNORMAL_INT_STATUS;
	/* a sleep is up to two ticks long here, and the wait 200 ms */
	fake->busy_reads = 5;
	fake->others = true;
	KUNIT_EXPECT_EQ(test, can_save(fake), 0);
	KUNIT_EXPECT_EQ(test, fake->busy_reads, 0);
	KUNIT_EXPECT_EQ(test, fake->alone_calls, 1);
}

/*
 * D11: a stop does not fail for conditions outside the VF; a save fails for them
 */
static void migratable_or_not(struct kunit *test)
{
	const struct condition *condition = test->param_value;
	struct fake_device *fake = working(test);
	struct hisi_acc_saved saved;

	fake->busy_register = condition->where;
	fake->busy_reads = FAKE_ALWAYS;
	KUNIT_EXPECT_EQ(test, can_save(fake), -EBUSY);
	KUNIT_EXPECT_EQ(test, stop(fake), 0);
	KUNIT_EXPECT_TRUE(test, fake->paused);
	KUNIT_EXPECT_EQ(test, save(fake, &saved), -EBUSY);
	KUNIT_EXPECT_EQ(test, restart(fake), 0);
	KUNIT_EXPECT_FALSE(test, fake->paused);
}

static const struct condition errors[] = {
	{ "device error", QM_ABNORMAL_INT_STATUS },
	{ "engine error", FAKE_ENGINE_STATUS },
};

KUNIT_ARRAY_PARAM(error, errors, condition_name);

/* A VF with a guest, stopped during an error of the device */
static struct fake_device *stopped_during(struct kunit *test, u32 error)
{
	struct fake_device *fake = working(test);

	fake->busy_register = error;
	fake->busy_reads = FAKE_ALWAYS;
	KUNIT_ASSERT_EQ(test, stop(fake), 0);
	KUNIT_ASSERT_TRUE(test, fake->paused);
	KUNIT_ASSERT_EQ(test, fake_count(fake, 'w', FAKE_ANYWHERE), 0);
	fake_forget(fake);
	return fake;
}

/*
 * Contexts that were not written back are recorded, and are not written back after the
 * VMM has sent the guest's memory
 */
static void stop_during_an_error(struct kunit *test)
{
	const struct condition *error = test->param_value;
	struct fake_device *fake = stopped_during(test, error->where);
	struct hisi_acc_saved saved;

	KUNIT_EXPECT_EQ(test, save(fake, &saved), -EBUSY);
	KUNIT_EXPECT_EQ(test, save_from_p2p(fake, &saved), -EBUSY);
	fake->busy_reads = 0;
	KUNIT_EXPECT_EQ(test, save(fake, &saved), -EBUSY);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'w', FAKE_ANYWHERE), 0);

	fake->write_back_hangs = true;
	KUNIT_EXPECT_EQ(test, save_from_p2p(fake, &saved), -ETIMEDOUT);
	fake->write_back_hangs = false;
	KUNIT_EXPECT_EQ(test, save_from_p2p(fake, &saved), 0);
	KUNIT_EXPECT_EQ(test, saved.guest, HISI_ACC_GUEST_UP);
	KUNIT_EXPECT_EQ(test, save(fake, &saved), 0);
	KUNIT_EXPECT_EQ(test, saved.guest, HISI_ACC_GUEST_UP);
}

/* A transient error does not leave contexts in the device */
static void stop_waits_for_errors(struct kunit *test)
{
	const struct condition *error = test->param_value;
	struct fake_device *fake = working(test);
	struct hisi_acc_saved saved;

	fake->busy_register = error->where;
	fake->busy_reads = 25;
	KUNIT_EXPECT_EQ(test, stop(fake), 0);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'w', QM_CACHE_WB_START), 1);
	KUNIT_EXPECT_EQ(test, save(fake, &saved), 0);
}

/* A VF can be saved again when an error is over */
static void after_a_stop_during_an_error(struct kunit *test)
{
	struct fake_device *fake = stopped(test);
	struct hisi_acc_saved sent, saved;

	KUNIT_ASSERT_EQ(test, save(fake, &sent), 0);
	fake->busy_register = QM_ABNORMAL_INT_STATUS;
	for (int i = 0; i < 3; i++) {
		KUNIT_ASSERT_EQ(test, restart(fake), 0);
		KUNIT_EXPECT_FALSE(test, fake->paused);
		fake->busy_reads = FAKE_ALWAYS;
		KUNIT_ASSERT_EQ(test, stop(fake), 0);
		fake->busy_reads = 0;
		KUNIT_ASSERT_EQ(test, save(fake, &saved), -EBUSY);
		switch (i) {
		case 0:
			KUNIT_ASSERT_EQ(test, restart(fake), 0);
			fake->bar[QM_VF_STATE / 4] = QM_NOT_READY;
			fake->sqc_table = 0;
			KUNIT_ASSERT_EQ(test, stop(fake), 0);
			KUNIT_EXPECT_FALSE(test, fake->paused);
			break;
		case 1:
			hisi_acc_pci_reset(&fake->vf);
			scoped_guard(mutex, &fake->vf.state_mutex)
				hisi_acc_qm_forget(&fake->vf);
			break;
		}
		/* or the VF is reset by the load */
		KUNIT_EXPECT_EQ(test, save(fake, &saved), i < 2 ? 0 : -EBUSY);
		KUNIT_EXPECT_EQ(test, load(fake, &sent), 0);
		KUNIT_EXPECT_EQ(test, save(fake, &saved), 0);
		KUNIT_EXPECT_EQ(test, saved.guest, HISI_ACC_GUEST_UP);
	}
}

/* Registers of the PF are read once per stop, and no error is missed */
static void errors_are_checked(struct kunit *test)
{
	struct fake_device *fake = stopped(test);
	struct hisi_acc_saved saved;

	KUNIT_EXPECT_EQ(test, save_from_p2p(fake, &saved), 0);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'R', FAKE_ANYWHERE), 0);
	fake->busy_register = FAKE_ENGINE_STATUS;
	fake->busy_reads = FAKE_ALWAYS;
	KUNIT_EXPECT_EQ(test, save(fake, &saved), -EBUSY);
	/* and a stop that has not checked */
	scoped_guard(mutex, &fake->vf.state_mutex)
		hisi_acc_qm_forget(&fake->vf);
	fake->bar[QM_VF_STATE / 4] = QM_NOT_READY;
	fake->sqc_table = 0;
	KUNIT_EXPECT_EQ(test, stop(fake), 0);
	KUNIT_EXPECT_FALSE(test, fake->vf.paused);
	KUNIT_EXPECT_EQ(test, save_from_p2p(fake, &saved), -EBUSY);
}

/* A save does not wait for a guest whose vCPUs are stopped */
static void save_does_not_wait_for_the_guest(struct kunit *test)
{
	struct fake_device *fake = stopped(test);
	struct hisi_acc_saved saved;

	fake->busy_register = QM_IFC_INT_STATUS;
	fake->busy_reads = FAKE_ALWAYS;
	fake->others = true;
	KUNIT_EXPECT_EQ(test, save(fake, &saved), -EBUSY);
	KUNIT_EXPECT_LE(test, fake_count(fake, 'r', QM_IFC_INT_STATUS), 3);
}

/* No register is accessed in D3 */
static void registers_in_d3(struct kunit *test)
{
	struct fake_device *fake = working(test);
	struct hisi_acc_saved saved = { .guest = HISI_ACC_GUEST_UP };
	const struct hisi_acc_saved nothing = {};

	fake->asleep = true;
	KUNIT_EXPECT_EQ(test, can_save(fake), -EIO);
	KUNIT_EXPECT_EQ(test, stop(fake), 0);
	KUNIT_EXPECT_EQ(test, save(fake, &saved), -EIO);
	KUNIT_EXPECT_EQ(test, load(fake, &saved), -EIO);
	/* it could not be checked that it is as after a reset */
	KUNIT_EXPECT_EQ(test, load(fake, &nothing), -EIO);
	KUNIT_EXPECT_FALSE(test, fake->vf.half_loaded);
	KUNIT_EXPECT_EQ(test, restart(fake), 0);
	KUNIT_EXPECT_EQ(test, fake->count, 0);

	/* asleep only after it was stopped: it may have lost all */
	fake->asleep = false;
	KUNIT_EXPECT_EQ(test, stop(fake), 0);
	fake->asleep = true;
	fake_forget(fake);
	KUNIT_EXPECT_EQ(test, save(fake, &saved), -EIO);
	KUNIT_EXPECT_EQ(test, restart(fake), 0);
	KUNIT_EXPECT_FALSE(test, fake->vf.paused);
	KUNIT_EXPECT_EQ(test, fake->count, 0);
}

/* No register is accessed with the memory space off, as after a failed PF reset */
static void registers_with_memory_off(struct kunit *test)
{
	struct fake_device *fake = stopped(test);
	struct hisi_acc_saved saved = { .guest = HISI_ACC_GUEST_UP };

	fake->off = true;
	KUNIT_EXPECT_EQ(test, can_save(fake), -EIO);
	KUNIT_EXPECT_EQ(test, stop(fake), -EIO);
	KUNIT_EXPECT_EQ(test, save(fake, &saved), -EIO);
	KUNIT_EXPECT_EQ(test, load(fake, &saved), -EIO);
	KUNIT_EXPECT_EQ(test, restart(fake), -EIO);
	KUNIT_EXPECT_EQ(test, fake->count, 0);
}

/* A VF that was not paused is not restarted */
static void pause_fails(struct kunit *test)
{
	struct fake_device *fake = working(test);

	fake->fail_command = QM_MB_CMD_PAUSE;
	fake->mailbox.lo = QM_MB_GET | QM_MB_CMD_CQC_BT;
	KUNIT_EXPECT_EQ(test, stop(fake), -EIO);
	KUNIT_EXPECT_FALSE(test, fake->vf.paused);
	KUNIT_EXPECT_EQ(test, undo_stop(fake), 0);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'd', FAKE_ANYWHERE), 0);
	/* the guest, which goes on, finds its answer */
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'm', QM_MB_CMD_CQC_BT), 1);
}

/* A late pause does not take effect after the restart */
static void pause_times_out(struct kunit *test)
{
	struct fake_device *fake = working(test);

	fake->hang_command = QM_MB_CMD_PAUSE;
	KUNIT_EXPECT_EQ(test, stop(fake), -ETIMEDOUT);
	KUNIT_EXPECT_TRUE(test, fake->vf.paused);
	KUNIT_EXPECT_EQ(test, undo_stop(fake), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'd', FAKE_ANYWHERE), 0);
}

/*
 * Commands of the guest and PAUSE may wait for requests in the engine, for as long as
 * hisi_qm expects of such commands. No other command waits for them.
 */
static void mailbox_timeouts(struct kunit *test)
{
	struct fake_device *fake = working(test);
	struct hisi_acc_saved saved;

	fake->mailbox.lo = QM_MB_BUSY;
	KUNIT_EXPECT_EQ(test, stop(fake), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, fake->mailbox_timeout_us, 5 * USEC_PER_SEC);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'm', FAKE_ANYWHERE), 0);

	fake->mailbox.lo = 0;
	fake->mailbox_timeout_us = 0;
	fake->hang_command = QM_MB_CMD_PAUSE;
	KUNIT_EXPECT_EQ(test, stop(fake), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, fake->mailbox_timeout_us, 5 * USEC_PER_SEC);
	/* a device that hangs is not waited for twice */
	KUNIT_EXPECT_EQ(test, undo_stop(fake), -ETIMEDOUT);
	KUNIT_EXPECT_LE(test, fake->mailbox_timeout_us, USEC_PER_SEC);

	fake->mailbox.lo = 0;
	fake->hang_command = QM_MB_CMD_CQC_BT;
	KUNIT_EXPECT_EQ(test, save_from_p2p(fake, &saved), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, fake->mailbox_timeout_us, USEC_PER_SEC);
}

/* Contexts that were not written back do not count as written back */
static void write_back_times_out(struct kunit *test)
{
	struct fake_device *fake = working(test);

	fake->write_back_hangs = true;
	KUNIT_EXPECT_EQ(test, stop(fake), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, undo_stop(fake), -ETIMEDOUT);
	fake->write_back_hangs = false;
	KUNIT_EXPECT_EQ(test, undo_stop(fake), 0);
	KUNIT_EXPECT_FALSE(test, fake->paused);

	/* with an error, the VF continues with the contexts in the device */
	fake->hang_command = QM_MB_CMD_PAUSE;
	KUNIT_EXPECT_EQ(test, stop(fake), -ETIMEDOUT);
	fake->mailbox.lo = 0;
	fake->busy_register = QM_ABNORMAL_INT_STATUS;
	fake->busy_reads = FAKE_ALWAYS;
	KUNIT_EXPECT_EQ(test, undo_stop(fake), 0);
	KUNIT_EXPECT_FALSE(test, fake->paused);
}

/* D19: a device that is gone does not count as one without a guest */
static void device_is_gone(struct kunit *test)
{
	struct fake_device *fake = stopped(test);
	struct hisi_acc_saved saved;

	fake->bar[QM_VF_STATE / 4] = ~0;
	KUNIT_EXPECT_EQ(test, stop(fake), -EIO);
	KUNIT_EXPECT_EQ(test, save(fake, &saved), -EIO);
	KUNIT_EXPECT_EQ(test, restart(fake), -EIO);
	KUNIT_EXPECT_TRUE(test, fake->vf.paused);
}

/* D19: a VF that was reset while it was stopped is neither saved nor restarted */
static void reset_while_stopped(struct kunit *test)
{
	struct fake_device *fake = stopped(test);
	struct hisi_acc_saved saved;

	fake->bar[QM_VF_STATE / 4] = QM_NOT_READY;
	KUNIT_EXPECT_EQ(test, save(fake, &saved), -ESTALE);
	KUNIT_EXPECT_EQ(test, restart(fake), 0);
	KUNIT_EXPECT_FALSE(test, fake->vf.paused);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'd', FAKE_ANYWHERE), 0);
}

/* Each field is read from its register, with no more accesses than allowed */
static void save_reads(struct kunit *test)
{
	struct fake_device *fake = stopped(test);
	struct hisi_acc_saved saved;

	KUNIT_ASSERT_EQ(test, save(fake, &saved), 0);
	KUNIT_EXPECT_EQ(test, saved.guest, HISI_ACC_GUEST_UP);
	KUNIT_EXPECT_EQ(test, saved.eq_int_mask, 1);
	KUNIT_EXPECT_EQ(test, saved.aeq_int_mask, 0);
	KUNIT_EXPECT_EQ(test, saved.ifc_int_mask, 1);
	KUNIT_EXPECT_EQ(test, saved.page_size, 2);
	KUNIT_EXPECT_EQ(test, saved.sqc_table, 0x1234568000);
	KUNIT_EXPECT_EQ(test, saved.cqc_table, 0x123456a000);
	KUNIT_EXPECT_MEMEQ(test, saved.eqc, &fake->bar[0x8000 / 4],
			   sizeof(saved.eqc));
	KUNIT_EXPECT_MEMEQ(test, saved.aeqc, &fake->bar[0x8020 / 4],
			   sizeof(saved.aeqc));
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'm', FAKE_ANYWHERE), 2);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'd', FAKE_ANYWHERE), 2);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'w', FAKE_ANYWHERE), 0);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'W', FAKE_ANYWHERE), 0);
	KUNIT_EXPECT_LE(test, fake_count(fake, 'r', FAKE_ANYWHERE), 21);
	KUNIT_EXPECT_TRUE(test, fake->paused);
}

/* A driver that has set VF_STATE and no tables is not saved as active */
static void save_half_up(struct kunit *test)
{
	struct fake_device *fake = stopped(test);
	struct hisi_acc_saved saved;

	fake->cqc_table = 0;
	KUNIT_EXPECT_EQ(test, save(fake, &saved), 0);
	KUNIT_EXPECT_EQ(test, saved.guest, HISI_ACC_GUEST_IDLE);
	fake->cqc_table = 0x123456a000;
	fake->bar[0x8004 / 4] = 0;
	fake->bar[0x8008 / 4] = 0;
	KUNIT_EXPECT_EQ(test, save(fake, &saved), 0);
	KUNIT_EXPECT_EQ(test, saved.guest, HISI_ACC_GUEST_IDLE);
}

/* A VF whose driver came up after the stop is not saved */
static void save_after_late_driver(struct kunit *test)
{
	struct fake_device *fake = fake_device(test);
	struct hisi_acc_saved saved;

	KUNIT_ASSERT_EQ(test, stop(fake), 0);
	KUNIT_EXPECT_EQ(test, save(fake, &saved), 0);
	KUNIT_EXPECT_EQ(test, saved.guest, HISI_ACC_GUEST_NONE);
	fake_guest_up(fake);
	KUNIT_EXPECT_EQ(test, save(fake, &saved), -EAGAIN);
}

/* A failed mailbox read is not used as an address; no command replaces a pending one */
static void save_mailbox_fails(struct kunit *test)
{
	struct fake_device *fake = stopped(test);
	struct hisi_acc_saved saved;

	fake->fail_command = QM_MB_CMD_CQC_BT;
	KUNIT_EXPECT_EQ(test, save(fake, &saved), -EIO);
	fake->fail_command = 0;
	fake->hang_command = QM_MB_CMD_SQC_BT;
	KUNIT_EXPECT_EQ(test, save(fake, &saved), -ETIMEDOUT);
	/* that command is still under way, until it is not */
	fake_forget(fake);
	KUNIT_EXPECT_EQ(test, save(fake, &saved), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'm', FAKE_ANYWHERE), 0);
	fake->hang_command = 0;
	fake->mailbox.lo = 0;
	KUNIT_EXPECT_EQ(test, save(fake, &saved), 0);
}

/* Each field that is saved is loaded, at its place */
static void load_is_the_inverse_of_save(struct kunit *test)
{
	struct fake_device *fake = stopped(test);
	struct hisi_acc_saved saved, again;

	KUNIT_ASSERT_EQ(test, save(fake, &saved), 0);
	memset(fake->bar, 0, sizeof(fake->bar));
	fake->bar[QM_VF_STATE / 4] = QM_NOT_READY;
	fake->sqc_table = 0;
	fake->cqc_table = 0;
	fake->paused = false;
	scoped_guard(mutex, &fake->vf.state_mutex)
		hisi_acc_qm_forget(&fake->vf);
	fake_forget(fake);

	KUNIT_ASSERT_EQ(test, load(fake, &saved), 0);
	/* a VF without queues has nothing that PAUSE could stop */
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'm', FAKE_ANYWHERE), 2);
	KUNIT_EXPECT_TRUE(test, fake->vf.paused);
	/* D24: the guest's driver is up when all of it is there, not before */
	KUNIT_EXPECT_EQ(test, fake_when(fake, 'w', QM_VF_STATE),
			fake->count - 1);
	KUNIT_EXPECT_EQ(test, fake->bar[QM_VF_STATE / 4], QM_READY);
	KUNIT_EXPECT_EQ(test, fake->bar[QM_QUE_ISO_CFG / 4], 1);
	KUNIT_ASSERT_EQ(test, save(fake, &again), 0);
	KUNIT_EXPECT_MEMEQ(test, &again, &saved, sizeof(saved));
}

/* R12: no address 0 is written to the device */
static void load_of_no_guest(struct kunit *test)
{
	struct fake_device *fake = fake_device(test);
	struct hisi_acc_saved saved = {};

	KUNIT_EXPECT_EQ(test, load(fake, &saved), 0);
	KUNIT_EXPECT_EQ(test, fake->count, 0);
	KUNIT_EXPECT_EQ(test, restart(fake), 0);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'd', FAKE_ANYWHERE), 0);
}

/* Data without a guest's driver leave the VF as after a reset */
static void load_without_guest_driver(struct kunit *test)
{
	struct hisi_acc_saved nothing = {}, saved, idle;
	struct fake_device *fake = stopped(test);

	KUNIT_ASSERT_EQ(test, save(fake, &saved), 0);
	fake->reset_error = -EAGAIN;
	KUNIT_EXPECT_EQ(test, load(fake, &nothing), -EAGAIN);
	KUNIT_EXPECT_FALSE(test, fake->vf.half_loaded);
	fake->reset_error = -ENOTTY;
	KUNIT_EXPECT_EQ(test, load(fake, &nothing), -ENOTTY);
	KUNIT_EXPECT_TRUE(test, fake->vf.half_loaded);
	fake->reset_error = 0;
	KUNIT_EXPECT_EQ(test, load(fake, &nothing), 0);
	KUNIT_EXPECT_EQ(test, fake->resets, 1);
	KUNIT_EXPECT_EQ(test, save(fake, &idle), 0);
	KUNIT_EXPECT_EQ(test, idle.guest, HISI_ACC_GUEST_NONE);
	fake_forget(fake);
	KUNIT_EXPECT_EQ(test, restart(fake), 0);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'd', FAKE_ANYWHERE), 0);

	/* and one that holds other queues than the saved state's */
	KUNIT_EXPECT_EQ(test, load(fake, &saved), 0);
	KUNIT_EXPECT_EQ(test, fake->resets, 1);
	KUNIT_EXPECT_EQ(test, load(fake, &saved), 0);
	KUNIT_EXPECT_EQ(test, fake->resets, 2);

	/* and is no longer paused when nothing of it is at work */
	idle = saved;
	idle.guest = HISI_ACC_GUEST_IDLE;
	KUNIT_EXPECT_EQ(test, load(fake, &idle), 0);
	KUNIT_EXPECT_EQ(test, fake->resets, 3);
	KUNIT_EXPECT_EQ(test, save(fake, &saved), 0);
	KUNIT_EXPECT_EQ(test, saved.guest, HISI_ACC_GUEST_IDLE);
}

static const u32 load_commands[] = {
	QM_MB_CMD_SQC_BT, QM_MB_CMD_CQC_BT,
};

static void command_name(const u32 *command, char *name)
{
	snprintf(name, KUNIT_PARAM_DESC_SIZE, "command 0x%x", *command);
}

KUNIT_ARRAY_PARAM(command, load_commands, command_name);

/* A VF that was loaded in part is not ready; no command is sent while busy */
static void load_fails(struct kunit *test)
{
	const struct hisi_acc_saved saved = {
		.guest = HISI_ACC_GUEST_UP,
		.sqc_table = 0x1234568000,
		.cqc_table = 0x123456a000,
	};
	struct fake_device *fake = fake_device(test);
	const u32 *command = test->param_value;

	fake->fail_command = *command;
	KUNIT_EXPECT_EQ(test, load(fake, &saved), -EIO);
	fake->fail_command = 0;
	fake->hang_command = *command;
	KUNIT_EXPECT_EQ(test, load(fake, &saved), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, fake->bar[QM_VF_STATE / 4], QM_NOT_READY);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'w', FAKE_ANYWHERE), 0);
	/* the command that has no answer is still under way */
	fake_forget(fake);
	KUNIT_EXPECT_EQ(test, load(fake, &saved), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'm', FAKE_ANYWHERE), 0);
}

/* D2, D10, R8: each of the VF's queues is rung, and no other */
static void restart_rings(struct kunit *test)
{
	struct fake_device *fake = stopped(test);
	u64 queues = 0;

	KUNIT_EXPECT_EQ(test, restart(fake), 0);
	KUNIT_EXPECT_FALSE(test, fake->paused);
	KUNIT_EXPECT_FALSE(test, fake->vf.paused);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'd', QM_DOORBELL_SQ_CQ_BASE_V2),
			FAKE_QUEUES);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'd', QM_DOORBELL_EQ_AEQ_BASE_V2),
			2);
	for (int i = 0; i < fake->count; i++) {
		struct fake_access *a = &fake->accesses[i];
		u64 index = a->value >> QM_DB_INDEX_SHIFT_V2 & U16_MAX;
		u64 command = a->value >> QM_DB_CMD_SHIFT_V2 & 0xf;

		if (a->kind != 'd')
			continue;
		if (a->where == QM_DOORBELL_SQ_CQ_BASE_V2)
			queues |= BIT_ULL(a->value & 0x3ff);
		else if (command == QM_DOORBELL_CMD_EQ)
			KUNIT_EXPECT_EQ(test, index, 7);
		else
			KUNIT_EXPECT_EQ(test, index, 1);
	}
	KUNIT_EXPECT_EQ(test, queues, GENMASK_ULL(FAKE_QUEUES - 1, 0));

	fake_forget(fake);
	KUNIT_EXPECT_EQ(test, restart(fake), 0);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'd', FAKE_ANYWHERE), 0);
}

/* Heads are those of this stop, and are read once */
static void restart_rings_heads(struct kunit *test)
{
	struct fake_device *fake = stopped(test);
	struct hisi_acc_saved saved;

	KUNIT_ASSERT_EQ(test, save(fake, &saved), 0);
	saved.eqc[0] = 0x90005;
	fake->vf.used = false;
	KUNIT_ASSERT_EQ(test, load(fake, &saved), 0);
	fake_forget(fake);
	KUNIT_ASSERT_EQ(test, restart(fake), 0);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'r', FAKE_ANYWHERE), 1);
	KUNIT_EXPECT_EQ(test, fake->accesses[fake->count - 2].value >>
			      QM_DB_INDEX_SHIFT_V2, 5);

	fake->bar[0x8000 / 4] = 0x90006;
	KUNIT_ASSERT_EQ(test, stop(fake), 0);
	KUNIT_ASSERT_EQ(test, restart(fake), 0);
	KUNIT_EXPECT_EQ(test, fake->accesses[fake->count - 2].value >>
			      QM_DB_INDEX_SHIFT_V2, 6);
}

/*
 * A VF that was unused at the stop is loaded and restarted with as few
 * accesses as any other
 */
static void restart_of_what_was_unused(struct kunit *test)
{
	struct fake_device *fake = stopped(test);
	struct hisi_acc_saved saved;

	KUNIT_ASSERT_EQ(test, save(fake, &saved), 0);
	hisi_acc_pci_reset(&fake->vf);
	scoped_guard(mutex, &fake->vf.state_mutex)
		hisi_acc_qm_forget(&fake->vf);
	KUNIT_ASSERT_EQ(test, stop(fake), 0);
	KUNIT_ASSERT_EQ(test, load(fake, &saved), 0);
	fake_forget(fake);
	KUNIT_ASSERT_EQ(test, restart(fake), 0);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'r', FAKE_ANYWHERE), 1);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'd', QM_DOORBELL_SQ_CQ_BASE_V2),
			FAKE_QUEUES);
	KUNIT_EXPECT_EQ(test, fake->resets, 1);
}

/* D21: a guest with a pending mailbox read gets its own answer */
static void pending_read_is_answered(struct kunit *test)
{
	struct fake_device *fake = working(test);
	struct hisi_acc_saved saved;

	fake->mailbox.lo = QM_MB_GET | QM_MB_CMD_CQC_BT;
	KUNIT_ASSERT_EQ(test, stop(fake), 0);
	KUNIT_ASSERT_EQ(test, save(fake, &saved), 0);
	fake->mailbox.lo = 0;
	fake_forget(fake);
	KUNIT_EXPECT_EQ(test, restart(fake), 0);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'm', QM_MB_CMD_CQC_BT), 1);
	KUNIT_EXPECT_EQ(test, fake->mailbox.hi << 32 | fake->mailbox.lo >> 32,
			fake->cqc_table);
}

/* A guest keeps its VF when a pending mailbox read fails */
static void pending_read_without_an_answer(struct kunit *test)
{
	struct fake_device *fake = working(test);

	fake->mailbox.lo = QM_MB_GET | QM_MB_CMD_CQC_BT;
	KUNIT_ASSERT_EQ(test, stop(fake), 0);
	fake->fail_command = QM_MB_CMD_CQC_BT;
	KUNIT_EXPECT_EQ(test, restart(fake), 0);
	KUNIT_EXPECT_FALSE(test, fake->paused);
	KUNIT_EXPECT_TRUE(test, fake->mailbox.lo & QM_MB_STATUS);
	KUNIT_EXPECT_FALSE(test, fake->vf.mailbox_used);
}

/* A message to the guest is neither overwritten in the mailbox nor left behind */
static void pending_message_is_kept(struct kunit *test)
{
	struct fake_device *fake = working(test);
	struct hisi_acc_saved saved;

	fake->mailbox.lo = HISI_ACC_MB_READ_MESSAGE;
	KUNIT_ASSERT_EQ(test, stop(fake), 0);
	KUNIT_EXPECT_EQ(test, save(fake, &saved), -EBUSY);
	fake_forget(fake);
	KUNIT_EXPECT_EQ(test, restart(fake), 0);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'm', HISI_ACC_MB_READ_MESSAGE), 1);
}

/* D17: no doorbell is rung in the PF's BAR */
static void mig_regs_in_pf(struct kunit *test)
{
	struct fake_device *fake = working(test);
	struct hisi_acc_regs *regs = &fake->vf.regs;
	struct hisi_acc_saved saved;

	/* the same registers at another address */
	regs->mig_regs = regs->bar + 0x4000;
	regs->xqc = 0x1c00;
	memcpy(&fake->bar[0x4000 / 4], fake->bar, 0x400);
	memcpy(&fake->bar[0x5c00 / 4], &fake->bar[0x8000 / 4], 0x40);
	fake->bar[0x4208 / 4] = 1;
	KUNIT_EXPECT_EQ(test, stop(fake), 0);
	KUNIT_EXPECT_EQ(test, save(fake, &saved), 0);
	KUNIT_EXPECT_EQ(test, hisi_acc_xqc_head(saved.eqc), 7);
	KUNIT_EXPECT_EQ(test, restart(fake), 0);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'd', QM_DOORBELL_SQ_CQ_BASE_V2),
			FAKE_QUEUES);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'd', QM_DOORBELL_EQ_AEQ_BASE_V2),
			4);
}

static struct kunit_case qm_cases[] = {
	KUNIT_CASE(stop_in_order),
	KUNIT_CASE(stop_without_guest),
	KUNIT_CASE(guest_without_vf_state),
	KUNIT_CASE(idle),
	KUNIT_CASE(disabled_dma_resets),
	KUNIT_CASE(no_pause_without_tables),
	KUNIT_CASE(partly_loaded_state_is_kept),
	KUNIT_CASE(a_reset_enables_dma),
	KUNIT_CASE_PARAM(migratable_waits, condition_gen_params),
	KUNIT_CASE(migratable_sleeps),
	KUNIT_CASE_PARAM(migratable_or_not, condition_gen_params),
	KUNIT_CASE_PARAM(stop_during_an_error, error_gen_params),
	KUNIT_CASE_PARAM(stop_waits_for_errors, error_gen_params),
	KUNIT_CASE(after_a_stop_during_an_error),
	KUNIT_CASE(errors_are_checked),
	KUNIT_CASE(save_does_not_wait_for_the_guest),
	KUNIT_CASE(registers_in_d3),
	KUNIT_CASE(registers_with_memory_off),
	KUNIT_CASE(pause_fails),
	KUNIT_CASE(pause_times_out),
	KUNIT_CASE(mailbox_timeouts),
	KUNIT_CASE(write_back_times_out),
	KUNIT_CASE(device_is_gone),
	KUNIT_CASE(reset_while_stopped),
	KUNIT_CASE(save_reads),
	KUNIT_CASE(save_half_up),
	KUNIT_CASE(save_after_late_driver),
	KUNIT_CASE(save_mailbox_fails),
	KUNIT_CASE(load_is_the_inverse_of_save),
	KUNIT_CASE(load_of_no_guest),
	KUNIT_CASE(load_without_guest_driver),
	KUNIT_CASE_PARAM(load_fails, command_gen_params),
	KUNIT_CASE(restart_rings),
	KUNIT_CASE(restart_rings_heads),
	KUNIT_CASE(restart_of_what_was_unused),
	KUNIT_CASE(pending_read_is_answered),
	KUNIT_CASE(pending_read_without_an_answer),
	KUNIT_CASE(pending_message_is_kept),
	KUNIT_CASE(mig_regs_in_pf),
	{ }
};

static struct kunit_suite qm_suite = {
	.name = "hisi_acc_qm",
	.test_cases = qm_cases,
};

kunit_test_suite(qm_suite);
