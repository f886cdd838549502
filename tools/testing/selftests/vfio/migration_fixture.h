/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fixture of the vfio_pci_migration tests: one VFIO device, opened in each
 * IOMMU mode, in RUNNING.
 *
 * usage: vfio_pci_migration_THEME_test [options of the harness] DEVICE
 *
 * DEVICE is a PCI address, or the directory of a device in sysfs (for a mediated
 * device). The default is the PCI address in VFIO_SELFTESTS_BDF.
 *
 * The tests check what <linux/vfio.h> specifies for any device and any driver,
 * and nothing that it leaves to the driver. The device needs no guest.
 */
#ifndef SELFTESTS_VFIO_MIGRATION_FIXTURE_H
#define SELFTESTS_VFIO_MIGRATION_FIXTURE_H

#include <libvfio.h>

#include "kselftest_harness.h"
#include "migration.h"

static const char *device_path;

FIXTURE(migration) {
	struct migration_device *device;
	int fd;
	u64 flags;
};

FIXTURE_VARIANT(migration) {
	const char *iommu_mode;
};

#define FIXTURE_VARIANT_ADD_IOMMU_MODE(_iommu_mode) \
FIXTURE_VARIANT_ADD(migration, _iommu_mode) { \
	.iommu_mode = #_iommu_mode, \
}

FIXTURE_VARIANT_ADD_ALL_IOMMU_MODES();

FIXTURE_SETUP(migration)
{
	if (!migration_mode_works(device_path, variant->iommu_mode))
		SKIP(return, "no %s for this device", variant->iommu_mode);
	self->device = migration_device_open(device_path, variant->iommu_mode);
	self->fd = self->device->fd;
	ASSERT_EQ(device_migration_flags(self->fd, &self->flags), 0);
	/* a state that the last user left is the subject of a test of its own */
	ASSERT_EQ(device_set_running(self->fd), 0);
}

FIXTURE_TEARDOWN(migration)
{
	if (self->device)
		migration_device_close(self->device);
}

/* The device is in RUNNING, and can be saved and loaded */
static inline void check_migration(struct __test_metadata *_metadata, int fd)
{
	struct migration_data data;

	EXPECT_EQ(device_get_state(fd), RUNNING);
	ASSERT_EQ(device_save(fd, &data), 0);
	EXPECT_GT(data.len, 0);
	EXPECT_EQ(device_load(fd, &data, 0), 0);
	EXPECT_EQ(device_set_state(fd, RUNNING, NULL), 0);
	migration_data_free(&data);
}

/* What main() of such a test does */
static inline int migration_test_run(int argc, char *argv[])
{
	device_path = migration_device_argument(&argc, argv);
	migration_device_require(device_path);
	return test_harness_run(argc, argv);
}

#endif
