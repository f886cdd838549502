// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit: which devices have the registers that migration needs.
 */
#include "fake_device.h"
#include "../qm_open.c"

/* No PF is bound to its driver here */
struct pci_driver *hisi_sec_get_pf_driver(void)
{
	return NULL;
}

struct pci_driver *hisi_hpre_get_pf_driver(void)
{
	return NULL;
}

struct pci_driver *hisi_zip_get_pf_driver(void)
{
	return NULL;
}

static void set_bar(struct pci_dev *pdev, resource_size_t len)
{
	pdev->resource[HISI_ACC_BAR] = DEFINE_RES_MEM(0x10000000, len);
}

/* No register beyond the end of a BAR may be accessed */
static void bars_are_large_enough(struct kunit *test)
{
	struct pci_dev *pf = kunit_kzalloc(test, sizeof(*pf), GFP_KERNEL);
	struct pci_dev *vf = kunit_kzalloc(test, sizeof(*vf), GFP_KERNEL);
	struct hisi_qm *qm = kunit_kzalloc(test, sizeof(*qm), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, pf);
	KUNIT_ASSERT_NOT_NULL(test, vf);
	KUNIT_ASSERT_NOT_NULL(test, qm);
	qm->pdev = pf;
	set_bar(pf, 0x200000);
	set_bar(vf, 0x10000);
	qm->ver = QM_HW_V4;
	KUNIT_EXPECT_TRUE(test, hisi_acc_qm_has_registers(vf, qm, 63));

	/* the registers of VF n end at 0x182000 + n * 0x2000; of V3 none are there */
	set_bar(pf, 0x1fffff);
	KUNIT_EXPECT_FALSE(test, hisi_acc_qm_has_registers(vf, qm, 63));
	KUNIT_EXPECT_TRUE(test, hisi_acc_qm_has_registers(vf, qm, 62));
	qm->ver = QM_HW_V3;
	KUNIT_EXPECT_TRUE(test, hisi_acc_qm_has_registers(vf, qm, 63));

	set_bar(vf, 0xffff);
	KUNIT_EXPECT_FALSE(test, hisi_acc_qm_has_registers(vf, qm, 1));
}

static struct kunit_case qm_open_cases[] = {
	KUNIT_CASE(bars_are_large_enough),
	{ }
};

static struct kunit_suite qm_open_suite = {
	.name = "hisi_acc_qm_open",
	.test_cases = qm_open_cases,
};

kunit_test_suite(qm_open_suite);
