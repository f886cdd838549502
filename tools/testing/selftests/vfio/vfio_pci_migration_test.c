// SPDX-License-Identifier: GPL-2.0
/*
 * Migration of a VFIO device, as userspace sees it: any device, any driver.
 */
#include <libvfio.h>

#include "kselftest_harness.h"

static const char *device_bdf;

FIXTURE(migration) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
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
	self->iommu = iommu_init(variant->iommu_mode);
	self->device = vfio_pci_device_init(device_bdf, self->iommu);
}

FIXTURE_TEARDOWN(migration)
{
	vfio_pci_device_cleanup(self->device);
	iommu_cleanup(self->iommu);
}

TEST_F(migration, offered)
{
	struct {
		struct vfio_device_feature feature;
		struct vfio_device_feature_migration migration;
	} probe = {
		.feature.argsz = sizeof(probe),
		.feature.flags = VFIO_DEVICE_FEATURE_GET |
				 VFIO_DEVICE_FEATURE_MIGRATION,
	};

	if (ioctl(self->device->fd, VFIO_DEVICE_FEATURE, &probe))
		SKIP(return, "this device offers no migration");
	ASSERT_TRUE(probe.migration.flags & VFIO_MIGRATION_STOP_COPY);
}

int main(int argc, char *argv[])
{
	device_bdf = vfio_selftests_get_bdf(&argc, argv);
	return test_harness_run(argc, argv);
}
