// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit: how the bit of a driver without hisi_qm_try_block_reset() is shared.
 */
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/module.h>

#include "../compat_qm.c"

static struct compat_qm *a_device(struct kunit *test)
{
	struct hisi_qm *qm = kunit_kzalloc(test, sizeof(*qm), GFP_KERNEL);
	struct compat_qm *of;

	KUNIT_ASSERT_NOT_NULL(test, qm);
	scoped_guard(mutex, &compat_qm_lock)
		of = compat_qm_of(qm);
	KUNIT_ASSERT_NOT_NULL(test, of);
	return of;
}

/* As hisi_acc_access_block_reset() waits, for a time */
static bool block_reset(struct hisi_qm *qm)
{
	for (int i = 0; i < 10 * PAUSE_MS; i++) {
		if (compat_qm_try_block_reset(qm))
			return true;
		usleep_range(1000, 2000);
	}
	return false;
}

/* VFs of this driver share the bit, and the last one clears it */
static void vfs_share_the_bit(struct kunit *test)
{
	struct compat_qm *of = a_device(test), *other = a_device(test);

	scoped_guard(mutex, &compat_qm_lock)
		KUNIT_EXPECT_PTR_EQ(test, compat_qm_of(of->qm), of);
	KUNIT_EXPECT_TRUE(test, compat_qm_try_block_reset(of->qm));
	KUNIT_EXPECT_TRUE(test, compat_qm_try_block_reset(of->qm));
	KUNIT_EXPECT_FALSE(test, test_bit(QM_RESETTING, &other->qm->misc_ctl));
	compat_qm_unblock_reset(of->qm);
	KUNIT_EXPECT_TRUE(test, test_bit(QM_RESETTING, &of->qm->misc_ctl));
	compat_qm_unblock_reset(of->qm);
	KUNIT_EXPECT_FALSE(test, test_bit(QM_RESETTING, &of->qm->misc_ctl));
}

/* D4: a bit set by the PF's driver stays set */
static void pf_driver_holds_the_bit(struct kunit *test)
{
	struct compat_qm *of = a_device(test);

	set_bit(QM_RESETTING, &of->qm->misc_ctl);
	KUNIT_EXPECT_FALSE(test, compat_qm_try_block_reset(of->qm));
	KUNIT_EXPECT_TRUE(test, test_bit(QM_RESETTING, &of->qm->misc_ctl));
	clear_bit(QM_RESETTING, &of->qm->misc_ctl);
	KUNIT_EXPECT_TRUE(test, compat_qm_try_block_reset(of->qm));
	compat_qm_unblock_reset(of->qm);
}

/* Each device gets an entry of its own, also when all were in use */
static void more_devices_than_entries(struct kunit *test)
{
	struct hisi_qm *qms = kunit_kcalloc(test, DEVICES + 1, sizeof(*qms),
					    GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, qms);
	for (int i = 0; i < DEVICES; i++)
		KUNIT_EXPECT_TRUE(test, compat_qm_try_block_reset(&qms[i]));
	KUNIT_EXPECT_FALSE(test, compat_qm_try_block_reset(&qms[DEVICES]));
	compat_qm_unblock_reset(&qms[7]);
	KUNIT_EXPECT_TRUE(test, compat_qm_try_block_reset(&qms[DEVICES]));
	KUNIT_EXPECT_FALSE(test, compat_qm_extend_reset_block(&qms[7]));
	compat_qm_unblock_reset(&qms[DEVICES]);
	for (int i = 0; i < DEVICES; i++)
		if (i != 7)
			compat_qm_unblock_reset(&qms[i]);
	for (int i = 0; i <= DEVICES; i++)
		KUNIT_EXPECT_FALSE(test, test_bit(QM_RESETTING, &qms[i].misc_ctl));
}

