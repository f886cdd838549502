// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit: what is done to the registers to stop a function, to save, to load and to
 * restart it, in which order, and what comes of a device that does not answer.
 */
#include "fake_device.h"
#include "fake_registers.h"
#include "qm.c"

static int quiesce(struct fake_device *fake)
{
	guard(mutex)(&fake->vf.state_mutex);
	return hisi_acc_qm_quiesce(&fake->vf);
}

static int unquiesce(struct fake_device *fake)
{
	guard(mutex)(&fake->vf.state_mutex);
	return hisi_acc_qm_unquiesce(&fake->vf);
}

static int restart(struct fake_device *fake)
{
	guard(mutex)(&fake->vf.state_mutex);
	return hisi_acc_qm_restart(&fake->vf);
}

static int save(struct fake_device *fake, struct hisi_acc_image *image)
{
	guard(mutex)(&fake->vf.state_mutex);
	return hisi_acc_qm_save(&fake->vf, image);
}

static int load(struct fake_device *fake, const struct hisi_acc_image *image)
{
	guard(mutex)(&fake->vf.state_mutex);
	return hisi_acc_qm_load(&fake->vf, image);
}

/* A function whose guest works */
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

	KUNIT_ASSERT_EQ(test, quiesce(fake), 0);
	fake_forget(fake);
	return fake;
}

/* Would catch: a write-back before the pause, checks of a running function */
static void quiesce_in_order(struct kunit *test)
{
	struct fake_device *fake = working(test);
	int pause, first, last, write_back;

	KUNIT_EXPECT_EQ(test, quiesce(fake), 0);
	KUNIT_EXPECT_TRUE(test, fake->paused);
	KUNIT_EXPECT_TRUE(test, fake->vf.paused);
	pause = fake_when(fake, 'm', QM_MB_CMD_PAUSE);
	first = fake_when(fake, 'R', QM_ABNORMAL_INT_STATUS);
	last = fake_when(fake, 'R', FAKE_ENGINE_STATUS);
	write_back = fake_when(fake, 'w', QM_CACHE_WB_START);
	KUNIT_EXPECT_GE(test, pause, 0);
	KUNIT_EXPECT_GT(test, first, pause);
	KUNIT_EXPECT_GT(test, fake_when(fake, 'r', QM_IFC_INT_STATUS), pause);
	KUNIT_EXPECT_GT(test, fake_when(fake, 'r', QM_IFC_INT_SET), pause);
	KUNIT_EXPECT_GT(test, last, pause);
	KUNIT_EXPECT_GT(test, write_back, first);
	KUNIT_EXPECT_GT(test, write_back, last);
	KUNIT_EXPECT_GT(test, fake_when(fake, 'r', QM_CACHE_WB_DONE),
			write_back);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'm', FAKE_ANYWHERE), 1);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'W', FAKE_ANYWHERE), 0);
}

/* Would catch: a function without a guest's driver that is paused all the same */
static void quiesce_without_guest(struct kunit *test)
{
	struct fake_device *fake = fake_device(test);

	KUNIT_EXPECT_EQ(test, quiesce(fake), 0);
	KUNIT_EXPECT_FALSE(test, fake->paused);
	KUNIT_EXPECT_EQ(test, fake->count, 1);
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

/* D11; would catch: a condition of a moment that fails the stop */
static void quiesce_waits(struct kunit *test)
{
	const struct condition *condition = test->param_value;
	struct fake_device *fake = working(test);

	fake->busy_register = condition->where;
	fake->busy_reads = 25;
	KUNIT_EXPECT_EQ(test, quiesce(fake), 0);
	KUNIT_EXPECT_EQ(test, fake->busy_reads, 0);
}

/* Would catch: somebody else kept from the processor for as long as a wait takes */
static void quiesce_lets_others_go_first(struct kunit *test)
{
	struct fake_device *fake = working(test);

	fake->busy_register = QM_ABNORMAL_INT_STATUS;
	/* a sleep is up to two ticks long here, and the wait 200 ms */
	fake->busy_reads = 5;
	fake->others = true;
	KUNIT_EXPECT_EQ(test, quiesce(fake), 0);
	KUNIT_EXPECT_EQ(test, fake->busy_reads, 0);
	KUNIT_EXPECT_EQ(test, fake->asked, 1);
}

/* D9, D11; would catch: a failed stop that leaves the function stopped */
static void quiesce_gives_up(struct kunit *test)
{
	const struct condition *condition = test->param_value;
	struct fake_device *fake = working(test);

	fake->busy_register = condition->where;
	fake->busy_reads = FAKE_ALWAYS;
	KUNIT_EXPECT_EQ(test, quiesce(fake), -EBUSY);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'w', QM_CACHE_WB_START), 0);
	fake_forget(fake);
	KUNIT_EXPECT_EQ(test, unquiesce(fake), 0);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'w', QM_CACHE_WB_START), 1);
	KUNIT_EXPECT_FALSE(test, fake->paused);
	KUNIT_EXPECT_FALSE(test, fake->vf.paused);
}

