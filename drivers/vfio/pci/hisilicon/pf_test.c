// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit: who may use the registers of a physical function.
 */
#include <kunit/test.h>

#include "pf.c"

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
	KUNIT_EXPECT_EQ(test, hisi_acc_pf_claim(pf, 0), 0);
	KUNIT_EXPECT_EQ(test, hisi_acc_pf_claim(same, 0), 0);
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
	struct hisi_qm *qm = kunit_kzalloc(test, sizeof(*qm), GFP_KERNEL);
	struct hisi_acc_pf *pf;

	KUNIT_ASSERT_NOT_NULL(test, qm);
	pf = hisi_acc_pf_get(qm);
	KUNIT_ASSERT_NOT_NULL(test, pf);
	set_bit(QM_RESETTING, &qm->misc_ctl);
	KUNIT_EXPECT_EQ(test, hisi_acc_pf_claim(pf, 20), -EBUSY);
	KUNIT_EXPECT_TRUE(test, test_bit(QM_RESETTING, &qm->misc_ctl));
	clear_bit(QM_RESETTING, &qm->misc_ctl);
	KUNIT_EXPECT_EQ(test, hisi_acc_pf_claim(pf, 20), 0);
	hisi_acc_pf_release(pf);
	hisi_acc_pf_put(pf);
}

static struct kunit_case pf_cases[] = {
	KUNIT_CASE(ours_share_a_claim),
	KUNIT_CASE(another_has_it),
	{ }
};

static struct kunit_suite pf_suite = {
	.name = "hisi_acc_pf",
	.test_cases = pf_cases,
};

kunit_test_suite(pf_suite);
