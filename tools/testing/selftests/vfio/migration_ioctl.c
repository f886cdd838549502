// SPDX-License-Identifier: GPL-2.0
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "migration_ioctl.h"

int device_feature(int fd, uint32_t flags, void *data, size_t size, uint32_t argsz)
{
	uint64_t buf[8] = {};
	struct vfio_device_feature *feature = (void *)buf;

	assert(size <= sizeof(buf) - sizeof(*feature));
	feature->argsz = argsz;
	feature->flags = flags;
	if (size)
		memcpy(feature->data, data, size);
	if (ioctl(fd, VFIO_DEVICE_FEATURE, feature))
		return -errno;
	if (size)
		memcpy(data, feature->data, size);
	return 0;
}

static int feature_of(int fd, uint32_t flags, void *data, size_t size)
{
	return device_feature(fd, flags, data, size,
			      sizeof(struct vfio_device_feature) + size);
}

int device_migration_flags(int fd, uint64_t *flags)
{
	struct vfio_device_feature_migration migration = {};
	int ret = feature_of(fd, VFIO_DEVICE_FEATURE_GET |
			     VFIO_DEVICE_FEATURE_MIGRATION, &migration,
			     sizeof(migration));

	*flags = migration.flags;
	return ret;
}

int device_get_state(int fd)
{
	struct vfio_device_feature_mig_state mig = {};
	int ret = feature_of(fd, VFIO_DEVICE_FEATURE_GET |
			     VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &mig,
			     sizeof(mig));

	return ret ?: (int)mig.device_state;
}

int device_set_state(int fd, int state, int *data_fd)
{
	struct vfio_device_feature_mig_state mig = {
		.device_state = state,
		.data_fd = -1,
	};
	int ret = feature_of(fd, VFIO_DEVICE_FEATURE_SET |
			     VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &mig,
			     sizeof(mig));

	if (ret)
		mig.data_fd = -1;
	if (data_fd)
		*data_fd = mig.data_fd;
	else if (mig.data_fd >= 0)
		close(mig.data_fd);
	return ret;
}

int device_data_size(int fd, uint64_t *size)
{
	struct vfio_device_feature_mig_data_size data_size = {};
	int ret = feature_of(fd, VFIO_DEVICE_FEATURE_GET |
			     VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, &data_size,
			     sizeof(data_size));

	*size = data_size.stop_copy_length;
	return ret;
}

int device_reset(int fd)
{
	return ioctl(fd, VFIO_DEVICE_RESET) ? -errno : 0;
}

int migf_precopy_info(int data_fd, struct vfio_precopy_info *info)
{
	info->argsz = sizeof(*info);
	return ioctl(data_fd, VFIO_MIG_GET_PRECOPY_INFO, info) ? -errno : 0;
}
