// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit: which devices can be migrated, and how one is opened and closed.
 */
#include <kunit/test.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/vfio_pci_core.h>

#include "fake_device.h"

#define VF_ID	3

/* What the PCI core, the PF's driver and the device return */
static struct {
	int vf_id;
	void *pf_qm;
	bool can_migrate, has_registers, regs_in_pf;
	u32 number;
	int open_error;
	char steps[64];
} state;

static void step(const char *what)
{
	strlcat(state.steps, what, sizeof(state.steps));
}

static int vf_id(struct pci_dev *pdev)
{
	return state.vf_id;
}

static void *pf_drvdata(struct pci_dev *pdev, struct pci_driver *driver)
{
	return state.pf_qm;
}

static bool can_migrate(const struct hisi_qm *pf_qm)
{
	return state.can_migrate;
}

static bool regs_in_pf(const struct hisi_qm *pf_qm)
{
	return state.regs_in_pf;
}

static bool has_registers(struct pci_dev *pdev, const struct hisi_qm *pf_qm,
			  u32 number)
{
	state.number = number;
	return state.has_registers;
}

static int core_enable(struct vfio_pci_core_device *core)
{
	step("enable ");
	return state.open_error;
}

static void core_finish_enable(struct vfio_pci_core_device *core)
{
	step("finish ");
}

static void core_close(struct vfio_device *vdev)
{
	step("close ");
}

static int access_open(struct hisi_acc_vf *vf,
		       int (*learn)(struct hisi_acc_vf *vf))
{
	step("access ");
	return state.open_error;
}

static void access_close(struct hisi_acc_vf *vf)
{
	step("no-access ");
}

static void migrate_open(struct hisi_acc_vf *vf)
{
	step("migrate ");
}

static void migrate_close(struct hisi_acc_vf *vf)
{
	step("no-migrate ");
}

static void qm_close(struct hisi_acc_vf *vf)
{
	step("no-qm ");
}

static void reset_prepare(struct hisi_acc_vf *vf)
{
	step("prepare ");
}

static void reset_done(struct hisi_acc_vf *vf)
{
	step("done ");
}

static void no_debugfs(struct hisi_acc_vf *vf)
{
}

#define pci_iov_vf_id			vf_id
#define pci_iov_get_pf_drvdata		pf_drvdata
#define hisi_acc_qm_can_migrate		can_migrate
#define hisi_acc_qm_has_registers	has_registers
#define hisi_acc_qm_regs_in_pf		regs_in_pf
#define vfio_pci_core_enable		core_enable
#define vfio_pci_core_finish_enable	core_finish_enable
#define vfio_pci_core_close_device	core_close
#define hisi_acc_access_open		access_open
#define hisi_acc_access_close		access_close
#define hisi_acc_migrate_open		migrate_open
#define hisi_acc_migrate_close		migrate_close
#define hisi_acc_qm_close		qm_close
#define hisi_acc_access_reset_prepare	reset_prepare
#define hisi_acc_access_reset_done	reset_done
#define hisi_acc_debugfs_init		no_debugfs
/* The driver is not registered, and is not this module */
#undef module_pci_driver
#define module_pci_driver(driver) \
	static_assert(__same_type(driver, struct pci_driver))
#undef MODULE_DEVICE_TABLE
#define MODULE_DEVICE_TABLE(bus, table)
#undef MODULE_LICENSE
#define MODULE_LICENSE(license)
#undef MODULE_DESCRIPTION
#define MODULE_DESCRIPTION(text)

#include "../main.c"

static struct pci_driver *no_driver(void)
{
	return NULL;
}

/* A VF that can be migrated */
static struct fake_device *migratable(struct kunit *test)
{
	struct fake_device *fake = fake_device(test);

	fake->engine.pf_driver = no_driver;
	fake->pdev.is_virtfn = 1;
#ifdef CONFIG_PCI_IOV
	/* only its name is used */
	fake->pdev.physfn = &fake->pdev;
#endif
	fake->pdev.resource[HISI_ACC_BAR] =
		DEFINE_RES_MEM(0x10000000, 2 * PAGE_SIZE);
	state = (typeof(state)) {
		.vf_id = VF_ID,
		.pf_qm = &fake->qm,
		.can_migrate = true,
		.has_registers = true,
	};
	return fake;
}

/* A VF whose PF is bound and has the registers can be migrated, as number ID + 1 */
static void a_vf_can_be_migrated(struct kunit *test)
{
	struct fake_device *fake = migratable(test);

	KUNIT_EXPECT_PTR_EQ(test, &fake->qm,
			    hisi_acc_vf_find_pf_qm(&fake->pdev, &fake->engine));
	KUNIT_EXPECT_EQ(test, VF_ID + 1, state.number);
}

