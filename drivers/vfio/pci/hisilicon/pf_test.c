// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit: who may use the registers of a physical function.
 */
#include <kunit/test.h>

#include "pf.c"

static struct hisi_acc_pf *a_pf(struct kunit *test)
{
	struct hisi_qm *qm = kunit_kzalloc(test, sizeof(*qm), GFP_KERNEL);
	struct hisi_acc_pf *pf;

	KUNIT_ASSERT_NOT_NULL(test, qm);
	pf = hisi_acc_pf_get(qm);
	KUNIT_ASSERT_NOT_NULL(test, pf);
	return pf;
}

/* Would catch: two of ours that exclude each other; a bit that stays set */
static void ours_share_a_claim(struct kunit *test)
{
	struct hisi_qm *qm = kunit_kzalloc(test, sizeof(*qm), GFP_KERNEL);
	struct hisi_acc_pf *pf, *same;

	KUNIT_ASSERT_NOT_NULL(test, qm);
	pf = hisi_acc_pf_get(qm);
	same = hisi_acc_pf_get(qm);
	KUNIT_ASSERT_NOT_NULL(test, pf);
	KUNIT_EXPECT_PTR_EQ(test, pf, same);
	KUNIT_EXPECT_EQ(test, hisi_acc_pf_claim(pf, 0, TASK_KILLABLE), 0);
	KUNIT_EXPECT_EQ(test, hisi_acc_pf_claim(same, 0, TASK_KILLABLE), 0);
	hisi_acc_pf_release(pf);
	KUNIT_EXPECT_TRUE(test, test_bit(QM_RESETTING, &qm->misc_ctl));
	hisi_acc_pf_release(same);
	KUNIT_EXPECT_FALSE(test, test_bit(QM_RESETTING, &qm->misc_ctl));
	hisi_acc_pf_put(same);
	KUNIT_EXPECT_PTR_EQ(test, hisi_acc_pf_qm(pf), qm);
	hisi_acc_pf_put(pf);
}

/* D4; would catch: a wait without end, and a bit cleared that is another's */
static void another_has_it(struct kunit *test)
{
	struct hisi_acc_pf *pf = a_pf(test);

	set_bit(QM_RESETTING, &pf->qm->misc_ctl);
	KUNIT_EXPECT_EQ(test, hisi_acc_pf_claim(pf, 20, TASK_KILLABLE), -EBUSY);
	KUNIT_EXPECT_TRUE(test, test_bit(QM_RESETTING, &pf->qm->misc_ctl));
	clear_bit(QM_RESETTING, &pf->qm->misc_ctl);
	KUNIT_EXPECT_EQ(test, hisi_acc_pf_claim(pf, 20, TASK_KILLABLE), 0);
	hisi_acc_pf_release(pf);
	hisi_acc_pf_put(pf);
}

/* Would catch: functions that relieve each other and keep the driver out for good */
static void a_spell_ends(struct kunit *test)
{
	unsigned long rest = msecs_to_jiffies(REST_MS), left;
	struct hisi_acc_pf *pf = a_pf(test);

	KUNIT_ASSERT_TRUE(test, hisi_acc_pf_try_claim(pf));
	KUNIT_EXPECT_TRUE(test, hisi_acc_pf_try_claim(pf));
	hisi_acc_pf_release(pf);
	/* as if it had begun so long ago */
	pf->begun -= msecs_to_jiffies(SPELL_MS) + 1;
	KUNIT_EXPECT_FALSE(test, hisi_acc_pf_try_claim(pf));
	/* a reset that somebody with a claim waits for */
	KUNIT_EXPECT_TRUE(test, hisi_acc_pf_join(pf));
	hisi_acc_pf_release(pf);
	KUNIT_EXPECT_TRUE(test, test_bit(QM_RESETTING, &pf->qm->misc_ctl));
	hisi_acc_pf_release(pf);
	left = pf->left;
	KUNIT_EXPECT_FALSE(test, test_bit(QM_RESETTING, &pf->qm->misc_ctl));
	KUNIT_EXPECT_FALSE(test, hisi_acc_pf_join(pf));

	/* then nobody has it for a while, and everybody after it */
	KUNIT_EXPECT_EQ(test, hisi_acc_pf_claim(pf, 10 * REST_MS, TASK_KILLABLE),
			0);
	KUNIT_EXPECT_TRUE(test, time_after(jiffies, left + rest));
	KUNIT_EXPECT_TRUE(test, hisi_acc_pf_try_claim(pf));
	hisi_acc_pf_release(pf);
	hisi_acc_pf_release(pf);

	/* the longer it was kept waiting, the longer the driver sleeps */
	pf->begun -= msecs_to_jiffies(LONG_SPELL_MS) + 1;
	KUNIT_EXPECT_FALSE(test, hisi_acc_pf_try_claim(pf));
	pf->left -= rest + 1;
	pf->begun -= rest + 1;
	KUNIT_EXPECT_FALSE(test, hisi_acc_pf_try_claim(pf));
	pf->left -= msecs_to_jiffies(LONG_REST_MS);
	pf->begun -= msecs_to_jiffies(LONG_REST_MS);
	KUNIT_EXPECT_TRUE(test, hisi_acc_pf_try_claim(pf));
	hisi_acc_pf_release(pf);
	hisi_acc_pf_put(pf);
}

/* Would catch: a rest after the driver has had its turn */
static void the_drivers_turn_is_a_rest(struct kunit *test)
{
	struct hisi_acc_pf *pf = a_pf(test);

	KUNIT_ASSERT_TRUE(test, hisi_acc_pf_try_claim(pf));
	hisi_acc_pf_release(pf);
	set_bit(QM_RESETTING, &pf->qm->misc_ctl);
	KUNIT_EXPECT_FALSE(test, hisi_acc_pf_try_claim(pf));
	clear_bit(QM_RESETTING, &pf->qm->misc_ctl);
	pf->begun -= msecs_to_jiffies(SPELL_MS) + 1;
	KUNIT_EXPECT_TRUE(test, hisi_acc_pf_try_claim(pf));
	hisi_acc_pf_release(pf);
	hisi_acc_pf_put(pf);
}

/* Would catch: guests stopped for longer than the driver's sleep asks for */
static void a_short_spell_has_a_short_rest(struct kunit *test)
{
	unsigned long rest = msecs_to_jiffies(REST_MS) + 1;
	struct hisi_acc_pf *pf = a_pf(test);

	KUNIT_ASSERT_TRUE(test, hisi_acc_pf_try_claim(pf));
	hisi_acc_pf_release(pf);
	pf->left -= rest;
	pf->begun -= rest + msecs_to_jiffies(SPELL_MS) + 1;
	KUNIT_EXPECT_TRUE(test, hisi_acc_pf_try_claim(pf));
	hisi_acc_pf_release(pf);
	hisi_acc_pf_put(pf);
}

static struct kunit_case pf_cases[] = {
	KUNIT_CASE(ours_share_a_claim),
	KUNIT_CASE(another_has_it),
	KUNIT_CASE(a_spell_ends),
	KUNIT_CASE(the_drivers_turn_is_a_rest),
	KUNIT_CASE(a_short_spell_has_a_short_rest),
	{ }
};

static struct kunit_suite pf_suite = {
	.name = "hisi_acc_pf",
	.test_cases = pf_cases,
};

kunit_test_suite(pf_suite);