/* Would catch: a restart of what was never paused */
static void pause_refused(struct kunit *test)
{
	struct fake_device *fake = working(test);

	fake->fail_command = QM_MB_CMD_PAUSE;
	KUNIT_EXPECT_EQ(test, quiesce(fake), -EIO);
	KUNIT_EXPECT_FALSE(test, fake->vf.paused);
	KUNIT_EXPECT_EQ(test, unquiesce(fake), 0);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'd', FAKE_ANYWHERE), 0);
}

/* Would catch: a pause that comes into force after the function was restarted */
static void pause_unanswered(struct kunit *test)
{
	struct fake_device *fake = working(test);

	fake->hang_command = QM_MB_CMD_PAUSE;
	KUNIT_EXPECT_EQ(test, quiesce(fake), -ETIMEDOUT);
	KUNIT_EXPECT_TRUE(test, fake->vf.paused);
	KUNIT_EXPECT_EQ(test, unquiesce(fake), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'd', FAKE_ANYWHERE), 0);
}

/* Would catch: contexts taken for written back that are not */
static void write_back_unanswered(struct kunit *test)
{
	struct fake_device *fake = working(test);

	fake->write_back_hangs = true;
	KUNIT_EXPECT_EQ(test, quiesce(fake), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, unquiesce(fake), -ETIMEDOUT);
	fake->write_back_hangs = false;
	KUNIT_EXPECT_EQ(test, unquiesce(fake), 0);
	KUNIT_EXPECT_FALSE(test, fake->paused);
}

/* D19; would catch: a device that is gone taken for one without a guest */
static void gone(struct kunit *test)
{
	struct fake_device *fake = stopped(test);
	struct hisi_acc_image image;

	fake->bar[QM_VF_STATE / 4] = ~0;
	KUNIT_EXPECT_EQ(test, quiesce(fake), -EIO);
	KUNIT_EXPECT_EQ(test, save(fake, &image), -EIO);
	KUNIT_EXPECT_EQ(test, restart(fake), -EIO);
	KUNIT_EXPECT_TRUE(test, fake->vf.paused);
}

/* D19; would catch: an image, or a run, of a function reset under us */
static void reset_under_us(struct kunit *test)
{
	struct fake_device *fake = stopped(test);
	struct hisi_acc_image image;

	fake->bar[QM_VF_STATE / 4] = QM_NOT_READY;
	KUNIT_EXPECT_EQ(test, save(fake, &image), -ESTALE);
	KUNIT_EXPECT_EQ(test, restart(fake), -ESTALE);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'd', FAKE_ANYWHERE), 0);
}

/* Would catch: a field read from elsewhere; more accesses than are allowed */
static void save_reads(struct kunit *test)
{
	struct fake_device *fake = stopped(test);
	struct hisi_acc_image image;

	KUNIT_ASSERT_EQ(test, save(fake, &image), 0);
	KUNIT_EXPECT_TRUE(test, image.guest_ready);
	KUNIT_EXPECT_EQ(test, image.eq_int_mask, 1);
	KUNIT_EXPECT_EQ(test, image.aeq_int_mask, 0);
	KUNIT_EXPECT_EQ(test, image.ifc_int_mask, 1);
	KUNIT_EXPECT_EQ(test, image.page_size, 2);
	KUNIT_EXPECT_EQ(test, image.sqc_table, 0x1234568000);
	KUNIT_EXPECT_EQ(test, image.cqc_table, 0x123456a000);
	KUNIT_EXPECT_MEMEQ(test, image.eqc, &fake->bar[0x8000 / 4],
			   sizeof(image.eqc));
	KUNIT_EXPECT_MEMEQ(test, image.aeqc, &fake->bar[0x8020 / 4],
			   sizeof(image.aeqc));
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'm', FAKE_ANYWHERE), 2);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'd', FAKE_ANYWHERE), 2);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'w', FAKE_ANYWHERE), 0);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'W', FAKE_ANYWHERE), 0);
	KUNIT_EXPECT_LE(test, fake_count(fake, 'r', FAKE_ANYWHERE), 21);
	KUNIT_EXPECT_TRUE(test, fake->paused);
}

