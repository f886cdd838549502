// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit: the table of arcs against what the VFIO core can request, and all ways
 * through the states on a device that does or does not as it should.
 */
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/poll.h>
#include <linux/vfio.h>
#include <linux/workqueue.h>

#include "../migrate.c"
#include "../access.c"

#include "fake_device.h"

#define STATES	(VFIO_DEVICE_STATE_PRE_COPY_P2P + 1)

static unsigned int looping_calls;

/* Before Linux 7.2, vfio_mig_get_next_state() never returns for some of them */
static int count_looping_calls(struct vfio_device *vdev,
			       enum vfio_device_mig_state from,
			       enum vfio_device_mig_state to,
			       enum vfio_device_mig_state *next)
{
	looping_calls += from == VFIO_DEVICE_STATE_STOP_COPY &&
			 (to == VFIO_DEVICE_STATE_PRE_COPY ||
			  to == VFIO_DEVICE_STATE_PRE_COPY_P2P);
	return vfio_mig_get_next_state(vdev, from, to, next);
}

/* The error of a change of state that fails */
static long state_error(struct vfio_device *vdev, enum vfio_device_mig_state to)
{
	return PTR_ERR(hisi_acc_set_state(vdev, to));
}

static bool runs(enum vfio_device_mig_state state)
{
	return state == VFIO_DEVICE_STATE_RUNNING ||
	       state == VFIO_DEVICE_STATE_PRE_COPY;
}

static void close_file(struct file *file)
{
	if (!IS_ERR_OR_NULL(file))
		fput(file);
}

/* Each arc that the core can request has an entry, and no other */
static void arcs_are_those_of_the_core(struct kunit *test)
{
	struct fake_device *fake = fake_device(test);
	bool wanted[STATES][STATES] = {};

	for (int from = 1; from < STATES; from++) {
		for (int to = 1; to < STATES; to++) {
			enum vfio_device_mig_state next;

			if (from == to ||
			    vfio_mig_get_next_state(&fake->vf.core.vdev, from,
						    to, &next))
				continue;
			wanted[from][next] = true;
		}
	}
	for (int from = 0; from < STATES; from++)
		for (int to = 0; to < STATES; to++)
			KUNIT_EXPECT_EQ_MSG(test, !!arcs[from][to].action,
					    wanted[from][to], "%d -> %d", from,
					    to);
}

/* Each arc that stops or starts the VF has an undo */
static void arcs_that_stop_can_be_undone(struct kunit *test)
{
	for (int from = 0; from < STATES; from++) {
		for (int to = 0; to < STATES; to++) {
			const struct hisi_acc_arc *arc = &arcs[from][to];

			if (!arc->action || runs(from) == runs(to))
				continue;
			KUNIT_EXPECT_EQ(test, arc->needs, NEED_WAIT);
			if (runs(from))
				KUNIT_EXPECT_TRUE(test, arc->undo ==
						  hisi_acc_qm_undo_stop);
		}
	}
}

/* Registers are used with resets blocked only; arcs without registers do not wait */
static void arcs_have_what_they_need(struct kunit *test)
{
	for (int from = 0; from < STATES; from++) {
		for (int to = 0; to < STATES; to++) {
			int (*action)(struct hisi_acc_vf *, struct file **) =
				arcs[from][to].action;
			enum hisi_acc_arc_needs needs = NEED_NONE;

			if (action == hisi_acc_arc_stop ||
			    action == hisi_acc_arc_restart ||
			    action == hisi_acc_arc_load)
				needs = NEED_WAIT;
			if (action == hisi_acc_arc_start_saving ||
			    action == hisi_acc_arc_save)
				needs = NEED_NOW;
			KUNIT_EXPECT_EQ_MSG(test, arcs[from][to].needs, needs,
					    "%d -> %d", from, to);
		}
	}
}