/* Users that overlap do not keep the PF's driver out */
static void users_do_not_keep_pf_driver_out(struct kunit *test)
{
	unsigned long pause = msecs_to_jiffies(PAUSE_MS), left;
	struct compat_qm *of = a_device(test);

	KUNIT_ASSERT_TRUE(test, compat_qm_try_block_reset(of->qm));
	KUNIT_EXPECT_TRUE(test, compat_qm_try_block_reset(of->qm));
	compat_qm_unblock_reset(of->qm);
	/* as if it had begun so long ago */
	of->begun -= msecs_to_jiffies(BLOCK_MS) + 1;
	KUNIT_EXPECT_FALSE(test, compat_qm_try_block_reset(of->qm));
	/* a reset on behalf of a user that blocks resets */
	KUNIT_EXPECT_TRUE(test, compat_qm_extend_reset_block(of->qm));
	compat_qm_unblock_reset(of->qm);
	KUNIT_EXPECT_TRUE(test, test_bit(QM_RESETTING, &of->qm->misc_ctl));
	compat_qm_unblock_reset(of->qm);
	left = of->left;
	KUNIT_EXPECT_FALSE(test, test_bit(QM_RESETTING, &of->qm->misc_ctl));
	KUNIT_EXPECT_FALSE(test, compat_qm_extend_reset_block(of->qm));

	/* the bit stays clear for a pause, then all users may set it */
	KUNIT_ASSERT_TRUE(test, block_reset(of->qm));
	KUNIT_EXPECT_TRUE(test, time_after(jiffies, left + pause));
	KUNIT_EXPECT_TRUE(test, compat_qm_try_block_reset(of->qm));
	compat_qm_unblock_reset(of->qm);
	compat_qm_unblock_reset(of->qm);

	/* the longer the PF's driver has waited, the longer it sleeps */
	of->begun -= msecs_to_jiffies(LONG_BLOCK_MS) + 1;
	KUNIT_EXPECT_FALSE(test, compat_qm_try_block_reset(of->qm));
	of->left -= pause + 1;
	of->begun -= pause + 1;
	KUNIT_EXPECT_FALSE(test, compat_qm_try_block_reset(of->qm));
	of->left -= msecs_to_jiffies(LONG_PAUSE_MS);
	of->begun -= msecs_to_jiffies(LONG_PAUSE_MS);
	KUNIT_EXPECT_TRUE(test, compat_qm_try_block_reset(of->qm));
	compat_qm_unblock_reset(of->qm);
}

/* No pause follows once the PF's driver has held the bit */
static void no_pause_after_pf_driver(struct kunit *test)
{
	struct compat_qm *of = a_device(test);

	KUNIT_ASSERT_TRUE(test, compat_qm_try_block_reset(of->qm));
	compat_qm_unblock_reset(of->qm);
	set_bit(QM_RESETTING, &of->qm->misc_ctl);
	KUNIT_EXPECT_FALSE(test, compat_qm_try_block_reset(of->qm));
	clear_bit(QM_RESETTING, &of->qm->misc_ctl);
	of->begun -= msecs_to_jiffies(BLOCK_MS) + 1;
	KUNIT_EXPECT_TRUE(test, compat_qm_try_block_reset(of->qm));
	compat_qm_unblock_reset(of->qm);
}

/* A short block has a short pause: guests are not stopped longer than needed */
static void short_block_short_pause(struct kunit *test)
{
	unsigned long pause = msecs_to_jiffies(PAUSE_MS) + 1;
	struct compat_qm *of = a_device(test);

	KUNIT_ASSERT_TRUE(test, compat_qm_try_block_reset(of->qm));
	compat_qm_unblock_reset(of->qm);
	of->left -= pause;
	of->begun -= pause + msecs_to_jiffies(BLOCK_MS) + 1;
	KUNIT_EXPECT_TRUE(test, compat_qm_try_block_reset(of->qm));
	compat_qm_unblock_reset(of->qm);
}

static struct kunit_case compat_qm_cases[] = {
	KUNIT_CASE(vfs_share_the_bit),
	KUNIT_CASE(pf_driver_holds_the_bit),
	KUNIT_CASE(more_devices_than_entries),
	KUNIT_CASE(users_do_not_keep_pf_driver_out),
	KUNIT_CASE(no_pause_after_pf_driver),
	KUNIT_CASE(short_block_short_pause),
	{ }
};

static struct kunit_suite compat_qm_suite = {
	.name = "hisi_acc_compat_qm",
	.test_cases = compat_qm_cases,
};

kunit_test_suite(compat_qm_suite);

MODULE_DESCRIPTION("KUnit tests of what hisi_qm may lack");
MODULE_LICENSE("GPL");
