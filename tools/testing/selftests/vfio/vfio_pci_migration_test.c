// SPDX-License-Identifier: GPL-2.0
/*
 * Migration of a VFIO device as userspace sees it: any device, any driver.
 *
 * usage: vfio_pci_migration_test [options of the harness] DEVICE
 *
 * DEVICE is an address on the PCI bus, or a device's folder in sysfs (for a
 * mediated device); without it VFIO_SELFTESTS_BDF is taken. What is expected is
 * what <linux/vfio.h> says; what it leaves to drivers is not asked. The device
 * needs no guest, and no state worth moving.
 */
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <libvfio.h>

#include "kselftest_harness.h"
#include "migration.h"

static const char *device_path;

static const int all_states[] = {
	STOP, RUNNING, STOP_COPY, RESUMING, RUNNING_P2P, PRE_COPY, PRE_COPY_P2P,
};

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

/* By a reset only where there is no other way: it takes long on some devices */
static int back_to_running(int fd)
{
	int state = device_get_state(fd);

	if (state == RESUMING || state == VFIO_DEVICE_STATE_ERROR)
		return device_reset(fd);
	return state < 0 ? state : device_set_state(fd, RUNNING, NULL);
}

FIXTURE_SETUP(migration)
{
	if (!migration_mode_works(device_path, variant->iommu_mode))
		SKIP(return, "no %s for this device", variant->iommu_mode);
	self->device = migration_device_open(device_path, variant->iommu_mode);
	self->fd = self->device->fd;
	ASSERT_EQ(device_migration_flags(self->fd, &self->flags), 0);
	/* what a user before left behind is a test of its own */
	ASSERT_EQ(back_to_running(self->fd), 0);
}

FIXTURE_TEARDOWN(migration)
{
	if (self->device)
		migration_device_close(self->device);
}

/* A state of the device, saved and whole; the device is in STOP after that */
static int take_image(int fd, struct image *image)
{
	int data_fd, ret;

	*image = (struct image) {};
	ret = device_set_state(fd, STOP_COPY, &data_fd);
	if (ret)
		return ret;
	ret = image_read(data_fd, image, 0);
	close(data_fd);
	return ret ?: device_set_state(fd, STOP, NULL);
}

/* Let the device take an image; returns how leaving RESUMING ended */
static int give_image(int fd, const struct image *image, size_t chunk)
{
	int data_fd, ret;

	ret = device_set_state(fd, RESUMING, &data_fd);
	if (ret)
		return ret;
	ret = image_write(data_fd, image, chunk);
	if (!ret)
		ret = device_set_state(fd, STOP, NULL);
	close(data_fd);
	return ret;
}

/* The device in a state, come there from RUNNING; its data file or -1 */
static int enter(int fd, int state)
{
	int data_fd = -1;
	int ret = device_set_state(fd, state, &data_fd);

	return ret ?: data_fd;
}

static short polled(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

#include "vfio_pci_migration_features.h"
#include "vfio_pci_migration_states.h"
#include "vfio_pci_migration_save.h"
#include "vfio_pci_migration_resume.h"
#include "vfio_pci_migration_precopy.h"
#include "vfio_pci_migration_life.h"
#include "vfio_pci_migration_threads.h"

/* Ends the program, with a reason, where there is nothing to test */
static void require_migration(const char *path)
{
	static const char *const modes[] = { MODE_IOMMUFD, MODE_VFIO_TYPE1_IOMMU };
	struct migration_device *device;
	unsigned int mode = 0;
	u64 flags;
	int ret;

	while (!migration_mode_works(path, modes[mode]))
		if (++mode == ARRAY_SIZE(modes))
			ksft_exit_skip("%s is not bound to a VFIO driver\n", path);
	device = migration_device_open(path, modes[mode]);
	ret = device_migration_flags(device->fd, &flags);
	migration_device_close(device);
	if (ret == -ENOTTY)
		ksft_exit_skip("%s: its driver offers no migration\n", path);
	if (ret)
		ksft_exit_fail_msg("%s: VFIO_DEVICE_FEATURE_MIGRATION: %s\n",
				   path, strerror(-ret));
}

int main(int argc, char *argv[])
{
	const char *name;

	if (argc > 1 && argv[argc - 1][0] == '/')
		name = argv[--argc];
	else
		name = vfio_selftests_get_bdf(&argc, argv);
	device_path = migration_device_path(name);
	if (!device_path)
		ksft_exit_skip("there is no device %s\n", name);
	require_migration(device_path);
	return test_harness_run(argc, argv);
}