/* Resets are blocked for all arcs of a walk, also if the first one needs no register */
static void arcs_block_pf_resets(struct kunit *test)
{
	static const struct {
		int from, to;
		enum hisi_acc_arc_needs needs;
	} ways[] = {
		{ VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_STOP, NEED_NONE },
		{ VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_RESUMING, NEED_NONE },
		{ VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_STOP_COPY, NEED_NOW },
		{ VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_RUNNING, NEED_WAIT },
		{ VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_PRE_COPY_P2P, NEED_NOW },
		{ VFIO_DEVICE_STATE_STOP_COPY, VFIO_DEVICE_STATE_STOP, NEED_NONE },
		{ VFIO_DEVICE_STATE_STOP_COPY, VFIO_DEVICE_STATE_RUNNING, NEED_WAIT },
		{ VFIO_DEVICE_STATE_RESUMING, VFIO_DEVICE_STATE_RUNNING, NEED_WAIT },
		{ VFIO_DEVICE_STATE_PRE_COPY, VFIO_DEVICE_STATE_STOP_COPY, NEED_WAIT },
		{ VFIO_DEVICE_STATE_PRE_COPY, VFIO_DEVICE_STATE_RUNNING, NEED_NONE },
		{ VFIO_DEVICE_STATE_ERROR, VFIO_DEVICE_STATE_RUNNING, NEED_NONE },
	};
	struct fake_device *fake = fake_device(test);

	for (int i = 0; i < ARRAY_SIZE(ways); i++) {
		fake->vf.state = ways[i].from;
		KUNIT_EXPECT_EQ_MSG(test,
				    hisi_acc_walk_needs(&fake->vf, ways[i].to),
				    ways[i].needs, "%d -> %d", ways[i].from,
				    ways[i].to);
	}
}

/* Bring a VF, just opened or reset, into a state */
static void bring(struct kunit *test, struct fake_device *fake, int state)
{
	struct vfio_device *vdev = &fake->vf.core.vdev;

	hisi_acc_access_reset_prepare(&fake->vf);
	fake->paused = false;
	fake_guest_up(fake);
	hisi_acc_access_reset_done(&fake->vf);
	close_file(hisi_acc_set_state(vdev, state));
	KUNIT_ASSERT_EQ(test, fake->vf.state, state);
	/* the next user of QM_RESETTING would wait for long */
	KUNIT_ASSERT_FALSE(test, test_bit(QM_RESETTING, &fake->qm.misc_ctl));
}

static void sound(struct kunit *test, struct fake_device *fake, int from, int to)
{
	int state = fake->vf.state;

	if (state == VFIO_DEVICE_STATE_ERROR)
		return;
	KUNIT_EXPECT_EQ_MSG(test, fake->paused,
			    !runs(state) && state != VFIO_DEVICE_STATE_ERROR,
			    "%d -> %d, in %d", from, to, state);
	KUNIT_EXPECT_EQ(test, fake->paused, fake->vf.paused);
	KUNIT_EXPECT_EQ_MSG(test, !!fake->vf.data,
			    state == VFIO_DEVICE_STATE_PRE_COPY ||
			    state == VFIO_DEVICE_STATE_PRE_COPY_P2P ||
			    state == VFIO_DEVICE_STATE_STOP_COPY ||
			    state == VFIO_DEVICE_STATE_RESUMING,
			    "%d -> %d, in %d", from, to, state);
	KUNIT_EXPECT_FALSE(test, test_bit(QM_RESETTING, &fake->qm.misc_ctl));
}

static bool has_no_state(struct file *file)
{
	return vfs_poll(file, NULL) & EPOLLERR;
}

/* A VF runs in the states in which it should, and only there */
static void all_arcs(struct kunit *test)
{
	struct fake_device *fake = fake_device(test);
	struct vfio_device *vdev = &fake->vf.core.vdev;

	for (int from = 1; from < STATES; from++) {
		for (int to = 0; to < STATES + 1; to++) {
			enum vfio_device_mig_state next, reported;
			struct file *file;
			bool refused;

			bring(test, fake, from);
			refused = from != to &&
				  (!to || to >= STATES ||
				   vfio_mig_get_next_state(vdev, from, to,
							   &next));
			file = hisi_acc_set_state(vdev, to);
			/* data that was not written is rejected */
			if (from == VFIO_DEVICE_STATE_RESUMING && from != to)
				refused = true;
			KUNIT_EXPECT_EQ_MSG(test, IS_ERR(file), refused,
					    "%d -> %d", from, to);
			hisi_acc_get_state(vdev, &reported);
			KUNIT_EXPECT_EQ(test, reported, fake->vf.state);
			KUNIT_EXPECT_EQ(test, fake->vf.state,
					refused ? from : to);
			sound(test, fake, from, to);
			if (to == VFIO_DEVICE_STATE_STOP_COPY &&
			    !IS_ERR_OR_NULL(file))
				KUNIT_EXPECT_FALSE(test, has_no_state(file));
			close_file(file);
		}
	}
}