/* Would catch: a driver in the middle of its start, saved as if it were up */
static void save_half_up(struct kunit *test)
{
	struct fake_device *fake = stopped(test);
	struct hisi_acc_image image;

	fake->cqc_table = 0;
	KUNIT_EXPECT_EQ(test, save(fake, &image), -EAGAIN);
	fake->sqc_table = 0;
	KUNIT_EXPECT_EQ(test, save(fake, &image), -EAGAIN);
	fake->bar[0x8004 / 4] = 0;
	fake->bar[0x8008 / 4] = 0;
	fake->bar[0x8024 / 4] = 0;
	fake->bar[0x8028 / 4] = 0;
	KUNIT_EXPECT_EQ(test, save(fake, &image), 0);
	KUNIT_EXPECT_FALSE(test, image.guest_ready);
}

/* Would catch: a driver that came up after the stop, saved without a stop */
static void save_came_up_later(struct kunit *test)
{
	struct fake_device *fake = fake_device(test);
	struct hisi_acc_image image;

	KUNIT_ASSERT_EQ(test, quiesce(fake), 0);
	KUNIT_EXPECT_EQ(test, save(fake, &image), 0);
	KUNIT_EXPECT_FALSE(test, image.guest_ready);
	fake_guest_up(fake);
	KUNIT_EXPECT_EQ(test, save(fake, &image), -EAGAIN);
}

/* Would catch: an answer that is none, taken for an address */
static void save_mailbox_fails(struct kunit *test)
{
	struct fake_device *fake = stopped(test);
	struct hisi_acc_image image;

	fake->fail_command = QM_MB_CMD_CQC_BT;
	KUNIT_EXPECT_EQ(test, save(fake, &image), -EIO);
	fake->fail_command = 0;
	fake->hang_command = QM_MB_CMD_SQC_BT;
	KUNIT_EXPECT_EQ(test, save(fake, &image), -ETIMEDOUT);
}

/* Would catch: a field that is saved and not loaded, or loaded elsewhere */
static void load_is_the_inverse_of_save(struct kunit *test)
{
	struct fake_device *fake = stopped(test);
	struct hisi_acc_image image, again;

	KUNIT_ASSERT_EQ(test, save(fake, &image), 0);
	memset(fake->bar, 0, sizeof(fake->bar));
	fake->bar[QM_VF_STATE / 4] = QM_NOT_READY;
	fake->sqc_table = 0;
	fake->cqc_table = 0;
	fake->paused = false;
	fake->vf.paused = false;
	fake_forget(fake);

	KUNIT_ASSERT_EQ(test, load(fake, &image), 0);
	/* a function without queues has nothing that PAUSE could stop */
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'm', FAKE_ANYWHERE), 2);
	KUNIT_EXPECT_TRUE(test, fake->vf.paused);
	/* D24: the guest's driver is up when all of it is there, not before */
	KUNIT_EXPECT_EQ(test, fake_when(fake, 'w', QM_VF_STATE),
			fake->count - 1);
	KUNIT_EXPECT_EQ(test, fake->bar[QM_VF_STATE / 4], QM_READY);
	KUNIT_EXPECT_EQ(test, fake->bar[QM_QUE_ISO_CFG / 4], 1);
	KUNIT_ASSERT_EQ(test, save(fake, &again), 0);
	KUNIT_EXPECT_MEMEQ(test, &again, &image, sizeof(image));
}

/* R12; would catch: addresses of nothing given to the device */
static void load_nothing(struct kunit *test)
{
	struct fake_device *fake = fake_device(test);
	struct hisi_acc_image image = {};

	KUNIT_EXPECT_EQ(test, load(fake, &image), 0);
	KUNIT_EXPECT_EQ(test, fake->count, 0);
	KUNIT_EXPECT_EQ(test, restart(fake), 0);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'd', FAKE_ANYWHERE), 0);
}

static const u32 load_commands[] = {
	QM_MB_CMD_SQC_BT, QM_MB_CMD_CQC_BT,
};

static void command_name(const u32 *command, char *name)
{
	snprintf(name, KUNIT_PARAM_DESC_SIZE, "command 0x%x", *command);
}

KUNIT_ARRAY_PARAM(command, load_commands, command_name);

/* Would catch: a function ready that was loaded in part; a command while busy */
static void load_fails(struct kunit *test)
{
	const struct hisi_acc_image image = { .guest_ready = true };
	struct fake_device *fake = fake_device(test);
	const u32 *command = test->param_value;

	fake->fail_command = *command;
	KUNIT_EXPECT_EQ(test, load(fake, &image), -EIO);
	fake->fail_command = 0;
	fake->hang_command = *command;
	KUNIT_EXPECT_EQ(test, load(fake, &image), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, fake->bar[QM_VF_STATE / 4], QM_NOT_READY);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'w', FAKE_ANYWHERE), 0);
	/* the command that has no answer is still under way */
	fake_forget(fake);
	KUNIT_EXPECT_EQ(test, load(fake, &image), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'm', FAKE_ANYWHERE), 0);
}