#define EXPECT_NONE(test, fake, engine) \
	KUNIT_EXPECT_PTR_EQ(test, (struct hisi_qm *)NULL, \
			    hisi_acc_vf_find_pf_qm(&(fake)->pdev, engine))

/* Each of these conditions disables migration; the VF then works as with vfio-pci */
static void devices_without_migration(struct kunit *test)
{
	struct fake_device *fake = migratable(test);

	EXPECT_NONE(test, fake, NULL);

	fake->pdev.is_virtfn = 0;
	EXPECT_NONE(test, fake, &fake->engine);

	fake = migratable(test);
	state.vf_id = -EINVAL;
	EXPECT_NONE(test, fake, &fake->engine);

	fake = migratable(test);
	state.pf_qm = ERR_PTR(-EINVAL);
	EXPECT_NONE(test, fake, &fake->engine);
	state.pf_qm = NULL;
	EXPECT_NONE(test, fake, &fake->engine);

	fake = migratable(test);
	state.can_migrate = false;
	EXPECT_NONE(test, fake, &fake->engine);

	fake = migratable(test);
	state.has_registers = false;
	EXPECT_NONE(test, fake, &fake->engine);
}

/* A page of the guest's part has no migration register in it */
static void half_a_bar_is_a_page(struct kunit *test)
{
	struct fake_device *fake = migratable(test);

	fake->pdev.resource[HISI_ACC_BAR] =
		DEFINE_RES_MEM(0x10000000, 2 * PAGE_SIZE - 2);
	EXPECT_NONE(test, fake, &fake->engine);

	state.regs_in_pf = true;
	KUNIT_EXPECT_PTR_EQ(test, &fake->qm,
			    hisi_acc_vf_find_pf_qm(&fake->pdev, &fake->engine));
}

/* Userspace reaches the device only while its match data is valid */
static void open_and_close_are_in_order(struct kunit *test)
{
	struct fake_device *fake = migratable(test);
	struct vfio_device *vdev = &fake->vf.core.vdev;

	KUNIT_EXPECT_EQ(test, 0, hisi_acc_vf_open(vdev));
	hisi_acc_vf_close(vdev);
	KUNIT_EXPECT_STREQ(test, "access migrate finish no-migrate no-qm no-access ", state.steps);

	state.steps[0] = 0;
	state.open_error = -EAGAIN;
	KUNIT_EXPECT_EQ(test, -EAGAIN, hisi_acc_vf_open(vdev));
	KUNIT_EXPECT_STREQ(test, "access ", state.steps);
}

/* Without migration all calls go to vfio-pci-core, resets too */
static void without_migration_it_is_vfio_pci(struct kunit *test)
{
	struct fake_device *fake = migratable(test);
	struct vfio_device *vdev = &fake->vf.core.vdev;

	fake->vf.pf_qm = NULL;
	dev_set_drvdata(&fake->pdev.dev, &fake->vf.core);
	KUNIT_EXPECT_EQ(test, 0, hisi_acc_vf_open(vdev));
	err_handlers.reset_prepare(&fake->pdev);
	err_handlers.reset_done(&fake->pdev);
	hisi_acc_vf_close(vdev);
	KUNIT_EXPECT_STREQ(test, "enable finish close ", state.steps);

	state.steps[0] = 0;
	fake->vf.pf_qm = &fake->qm;
	err_handlers.reset_prepare(&fake->pdev);
	err_handlers.reset_done(&fake->pdev);
	KUNIT_EXPECT_STREQ(test, "prepare done ", state.steps);
}

/* Devices are bound to this driver by driver_override only */
static void no_device_is_bound_by_itself(struct kunit *test)
{
	for (const struct pci_device_id *id = hisi_acc_vfio_pci_driver.id_table;
	     id->vendor; id++)
		KUNIT_EXPECT_EQ(test, PCI_ID_F_VFIO_DRIVER_OVERRIDE,
				id->override_only);
	KUNIT_EXPECT_TRUE(test, hisi_acc_vfio_pci_driver.driver_managed_dma);
}

static struct kunit_case main_cases[] = {
	KUNIT_CASE(a_vf_can_be_migrated),
	KUNIT_CASE(devices_without_migration),
	KUNIT_CASE(half_a_bar_is_a_page),
	KUNIT_CASE(open_and_close_are_in_order),
	KUNIT_CASE(without_migration_it_is_vfio_pci),
	KUNIT_CASE(no_device_is_bound_by_itself),
	{ }
};

static struct kunit_suite main_suite = {
	.name = "hisi_acc_main",
	.test_cases = main_cases,
};

kunit_test_suite(main_suite);