/* No change of state hangs, whatever the kernel's core does */
static void invalid_arcs_do_not_hang(struct kunit *test)
{
	struct fake_device *fake = fake_device(test);
	struct vfio_device *vdev = &fake->vf.core.vdev;

	bring(test, fake, VFIO_DEVICE_STATE_STOP_COPY);
	looping_calls = 0;
	kunit_activate_static_stub(test, hisi_acc_core_next_state,
				   count_looping_calls);
	KUNIT_EXPECT_EQ(test, state_error(vdev, VFIO_DEVICE_STATE_PRE_COPY),
			-EINVAL);
	KUNIT_EXPECT_EQ(test,
			state_error(vdev, VFIO_DEVICE_STATE_PRE_COPY_P2P), -EINVAL);
	KUNIT_EXPECT_EQ(test, looping_calls, 0);
	KUNIT_EXPECT_EQ(test, fake->vf.state, VFIO_DEVICE_STATE_STOP_COPY);
}

struct fault {
	const char *name;
	u32 fail_command;
	u32 hang_command;
	bool write_back_hangs;
	u32 busy_register;
};

static const struct fault faults[] = {
	{ "PAUSE fails", 0xe },
	{ "PAUSE times out", 0, 0xe },
	{ "SQC_BT fails", QM_MB_CMD_SQC_BT },
	{ "CQC_BT times out", 0, QM_MB_CMD_CQC_BT },
	{ "write-back times out", 0, 0, true },
	{ "engine error", 0, 0, false, FAKE_ENGINE_STATUS },
};