/* D2, D10, R8; would catch: a queue that stays silent, or one that is not ours */
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

/* Would catch: heads of an earlier stop, or such as are asked for again in vain */
static void restart_rings_heads(struct kunit *test)
{
	struct fake_device *fake = stopped(test);
	struct hisi_acc_image image;

	KUNIT_ASSERT_EQ(test, save(fake, &image), 0);
	image.eqc[0] = 0x90005;
	KUNIT_ASSERT_EQ(test, load(fake, &image), 0);
	fake_forget(fake);
	KUNIT_ASSERT_EQ(test, restart(fake), 0);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'r', FAKE_ANYWHERE), 1);
	KUNIT_EXPECT_EQ(test, fake->accesses[fake->count - 2].value >>
			      QM_DB_INDEX_SHIFT_V2, 5);

	fake->bar[0x8000 / 4] = 0x90006;
	KUNIT_ASSERT_EQ(test, quiesce(fake), 0);
	KUNIT_ASSERT_EQ(test, restart(fake), 0);
	KUNIT_EXPECT_EQ(test, fake->accesses[fake->count - 2].value >>
			      QM_DB_INDEX_SHIFT_V2, 6);
}

/* D21; would catch: an answer to us, found by a guest that had asked before */
static void guest_asked(struct kunit *test)
{
	struct fake_device *fake = working(test);
	struct hisi_acc_image image;

	fake->answer[0] = QM_MB_GET | QM_MB_CMD_CQC_BT;
	KUNIT_ASSERT_EQ(test, quiesce(fake), 0);
	KUNIT_ASSERT_EQ(test, save(fake, &image), 0);
	fake->answer[0] = 0;
	fake_forget(fake);
	KUNIT_EXPECT_EQ(test, restart(fake), 0);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'm', QM_MB_CMD_CQC_BT), 1);
	KUNIT_EXPECT_EQ(test, fake->answer[1] << 32 | fake->answer[0] >> 32,
			fake->cqc_table);
}

/* D17; would catch: a doorbell rung in the physical function's BAR */
static void window_in_pf(struct kunit *test)
{
	struct fake_device *fake = working(test);
	struct hisi_acc_regs *regs = &fake->vf.regs;
	struct hisi_acc_image image;

	/* the same registers, seen through another window */
	regs->window = regs->bar + 0x4000;
	regs->xqc = 0x1c00;
	memcpy(&fake->bar[0x4000 / 4], fake->bar, 0x400);
	memcpy(&fake->bar[0x5c00 / 4], &fake->bar[0x8000 / 4], 0x40);
	fake->bar[0x4208 / 4] = 1;
	KUNIT_EXPECT_EQ(test, quiesce(fake), 0);
	KUNIT_EXPECT_EQ(test, save(fake, &image), 0);
	KUNIT_EXPECT_EQ(test, hisi_acc_xqc_head(image.eqc), 7);
	KUNIT_EXPECT_EQ(test, restart(fake), 0);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'd', QM_DOORBELL_SQ_CQ_BASE_V2),
			FAKE_QUEUES);
	KUNIT_EXPECT_EQ(test, fake_count(fake, 'd', QM_DOORBELL_EQ_AEQ_BASE_V2),
			4);
}

static struct kunit_case qm_cases[] = {
	KUNIT_CASE(quiesce_in_order),
	KUNIT_CASE(quiesce_without_guest),
	KUNIT_CASE_PARAM(quiesce_waits, condition_gen_params),
	KUNIT_CASE(quiesce_lets_others_go_first),
	KUNIT_CASE_PARAM(quiesce_gives_up, condition_gen_params),
	KUNIT_CASE(pause_refused),
	KUNIT_CASE(pause_unanswered),
	KUNIT_CASE(write_back_unanswered),
	KUNIT_CASE(gone),
	KUNIT_CASE(reset_under_us),
	KUNIT_CASE(save_reads),
	KUNIT_CASE(save_half_up),
	KUNIT_CASE(save_came_up_later),
	KUNIT_CASE(save_mailbox_fails),
	KUNIT_CASE(load_is_the_inverse_of_save),
	KUNIT_CASE(load_nothing),
	KUNIT_CASE_PARAM(load_fails, command_gen_params),
	KUNIT_CASE(restart_rings),
	KUNIT_CASE(restart_rings_heads),
	KUNIT_CASE(guest_asked),
	KUNIT_CASE(window_in_pf),
	{ }
};

static struct kunit_suite qm_suite = {
	.name = "hisi_acc_qm",
	.test_cases = qm_cases,
};

kunit_test_suite(qm_suite);