static void fault_name(const struct fault *fault, char *name)
{
	strscpy(name, fault->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(fault, faults, fault_name);

static void one_arc_with_a_fault(struct kunit *test, struct fake_device *fake,
				 const struct fault *fault, int from, int to)
{
	struct file *file;

	bring(test, fake, from);
	fake->fail_command = fault->fail_command;
	fake->hang_command = fault->hang_command;
	fake->write_back_hangs = fault->write_back_hangs;
	fake->busy_register = fault->busy_register;
	fake->busy_reads = fault->busy_register ? FAKE_ALWAYS : 0;
	/* of an earlier way */
	fake->bar[0x208 / 4] = 0;
	file = hisi_acc_set_state(&fake->vf.core.vdev, to);
	if (IS_ERR(file))
		KUNIT_EXPECT_TRUE_MSG(test, fake->vf.state == from ||
				      fake->vf.state == VFIO_DEVICE_STATE_ERROR,
				      "%d -> %d, in %d", from, to,
				      fake->vf.state);
	else
		KUNIT_EXPECT_EQ(test, fake->vf.state, to);
	sound(test, fake, from, to);
	close_file(file);
	fake->fail_command = 0;
	fake->hang_command = 0;
	fake->write_back_hangs = false;
	fake->busy_reads = 0;
	fake->mailbox.lo = 0;
	/* D9: a reset leads out of it, whatever it is */
	bring(test, fake, VFIO_DEVICE_STATE_RUNNING);
}

/* D9, D24: after a failure the reported state is that of the VF, or ERROR */
static void all_arcs_with_a_fault(struct kunit *test)
{
	struct fake_device *fake = fake_device(test);

	for (int from = 0; from < STATES; from++)
		for (int to = 0; to < STATES; to++)
			if (arcs[from][to].action)
				one_arc_with_a_fault(test, fake,
						     test->param_value, from, to);
}

/* D24: a VF that was loaded in part is in ERROR */
static void a_load_that_fails_half_way(struct kunit *test)
{
	static const struct hisi_acc_saved saved = {
		.guest = HISI_ACC_GUEST_UP,
		.eqc = { 0x90007, 0x34564000, 0x12, 0x2000, 0, 0, 0x103ff },
		.aeqc = { 0x10001, 0x34566000, 0x12, 0x2000, 0, 0, 0x103ff },
		.sqc_table = 0x1234568000,
		.cqc_table = 0x123456a000,
	};
	struct fake_device *fake = fake_device(test);
	struct vfio_device *vdev = &fake->vf.core.vdev;

	bring(test, fake, VFIO_DEVICE_STATE_RESUMING);
	hisi_acc_migf_fill(fake->vf.data, &saved);
	fake->fail_command = QM_MB_CMD_CQC_BT;
	KUNIT_EXPECT_EQ(test, state_error(vdev, VFIO_DEVICE_STATE_STOP),
			-EIO);
	fake->fail_command = 0;
	KUNIT_EXPECT_EQ(test, fake->vf.state, VFIO_DEVICE_STATE_ERROR);
	KUNIT_EXPECT_NULL(test, fake->vf.data);
	KUNIT_EXPECT_EQ(test, state_error(vdev, VFIO_DEVICE_STATE_STOP),
			-EIO);

	bring(test, fake, VFIO_DEVICE_STATE_RESUMING);
	hisi_acc_migf_fill(fake->vf.data, &saved);
	KUNIT_EXPECT_NULL(test, hisi_acc_set_state(vdev, VFIO_DEVICE_STATE_STOP));
	KUNIT_EXPECT_EQ(test, fake->vf.state, VFIO_DEVICE_STATE_STOP);
	KUNIT_EXPECT_EQ(test, fake->sqc_table, saved.sqc_table);
}

/*
 * D19: a VF that has lost its state is not saved, but the arc succeeds: on an error
 * the VMM would reset it
 */
static void a_lost_state_is_no_data(struct kunit *test)
{
	static const int ways[][2] = {
		{ VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_STOP_COPY },
		{ VFIO_DEVICE_STATE_PRE_COPY_P2P, VFIO_DEVICE_STATE_STOP_COPY },
		{ VFIO_DEVICE_STATE_RUNNING_P2P, VFIO_DEVICE_STATE_RUNNING },
		{ VFIO_DEVICE_STATE_PRE_COPY_P2P, VFIO_DEVICE_STATE_PRE_COPY },
	};
	struct fake_device *fake = fake_device(test);

	for (int i = 0; i < ARRAY_SIZE(ways); i++) {
		struct file *file;

		bring(test, fake, ways[i][0]);
		fake->bar[QM_VF_STATE / 4] = QM_NOT_READY;
		file = hisi_acc_set_state(&fake->vf.core.vdev, ways[i][1]);
		KUNIT_EXPECT_FALSE(test, IS_ERR(file));
		KUNIT_EXPECT_EQ(test, fake->vf.state, ways[i][1]);
		if (!IS_ERR_OR_NULL(file))
			KUNIT_EXPECT_TRUE(test, has_no_state(file));
		close_file(file);
		bring(test, fake, VFIO_DEVICE_STATE_RUNNING);
	}
}

/*
 * Contexts are not written to memory after the VMM has sent it; before, the save waits
 * for them
 */
static void contexts_that_are_late(struct kunit *test)
{
	static const int from[] = {
		VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_PRE_COPY_P2P,
	};
	struct fake_device *fake = fake_device(test);
	struct vfio_device *vdev = &fake->vf.core.vdev;

	fake->busy_register = FAKE_ENGINE_STATUS;
	for (int i = 0; i < ARRAY_SIZE(from); i++) {
		bool carried = from[i] == VFIO_DEVICE_STATE_PRE_COPY_P2P;
		struct file *file, *begun = NULL;

		bring(test, fake, VFIO_DEVICE_STATE_RUNNING);
		if (carried)
			begun = hisi_acc_set_state(vdev, VFIO_DEVICE_STATE_PRE_COPY);
		fake->busy_reads = FAKE_ALWAYS;
		KUNIT_EXPECT_NULL(test, hisi_acc_set_state(vdev, from[i]));
		fake->busy_reads = 0;
		file = hisi_acc_set_state(vdev, VFIO_DEVICE_STATE_STOP_COPY) ?:
		       begun;
		KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(file));
		KUNIT_EXPECT_EQ(test, has_no_state(file), !carried);
		close_file(file);
	}
}

/* Conditions that prevent a migration are checked when it begins */
static void precopy_checks_conditions(struct kunit *test)
{
	struct fake_device *fake = fake_device(test);
	struct vfio_device *vdev = &fake->vf.core.vdev;
	struct file *file;

	bring(test, fake, VFIO_DEVICE_STATE_RUNNING);
	fake->busy_register = FAKE_ENGINE_STATUS;
	fake->busy_reads = FAKE_ALWAYS;
	KUNIT_EXPECT_EQ(test, state_error(vdev, VFIO_DEVICE_STATE_PRE_COPY),
			-EBUSY);
	KUNIT_EXPECT_EQ(test, fake->vf.state, VFIO_DEVICE_STATE_RUNNING);
	KUNIT_EXPECT_NULL(test, fake->vf.data);
	fake->busy_reads = 0;
	file = hisi_acc_set_state(vdev, VFIO_DEVICE_STATE_PRE_COPY);
	KUNIT_EXPECT_FALSE(test, IS_ERR_OR_NULL(file));
	close_file(file);
}

/* What another task does while the code under test waits */
struct later {
	struct delayed_work work;
	struct fake_device *fake;
};

static void driver_is_done(struct work_struct *work)
{
	struct later *later = container_of(to_delayed_work(work), struct later,
					   work);

	clear_bit(QM_RESETTING, &later->fake->qm.misc_ctl);
}

static void reset_is_over(struct work_struct *work)
{
	struct later *later = container_of(to_delayed_work(work), struct later,
					   work);

	/* when it is over, the PF's driver comes first */
	later->fake->reset_waits = true;
	hisi_acc_access_reset_done(&later->fake->vf);
	msleep(100);
	later->fake->reset_waits = false;
}

static void end_later(struct later *later)
{
	flush_delayed_work(&later->work);
	destroy_delayed_work_on_stack(&later->work);
}

/* Arcs whose failure makes a VMM reset the VF wait */
static void arcs_that_cannot_fail_wait(struct kunit *test)
{
	struct fake_device *fake = fake_device(test);
	struct later later = { .fake = fake };

	bring(test, fake, VFIO_DEVICE_STATE_RUNNING);
	set_bit(QM_RESETTING, &fake->qm.misc_ctl);
	INIT_DELAYED_WORK_ONSTACK(&later.work, driver_is_done);
	schedule_delayed_work(&later.work, msecs_to_jiffies(REFUSE_MS + 500));
	KUNIT_EXPECT_NULL(test, hisi_acc_set_state(&fake->vf.core.vdev,
						   VFIO_DEVICE_STATE_STOP));
	KUNIT_EXPECT_TRUE(test, fake->paused);
	end_later(&later);
}

/* A reset at the same time does not fail a change of state */
static void a_reset_is_waited_for(struct kunit *test)
{
	struct fake_device *fake = fake_device(test);
	struct later later = { .fake = fake };
	struct file *file;

	bring(test, fake, VFIO_DEVICE_STATE_STOP);
	hisi_acc_access_reset_prepare(&fake->vf);
	INIT_DELAYED_WORK_ONSTACK(&later.work, reset_is_over);
	schedule_delayed_work(&later.work, msecs_to_jiffies(REFUSE_MS + 500));
	file = hisi_acc_set_state(&fake->vf.core.vdev, VFIO_DEVICE_STATE_STOP_COPY);
	KUNIT_EXPECT_FALSE(test, fake->vf.resetting);
	KUNIT_EXPECT_FALSE(test, IS_ERR_OR_NULL(file));
	if (!IS_ERR_OR_NULL(file))
		KUNIT_EXPECT_FALSE(test, has_no_state(file));
	close_file(file);
	end_later(&later);
}

/* RUNNING to PRE_COPY does not fail because a reset of the VF took long */
static void a_migration_begins_after_a_reset(struct kunit *test)
{
	struct fake_device *fake = fake_device(test);
	struct later later = { .fake = fake };
	struct file *file;

	bring(test, fake, VFIO_DEVICE_STATE_RUNNING);
	hisi_acc_access_reset_prepare(&fake->vf);
	INIT_DELAYED_WORK_ONSTACK(&later.work, reset_is_over);
	schedule_delayed_work(&later.work, msecs_to_jiffies(REFUSE_MS + 500));
	file = hisi_acc_set_state(&fake->vf.core.vdev, VFIO_DEVICE_STATE_PRE_COPY);
	KUNIT_EXPECT_FALSE(test, IS_ERR_OR_NULL(file));
	close_file(file);
	end_later(&later);
}

/* A short wait for the registers does not fail a debugfs read */
static void debugfs_read_waits(struct kunit *test)
{
	struct fake_device *fake = fake_device(test);
	struct later later = { .fake = fake };

	set_bit(QM_RESETTING, &fake->qm.misc_ctl);
	INIT_DELAYED_WORK_ONSTACK(&later.work, driver_is_done);
	schedule_delayed_work(&later.work, msecs_to_jiffies(50));
	KUNIT_EXPECT_EQ(test, hisi_acc_access_begin(&fake->vf, 10000), 0);
	hisi_acc_access_end(&fake->vf);
	end_later(&later);
}

/* D4: a wait for the PF ends, and a bit set by its driver stays set */
static void bit_of_another_is_kept(struct kunit *test)
{
	struct fake_device *fake = fake_device(test);

	set_bit(QM_RESETTING, &fake->qm.misc_ctl);
	KUNIT_EXPECT_EQ(test, hisi_acc_access_block_reset(&fake->qm, 20,
							  TASK_KILLABLE), -EBUSY);
	KUNIT_EXPECT_TRUE(test, test_bit(QM_RESETTING, &fake->qm.misc_ctl));
	clear_bit(QM_RESETTING, &fake->qm.misc_ctl);
	KUNIT_EXPECT_EQ(test, hisi_acc_access_block_reset(&fake->qm, 20,
							  TASK_KILLABLE), 0);
	hisi_qm_unblock_reset(&fake->qm);
}

/* A reset does not wait for a user that waits for the reset */
static void a_reset_of_who_blocks_them(struct kunit *test)
{
	struct fake_device *fake = fake_device(test);
	struct hisi_acc_vf *vf = &fake->vf;

	KUNIT_ASSERT_TRUE(test, hisi_qm_try_block_reset(vf->pf_qm));
	/* no other caller can block resets */
	fake->reset_waits = true;
	atomic_inc(&vf->core_calls);
	hisi_acc_access_reset_prepare(vf);
	KUNIT_EXPECT_TRUE(test, vf->blocks_others);
	/* it has one of its own */
	hisi_qm_unblock_reset(vf->pf_qm);
	KUNIT_EXPECT_TRUE(test, test_bit(QM_RESETTING, &fake->qm.misc_ctl));
	hisi_acc_access_reset_done(vf);
	KUNIT_EXPECT_FALSE(test, test_bit(QM_RESETTING, &fake->qm.misc_ctl));
	atomic_dec(&vf->core_calls);
}

static long lock_is_taken(struct hisi_acc_vf *vf, unsigned long arg)
{
	return -EAGAIN;
}

static void one_reset_ends_and_one_follows(struct work_struct *work)
{
	struct later *later = container_of(to_delayed_work(work), struct later,
					   work);

	hisi_acc_access_reset_done(&later->fake->vf);
	msleep(50);
	hisi_acc_access_reset_prepare(&later->fake->vf);
	msleep(50);
	hisi_acc_access_reset_done(&later->fake->vf);
}

/* Another reset counts as the user's if it began after it, not if it began before */
static void a_reset_by_others_is_enough(struct kunit *test)
{
	struct fake_device *fake = fake_device(test);
	struct later later = { .fake = fake };

	kunit_activate_static_stub(test, hisi_acc_access_core_reset,
				   lock_is_taken);
	hisi_acc_access_reset_prepare(&fake->vf);
	INIT_DELAYED_WORK_ONSTACK(&later.work, one_reset_ends_and_one_follows);
	schedule_delayed_work(&later.work, msecs_to_jiffies(50));
	KUNIT_EXPECT_EQ(test, hisi_acc_access_reset(&fake->vf, 0), 0);
	KUNIT_EXPECT_EQ(test, fake->vf.resets, 4);
	end_later(&later);
}

/* No arc is walked while the VF is being reset, and none of these waits */
static void nothing_during_a_reset(struct kunit *test)
{
	struct fake_device *fake = fake_device(test);
	int err;

	bring(test, fake, VFIO_DEVICE_STATE_STOP);
	hisi_acc_access_reset_prepare(&fake->vf);
	KUNIT_EXPECT_TRUE(test, test_bit(QM_RESETTING, &fake->qm.misc_ctl));
	hisi_acc_access_lock(&fake->vf);
	KUNIT_EXPECT_FALSE(test, hisi_acc_access_try(&fake->vf, false));
	hisi_acc_access_unlock(&fake->vf);
	err = hisi_acc_access_begin(&fake->vf, 0);
	KUNIT_EXPECT_EQ(test, err, -EBUSY);
	if (!err)
		hisi_acc_access_end(&fake->vf);
	hisi_acc_access_reset_done(&fake->vf);
	KUNIT_EXPECT_EQ(test, fake->vf.state, VFIO_DEVICE_STATE_RUNNING);
	KUNIT_EXPECT_EQ(test, hisi_acc_access_begin(&fake->vf, 0), 0);
	KUNIT_EXPECT_TRUE(test, test_bit(QM_RESETTING, &fake->qm.misc_ctl));
	hisi_acc_access_end(&fake->vf);
	KUNIT_EXPECT_FALSE(test, test_bit(QM_RESETTING, &fake->qm.misc_ctl));
	hisi_acc_migrate_close(&fake->vf);
	KUNIT_EXPECT_FALSE(test, fake->vf.open);
}

/*
 * A stop does not fail; an arc that can fail without loss does not wait long
 */
static void while_the_device_is_reset(struct kunit *test)
{
	unsigned long wait = msecs_to_jiffies(HISI_ACC_RESET_WAIT_MS);
	struct fake_device *fake = fake_device(test);
	struct vfio_device *vdev = &fake->vf.core.vdev;
	unsigned long start = jiffies;
	struct file *file;

	bring(test, fake, VFIO_DEVICE_STATE_RUNNING);
	set_bit(QM_RESETTING, &fake->qm.misc_ctl);
	KUNIT_EXPECT_EQ(test, state_error(vdev, VFIO_DEVICE_STATE_PRE_COPY),
			-EBUSY);
	KUNIT_EXPECT_EQ(test, fake->vf.state, VFIO_DEVICE_STATE_RUNNING);
	clear_bit(QM_RESETTING, &fake->qm.misc_ctl);

	close_file(hisi_acc_set_state(vdev, VFIO_DEVICE_STATE_STOP));
	set_bit(QM_RESETTING, &fake->qm.misc_ctl);
	file = hisi_acc_set_state(vdev, VFIO_DEVICE_STATE_STOP_COPY);
	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(file));
	KUNIT_EXPECT_TRUE(test, has_no_state(file));
	close_file(file);
	/* no register is needed for it, so it does not wait */
	KUNIT_EXPECT_NULL(test, hisi_acc_set_state(vdev, VFIO_DEVICE_STATE_STOP));
	KUNIT_EXPECT_TRUE(test, time_before(jiffies, start + wait));
	clear_bit(QM_RESETTING, &fake->qm.misc_ctl);
	KUNIT_EXPECT_NULL(test, hisi_acc_set_state(vdev, VFIO_DEVICE_STATE_RUNNING));
	KUNIT_EXPECT_FALSE(test, fake->paused);
}

/* The reported size is that of the migration data */
static void size_is_that_of_data(struct kunit *test)
{
	struct fake_device *fake = fake_device(test);
	unsigned long length;

	KUNIT_EXPECT_EQ(test, hisi_acc_get_data_size(&fake->vf.core.vdev, &length), 0);
	KUNIT_EXPECT_EQ(test, length, HISI_ACC_DATA_SIZE);
}

static struct kunit_case migrate_cases[] = {
	KUNIT_CASE(arcs_are_those_of_the_core),
	KUNIT_CASE(arcs_that_stop_can_be_undone),
	KUNIT_CASE(arcs_have_what_they_need),
	KUNIT_CASE(arcs_block_pf_resets),
	KUNIT_CASE(all_arcs),
	KUNIT_CASE(invalid_arcs_do_not_hang),
	KUNIT_CASE_PARAM(all_arcs_with_a_fault, fault_gen_params),
	KUNIT_CASE(a_load_that_fails_half_way),
	KUNIT_CASE(a_lost_state_is_no_data),
	KUNIT_CASE(a_reset_by_others_is_enough),
	KUNIT_CASE(nothing_during_a_reset),
	KUNIT_CASE(while_the_device_is_reset),
	KUNIT_CASE(contexts_that_are_late),
	KUNIT_CASE(precopy_checks_conditions),
	KUNIT_CASE(arcs_that_cannot_fail_wait),
	KUNIT_CASE(a_reset_is_waited_for),
	KUNIT_CASE(a_migration_begins_after_a_reset),
	KUNIT_CASE(debugfs_read_waits),
	KUNIT_CASE(bit_of_another_is_kept),
	KUNIT_CASE(a_reset_of_who_blocks_them),
	KUNIT_CASE(size_is_that_of_data),
	{ }
};

static struct kunit_suite migrate_suite = {
	.name = "hisi_acc_migrate",
	.test_cases = migrate_cases,
};

kunit_test_suite(migrate_suite);
